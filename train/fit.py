"""The training loop: a recipe and a data set -> averaged weights, epoch by epoch, resumable.

Everything random hangs on (seed, epoch, step), so a run that was stopped and resumed ends bit for
bit as one that was not.
"""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import cv2
import keras
import numpy as np
from keras import ops

from edgemood.console import say, track
from edgemood.crop import SIZE
from edgemood.datasets import Dataset
from edgemood.errors import EdgemoodError
from edgemood.files import replace_file
from edgemood.metrics import accuracy, negative_log_likelihood, softmax
from edgemood.train.augment import augment, mixup
from edgemood.train.distill import HEAT
from edgemood.train.networks import NETWORKS
from edgemood.train.recipes import Recipe

T = TypeVar("T")

MIXUP_SHARE = 0.85  # of the epochs; the last ones see pictures as they are
# Steps between two moves of the average, but for the first: one takes up to a fifth of a step's
# time, and four small moves come to the same as a large one.
FOLLOW = 4
COARSE = 36  # pixels, see `Recipe.coarse`
HISTORY = ("epoch", "learning_rate", "loss", "accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True)
class Material:
    """What a run learns from.

    dataset: all pictures. targets: float32 [len(dataset), n], one block of columns after another,
    each summing to 1: the label (classes), the votes (`votes` columns, there may be none), the
    teachers' heated probabilities (classes, or none). train, validation: indices into dataset.
    """

    dataset: Dataset
    targets: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    votes: int = 0

    @property
    def classes(self) -> int:
        return len(self.dataset.classes)

    @property
    def outputs(self) -> int:
        """Of the network: label and votes."""
        return self.classes + self.votes


@dataclass
class State:
    """Where a run stands: everything that a checkpoint holds.

    seconds: that its epochs have taken. columns: of the history.
    """

    model: keras.Model
    average: keras.Model
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    columns: tuple[str, ...] = HISTORY

    def follow(self, decay: float) -> None:
        """Move the average towards the network, as far as a decay of so much per step says.

        To be called after each step. Batch normalisation's statistics are averaged with the weights
        they belong to. Early on, the decay is shorter, so that the untrained weights are forgotten.
        """
        step = int(self.model.optimizer.iterations)
        if step % FOLLOW and step > FOLLOW and decay:
            return
        keep = min(decay**FOLLOW, step / (step + 10))
        for slow, fast in zip(self.average.variables, self.model.variables):
            slow.assign(keep * slow + (1 - keep) * fast)

    def save(self, path: Path) -> None:
        arrays = {
            f"{i:04}": ops.convert_to_numpy(value) for i, value in enumerate(self._variables())
        }
        rows = np.array([[row[name] for name in self.columns] for row in self.history])
        with replace_file(path) as file:
            np.savez(file, history=rows, seconds=self.seconds, **arrays)

    def load(self, path: Path) -> None:
        """What `save` wrote; EdgemoodError where it is damaged or the network has changed since."""
        try:
            with np.load(path) as saved:
                for i, variable in enumerate(self._variables()):
                    variable.assign(saved[f"{i:04}"])
                self.seconds = float(saved["seconds"])
                self.history = [dict(zip(self.columns, row.tolist())) for row in saved["history"]]
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise EdgemoodError(
                f"{path} is damaged, or of another network than the run would have now: {error}. "
                "Start a new run."
            ) from error
        for row in self.history:
            row["epoch"] = int(row["epoch"])

    def _variables(self) -> list[keras.Variable]:
        optimizer = self.model.optimizer.variables
        return [*self.model.variables, *optimizer, *self.average.variables]


def prepare(
    recipe: Recipe, classes: int, outputs: int, steps: int, epochs: int, bfloat16: bool = False
) -> State:
    """An untrained network with its optimizer, as the recipe says.

    steps: per epoch. bfloat16: as `begin` takes it.
    """
    model = NETWORKS[recipe.network](outputs)
    if recipe.optimizer == "adam":
        optimizer = keras.optimizers.Adam(recipe.learning_rate)
    else:
        optimizer = keras.optimizers.SGD(
            warmed_cosine(recipe.learning_rate, recipe.warmup, epochs, steps),
            momentum=0.9,
            nesterov=True,
            weight_decay=recipe.weight_decay or None,
        )
        if recipe.weight_decay:
            optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])

    def loss(targets: Any, logits: Any) -> Any:
        """Softmax cross-entropy of label, teachers and votes, as the recipe weighs them; [N]."""
        result = _cross_entropy(targets[:, :classes], logits[:, :classes])
        if targets.shape[1] > outputs:
            # Heat shrinks gradients by its square, which is made up for (Hinton et al. 2015).
            taught = HEAT**2 * _cross_entropy(targets[:, outputs:], logits[:, :classes] / HEAT)
            result = (1 - recipe.distill) * result + recipe.distill * taught
        if outputs > classes:
            voted = _cross_entropy(targets[:, classes:outputs], logits[:, classes:])
            result = result + recipe.votes * voted
        return result

    def right(targets: Any, logits: Any) -> Any:
        return ops.equal(
            ops.argmax(targets[:, :classes], axis=1), ops.argmax(logits[:, :classes], axis=1)
        )

    # Not the function alone: its variables would be made in the first step, which is then traced
    # twice.
    return begin(
        model, optimizer, loss, [keras.metrics.MeanMetricWrapper(right)], bfloat16=bfloat16
    )


def begin(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss: Callable[[Any, Any], Any],
    metrics: list[Any] | None = None,
    columns: tuple[str, ...] = HISTORY,
    bfloat16: bool = False,
) -> State:
    """The state before the first step of a network: that becomes the average, a copy is trained.

    bfloat16: whether the copy computes in it; its weights and its last layers stay in float32.
    """
    average = model
    model = _copy(model, "mixed_bfloat16" if bfloat16 else "float32")
    # XLA would compile the step, but not to oneDNN's convolutions: it takes 1.6 times as long.
    model.compile(optimizer, loss, metrics=metrics, jit_compile=False)
    # Otherwise the optimizer has no variables yet that a checkpoint could be loaded into.
    optimizer.build(model.trainable_variables)
    return State(model, average, columns=columns)


def _copy(model: keras.Model, dtype: str) -> keras.Model:
    """The same network with the same weights, which computes in `dtype` but for its logits."""

    def copied(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        logits = getattr(layer, "use_bias", False) and layer.activation is keras.activations.linear
        return type(layer).from_config(config | {"dtype": "float32" if logits else dtype})

    copy = keras.models.clone_model(model, clone_function=copied)
    copy.set_weights(model.get_weights())
    return copy


def warmed_cosine(
    peak: float, warmup: int, epochs: int, steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Up to the peak over `warmup` epochs, at most half of all, then a cosine down to zero.

    steps: per epoch. Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts.
    """
    rising = min(warmup, epochs // 2) * steps
    return keras.optimizers.schedules.CosineDecay(
        0.0 if rising else peak,
        max(1, epochs * steps - rising),
        warmup_target=peak if rising else None,
        warmup_steps=rising,
    )


def fit(
    recipe: Recipe, material: Material, state: State, epochs: int, seed: int, checkpoint: Path
) -> None:
    """Train `state` until it has seen `epochs`, writing a checkpoint after each."""
    steps = len(material.train) // batch_size(recipe, material)
    for epoch in range(len(state.history), epochs):
        began = time.monotonic()
        mixed = recipe.mixup if epoch < MIXUP_SHARE * epochs else 0.0
        size = COARSE if epoch < recipe.coarse * epochs else SIZE
        batches = batches_of(recipe, material, mixed, size, (seed, epoch))
        figures = []  # (loss, accuracy) of each batch
        for images, targets in track(batches, f"epoch {epoch + 1} of {epochs}", steps):
            figures.append(state.model.train_on_batch(images, targets))
            state.follow(recipe.average)
        loss, accuracy = np.mean(figures, axis=0).tolist()
        val_loss, val_accuracy = validate(state.average, material)
        state.history.append(
            {
                "epoch": epoch + 1,
                "learning_rate": float(state.model.optimizer.learning_rate),
                "loss": loss,
                "accuracy": accuracy,
                "val_loss": val_loss,
                "val_accuracy": val_accuracy,
            }
        )
        seconds = time.monotonic() - began
        state.seconds += seconds
        state.save(checkpoint)
        _tell(state.history[-1], epochs, seconds)


def validate(model: keras.Model, material: Material) -> tuple[float, float]:
    """(negative log-likelihood of the label, accuracy) on the validation pictures."""
    labels = material.dataset.labels[material.validation]
    logits = logits_of(model, material.dataset, material.validation)[:, : material.classes]
    probabilities = softmax(logits)
    return negative_log_likelihood(probabilities, labels), accuracy(labels, logits.argmax(axis=1))


def logits_of(model: keras.Model, dataset: Dataset, chosen: np.ndarray) -> np.ndarray:
    """What a network says of these pictures: float64 [len(chosen), outputs]."""
    parts = [chosen[start : start + 512] for start in range(0, len(chosen), 512)]
    return np.concatenate(
        [
            ops.convert_to_numpy(
                model(dataset.read(part)[..., None].astype(np.float32), training=False)
            )
            for part in parts
        ]
    ).astype(np.float64)


def batch_size(recipe: Recipe, material: Material) -> int:
    """The recipe's, or an eighth of the pictures where they are few: some steps in every epoch.

    Of 36 pictures, a nano that learnt from 114 for 20 epochs read 100 % right, with a single batch
    of all of them 81 %.
    """
    few = max(8, len(material.train) // 8)
    return min(recipe.batch, few, len(material.train))


def batches_of(
    recipe: Recipe, material: Material, mixed: float, side: int, key: tuple[int, int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One epoch of (pixels float32 [batch, side, side, 1], targets float32 [batch, outputs]).

    The next batch is made in a thread while the network works on this one. An incomplete last
    batch is dropped; the order changes with every epoch.
    """
    size = batch_size(recipe, material)
    order = np.random.default_rng(key).permutation(material.train)
    order = order[: len(order) // size * size].reshape(-1, size)

    def make(step: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((*key, step))
        chosen = order[step]
        images = augment(material.dataset.read(chosen), recipe.augmentation, rng)
        if side < SIZE:
            area = cv2.INTER_AREA
            images = np.stack([cv2.resize(i, (side, side), interpolation=area) for i in images])
        pixels, targets = images[..., None].astype(np.float32), material.targets[chosen]
        return mixup(pixels, targets, mixed, rng) if mixed else (pixels, targets)

    yield from ahead(make, len(order))


def ahead(make: Callable[[int], T], steps: int) -> Iterator[T]:
    """make(0), make(1), ...; the next one is made in a thread while this one is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(make, 0)
        for step in range(steps):
            made = coming.result()
            if step + 1 < steps:
                coming = pool.submit(make, step + 1)
            yield made


def _cross_entropy(targets: Any, logits: Any) -> Any:
    return keras.losses.categorical_crossentropy(targets, logits, from_logits=True)


def _tell(row: dict[str, float], epochs: int, seconds: float) -> None:
    left = (epochs - row["epoch"]) * seconds / 60
    say(
        f"epoch {row['epoch']:.0f} of {epochs}: loss {row['loss']:.3f}, "
        f"accuracy {row['accuracy']:.1%}; validation loss {row['val_loss']:.3f}, "
        f"accuracy {row['val_accuracy']:.1%}; {seconds:.0f} s"
        + (f", about {left:.0f} min to go" if left else "")
    )
