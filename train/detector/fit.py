"""The detector's training loop: a bank of pictures -> averaged weights, epoch by epoch, resumable.

As in `train.fit`, everything random hangs on (seed, epoch, step). There is no end to the scenes, so
an epoch is a number of steps.
"""

from __future__ import annotations

import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np

from edgemood.console import say, track
from edgemood.errors import EdgemoodError
from edgemood.files import replace_file
from edgemood.train.detector.network import detector
from edgemood.train.detector.pictures import Bank
from edgemood.train.detector.scenes import USUAL, Variety, scene
from edgemood.train.detector.targets import loss, targets
from edgemood.train.fit import State, ahead, begin, warmed_cosine

HISTORY = ("epoch", "learning_rate", "loss", "val_loss")
VALIDATION = 256  # scenes


@dataclass(frozen=True)
class Recipe:
    """How to train. sizes: (height, width, scenes in a batch, share of the steps).

    The sizes are those that the runtime looks at; their batches cost about the same. Of a network
    that learnt at the smaller two alone, faces wider than 220 pixels were lost at the largest.
    average: decay per step of the weights' moving average. learning_rate: Adam's, after a first
    `warmup` epochs up to it, before a cosine down to zero.
    """

    epochs: int = 100
    steps: int = 250
    learning_rate: float = 3e-3
    warmup: int = 1
    average: float = 0.998
    sizes: tuple[tuple[int, int, int, float], ...] = (
        (128, 160, 64, 0.4), (256, 320, 16, 0.3), (512, 640, 4, 0.3)
    )  # fmt: skip
    variety: Variety = USUAL
    held_out: float = 0.15


def prepare(recipe: Recipe, epochs: int, weights: Path | None = None) -> State:
    """A network with its optimizer; untrained, or with the weights of `save_weights`.

    Raises EdgemoodError where these cannot be read or belong to another network.
    """
    model = detector()
    if weights is not None:
        load_weights(model, weights)
    rate = warmed_cosine(recipe.learning_rate, recipe.warmup, epochs, recipe.steps)
    return begin(model, keras.optimizers.Adam(rate), loss, columns=HISTORY)


def save_weights(model: keras.Model, path: Path) -> None:
    """Weights alone, in float16: 260 kB that a later run can begin with."""
    arrays: dict[str, Any] = {
        f"{i:03}": value.astype(np.float16) for i, value in enumerate(model.get_weights())
    }
    with replace_file(path) as file:
        np.savez_compressed(file, **arrays)


def load_weights(model: keras.Model, path: Path) -> None:
    """What `save_weights` wrote; raises EdgemoodError where it is something else."""
    try:
        with np.load(path) as saved:
            model.set_weights([saved[name].astype(np.float32) for name in sorted(saved.files)])
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise EdgemoodError(
            f"{path} has no weights of this network: {error}. Name a weights.npz that `edgemood "
            "train --recipe face` wrote, or leave --weights out."
        ) from error


def fit(
    recipe: Recipe, bank: Bank, held_out: Bank, state: State, epochs: int, seed: int,
    checkpoint: Path,
) -> None:  # fmt: skip
    """Train `state` until it has seen `epochs`, writing a checkpoint after each."""
    cv2.setNumThreads(1)  # its pictures are small, and the network wants the cores
    for epoch in range(len(state.history), epochs):
        began = time.monotonic()

        def make(step: int, epoch: int = epoch) -> tuple[np.ndarray, np.ndarray]:
            return batch(recipe, bank, np.random.default_rng((seed, epoch, step)))

        losses = []
        steps = ahead(make, recipe.steps)
        for pixels, wanted in track(steps, f"epoch {epoch + 1} of {epochs}", recipe.steps):
            losses.append(float(state.model.train_on_batch(pixels, wanted)))
            state.follow(recipe.average)
        row = {
            "epoch": epoch + 1,
            "learning_rate": float(state.model.optimizer.learning_rate),
            "loss": float(np.mean(losses)),
            "val_loss": validate(recipe, held_out, state.average),
        }
        state.history.append(row)
        seconds = time.monotonic() - began
        state.seconds += seconds
        state.save(checkpoint)
        say(
            f"epoch {epoch + 1} of {epochs}: loss {row['loss']:.3f}, "
            f"validation {row['val_loss']:.3f}; {seconds:.0f} s, "
            f"about {(epochs - epoch - 1) * seconds / 60:.0f} min to go"
        )


def batch(recipe: Recipe, bank: Bank, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Scenes of one size: pixels float32 [n, height, width, 1], targets float32 [n, cells, 16]."""
    share = np.array([size[3] for size in recipe.sizes])
    height, width, count, _ = recipe.sizes[rng.choice(len(share), p=share / share.sum())]
    return _batch(recipe, bank, (height, width, count), rng)


def validate(recipe: Recipe, bank: Bank, model: keras.Model) -> float:
    """Mean loss on the same scenes each time, the smallest size, of people not learnt from."""
    height, width, count, _ = recipe.sizes[0]
    losses = []
    for step in range(-(-VALIDATION // count)):
        pixels, wanted = _batch(recipe, bank, (height, width, count), np.random.default_rng(step))
        losses.append(float(loss(wanted, model(pixels, training=False))))
    return float(np.mean(losses))


def _batch(
    recipe: Recipe, bank: Bank, size: tuple[int, int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    height, width, count = size
    scenes = [scene(bank, height, width, recipe.variety, rng) for _ in range(count)]
    pixels = np.stack([image for image, _ in scenes])[..., None].astype(np.float32)
    return pixels, np.stack([targets(faces, height, width) for _, faces in scenes])
