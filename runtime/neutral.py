"""A person's resting face, as a model reads it -> a shift of that person's later readings.

The complaint heard most of such models is that a resting face is read as sad or angry.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from edgemood.errors import EdgemoodError
from edgemood.files import read_bytes, write_text
from edgemood.runtime.smoothing import FLOOR

NEUTRAL = "neutral"
# Chosen together on 121 people, so that resting faces leave sad and angry while neither loses more
# than 2 points of recall; measured on 120 others, see docs/readings.md.
MARGIN = 2.0  # nats by which a resting face is to be read as neutral
BOUND = 3.0  # nats: no class loses more than a factor of 20 of its odds
# A face this far from rest, in squared Hellinger distance, is shifted by 1/e of what it is at rest.
# A shift that never fades costs sad 8.6 points of recall for less gain.
REACH = 0.025
SCHEMA = 1


@dataclass(frozen=True)
class Neutral:
    """A resting face. rest: what the model says of it, a probability for each of its labels."""

    labels: tuple[str, ...]
    rest: tuple[float, ...]

    @cached_property
    def shift(self) -> np.ndarray:
        """What each class loses when the face is at rest, float64 [classes], 0..BOUND nats.

        Enough to be MARGIN less probable than neutral: of the resting face's log-probabilities m,

            shift[c] = min(BOUND, max(0, m[c] - m[neutral] + MARGIN)), and shift[neutral] = 0.

        In Bayes' terms, a prior of this person's own: the odds of each class against neutral are
        divided by a constant (Saerens et al. 2002, Neural Computation 14, equation 2.4). The bound
        keeps a grimace that was taken for rest from removing a class.
        """
        place = self.labels.index(NEUTRAL)
        rest = np.log(np.maximum(self.rest, FLOOR))
        shift = np.clip(rest - rest[place] + MARGIN, 0.0, BOUND)
        shift[place] = 0.0
        return shift

    @cached_property
    def _root(self) -> np.ndarray:
        return np.sqrt(self.rest)

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """What a model says of this person's face, [..., classes] -> logits of the same, shifted.

        The shift fades as the face leaves its rest: it is multiplied by exp(-H / REACH), where
        H = 1 - sum(sqrt(p * rest)) is the squared Hellinger distance of the two readings.
        """
        probabilities = np.asarray(probabilities, np.float64)
        away = 1.0 - np.sqrt(probabilities) @ self._root
        weight = np.exp(-np.maximum(away, 0.0) / REACH)
        return np.log(np.maximum(probabilities, FLOOR)) - weight[..., None] * self.shift

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON; raises EdgemoodError where that fails."""
        rest = {label: round(value, 6) for label, value in zip(self.labels, self.rest)}
        write_text(path, json.dumps({"schema": SCHEMA, "rest": rest}, ensure_ascii=False) + "\n")


def resting(labels: tuple[str, ...], faces: np.ndarray) -> Neutral:
    """The resting face that a model saw. faces: probabilities [N, classes] of N >= 1 looks at it.

    Their logarithms are averaged. Raises EdgemoodError where there is no label "neutral".
    """
    neutral_place(labels)
    mean = np.log(np.maximum(np.asarray(faces, np.float64), FLOOR)).mean(axis=0)
    rest = np.exp(mean - mean.max())
    return Neutral(labels, tuple((rest / rest.sum()).tolist()))


def neutral_place(labels: tuple[str, ...]) -> int:
    """Where the label "neutral" is; raises EdgemoodError where a model has none."""
    if NEUTRAL not in labels:
        raise EdgemoodError(
            f"the model's labels are {', '.join(labels)}: for a resting face, one called "
            f"'{NEUTRAL}' was wanted. Pass another model."
        )
    return labels.index(NEUTRAL)


def load_neutral(path: str | os.PathLike[str], labels: tuple[str, ...]) -> Neutral:
    """What `Neutral.save` wrote; raises EdgemoodError where it is something else.

    labels: of the model that it is to be used with.
    """
    neutral_place(labels)
    remedy = "Make it with --calibrate and --save-neutral."
    data = read_bytes(Path(path), "a resting face", remedy)
    try:
        values = json.loads(data)
        rest = values["rest"] if values["schema"] == SCHEMA else None
    except (ValueError, KeyError, TypeError, RecursionError):
        rest = None
    if not isinstance(rest, dict) or not _are_probabilities(list(rest.values())):
        raise EdgemoodError(
            f"{path} is not a resting face of schema {SCHEMA}, as --save-neutral writes it. "
            f"{remedy}"
        )
    if sorted(rest) != sorted(labels):
        raise EdgemoodError(
            f"{path} is for a model with the labels {', '.join(rest)}, this one has "
            f"{', '.join(labels)}. Make it again with this model."
        )
    return Neutral(labels, tuple(float(rest[label]) for label in labels))


def _are_probabilities(values: list[object]) -> bool:
    numbers = [value for value in values if isinstance(value, (int, float)) and 0 <= value <= 1]
    return len(numbers) == len(values) and math.isclose(sum(numbers), 1, abs_tol=1e-3)
