"""A frame that is looked at -> the small faces in it that a quick look does not show.

They need a close look, which is dear. But nobody comes into view without changing it: so the part
of the frame that has changed is looked at, and where nothing has, one part after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from edgemood.runtime.tracking import centre
from edgemood.values import Box, Face

# Samples across the frame's longer side, and by how much the mean of 3x3 of them changes where
# somebody comes. Noise of a standard deviation of 6 gray levels changes it by less. What changes
# everywhere, as light does, counts as far as a place changes by so many times more than most.
SAMPLES = 160
CHANGED = 12
OTHERS = 3.0
# Where more than half of the frame has changed by so much, all of it is new.
ALL_NEW = 24
# Seconds between two parts that are looked at though nothing has changed.
TURN = 1.0
# Parts that may be looked at in a second, in the long run, and at once after a quiet time. A part
# takes 4 ms on one x86 core.
RATE = 3.0
AT_ONCE = 8.0
# A part is a quarter of a frame and a little more, by this much in the detector's pixels, rounded
# up to what the network takes. Faces larger than what two parts share are found in a quick look.
SHARED = 24
MULTIPLE = 32
# Around a face in view, in its widths and heights, is where its owner moves: so far above and
# beside it; and from its chin down to the edge of the frame, so far beside it.
ABOVE, BESIDE, SHOULDERS = 0.3, 0.25, 1.25
# A face that ends this near to where its part does, in its widths, may be cut off there.
EDGE = 0.1


class Newcomers:
    """Finds small faces, for little in the long run.

    detect: a `FaceDetector`, or what is called like one. sides: of its looks, the first for a quick
    one, the largest for small faces.
    """

    def __init__(self, detect: Callable[..., list[Face]], sides: Sequence[int]) -> None:
        self._detect = detect
        self._quick, self._close = sides[0], max(sides)
        self.forget()

    def forget(self) -> None:
        """The next frame shows another scene: all of it is new."""
        self._samples: np.ndarray | None = None
        self._time = self._turned = -math.inf
        self._turn = 0
        self._allowed = AT_ONCE

    def __call__(self, image: np.ndarray, time: float, known: Sequence[Box]) -> list[Face]:
        """Faces in a BGR uint8 [H, W, 3] frame, at `time` in seconds, beside those known by a box.

        There are none in a frame that a quick look shows as it is.
        """
        height, width = image.shape[:2]
        longest = max(height, width)
        if min(longest, self._close) <= self._quick:
            return []
        scale = min(1.0, self._close / longest)
        size = _part(width, scale), _part(height, scale)
        side = round(max(size) * scale)
        found: list[Face] = []
        for part in self._parts(image, time, known, size):
            for face in self._detect(image, part, sides=(side,)):
                others = [*known, *(other.box for other in found)]
                if _is_whole(face.box, part, image) and _is_new(face.box, others):
                    found.append(face)
        return found

    def _parts(
        self, image: np.ndarray, time: float, known: Sequence[Box], size: tuple[int, int]
    ) -> list[Box]:
        """Those to look at, each of this (width, height)."""
        frame = image.shape[1], image.shape[0]
        new = self._new(image, known)
        self._allowed = min(AT_ONCE, self._allowed + RATE * (time - self._time))
        self._time = time
        if new is None and time - self._turned < TURN:
            return []
        parts = cover(new or (0, 0, *frame), size, frame)
        first = self._turn % len(parts)
        parts = parts[first:] + parts[:first]
        if new is None:
            del parts[1:]
            self._turned = time
        del parts[int(self._allowed) :]
        self._allowed -= len(parts)
        self._turn += 1
        return parts

    def _new(self, image: np.ndarray, known: Sequence[Box]) -> Box | None:
        """The box around all that is new and no movement of somebody known."""
        height, width = image.shape[:2]
        step = max(1, round(max(height, width) / SAMPLES))
        samples = image[step // 2 :: step, step // 2 :: step, 1].copy()
        before, self._samples = self._samples, samples
        if before is None or before.shape != samples.shape:
            return 0, 0, width, height
        change = cv2.blur(cv2.absdiff(before, samples), (3, 3))
        usual = float(np.median(change))
        if usual > ALL_NEW:
            return 0, 0, width, height
        _, mask = cv2.threshold(change, CHANGED + OTHERS * usual, 255, cv2.THRESH_BINARY)
        for left, top, across, down in known:
            for beside, y in ((BESIDE, top - ABOVE * down), (SHOULDERS, top + 0.9 * down)):
                x0, x1 = left - beside * across, left + (1 + beside) * across
                mask[max(0, int(y / step)) :, max(0, int(x0 / step)) : max(0, int(x1 / step))] = 0
        x, y, columns, rows = cv2.boundingRect(mask)
        if not columns:
            return None
        # One sample more on each side for what has changed less, two to see it in its place.
        return (x - 3) * step, (y - 3) * step, (columns + 6) * step, (rows + 6) * step


def _part(side: int, scale: float) -> int:
    """One side of a part, of a frame's, both in pixels of the frame."""
    pixels = math.ceil((side * scale + SHARED) / 2 / MULTIPLE) * MULTIPLE
    return min(side, int(pixels / scale))


def cover(box: Box, part: tuple[int, int], frame: tuple[int, int]) -> list[Box]:
    """The one, two or four parts of this size that show a box, as far as the frame has it."""
    columns, rows = (_along(box[i], box[i] + box[i + 2], part[i], frame[i]) for i in (0, 1))
    return [(x, y, *part) for y in rows for x in columns]


def _along(start: int, end: int, part: int, side: int) -> list[int]:
    """Where one or two parts of a side begin, so that from start to end all is in them."""
    start, end = max(0, start), min(side, end)
    if end - start > part:
        return [start, end - part]
    return [min(max(0, (start + end - part) // 2), side - part)]


def _is_whole(box: Box, part: Box, image: np.ndarray) -> bool:
    """Whether a face ends within a part of an image, or where the image does."""
    edge = EDGE * box[2]
    return all(
        (part[i] == 0 or box[i] - edge > part[i])
        and (
            part[i] + part[i + 2] == image.shape[1 - i]
            or box[i] + box[i + 2] + edge < part[i] + part[i + 2]
        )
        for i in (0, 1)
    )


def _is_new(box: Box, others: Sequence[Box]) -> bool:
    """Whether this is no part of another face: neither's middle is in the other."""
    return not any(_holds(other, box) or _holds(box, other) for other in others)


def _holds(box: Box, other: Box) -> bool:
    return all(box[i] <= middle < box[i] + box[i + 2] for i, middle in enumerate(centre(other)))
