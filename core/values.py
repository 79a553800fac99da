"""The typed values that travel between stations: frame, face, emotion, reading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture from a source.

    image: BGR uint8 [H, W, 3]. index: 0 for the source's first frame. time: seconds since that one.
    """

    image: np.ndarray
    index: int
    time: float


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face.

    box: (x, y, width, height) in pixels of the frame it was found in; may reach past its edges.
    score: detector confidence, 0..1.
    landmarks: float32 [5, 2] pixels: right eye, left eye, nose, right mouth corner, left mouth
    corner, where right and left are the person's own.
    """

    box: Box
    score: float
    landmarks: np.ndarray


@dataclass(frozen=True, slots=True)
class Emotion:
    """What the model says about one face.

    label: the most probable class; smoothed, the last that was so for long enough (see
    `edgemood.runtime.smoothing`). confidence: its probability.
    probabilities: every class of the model with its probability, in the model's order; sums to 1.
    """

    label: str
    confidence: float
    probabilities: dict[str, float]


@dataclass(frozen=True, slots=True)
class Reading:
    """One face of one frame with its emotion.

    track: a number that stays with a face from frame to frame, from 1.
    unsure: None, or why the label should not be relied on: "too small", "turned away", "too dark",
    "too blurred" or "low confidence".
    """

    track: int
    face: Face
    emotion: Emotion
    unsure: str | None = None
