"""A run folder of the detector: started, trained, finished.

It holds `config.json`, `labels.npz` (the teacher's answers), `checkpoint.npz` while it trains, and
at its end `history.csv`, `curves.png`, `recall.png`, `weights.npz` (to begin another run with),
`model.keras` (folded) and `report.md`.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras

import edgemood
from edgemood.console import say
from edgemood.errors import EdgemoodError
from edgemood.train import runs
from edgemood.train.detector import fit, judge, pictures, report
from edgemood.train.detector.network import detector, fold, rounded
from edgemood.train.detector.scenes import Variety

NAME = "face"  # the recipe's
LABELS, WEIGHTS = "labels.npz", "weights.npz"
# Seed of who is held out. Not the run's own: a run may begin with an earlier one's weights, and
# these must not have seen the people it is judged on.
SPLIT = 0


def start(
    data: str | None, epochs: int | None, seed: int, folder: Path | None,
    weights: Path | None = None, recipe: fit.Recipe | None = None,
) -> Path:  # fmt: skip
    """Make the folder of a new run; raises EdgemoodError where an argument does not fit.

    weights: of an earlier run, to begin with.
    """
    path = data or os.environ.get("EDGEMOOD_DATA")
    if not path:
        raise EdgemoodError(
            f"no data was named: {pictures.ARCHIVE} or its folder was wanted. Pass it with --data "
            "or EDGEMOOD_DATA."
        )
    recipe = recipe or fit.Recipe()
    epochs = runs.epochs_of(epochs, recipe.epochs)
    archive = pictures.archive_in(path).absolute()
    if weights:
        fit.load_weights(detector(), weights)
    return runs.new_folder(
        NAME,
        folder,
        {
            "name": NAME,
            "recipe": asdict(recipe),
            "epochs": epochs,
            "seed": runs.checked_seed(seed),
            "weights": str(weights.resolve()) if weights else None,
            "data": str(archive),
            "edgemood": edgemood.__version__,
        },
    )


def train(folder: Path) -> None:
    """Train a started run to its end, from its last checkpoint if it has one."""
    config = runs.read_config(folder)
    recipe = recipe_of(config)
    bank, held_out = pictures.split(
        pictures.read(Path(config["data"]), folder / LABELS), recipe.held_out, SPLIT
    )
    counts = [f"{len(part):,} {name}" for name, part in bank.faces.items()]
    say(
        f"{NAME}: faces of {', '.join(counts)}, {len(bank.negatives):,} negatives, "
        f"{len(held_out.faces['people']):,} frames of others held out, {config['epochs']} epochs "
        f"of {recipe.steps} steps -> {folder}"
    )
    keras.utils.set_random_seed(config["seed"])
    weights = config.get("weights")
    state = fit.prepare(recipe, config["epochs"], Path(weights) if weights else None)
    learnt_from = bank
    if weights:
        # Hard negatives (Sung and Poggio 1998, IEEE TPAMI 20(1), section 2.3): wheels, dogs, clocks
        # are too rare for one run to tell from faces. The next one sees them as often as the rest.
        hard = judge.deceptive(fold(state.model), bank.negatives)
        learnt_from = replace(bank, negatives=bank.negatives + 3 * hard)
    if (folder / runs.CHECKPOINT).exists():
        state.load(folder / runs.CHECKPOINT)
        say(f"going on after epoch {len(state.history)}")
    fit.fit(
        recipe, learnt_from, held_out, state, config["epochs"], config["seed"],
        folder / runs.CHECKPOINT,
    )  # fmt: skip
    _finish(folder, config, bank, held_out, state)


def recipe_of(config: dict[str, Any]) -> fit.Recipe:
    values = dict(config["recipe"])
    values["sizes"] = tuple(tuple(size) for size in values["sizes"])
    variety = values.pop("variety")
    return fit.Recipe(**values, variety=Variety(**variety | {"turn": tuple(variety["turn"])}))


def _finish(
    folder: Path, config: dict[str, Any], bank: pictures.Bank, held_out: pictures.Bank,
    state: fit.State,
) -> None:  # fmt: skip
    """Calibrate, fold, judge and write everything a run folder holds at its end."""
    shifts = judge.calibrate(rounded(fold(state.average)), bank.negatives)
    network = rounded(fold(state.average, shifts))
    told = ", ".join(f"{shift:+.2f}" for shift in shifts)
    say(f"scores shifted by {told}, grid by grid; judging on held-out people")
    detect = judge.detector_of(network)
    ours = judge.judge(dict.fromkeys(judge.SIZES, detect), held_out)
    teachers = judge.judge({size: judge.teacher_at(size[1]) for size in judge.SIZES}, held_out)
    expressions: dict[str, tuple[float, float]] = {}
    if (judged := report.expressions_to_judge(Path(config["data"]))) is not None:
        found, taught = (
            report.expressions(each, judged, held_out)
            for each in (detect, judge.teacher_at(judge.SIZES[0][1]))
        )
        expressions = {name: (found[name], taught[name]) for name in found}

    config["seconds"] = round(state.seconds)
    config["card"] = report.card(bank, ours, shifts)
    runs.write_history(folder, state.columns, state.history)
    report.write(folder, config, state.history, ours, teachers, expressions)
    fit.save_weights(state.average, folder / WEIGHTS)
    runs.write_config(folder, config)
    runs.save_model(folder, network)
    (folder / runs.CHECKPOINT).unlink(missing_ok=True)
    say(f"done: {folder / 'report.md'}; next: edgemood export {shlex.quote(str(folder))}")
