"""A run folder: started, found again, trained, finished.

It holds `config.json`, `checkpoint.npz` while it trains, and at its end `history.csv`,
`curves.png`, `confusion.png`, `model.keras` (folded) and `report.md`.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

import edgemood
from edgemood.console import say
from edgemood.datasets import (
    ALL,
    FERPLUS_COLUMNS,
    TRAINING,
    Dataset,
    by_ferplus,
    ferplus_votes,
    open_dataset,
)
from edgemood.errors import EdgemoodError
from edgemood.files import make_folder, write_text
from edgemood.metrics import softmax, threshold_for_accuracy
from edgemood.train import fit, report
from edgemood.train.augment import Augmentation
from edgemood.train.distill import soft_targets
from edgemood.train.networks import NETWORKS, fold, require_same, unfold
from edgemood.train.recipes import RECIPES, Recipe

RUNS = Path("runs")
CONFIG, CHECKPOINT, MODEL = "config.json", "checkpoint.npz", "model.keras"
FERPLUS = "ferplus"  # folder within a run's, and what `labels` of its config says
# Share of the training pictures that only calibrates; of a set without splits, that also judges.
HELD_BACK, HELD_BACK_UNSPLIT = 0.05, 0.2
SEEN = 500  # pictures that a network which begins with other weights is set up by
UNBALANCED = 10  # times as many pictures in one class as in another are worth a word
UNSURE_ACCURACY = 0.8  # what is not marked unsure should be right this often


def start(
    name: str,
    data: str | None,
    epochs: int | None,
    seed: int,
    folder: Path | None,
    teachers: Sequence[Path] = (),
    weights: Path | None = None,
    bfloat16: bool = False,
) -> Path:
    """Make the folder of a new run; raises EdgemoodError where an argument does not fit.

    teachers: folders of finished runs that this one learns from. weights: that of a finished run
    of the same network, to begin with. bfloat16: whether training computes in it.
    """
    if name not in RECIPES:
        raise EdgemoodError(
            f"there is no recipe '{name}': {', '.join(RECIPES)} are there. Name one of them."
        )
    recipe = RECIPES[name]
    epochs = epochs_of(epochs, recipe.epochs)
    dataset = open_dataset(data)
    dataset.require_every_class()
    for _ in dataset.batches():  # a damaged picture shows now, also of those that will judge
        pass
    train, held_back = hold_back(dataset)
    if teachers and not recipe.distill:
        raise EdgemoodError(f"recipe '{name}' learns from no teacher. Leave --teacher out.")
    for option, runs in (("--teacher", teachers), ("--weights", [weights] if weights else [])):
        for run in runs:
            if not (run / MODEL).exists():
                raise EdgemoodError(
                    f"{run} has no {MODEL}, a run that has ended was wanted. Name one with "
                    f"{option}."
                )
    for teacher in teachers:
        known = read_config(teacher).get("classes", [])
        if known != list(dataset.classes):
            raise EdgemoodError(
                f"{teacher} knows {', '.join(known) or 'no classes'}: "
                f"{', '.join(dataset.classes)} were wanted, as the data has. Name another run with "
                "--teacher."
            )
    network = NETWORKS[recipe.network](len(dataset.classes))
    try:
        fold(network, slice(len(dataset.classes)))
    except ValueError as error:
        raise EdgemoodError(
            f"network '{recipe.network}' cannot be deployed: {error}. docs/training.md says what "
            "it may be made of."
        ) from error
    if weights:
        _finished(weights, network)
    words = ["edgemood", "train", "--recipe", name, "--epochs", str(epochs), "--seed", str(seed)]
    for teacher in teachers:
        words += ["--teacher", str(teacher)]
    if weights:
        words += ["--weights", str(weights)]
    if bfloat16:
        words.append("--bfloat16")
    config = {
        "name": name,
        "made_by": shlex.join(words),
        "recipe": asdict(recipe),
        "epochs": epochs,
        "seed": checked_seed(seed),
        "bfloat16": bfloat16,
        # Not resolved: what a link stands beside belongs to it, such as votes.
        "data": str(dataset.path.absolute()),
        "fingerprint": dataset.fingerprint(),
        "classes": list(dataset.classes),
        "teachers": [str(teacher.resolve()) for teacher in teachers],
        "weights": str(weights.resolve()) if weights else None,
        "training_split": str(dataset.splits[train[0]]),
        "held_back": dataset.rows[held_back].tolist(),
        "edgemood": edgemood.__version__,
    }
    return new_folder(name, folder, config)


def checked_seed(seed: int) -> int:
    """The seed; raises EdgemoodError where it is none for NumPy and TensorFlow."""
    if not 0 <= seed < 2**32:
        raise EdgemoodError(f"--seed is {seed}: a number from 0 to {2**32 - 1} was wanted.")
    return seed


def epochs_of(asked: int | None, usual: int) -> int:
    """How many epochs a run has; raises EdgemoodError where fewer than one were asked for."""
    if asked is not None and asked < 1:
        raise EdgemoodError(f"{asked} epochs were asked for, 1 or more are wanted.")
    return asked or usual


def new_folder(name: str, folder: Path | None, config: dict[str, Any]) -> Path:
    """The folder of a new run with its config.json; None: the next free one in ./runs."""
    folder = folder or _free_folder(name)
    if (folder / CONFIG).exists():
        raise EdgemoodError(
            f"{folder} holds a run already: name another with --run, or go on with it: "
            f"edgemood train --resume {shlex.quote(str(folder))}"
        )
    make_folder(folder, "--run")
    write_config(folder, config)
    return folder


def find_unfinished(folder: Path | None) -> Path:
    """The run to go on with: the one named, or the newest in ./runs that has not ended."""
    if folder is None:
        unfinished = [
            path.parent for path in RUNS.glob(f"*/{CONFIG}") if not (path.parent / MODEL).exists()
        ]
        if not unfinished:
            raise EdgemoodError(
                f"no run in {RUNS}/ is unfinished. Start one: edgemood train --recipe small"
            )
        return max(unfinished, key=lambda path: (path / CONFIG).stat().st_mtime)
    if not (folder / CONFIG).exists():
        raise EdgemoodError(
            f"{folder} is no run folder: it has no {CONFIG}. Name one that edgemood train made."
        )
    if (folder / MODEL).exists():
        raise EdgemoodError(f"{folder} has ended; its network is {folder / MODEL}.")
    return folder


def train(folder: Path) -> None:
    """Train a started run to its end, from its last checkpoint if it has one."""
    config = read_config(folder)
    recipe = _recipe(config["recipe"])
    dataset = open_dataset(config["data"])
    if config.get("fingerprint") not in (None, dataset.fingerprint()):
        raise EdgemoodError(
            f"{dataset.path} has changed since {folder} was started: other pictures would be held "
            "back. Bring back what it was, or start a new run."
        )
    for teacher in config["teachers"]:
        if not Path(teacher, MODEL).exists():
            raise EdgemoodError(
                f"{teacher}, the teacher of {folder}, has no {MODEL} any more. Bring it back, or "
                "start a new run."
            )
    material = prepare_material(recipe, dataset, config)
    say(
        f"{config['name']}: {len(material.train):,} pictures to learn from, "
        f"{len(material.validation):,} held back, {config['epochs']} epochs -> {folder}"
    )
    counts = np.bincount(dataset.labels[material.train], minlength=material.classes)
    few, many = int(counts.argmin()), int(counts.argmax())
    if counts[many] >= UNBALANCED * counts[few]:
        say(
            f"'{dataset.classes[few]}' has {counts[few]:,} of these pictures, "
            f"'{dataset.classes[many]}' {counts[many]:,}: the report's recall says what the rare "
            "one loses"
        )
    keras.utils.set_random_seed(config["seed"])
    steps = len(material.train) // fit.batch_size(recipe, material)
    state = fit.prepare(
        recipe, material.classes, material.outputs, steps, config["epochs"], config["bfloat16"]
    )
    if (folder / CHECKPOINT).exists():
        state.load(folder / CHECKPOINT)
        say(f"going on after epoch {len(state.history)}")
    elif config.get("weights"):
        _begin_with(Path(config["weights"]), material, state)
    fit.fit(recipe, material, state, config["epochs"], config["seed"], folder / CHECKPOINT)
    _finish(folder, config, material, state)


def _begin_with(folder: Path, material: fit.Material, state: fit.State) -> None:
    """Give both networks of a new run the weights of another one, with its classes if it has ours.

    Raises EdgemoodError where that is of another network.
    """
    folded = _finished(folder, state.model)
    same = read_config(folder).get("classes") == list(material.dataset.classes)
    some = material.train[:: max(1, len(material.train) // SEEN)]
    pixels = material.dataset.read(some)[..., None].astype(np.float32)
    unfold(folded, state.model, pixels, material.classes if same else 0)
    state.average.set_weights(state.model.get_weights())


def _finished(folder: Path, model: keras.Model) -> keras.Model:
    """A finished run's network; raises EdgemoodError where `model` is not of its shape."""
    try:
        folded = keras.models.load_model(folder / MODEL)
        require_same(folded, model)
    except ValueError as error:
        raise EdgemoodError(
            f"{folder / MODEL} does not fit: {error}. Name a run of the same network with "
            "--weights."
        ) from error
    return folded


def hold_back(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """(indices to learn from, indices held back) of the training split.

    The same share of every class is held back, copies of a picture always together, so that
    nothing held back has been seen. Every run holds the same pictures back, whatever its seed:
    what a student is judged on, its teacher has not seen either. Which ones hangs on their pixels,
    so that nearly all stay on their side when pictures are added.
    Raises EdgemoodError where there is nothing to learn from.
    """
    split = TRAINING if TRAINING in dataset.splits else ALL
    pool = np.flatnonzero(dataset.splits == split)
    if not len(pool):
        raise EdgemoodError(
            f"{dataset.path} has no split to learn from: it has "
            f"{', '.join(sorted(set(dataset.splits.tolist())))}, '{TRAINING}' was wanted."
        )
    share = HELD_BACK if split == TRAINING else HELD_BACK_UNSPLIT
    _, first, group = np.unique(
        dataset.select(pool).digests(), return_index=True, return_inverse=True
    )
    label = dataset.labels[pool[first]]  # of each group of copies
    chosen = np.zeros(len(first), bool)
    for index in range(len(dataset.classes)):
        groups = np.flatnonzero(label == index)
        count = max(1, round(share * len(groups))) if len(groups) > 1 else 0
        chosen[groups[:count]] = True  # in the order of their digests, which is as good as none
    held = chosen[group]
    if held.all() or not held.any():
        raise EdgemoodError(
            f"{dataset.path} has {len(first)} different pictures to learn from: at least two of "
            "each class are wanted. Add some."
        )
    return pool[~held], pool[held]


def prepare_material(recipe: Recipe, dataset: Dataset, config: dict[str, Any]) -> fit.Material:
    """Targets from labels and, where there are some, votes and teachers."""
    held = np.isin(dataset.rows, config["held_back"])
    learnt = (dataset.splits == config["training_split"]) & ~held
    classes = len(dataset.classes)
    targets = np.eye(classes, dtype=np.float32)[dataset.labels]
    targets = (1 - recipe.smoothing) * targets + recipe.smoothing / classes
    votes = ferplus_votes(dataset) if recipe.votes else None
    if votes is not None:
        share = votes.astype(np.float32) / votes.sum(axis=1, keepdims=True)
        targets = np.concatenate([targets, share], axis=1)
        say(f"FER+ votes of {len(FERPLUS_COLUMNS)} kinds join as a second target")
    if config["teachers"]:
        # Asked again by a run that is resumed, so that a run folder holds results only.
        teachers = [Path(folder) / MODEL for folder in config["teachers"]]
        taught = soft_targets(teachers, dataset, np.flatnonzero(learnt))
        targets = np.concatenate([targets, taught], axis=1)
    return fit.Material(
        dataset,
        targets.astype(np.float32),
        np.flatnonzero(learnt),
        np.flatnonzero(held),
        0 if votes is None else votes.shape[1],
    )


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The divisor of the logits at which they are as confident, on average, as they are right.

    Right counts as one more of two more, so that few pictures, all read rightly, make nobody sure
    (the rule of succession, Laplace 1814). logits: float64 [N, classes]. Searched between 1/4 and 4
    by bisection. This is expectation consistency (Clarte et al. 2023, arXiv:2303.02644). The
    temperature at which the labels are likeliest (Guo et al. 2017) left every network here 1.4 to
    1.6 points more confident than it was right on PublicTest, which was looked at before this one
    was chosen.
    """
    right = (np.sum(logits.argmax(axis=1) == labels) + 1) / (len(labels) + 2)
    low, high = np.log(0.25), np.log(4.0)
    for _ in range(40):
        middle = (low + high) / 2
        sure = softmax(logits / np.exp(middle)).max(axis=1).mean()
        low, high = (middle, high) if sure > right else (low, middle)
    return float(np.exp((low + high) / 2))


def read_config(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / CONFIG).read_text())
    except (OSError, ValueError) as error:
        raise EdgemoodError(
            f"{folder / CONFIG} cannot be read: {error}. Start a new run."
        ) from error


def _finish(folder: Path, config: dict[str, Any], material: fit.Material, state: fit.State) -> None:
    """Calibrate, fold, judge and write everything a run folder holds at its end.

    Where there were votes, what the network has learnt of them is a network too, one of FER+'s
    eight emotions. It gets a run folder within this one.
    """
    config["seconds"] = round(state.seconds)
    if material.votes:
        make_folder(folder / FERPLUS, "--run")
        voted = by_ferplus(material.dataset)
        held = np.flatnonzero(np.isin(voted.rows, config["held_back"]))
        changes = {
            "name": f"{config['name']}-{FERPLUS}",
            "labels": FERPLUS,
            "classes": list(voted.classes),
            "held_back": voted.rows[held].tolist(),
        }
        start = material.classes
        stop = start + len(voted.classes)
        _conclude(folder / FERPLUS, config | changes, voted, held, state, start, stop)
    _conclude(folder, config, material.dataset, material.validation, state, 0, material.classes)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    say(f"done: {folder / 'report.md'}; next: edgemood export {shlex.quote(str(folder))}")


def _conclude(
    folder: Path, config: dict[str, Any], dataset: Dataset, held: np.ndarray, state: fit.State,
    start: int, stop: int,
) -> None:  # fmt: skip
    """Write the results of outputs start..stop, which say the label of `dataset`."""
    labels = dataset.labels[held]
    logits = fit.logits_of(state.average, dataset, held)[:, start:stop]
    temperature = fit_temperature(logits, labels)
    unsure = threshold_for_accuracy(softmax(logits / temperature), labels, UNSURE_ACCURACY)
    if unsure is None:
        unsure = 1.0  # no confidence is enough
    model = fold(state.average, slice(start, stop), temperature)

    judged, split = dataset.unseen(config["training_split"], dataset.rows[held])
    probabilities = fit.logits_of(model, judged, np.arange(len(judged)))

    learnt = (dataset.splits == config["training_split"]).sum() - len(held)
    voted = state.average.output_shape[-1] > len(config["classes"])
    config["card"] = {
        "description": f"Facial expression from a gray 48x48 face, network '{config['name']}'",
        "license": "Apache-2.0",
        "training_data": f"{learnt:,} pictures of {dataset.path.name}, "
        f"split {config['training_split']}" + (", with FER+ votes" if voted else "")
        + (", with the answers of other networks" if config["teachers"] else ""),
        "temperature": temperature,
        "unsure_below": unsure,
    }  # fmt: skip
    write_history(folder, state.columns, state.history)
    report.write(folder, config, state.history, split, judged.labels, probabilities)
    write_config(folder, config)
    save_model(folder, model)


def _recipe(values: dict[str, Any]) -> Recipe:
    return Recipe(**{**values, "augmentation": Augmentation(**values["augmentation"])})


def _free_folder(name: str) -> Path:
    folder, number = RUNS / name, 1
    while folder.exists():
        number += 1
        folder = RUNS / f"{name}-{number}"
    return folder


def write_history(folder: Path, columns: Sequence[str], rows: list[dict[str, float]]) -> None:
    table = io.StringIO()
    writer = csv.DictWriter(table, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "history.csv", table.getvalue())


def save_model(folder: Path, model: keras.Model) -> None:
    """The end of a run: whoever finds a model in a folder finds everything else there too."""
    unfinished = folder / f".{MODEL}"
    model.save(unfinished)
    os.replace(unfinished, folder / MODEL)


def write_config(folder: Path, config: dict[str, Any]) -> None:
    write_text(folder / CONFIG, json.dumps(config) + "\n")
