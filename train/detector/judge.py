"""A folded detector and held-out pictures -> how well it finds faces, YuNet being the measure.

Frames with faces are those of people who were held out, as they are, and plain scenes made of them,
in which faces are smaller and some half covered. The teacher finds the faces of each at 320x256; of
those that are faces, how many does the network find in the same frame at 160x128, and at 320x256?
Frames without a face are the held-out negatives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import cv2
import keras
import numpy as np
from keras import ops

from edgemood.detection import Finding, find, overlaps_of
from edgemood.train.detector.network import cells_of
from edgemood.train.detector.pictures import SURE, Bank, Picture, Teacher
from edgemood.train.detector.scenes import Variety, moved, scene
from edgemood.yunet import STRIDES, faces_in

SIZES = ((128, 160), (256, 320))  # height, width
FRAMES = 800
MILD = Variety(turn=(5.0, 10.0), harsh=0.05, plain=1.0)
# False faces per frame that calibration allows each grid, the finest first, at each of these
# sizes, on negatives that have been learnt from; 0: the grid is shut, as it answers for no face.
# Chosen after a look at people, negatives and clips that were not: the finest grid can't have fewer
# without losing faces, the coarsest can.
ALLOWED = (1.75 / 200, 0.0, 1.25 / 200)
SHUT = -30.0  # added to a shut grid's logits
CALIBRATED = (*SIZES, (512, 640))

Images = TypeVar("Images", np.ndarray, list[Picture])
# gray uint8 [N, h, w] -> the faces of each, float32 [n, 15]
Detector = Callable[[np.ndarray], list[np.ndarray]]
# Frames, gray uint8 [N, *SIZES[-1]], and the faces in each that are to be found, float32 [n, 15]
Shown = tuple[np.ndarray, list[np.ndarray]]


@dataclass(frozen=True)
class Judged:
    """What was found, by (height, width) of the input: in frames as they are, and in scenes."""

    frames: dict[tuple[int, int], Finding]
    scenes: dict[tuple[int, int], Finding]


def calibrate(network: keras.Model, negatives: list[Picture]) -> tuple[float, ...]:
    """What to add to the logits of both scores in each grid, the finest first, so that a score of
    0.6 is as rare as ALLOWED says where no face is; at most 3 either way, or SHUT.

    Each grid by itself: what a fine one takes for a face is smaller and more frequent, and faces
    in it are those that a common shift would lose.
    """
    shifts = [
        [_shift(*grid) for grid in zip(_suspicious(network, negatives, size), ALLOWED)]
        for size in CALIBRATED
    ]
    return tuple(map(min, zip(*shifts)))


def deceptive(network: keras.Model, negatives: list[Picture]) -> list[Picture]:
    """The quarter of the pictures in which the network comes nearest to seeing a face."""
    scores = np.max(
        [_scores(grid) for size in SIZES for grid in _suspicious(network, negatives, size)], axis=0
    )
    return [negatives[i] for i in np.argsort(-scores)[: len(negatives) // 4]]


def _shift(logits: np.ndarray, allowed: float) -> float:
    if not allowed:
        return SHUT

    def rate(shift: float) -> float:
        return float((_scores(logits + shift) >= SURE).mean())

    low, high = -3.0, 3.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if rate(middle) <= allowed else (low, middle)
    return low


def _suspicious(
    network: keras.Model, pictures: list[Picture], size: tuple[int, int]
) -> list[np.ndarray]:
    """Logits of both scores, float32 [N, at most 8, 2] for each grid, of each picture's most
    suspicious cells: one of them has its highest score whatever is added.
    """
    ends = np.cumsum([(size[0] // stride) * (size[1] // stride) for stride in STRIDES])
    suspicious: list[list[np.ndarray]] = [[] for _ in STRIDES]
    for part in _parts(pictures):  # all of them, at the largest size, take 700 MB
        cells = np.clip(_cells(network, _shown(part, size))[..., :2], 1e-7, 1 - 1e-7)
        for grid, scores in zip(suspicious, np.split(cells, ends[:-1], axis=1)):
            best = np.argsort(-scores.prod(axis=2), axis=1)[:, :8, None]
            grid.append(np.take_along_axis(np.log(scores / (1 - scores)), best, axis=1))
    return [np.concatenate(grid) for grid in suspicious]


def _scores(logits: np.ndarray) -> np.ndarray:
    """Each picture's highest score, float32 [N], of logits as `_suspicious` gives them."""
    return np.sqrt((1 / (1 + np.exp(-logits))).prod(axis=2)).max(axis=1)


def detector_of(network: keras.Model) -> Detector:
    """A folded network as a function from pictures to faces, at the usual thresholds."""

    def detect(images: np.ndarray) -> list[np.ndarray]:
        height, width = images.shape[1:]
        return [
            faces_in(cells, height, width)
            for part in _parts(images)
            for cells in _cells(network, part)
        ]

    return detect


def teacher_at(width: int) -> Detector:
    """YuNet at its usual threshold on pictures that are this wide."""
    teacher = Teacher(width, SURE)
    return lambda images: [teacher(image) for image in images]


def _scenes(bank: Bank) -> Shown:
    """Plain scenes of its people: frames pasted over backgrounds and over each other."""
    height, width = SIZES[-1]
    people = Bank({"people": bank.faces["people"], "crops": [], "expressions": []}, bank.negatives)
    scenes = [scene(people, height, width, MILD, np.random.default_rng(i)) for i in range(FRAMES)]
    return _taught([image for image, _ in scenes], [faces for _, faces in scenes])


def _frames(bank: Bank) -> Shown:
    """The frames of its people as they are, all that they show; black where they don't reach."""
    height, width = SIZES[-1]
    images, pasted = [], []
    for picture in bank.faces["people"]:
        scale = min(height / picture.size[0], width / picture.size[1])
        matrix = np.array([[scale, 0, 0], [0, scale, 0]])
        size = round(picture.size[1] * scale), round(picture.size[0] * scale)
        image = np.zeros((height, width), np.uint8)
        image[: size[1], : size[0]] = cv2.resize(
            picture.levels[0], size, interpolation=cv2.INTER_AREA
        )
        images.append(image)
        pasted.append(moved(picture.faces, matrix))
    return _taught(images, pasted)


def judge(detectors: dict[tuple[int, int], Detector], bank: Bank) -> Judged:
    """What each size's detector finds, all in the same frames and scenes.

    Extra faces are those of the held-out negatives, which are the frames that are counted.
    """
    extra = {
        size: sum(map(len, detector(_shown(bank.negatives, size))))
        for size, detector in detectors.items()
    }

    def compared(frames: np.ndarray, taught: list[np.ndarray]) -> dict[tuple[int, int], Finding]:
        return {
            size: replace(
                find(
                    detector(resized(frames, size)),
                    [_scaled(faces, size[1] / frames.shape[2]) for faces in taught],
                    size[1],
                ),
                frames=len(bank.negatives),
                extra=extra[size],
            )
            for size, detector in detectors.items()
        }

    return Judged(compared(*_frames(bank)), compared(*_scenes(bank)))


def recall_of_expressions(
    detect: Detector, images: np.ndarray, labels: np.ndarray, bank: Bank
) -> np.ndarray:
    """Share found of each class's faces; images uint8 [N, 48, 48], labels int64 [N].

    Each is put, at a third to two thirds of the frame's height, into a 160x128 frame without a
    face. One is found where a box's centre lies in the middle of the picture put in.
    """
    height, width = SIZES[0]
    rng = np.random.default_rng(0)
    frames = _shown([bank.negatives[i % len(bank.negatives)] for i in range(len(images))], SIZES[0])
    middles, sides = [], []
    for frame, image in zip(frames, images):
        side = int(rng.uniform(0.35, 0.65) * height)
        x, y = int(rng.integers(width - side)), int(rng.integers(height - side))
        frame[y : y + side, x : x + side] = cv2.resize(image, (side, side))
        middles.append((x + side / 2, y + side / 2))
        sides.append(side)
    hit = np.array([
        any(np.abs(face[:2] + face[2:4] / 2 - middle).max() < side / 4 for face in faces)
        for faces, middle, side in zip(detect(frames), middles, sides)
    ])  # fmt: skip
    return np.array([hit[labels == label].mean() for label in np.unique(labels)])


def resized(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 [N, h, w] -> uint8 [N, *size], by area."""
    if images.shape[1:] == size:
        return images
    return np.stack(
        [cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA) for image in images]
    )


def _taught(images: list[np.ndarray], pasted: list[np.ndarray]) -> Shown:
    """Frames with the faces that the teacher finds where some are."""
    frames = np.stack(images)
    found = teacher_at(frames.shape[2])(frames)
    return frames, [_that_are(seen, faces) for seen, faces in zip(found, pasted)]


def _that_are(found: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The teacher's faces that lie on one that was pasted in, sure or not."""
    if not len(found) or not len(faces):
        return found[:0]
    return found[overlaps_of(found, faces).max(axis=1) >= 0.4]


def _scaled(faces: np.ndarray, factor: float) -> np.ndarray:
    faces = faces.copy()
    faces[:, :14] *= factor
    return faces


def _shown(pictures: list[Picture], size: tuple[int, int]) -> np.ndarray:
    """Whole pictures, stretched to this (height, width)."""
    return np.stack([
        cv2.resize(picture.levels[0], size[::-1], interpolation=cv2.INTER_AREA)
        for picture in pictures
    ])  # fmt: skip


def _parts(images: Images) -> list[Images]:
    return [images[start : start + 32] for start in range(0, len(images), 32)]


def _cells(network: keras.Model, images: np.ndarray) -> np.ndarray:
    maps: Any = network(images[..., None].astype(np.float32), training=False)
    return cells_of([ops.convert_to_numpy(part) for part in maps])
