"""A YuNet-like network's twelve outputs -> faces: the decoding that cv2.FaceDetectorYN does.

YuNet: Wu et al. 2023, doi:10.1007/s11633-023-1423-y. Its grid points lie on the top left corner of
their cells, so cell (row r, column c) of stride s stands for the pixel (c * s, r * s).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import cv2
import numpy as np

# Its authors' own file, of github.com/opencv/opencv_zoo.
YUNET = "face_detection_yunet_2023mar.onnx"
YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
STRIDES = (8, 16, 32)
# Numbers per cell: face or not, object or not, box, five landmarks.
PARTS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
OUTPUTS = tuple(f"{part}_{stride}" for part in PARTS for stride in STRIDES)


@lru_cache(maxsize=64)
def grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """(column and row float32 [cells, 2], stride float32 [cells, 1]) of every cell, all strides.

    height, width: of the network's input, multiples of 32. Finest stride first, each row by row.
    Not to be written to: the same arrays are returned each time.
    """
    places, strides = [], []
    for stride in STRIDES:
        rows, columns = np.indices((height // stride, width // stride))
        places.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((places[-1].shape[0], 1), stride))
    return np.concatenate(places).astype(np.float32), np.concatenate(strides).astype(np.float32)


def decode(cells: np.ndarray, places: np.ndarray, strides: np.ndarray) -> np.ndarray:
    """Every cell's face in pixels: box (x, y, width, height), landmarks, score; float32 [n, 15].

    cells: float32 [n, 16], the parts side by side, cls and obj as probabilities. places, strides:
    those cells' rows of `grid`. The score is the geometric mean of both probabilities.
    """
    score = np.sqrt(np.clip(cells[:, 0], 0, 1) * np.clip(cells[:, 1], 0, 1))
    size = np.exp(cells[:, 4:6]) * strides
    corner = (places + cells[:, 2:4]) * strides - size / 2
    points = (cells[:, 6:].reshape(-1, 5, 2) + places[:, None]) * strides[:, None]
    return np.concatenate([corner, size, points.reshape(-1, 10), score[:, None]], axis=1)


def encode(faces: np.ndarray, places: np.ndarray, strides: np.ndarray) -> np.ndarray:
    """The opposite of `decode`: bbox and kps, float32 [n, 14], that give these faces [n, >=14]."""
    centre = (faces[:, :2] + faces[:, 2:4] / 2) / strides - places
    points = faces[:, 4:14].reshape(-1, 5, 2) / strides[:, None] - places[:, None]
    size = np.log(faces[:, 2:4] / strides)
    return np.concatenate([centre, size, points.reshape(-1, 10)], axis=1)


def faces_in(
    cells: np.ndarray, height: int, width: int, score: float = 0.6, overlap: float = 0.3
) -> np.ndarray:
    """Faces float32 [n, 15] as of `decode`, most certain first, each kept once.

    cells: float32 [all cells, 16] of one picture of this height and width. score: the least.
    overlap: of two faces that share more of their union than this, the more certain one stays.
    """
    places, strides = grid(height, width)
    # Only the few cells that can be faces are worth decoding.
    likely = np.flatnonzero(cells[:, 0] * cells[:, 1] >= score * score)
    faces = decode(cells[likely], places[likely], strides[likely])
    if not len(faces):
        return faces
    # OpenCV's detector compares boxes of whole pixels, cut off, not rounded.
    boxes = np.trunc(faces[:, :4]).astype(np.int32).tolist()
    kept = cv2.dnn.NMSBoxes(boxes, faces[:, 14].tolist(), score, overlap)
    return faces[np.asarray(kept, np.int64).ravel()]


def joined(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """A network's outputs by name, each [1, cells of a stride, numbers], as float32 [cells, 16]."""
    return np.concatenate(
        [
            np.concatenate([outputs[f"{part}_{stride}"][0] for part in PARTS], axis=1)
            for stride in STRIDES
        ]
    )
