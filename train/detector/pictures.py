"""faces.zip and FER-2013 -> `Bank`: gray pictures with the faces in them, split by person.

faces.zip holds people/, frames with one annotated face each; people_keypoints.csv, 68 landmarks a
frame; crops/, faces cut close; negatives/, pictures without a face. FER-2013's Training faces bring
expressions. Boxes come from YuNet, the teacher, so that they are in its style everywhere.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgemood.console import say, track
from edgemood.datasets import TRAINING, Dataset, open_dataset
from edgemood.errors import EdgemoodError
from edgemood.files import read_bytes, replace_file
from edgemood.runtime.faces import opencv_find
from edgemood.train.detector.fetch import cached
from edgemood.yunet import YUNET, YUNET_SHA256

ARCHIVE = "faces.zip"
KEYPOINTS = "people_keypoints.csv"
PARTS = ("people", "crops", "expressions")
PER_EXPRESSION = 1000  # FER-2013 faces of each class; disgust has 436
# A tenth of the frame around a close face is not enough for the teacher; the edge is repeated.
MARGIN = 0.3
# Longest side at which the teacher looks. At 320 it found the annotated face in each of 300 frames
# tried, with a score of at least 0.89.
FRAME_SIDE, CROP_SIDE = 320, 256
YUNET_ADDRESS = (
    "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/"
    f"face_detection_yunet/{YUNET}"
)
YUNET_SIZE = 232_589
SURE, UNSURE = 0.6, 0.3  # teacher's scores: a face from the first, left open from the second
# YuNet's landmarks and the annotators' lie 5 % of a box width apart (median). Past this distance
# the teacher has seen another face; otherwise the mean of both is learnt, after the part of the
# difference that is the same in all faces (mean of 300, in box widths) has been added to the
# annotation, so that it means YuNet's points.
AGREE = 0.2
STYLE = np.array(
    [[-0.013, -0.022], [-0.010, -0.019], [-0.023, -0.013], [-0.025, -0.040], [-0.005, -0.036]],
    np.float32,
)


@dataclass(frozen=True)
class Picture:
    """One picture and its faces.

    levels: gray uint8 [h, w], then half, quarter and eighth of it, by area. faces: float32 [n, 15],
    x, y, width, height, five landmarks, all in pixels, and 1, or 0 for what may be a face. person:
    who is in it, "" if unknown. close: cut so close that nothing of the surroundings is in it.
    """

    levels: tuple[np.ndarray, ...]
    faces: np.ndarray
    person: str = ""
    close: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)"""
        height, width = self.levels[0].shape
        return height, width


@dataclass(frozen=True)
class Bank:
    """What scenes are made of. faces: by part, each picture with at least one sure face."""

    faces: dict[str, list[Picture]]
    negatives: list[Picture]


def archive_in(path: str | os.PathLike[str]) -> Path:
    """faces.zip itself, or the one in this folder; raises EdgemoodError where there is none."""
    given = Path(path).expanduser()
    archive = given / ARCHIVE if given.is_dir() else given
    try:
        with zipfile.ZipFile(archive) as members:
            whole = KEYPOINTS in members.namelist()
    except (OSError, zipfile.BadZipFile):
        whole = False
    if not whole:
        raise EdgemoodError(
            f"{archive} is not a zip with {KEYPOINTS}: pictures of people, of no one, and "
            f"landmarks were wanted. Pass {ARCHIVE} or its folder with --data."
        )
    return archive


def expressions_beside(archive: Path) -> Dataset | None:
    """The labelled faces in the archive's folder, such as fer2013.csv, if there are any."""
    try:
        return open_dataset(archive.parent)
    except EdgemoodError:
        return None


def read(archive: Path, labels: Path) -> Bank:
    """All pictures with their faces. labels: .npz, where the teacher's answers are kept."""
    with zipfile.ZipFile(archive) as members:
        names = {
            part: sorted(n for n in members.namelist() if n.startswith(f"{part}/") and n[-1] != "/")
            for part in ("people", "crops", "negatives")
        }
        people = {person_of(name) for name in names["people"]}
        if min(len(people), len(names["negatives"])) < 2:
            raise EdgemoodError(
                f"{archive} has frames of {len(people)} people and {len(names['negatives'])} "
                "pictures without a face: at least two of each were wanted, one to learn from and "
                "one to judge by. Add some in people/ and negatives/."
            )
        images = {part: [_decoded(members, name) for name in names[part]] for part in names}
        points = _annotations(members)
    dataset = expressions_beside(archive)
    images["expressions"] = [] if dataset is None else list(_expressions(dataset))
    if dataset is None:
        say(f"no labelled faces beside {archive}: expressions will vary less")
    if not labels.exists():
        found = {part: _taught(part, images[part]) for part in PARTS}
        answers: dict[str, Any] = {}
        for part, answer in found.items():
            answers[f"{part}_counts"] = np.array([len(rows) for rows in answer], np.int64)
            if answer:
                answers[part] = np.concatenate(answer)
        with replace_file(labels) as file:
            np.savez_compressed(file, **answers)
    faces: dict[str, list[Picture]] = {}
    with np.load(labels) as saved:
        for part in PARTS:
            counts = saved[f"{part}_counts"]
            if len(counts) != len(images[part]):
                raise EdgemoodError(
                    f"{labels} belongs to other pictures than {archive}. Start a new run."
                )
            rows = np.split(saved[part], np.cumsum(counts)[:-1]) if len(counts) else []
            faces[part] = []
            for i, (image, found_here) in enumerate(zip(images[part], rows)):
                name = names[part][i] if part in names else ""
                found_here = agreed(found_here, points.get(name))
                if (found_here[:, 14] == 1).any():
                    faces[part].append(
                        Picture(_levels(image), found_here, person_of(name), part != "people")
                    )
    nobody = np.empty((0, 15), np.float32)
    return Bank(faces, [Picture(_levels(image), nobody) for image in images["negatives"]])


def split(bank: Bank, share: float, seed: int) -> tuple[Bank, Bank]:
    """(bank to learn from, bank to judge by), disjoint in people and in negatives.

    A share of those in people/ is held out, with everything that crops/ has of them. Expressions
    are nobody's by name, so all are learnt from.
    """
    rng = np.random.default_rng(seed)
    persons = sorted({picture.person for picture in bank.faces["people"]})
    held = set(rng.permutation(persons)[: max(1, round(share * len(persons)))].tolist())
    out = rng.permutation(len(bank.negatives)) < share * len(bank.negatives)
    banks = [
        Bank(
            {
                part: [picture for picture in pictures if (picture.person in held) == test]
                for part, pictures in bank.faces.items()
            },
            [picture for picture, held_out in zip(bank.negatives, out) if held_out == test],
        )
        for test in (False, True)
    ]
    return banks[0], banks[1]


def person_of(name: str) -> str:
    """people/Luis_Fonsi_21.jpg -> Luis_Fonsi"""
    return Path(name).stem.rpartition("_")[0]


def agreed(faces: np.ndarray, points: np.ndarray | None) -> np.ndarray:
    """The teacher's faces, that of the annotation with the mean of both landmarks.

    faces: float32 [n, 15] as in `Picture`. points: float32 [5, 2] of one face, or None.
    """
    if points is None or not len(faces):
        return faces
    faces = faces.copy()
    apart = faces[:, 4:14].reshape(-1, 5, 2) - points - STYLE * faces[:, 2, None, None]
    distance = np.linalg.norm(apart, axis=2).mean(axis=1) / faces[:, 2]
    nearest = int(distance.argmin())
    if distance[nearest] < AGREE:
        faces[nearest, 4:14] -= apart[nearest].ravel() / 2
        faces[nearest, 14] = 1
    return faces


def five_of(points: np.ndarray) -> np.ndarray:
    """The 68 points of the iBUG annotation, [68, 2], as YuNet's five.

    Person's right eye, left eye (means of their outlines), tip of the nose, right and left corner
    of the mouth.
    """
    eyes = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    return np.stack([*eyes, points[30], points[48], points[54]]).astype(np.float32)


def teacher_network() -> bytes:
    """YuNet: the file that EDGEMOOD_DETECTOR names, else fetched once into the user's cache.

    Raises EdgemoodError where it can't be had, or the file is another one.
    """
    remedy = f"Name {YUNET} of opencv_zoo with EDGEMOOD_DETECTOR, or unset that to have it fetched."
    named = os.environ.get("EDGEMOOD_DETECTOR")
    if named:
        path = Path(os.path.expanduser(named))
    else:
        instead = f"Bring {YUNET} from another machine and name it with EDGEMOOD_DETECTOR."
        path = cached(YUNET, YUNET_ADDRESS, YUNET_SHA256, YUNET_SIZE, instead)
    network = read_bytes(path, "YuNet", remedy)
    if hashlib.sha256(network).hexdigest() != YUNET_SHA256:
        raise EdgemoodError(f"{path} is another file than {YUNET}, which is the teacher. {remedy}")
    return network


class Teacher:
    """YuNet at a fixed longest side; a picture of gray uint8 [h, w] -> float32 [n, 15] rows."""

    def __init__(self, side: int, score: float = UNSURE) -> None:
        self.side, self.score = side, score
        self._find = opencv_find(teacher_network())

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Box, landmarks in the picture's pixels, score."""
        scale = self.side / max(image.shape)
        size = round(image.shape[1] * scale), round(image.shape[0] * scale)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        shown = cv2.cvtColor(cv2.resize(image, size, interpolation=method), cv2.COLOR_GRAY2BGR)
        faces = self._find(shown, self.score)
        faces[:, :14] /= scale
        return faces


def _taught(part: str, images: list[np.ndarray]) -> list[np.ndarray]:
    """The teacher's faces in each picture, as in `Picture`."""
    frames = part == "people"
    teacher = Teacher(FRAME_SIDE if frames else CROP_SIDE)
    rows = []
    for image in track(images, f"the teacher looks at {part}"):
        margin = 0 if frames else round(MARGIN * max(image.shape))
        found = teacher(np.pad(image, margin, mode="edge"))
        found[:, [0, 1, *range(4, 14)]] -= margin
        found[:, 14] = found[:, 14] >= SURE
        rows.append(found)
    return rows


def _decoded(members: zipfile.ZipFile, name: str) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(members.read(name), np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise EdgemoodError(f"{members.filename}: {name} is not a picture. Copy the file again.")
    return image


def _annotations(members: zipfile.ZipFile) -> dict[str, np.ndarray]:
    """Name of a frame -> five landmarks of its face."""
    points = {}
    try:
        rows = csv.reader(io.StringIO(members.read(KEYPOINTS).decode()))
        next(rows, None)
        for row in filter(None, rows):
            points[row[0]] = five_of(np.array(row[1:], np.float32).reshape(68, 2))
    except (ValueError, csv.Error) as error:
        raise EdgemoodError(
            f"{members.filename}: {KEYPOINTS} cannot be read after {len(points)} rows: {error}. A "
            "header, then names with 68 landmarks each, x and y in turns, were wanted."
        ) from error
    return points


def _expressions(dataset: Dataset) -> Iterator[np.ndarray]:
    """Up to PER_EXPRESSION Training pictures of each class, spread over the data set."""
    training = np.flatnonzero(dataset.splits == TRAINING)
    chosen: list[int] = []
    for label in range(len(dataset.classes)):
        of_class = training[dataset.labels[training] == label]
        chosen += of_class[:: max(1, len(of_class) // PER_EXPRESSION)][:PER_EXPRESSION].tolist()
    return iter(dataset.read(np.array(chosen, np.int64)))


def _levels(image: np.ndarray) -> tuple[np.ndarray, ...]:
    def halves(image: np.ndarray) -> Iterable[np.ndarray]:
        for _ in range(4):
            yield image
            size = max(1, image.shape[1] // 2), max(1, image.shape[0] // 2)
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)

    return tuple(halves(image))
