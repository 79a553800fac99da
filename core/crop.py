"""The one crop: a face's box in a frame -> the gray 48x48 picture that the training set would show.

Training pictures and runtime faces must be framed alike, or accuracy falls by several points.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgemood.values import Box

SIZE = 48


@dataclass(frozen=True, slots=True)
class Framing:
    """How far a detector's box is widened to the square that the training set shows.

    scale: side of the square, in box widths. shift: how far its centre lies below the box's, in
    box widths.

    The defaults are those at which `emotion-small`, the one before the last, read most of 5,000
    FER-2013 Training pictures rightly that were pasted into frames, with the boxes of
    `models/face.onnx`; the last reads as many there within 0.4 points (`python -m
    edgemood.benchmarks.framing`). The whole picture is 1.28 of its box widths wide (median; middle
    half within +-10 %, and no steadier by height or landmarks), its centre on the box's.
    """

    scale: float = 1.25
    shift: float = 0.03


FER2013 = Framing()


def face_crop(image: np.ndarray, box: Box, framing: Framing = FER2013) -> np.ndarray:
    """Cut one face out: BGR uint8 [H, W, 3] or gray [H, W] -> gray uint8 [48, 48].

    box: (x, y, width, height) in pixels of `image`, width and height at least 1. Where the square
    reaches past the frame, the frame's edge pixels are repeated.
    """
    x, y, width, height = box
    side = max(2, round(width * framing.scale))
    left = round(x + width / 2 - side / 2)
    top = round(y + height / 2 + framing.shift * width - side / 2)
    rows, columns = image.shape[:2]
    # Clip to at least one row and column of the frame, so that there is an edge to repeat.
    x0, x1 = min(max(left, 0), columns - 1), max(min(left + side, columns), 1)
    y0, y1 = min(max(top, 0), rows - 1), max(min(top + side, rows), 1)
    patch = image[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    if patch.shape[:2] != (side, side):
        above, before = max(0, y0 - top), max(0, x0 - left)
        below, after = side - above - patch.shape[0], side - before - patch.shape[1]
        # A box wholly outside the frame leaves more border than square: repeat, then cut to size.
        patch = cv2.copyMakeBorder(
            patch, above, max(0, below), before, max(0, after), cv2.BORDER_REPLICATE
        )[:side, :side]
    # Every pixel in gray, and then any ratio by area, takes 0.3 ms for a square of 300 pixels. Four
    # pixels in colour for each of 96x96 first, and then halves, take 0.06 ms, and crops of the
    # clips differ by 0.1 to 0.7 gray levels.
    middle = 2 * SIZE
    while side >= 4 * middle:
        middle *= 2
    if side > middle:
        patch = cv2.resize(patch, (middle, middle), interpolation=cv2.INTER_LINEAR)
    if patch.ndim == 3:
        patch = cv2.cvtColor(patch, cv2.COLOR_BGR2GRAY)
    while middle > 2 * SIZE:
        middle //= 2
        patch = cv2.resize(patch, (middle, middle), interpolation=cv2.INTER_AREA)
    return resized(patch)


def resized(picture: np.ndarray) -> np.ndarray:
    """A face of any size, gray uint8 [h, w], as the model's input, uint8 [48, 48]."""
    if picture.shape == (SIZE, SIZE):
        return picture
    # Area interpolation averages when shrinking; enlarging, it would repeat pixels in blocks.
    method = cv2.INTER_AREA if min(picture.shape) >= SIZE else cv2.INTER_LINEAR
    return cv2.resize(picture, (SIZE, SIZE), interpolation=method)
