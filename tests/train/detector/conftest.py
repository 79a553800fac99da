"""A small faces.zip whose people are mean faces, with the answers that a teacher would give."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest

PEOPLE, CROPS, NEGATIVES = 8, 4, 20
# In a mean face of 48 pixels: box, then right eye, left eye, nose, right and left mouth corner.
BOX = np.array([6, 1, 36, 46], np.float32)
POINTS = np.array([[15, 19], [33, 19], [24, 29], [17, 38], [31, 38]], np.float32)


def mean_face() -> np.ndarray:
    path = str(files("edgemood.runtime") / "demo" / "happy.png")
    return cv2.imread(path, cv2.IMREAD_GRAYSCALE)


def labelled(scale: float, x: float, y: float) -> np.ndarray:
    """The one face of a picture that has a mean face, so much enlarged, at (x, y)."""
    box = BOX * scale + np.array([x, y, 0, 0])
    return np.concatenate([box, (POINTS * scale + [x, y]).ravel(), [1]]).astype(np.float32)[None]


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """faces.zip: frames of 8 people, two each, crops of the first 4, and pictures of stripes."""
    path = tmp_path_factory.mktemp("people") / "faces.zip"
    rng = np.random.default_rng(0)
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["file", *[f"{axis}{i}" for i in range(68) for axis in "xy"]])
    with zipfile.ZipFile(path, "w") as members:

        def add(name: str, image: np.ndarray) -> None:
            members.writestr(name, cv2.imencode(".png", image)[1].tobytes())

        for person in range(PEOPLE):
            for number in range(2):
                frame = np.full((150, 140), int(rng.integers(60, 190)), np.uint8)
                frame[20:116, 22:118] = cv2.resize(mean_face(), (96, 96))
                add(f"people/Person_{person}_{number}.jpg", frame)
                points = np.zeros((68, 2))
                points[36:42], points[42:48] = POINTS[0], POINTS[1]
                points[[30, 48, 54]] = POINTS[2:]
                writer.writerow(
                    [f"people/Person_{person}_{number}.jpg", *(points * 2 + [22, 20]).ravel()]
                )
        for person in range(CROPS):
            add(f"crops/Person_{person}_7.jpg", mean_face())
        for number in range(NEGATIVES):
            bars = (np.arange(120) // (number + 2) % 2 * 120 + 60).astype(np.uint8)
            add(f"negatives/{number}.jpg", np.tile(bars, (100, 1)))
        members.writestr("people_keypoints.csv", table.getvalue())
    return path


@pytest.fixture(scope="session")
def taught() -> Callable[[Path], Path]:
    """Writes the teacher's answers for `archive` to a file, so that no teacher is needed."""

    def write(path: Path) -> Path:
        people, crops = labelled(2, 22, 20), labelled(1, 0, 0)
        np.savez(
            path,
            people=np.concatenate([people] * 2 * PEOPLE),
            people_counts=[1] * 2 * PEOPLE,
            crops=np.concatenate([crops] * CROPS),
            crops_counts=[1] * CROPS,
            expressions_counts=np.zeros(0, np.int64),
        )
        return path

    return write
