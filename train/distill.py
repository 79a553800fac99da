"""Finished runs and pictures -> what those networks say of them, for another network to learn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from edgemood.console import track

if TYPE_CHECKING:
    from edgemood.datasets import Dataset

# Divisor of a teacher's logits and of its student's in their loss: the teacher's small
# probabilities say what a picture resembles (Hinton et al. 2015, arXiv:1503.02531, section 2).
HEAT = 2.0


def soft_targets(
    teachers: Sequence[Path], dataset: Dataset, chosen: np.ndarray, heat: float = HEAT
) -> np.ndarray:
    """The teachers' heated probabilities: float32 [len(dataset), classes], zeros where not chosen.

    teachers: `model.keras` files of finished runs on the same classes, pixels [N, 48, 48, 1] ->
    probabilities. These, for a picture as it is and mirrored, are averaged: a student of the mean
    learns that a face and its mirror image say the same. chosen: indices into `dataset`.
    """
    models = [keras.models.load_model(path) for path in teachers]
    targets = np.zeros((len(dataset), len(dataset.classes)), np.float32)
    parts = np.array_split(chosen, max(1, len(chosen) // 512))
    for part in track(parts, "asking the teachers", len(parts)):
        images = dataset.read(part)[..., None].astype(np.float32)
        views = [images, images[:, :, ::-1]]
        said = [
            keras.ops.convert_to_numpy(model(view, training=False))
            for model in models
            for view in views
        ]
        # A power of probabilities, summing to one again, is the softmax of logits / heat.
        powers = np.mean(said, axis=0) ** (1 / heat)
        targets[part] = powers / powers.sum(axis=1, keepdims=True)
    return targets
