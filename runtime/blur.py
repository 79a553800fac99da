"""A frame and the faces read in it -> the frame with every head in it made unrecognisable."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edgemood.runtime.faces import FaceDetector
from edgemood.runtime.tracking import iou
from edgemood.values import Box

# A face with this score is covered though it would not be read: better a lamp too many.
LEAST = 0.2
# The longest side of the picture that is searched, as a part of the frame's, and its least in
# pixels. Of 115 faces from the clips at hand, pasted into 640x480, YuNet finds 99 % where they are
# 16 px wide, 88 % at 14, 71 % at 12, with this score. So a face in a large frame is covered from
# 32 px on, and from 16 in one of 640x480.
PART, SMALLEST = 0.5, 640
# Of the box, which ends at forehead, chin and cheeks: what is added for hair, ears and neck at each
# side, above and below.
BESIDE, ABOVE, BELOW = 0.4, 0.5, 0.3
# A head is reduced to so many cells across and down, 2 of them across the face itself, and what
# is between is interpolated. Mosaics of 14 cells across a face still gave away who it was to a
# network (McPherson, Shokri, Shmatikov 2016, arXiv:1609.00408). Of the first 1,000 faces of
# PublicTest, drawn 240 px wide, emotion-small.int8.onnx reads 70.2 % right, and 16.4 % of these
# heads, in which it sees hardly anything but "neutral" and "angry".
CELLS = 4
# Seconds for which the place of a face that isn't found any more stays covered; meanwhile it
# grows at each side by its own size a second, since its face may move on.
MEMORY = 1.0
# Boxes that overlap by so much (IoU) are of one face.
SAME = 0.3


class Blur:
    """Covers heads: those of the readings, those the detector suspects, those of a moment ago."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self._seen: list[tuple[Box, float]] = []  # boxes, and when they were last found

    def __call__(self, image: np.ndarray, time: float, boxes: Sequence[Box]) -> None:
        """Cover them in a BGR uint8 [H, W, 3] frame, in place.

        It is searched anew: a pipeline may look for faces in some frames only. time: of the frame,
        in seconds. boxes: of the faces that were read in it.
        """
        side = max(SMALLEST, round(PART * max(image.shape[:2])))
        suspects = self._detector(image, sides=(side,), least=LEAST)
        found = [(box, time) for box in (*boxes, *(face.box for face in suspects))]
        lost = [
            (box, seen)
            for box, seen in self._seen
            if 0 <= time - seen <= MEMORY and not any(iou(box, new) >= SAME for new, _ in found)
        ]
        self._seen = found + lost
        # All of them are taken from the frame as it was: nothing shows through where two overlap.
        covers = [(place, cells(image, place)) for place in self._places(image, time)]
        for (x, y, width, height), few in covers:
            image[y : y + height, x : x + width] = cv2.resize(
                few, (width, height), interpolation=cv2.INTER_LINEAR
            )

    def _places(self, image: np.ndarray, time: float) -> list[Box]:
        places = (head(box, image.shape, time - seen) for box, seen in self._seen)
        return [place for place in places if place is not None]

    def forget(self) -> None:
        """The next frame shows another scene."""
        self._seen = []


def head(box: Box, shape: tuple[int, ...], age: float = 0.0) -> Box | None:
    """The part of an image of this shape that a face's whole head is in; None outside of it.

    age: seconds since the face was there.
    """
    x, y, width, height = box
    left, right = x - (BESIDE + age) * width, x + (1 + BESIDE + age) * width
    top, bottom = y - (ABOVE + age) * height, y + (1 + BELOW + age) * height
    left, top = max(0, int(left)), max(0, int(top))
    right, bottom = min(shape[1], int(right) + 1), min(shape[0], int(bottom) + 1)
    return (left, top, right - left, bottom - top) if left < right and top < bottom else None


def cells(image: np.ndarray, place: Box) -> np.ndarray:
    """The means of a part of an image, BGR uint8 [CELLS, CELLS, 3], or fewer of a small one."""
    x, y, width, height = place
    size = min(CELLS, width), min(CELLS, height)
    part = image[y : y + height, x : x + width]
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA)
