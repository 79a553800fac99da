"""The built-in demo: the mean face of each FER-2013 class -> frames in which it changes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.resources import files

import cv2
import numpy as np

from edgemood.runtime.sources.base import Source
from edgemood.values import Frame


class Demo(Source):
    """The mean face of each FER-2013 class, morphing from one to the next for 14 seconds.

    Drawn 640x480 at 25 frames a second: nobody's face, and no camera needed.
    """

    SIZE = (640, 480)
    FPS = 25.0
    # Each expression is held, then fades into the next; the last fades into the first.
    ORDER = ("neutral", "happy", "surprise", "fear", "sad", "angry", "disgust")
    HOLD, FADE = 1.2, 0.8
    # Side of the drawn picture; a detector's box is 1/1.3 of it, 200 px.
    FACE = 260
    GROUND = (92, 84, 78)  # BGR, the gray of a picture's edges

    def __init__(self) -> None:
        self.name = "demo"
        self.size = self.SIZE
        self.fps = self.FPS
        self.count = round(len(self.ORDER) * (self.HOLD + self.FADE) * self.FPS)
        self._ground = np.full((self.SIZE[1], self.SIZE[0], 3), self.GROUND, np.uint8)
        mask = _vignette(self.FACE)
        # What does not change from frame to frame is blended once; half more rounds to the nearest.
        self._around = (1 - mask)[:, :, None] * np.array(self.GROUND, np.float32) + 0.5
        side = (self.FACE, self.FACE)
        self._faces = [
            mask * cv2.resize(_face(label), side, interpolation=cv2.INTER_CUBIC)
            for label in self.ORDER
        ]

    def frames(self, tick: float) -> Iterator[Frame]:
        assert self.count is not None
        for index in range(self.count):
            seconds = index / self.FPS
            yield Frame(self._draw(seconds), index, seconds)

    def _draw(self, seconds: float) -> np.ndarray:
        turn, inside = divmod(seconds, self.HOLD + self.FADE)
        fade = max(0.0, inside - self.HOLD) / self.FADE
        fade = fade * fade * (3 - 2 * fade)  # eases in and out
        this, following = int(turn), (int(turn) + 1) % len(self._faces)
        face = self._faces[this] * (1 - fade) + self._faces[following] * fade
        # A slow sway, so that there is something to follow.
        phase = 2 * math.pi * seconds / 7
        x = (self.SIZE[0] - self.FACE) // 2 + round(24 * math.sin(phase))
        y = (self.SIZE[1] - self.FACE) // 2 + round(8 * math.sin(2 * phase))
        image = self._ground.copy()
        image[y : y + self.FACE, x : x + self.FACE] = self._around + face[:, :, None]
        return image


def demo_crops() -> np.ndarray:
    """The faces of the demo, gray uint8 [7, 48, 48], in the alphabetical order of their labels."""
    return np.stack([_face(label) for label in sorted(Demo.ORDER)])


def _face(label: str) -> np.ndarray:
    data = (files("edgemood.runtime") / "demo" / f"{label}.png").read_bytes()
    face = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert face is not None
    return face


def _vignette(side: int) -> np.ndarray:
    """float32 [side, side]: 1 over the face, fading to 0 at the edges of a rounded square."""
    axis = np.linspace(-1, 1, side, dtype=np.float32) ** 4
    radius = (axis[:, None] + axis[None, :]) ** 0.25
    fade = np.clip((1 - radius) / 0.35, 0, 1)
    return fade * fade * (3 - 2 * fade)
