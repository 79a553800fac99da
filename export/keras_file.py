"""A Keras file of any making, its labels and labelled faces -> `Source`, as of a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from keras import layers

from edgemood.crop import SIZE
from edgemood.datasets import TRAINING, Dataset
from edgemood.errors import EdgemoodError
from edgemood.export.source import Source, load_network

# What people do to pixels before a network sees them: the range they have then -> scale, offset.
PIXELS = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}
# Pictures that softmax and logits are told apart by.
TRIED = 50


def read_keras_file(
    path: Path, labels: Sequence[str] | None, pixels: str | None, dataset: Dataset
) -> tuple[Source, Dataset]:
    """The network under the model contract, and the data set with the classes in its order.

    path: a `.keras` or `.h5` file that maps [N, 48, 48, 1] to softmax's probabilities or to logits,
    [N, classes], which are told apart by what they sum to. labels: of its outputs, in their order.
    pixels: what it was trained on, a key of PIXELS; the wrong one need not show in its labels, and
    so cannot be found out. Raises EdgemoodError where file, labels and data do not fit.
    """
    if not path.is_file():
        raise EdgemoodError(
            f"{path} is {'a folder' if path.is_dir() else 'not there'}: --labels and --pixels go "
            "with a Keras file. Name one, or leave them out: a run folder knows its own."
        )
    if not labels or len(set(labels)) < max(2, len(labels)) or not all(labels):
        raise EdgemoodError(
            f"{path} does not say what its outputs stand for: two or more different names were "
            "wanted, in their order. Pass them with --labels, for example --labels angry,happy,sad"
        )
    if pixels is None:
        raise EdgemoodError(
            f"{path} does not say what pixels it was trained on: pass --pixels 0..255, as they "
            "are, also where the network itself scales them, --pixels 0..1 or --pixels=-1..1"
        )
    dataset = _in_order(dataset, tuple(labels))
    splits = set(dataset.splits.tolist())
    if TRAINING not in splits or dataset.split(None).splits[0] == TRAINING:
        raise EdgemoodError(
            f"{dataset.path} has the splits {', '.join(sorted(splits))}: train/, to calibrate "
            "with, and test/, which the network has not seen, were wanted. Sort the pictures into "
            "these folders."
        )
    model = _under_contract(path, load_network(path, len(labels)), pixels, dataset)
    card = {"description": "", "license": "", "training_data": "", "temperature": 1.0}
    source = Source(
        folder=path.parent,
        name=path.stem,
        model=model,
        labels=tuple(labels),
        data=str(dataset.path),
        training_split=TRAINING,
        held_back=np.empty(0, np.int64),
        card={**card, "unsure_below": None},
    )
    return source, dataset


def _in_order(dataset: Dataset, labels: tuple[str, ...]) -> Dataset:
    """The same pictures, with the network's labels as classes; the data may have fewer."""
    unknown = [name for name in dataset.classes if name not in labels]
    if unknown:
        raise EdgemoodError(
            f"{dataset.path} has the class '{unknown[0]}', which --labels does not name: it has "
            f"{', '.join(labels)}. Spell both alike, or leave that class out."
        )
    places = np.array([labels.index(name) for name in dataset.classes])
    return replace(dataset, classes=labels, labels=places[dataset.labels])


def _under_contract(path: Path, network: keras.Model, pixels: str, dataset: Dataset) -> keras.Model:
    """A network around this one, from raw pixels to probabilities."""
    scale, offset = PIXELS[pixels]
    raw = keras.Input((SIZE, SIZE, 1))
    answer = network(raw if pixels == "0..255" else layers.Rescaling(scale, offset)(raw))
    model = keras.Model(raw, answer)
    faces = dataset.read(np.arange(min(TRIED, len(dataset))))[..., None].astype(np.float32)
    said = keras.ops.convert_to_numpy(model(faces, training=False))
    bounded = ((said >= 0) & (said <= 1)).all()
    if bounded and np.allclose(said.sum(axis=1), 1, atol=1e-3):
        return model
    if bounded:
        raise EdgemoodError(
            f"{path} returns numbers from 0 to 1 that do not sum to 1: softmax or logits were "
            "wanted, which say that one of the classes is right. Give it such an output."
        )
    return keras.Model(raw, layers.Softmax()(answer))
