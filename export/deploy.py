"""A trained network and its data set -> model files and a page, if they pass the deploy gate."""

from __future__ import annotations

import importlib.resources
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import edgemood
from edgemood.console import say
from edgemood.datasets import Dataset
from edgemood.errors import EdgemoodError
from edgemood.export import parity
from edgemood.export.card_page import card_page
from edgemood.export.quantize import calibration_sample, quantize_onnx, quantize_tflite
from edgemood.export.source import Source, first_line, multiply_accumulates
from edgemood.export.to_onnx import to_onnx
from edgemood.export.to_tflite import to_tflite
from edgemood.files import make_folder, write_together
from edgemood.modelfile import Card, pack_model
from edgemood.noise import quiet
from edgemood.runtime.engines import EmotionModel

# Ending of each file -> its precision, a row of parity.BOUNDS.
FILES = {
    ".onnx": "float32",
    ".int8.onnx": "int8",
    ".tflite": "float32",
    ".int8.tflite": "int8",
}
# Not deployed: LiteRT gains nothing from float on a small computer. Kept to compare with.
STAYS = ".tflite"
BASELINE = "seed"


def deploy(source: Source, dataset: Dataset, output: Path | None = None) -> list[Path]:
    """Export, judge, and only then write; returns the paths written.

    output: folder of the files to deploy, see `default_output`. Raises EdgemoodError where the data
    set is not the source's, a file fails the gate (exit code 1) or a folder cannot be written;
    then nothing is written.
    """
    output = output or default_output(source)
    _require_writable(output)
    calibration, judged, split = pictures_for(source, dataset)
    networks = convert(source, calibration)
    say(f"judging on {len(judged):,} pictures of {split}")
    card = Card(
        name=source.name,
        labels=source.labels,
        version=edgemood.__version__,
        precision="",
        parameters=source.model.count_params(),
        macs=multiply_accumulates(source.model.layers),
        **source.card,
    )
    found = judge(source, networks, card, judged)
    parity.print_tables(found, source.labels, split)
    for ending, figures in found.items():
        breaches = figures.breaches(source.labels, parity.BOUNDS[FILES[ending]])
        if breaches:
            raise EdgemoodError(
                f"emotion-{source.name}{ending} {breaches[0]}; nothing was written to {output}. "
                "Compare the calibration pictures with the judged ones, or train again.",
                exit_code=1,
            )
    cards = {
        ending: replace(
            card,
            precision=FILES[ending],
            accuracy={split: round(figures.accuracy, 5)},
            parity=figures.figures(source.labels),
        )
        for ending, figures in found.items()
    }
    files, shipped = {}, {}
    for ending, network in networks.items():
        folder = source.folder if ending == STAYS else output
        path = folder / f"emotion-{source.name}{ending}"
        files[path] = pack_model(network, cards[ending])
        if folder == output:
            shipped[path.name] = cards[ending], len(files[path])
    page = card_page(shipped, split, dataset.path.name, output.resolve().name)
    files[output / f"emotion-{source.name}.md"] = page.encode()
    make_folder(output, "--output")
    write_together(files)
    for path, data in files.items():
        say(f"wrote {path} ({len(data) / 1000:.0f} kB)")
    return list(files)


def default_output(source: Source) -> Path:
    """`models_folder`; the baseline's files stay in its run folder."""
    return source.folder if source.name == BASELINE else models_folder()


def models_folder() -> Path:
    """models/ of this checkout, where the runtime looks; ./models where there is no checkout."""
    models = Path(str(importlib.resources.files("edgemood.models")))
    return models if (models.parent / "pyproject.toml").is_file() else Path("models")


def _require_writable(folder: Path) -> None:
    """Raise EdgemoodError where this folder cannot be written or made: before a minute of work."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    if not (place.is_dir() and os.access(place, os.W_OK)):
        reason = "may not be written to" if place.is_dir() else "is not a folder"
        raise EdgemoodError(
            f"{folder} cannot be written: {place} {reason}. Name another folder with --output."
        )


def pictures_for(source: Source, dataset: Dataset) -> tuple[np.ndarray, Dataset, str]:
    """(calibration crops uint8 [n, 48, 48], pictures to judge on, what these are called).

    Calibration only sees what was learnt from, and the judge only what was not.
    """
    if dataset.classes != source.labels:
        raise EdgemoodError(
            f"{dataset.path} has the classes {', '.join(dataset.classes)}, the network knows "
            f"{', '.join(source.labels)}: the data set that it was trained on was wanted. Pass it "
            "with --data."
        )
    held_back = np.isin(dataset.rows, source.held_back)
    learnt = (dataset.splits == source.training_split) & ~held_back
    strangers = held_back & (dataset.splits != source.training_split)
    other = source.fingerprint not in (None, dataset.fingerprint()) and not source.ferplus
    if other or not learnt.any() or strangers.any() or held_back.sum() != len(source.held_back):
        raise EdgemoodError(
            f"{dataset.path} is not the data set that {source.folder} was trained on, or has "
            "changed since. Pass the same file or folder with --data."
        )
    judged, split = dataset.unseen(source.training_split, source.held_back)
    if not len(judged):
        raise EdgemoodError(
            f"{dataset.path} has no pictures that {source.folder} was not trained on: a test "
            "split, or held-back pictures, were wanted. Add a folder test/ and train again."
        )
    return calibration_sample(dataset.select(learnt)), judged, split


def convert(source: Source, calibration: np.ndarray) -> dict[str, bytes]:
    """The network in every format and precision, ending of the file -> bytes without a card.

    Raises EdgemoodError (exit code 1) where a format lacks one of its operators.
    """
    networks: dict[str, bytes] = {}
    steps = {
        ".onnx": lambda: to_onnx(source.model),
        ".int8.onnx": lambda: quantize_onnx(networks[".onnx"], calibration),
        ".tflite": lambda: to_tflite(source.model),
        ".int8.tflite": lambda: quantize_tflite(source.model, calibration),
    }
    for ending, step in steps.items():
        say(f"converting to {ending}")
        try:
            with quiet():
                networks[ending] = step()
        except Exception as error:  # converters raise whatever the operator leads them to
            raise EdgemoodError(
                f"emotion-{source.name}{ending} cannot be made: {first_line(error)}. Put layers "
                "that ONNX and TFLite have in the place of what this names, such as ReLU for GELU.",
                exit_code=1,
            ) from error
    return networks


def judge(
    source: Source, networks: dict[str, bytes], card: Card, judged: Dataset
) -> dict[str, parity.Parity]:
    """Figures of each file, run as a user will run it: packed, on disk, by its engine."""

    def answer(crops: np.ndarray) -> np.ndarray:
        return np.asarray(source.model(crops[..., None].astype(np.float32), training=False))

    with tempfile.TemporaryDirectory() as folder:
        engines = {}
        for ending, network in networks.items():
            path = Path(folder, f"emotion-{source.name}{ending}")
            path.write_bytes(pack_model(network, replace(card, precision=FILES[ending])))
            engines[ending] = EmotionModel(path).predict
        return parity.measure(answer, engines, judged)
