"""A run folder -> `Source`: the trained network and what an export must know about it."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgemood.crop import SIZE
from edgemood.errors import EdgemoodError

RUNS = Path("runs")
MODEL, CONFIG = "model.keras", "config.json"
# What a run says for the card of its models; the names are those of `modelfile.Card`.
CARD = ("description", "license", "training_data", "temperature", "unsure_below")


@dataclass(frozen=True)
class Source:
    """A trained network, from float32 [N, 48, 48, 1] raw pixels to probabilities [N, classes].

    labels: class names in the order of the output. data: path of the data set it was trained on.
    training_split: split of it that it learnt from, but for the rows in held_back, int64 [n].
    card: what the run says for the model's card, by the names in CARD. ferplus: whether the labels
    are those that `edgemood.datasets.by_ferplus` gives the data set. fingerprint: `Dataset`'s.
    """

    folder: Path
    name: str
    model: keras.Model
    labels: tuple[str, ...]
    data: str
    training_split: str
    held_back: np.ndarray
    card: dict[str, Any]
    ferplus: bool = False
    fingerprint: str | None = None


def newest_run(runs: Path = RUNS) -> Path:
    """The folder in `runs` whose network is the newest; raises EdgemoodError if none has one."""
    networks = list(runs.glob(f"*/{MODEL}"))
    if not networks:
        raise EdgemoodError(
            f"no folder in {runs}/ has a {MODEL}: a finished training run was wanted. Make one "
            "with `make train`, or name its folder: edgemood export RUN"
        )
    return max(networks, key=lambda path: path.stat().st_mtime).parent


def is_detector(folder: Path) -> bool:
    """Whether a run folder is of the face detector, which is no emotion network."""
    try:
        return json.loads((folder / CONFIG).read_text())["name"] == "face"
    except (OSError, ValueError, KeyError, TypeError):
        return False  # whatever is wrong with it, reading the source says it


def read_source(folder: Path) -> Source:
    """Read a run folder; raises EdgemoodError that says what is missing or does not fit."""
    try:
        config = json.loads((folder / CONFIG).read_text())
        run = {
            "name": str(config["name"]),
            "labels": tuple(config["classes"]),
            "data": config["data"],
            "training_split": config["training_split"],
            "held_back": np.array(config["held_back"], np.int64),
            "fingerprint": config.get("fingerprint"),
            "card": {key: config["card"][key] for key in CARD},
            "ferplus": config.get("labels") == "ferplus",
        }
    except OSError as error:
        raise EdgemoodError(
            f"{folder} is not the folder of a training run: {CONFIG} cannot be read "
            f"({error.strerror}). Name a folder that `edgemood train` wrote."
        ) from error
    except KeyError as error:
        raise EdgemoodError(
            f"{folder / CONFIG} has no {error}: the record of a finished run was wanted. Finish "
            f"it with: edgemood train --resume {shlex.quote(str(folder))}"
        ) from error
    except (ValueError, TypeError) as error:
        raise EdgemoodError(
            f"{folder / CONFIG} is damaged: {error}. Train again, or mend it."
        ) from error
    return Source(folder=folder, model=_load(folder / MODEL, len(run["labels"])), **run)


def _load(path: Path, classes: int) -> keras.Model:
    if not path.is_file():
        raise EdgemoodError(
            f"{path} is not there: a finished training run was wanted. Finish it with: "
            f"edgemood train --resume {shlex.quote(str(path.parent))}"
        )
    model = load_network(path, classes)
    total = float(np.sum(model(np.zeros((1, SIZE, SIZE, 1), np.float32), training=False)))
    if not abs(total - 1) < 0.01:
        raise EdgemoodError(
            f"{path} returns numbers that sum to {total:.3f}, probabilities that sum to 1 were "
            "wanted. Export a network that `edgemood train` wrote."
        )
    return model


def load_keras(path: Path) -> keras.Model:
    """A Keras file of any network; EdgemoodError where it cannot be loaded."""
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever the damaged part of the file leads to
        raise EdgemoodError(
            f"{path} cannot be loaded as a Keras network: {first_line(error)}. Train or save it "
            "again."
        ) from error


def first_line(error: Exception) -> str:
    """What an error of Keras or a converter says, which may be pages; else what it is."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def load_network(path: Path, classes: int) -> keras.Model:
    """As `load_keras`; EdgemoodError also where it has other shapes than a face's."""
    model = load_keras(path)
    wanted = (None, SIZE, SIZE, 1), (None, classes)
    # A network that is a class of its own has no shapes before it is called.
    found = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    if found != wanted:
        raise EdgemoodError(
            f"{path} maps {found[0]} to {found[1]}, {wanted[0]} to {wanted[1]} (one number for "
            "each class) was wanted. Export another network, or name as many labels as it has."
        )
    return model


def multiply_accumulates(layers: Sequence[keras.layers.Layer]) -> int:
    """Multiplications with a weight that one picture costs, also in networks within a network.

    A kernel, of a convolution or a dense layer, is applied whole at each place of the output.
    """
    return sum(
        multiply_accumulates(layer.layers)
        if isinstance(layer, keras.Model)
        else sum(
            math.prod(weight.shape) * math.prod(layer.output.shape[1:-1])
            for weight in layer.weights
            if weight.name.endswith("kernel")
        )
        for layer in layers
    )
