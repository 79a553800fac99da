"""Why a reading should not be relied on, judged by the picture."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import cv2
import numpy as np
import pytest

from edgemood import damage
from edgemood.crop import face_crop
from edgemood.runtime import FaceDetector, open_source
from edgemood.runtime.doubt import FURTHEST, doubt, sharpness, turn
from edgemood.values import Face

FRONTAL = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)
FACE = Face((100, 100, 80, 100), 0.9, FRONTAL)


@pytest.fixture
def crop(rng: np.random.Generator) -> np.ndarray:
    """Gray uint8 [48, 48] with large shapes and small ones, as a face has."""
    shapes = cv2.resize(rng.normal(130, 40, (6, 6)), (48, 48), interpolation=cv2.INTER_CUBIC)
    return np.clip(shapes + rng.normal(0, 8, (48, 48)), 0, 255).astype(np.uint8)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_a_clear_face_is_not_doubted(crop: np.ndarray) -> None:
    assert doubt(FACE, crop) is None


def test_a_face_of_few_pixels_is_too_small_however_sharp_it_looks(crop: np.ndarray) -> None:
    assert doubt(replace(FACE, box=(100, 100, 12, 15)), crop) == "too small"


def test_a_face_in_the_dark_is_too_dark(crop: np.ndarray) -> None:
    assert doubt(FACE, (crop * 0.1).astype(np.uint8)) == "too dark"
    assert doubt(FACE, np.zeros_like(crop)) == "too dark"


def test_a_face_out_of_focus_is_too_blurred(crop: np.ndarray) -> None:
    assert doubt(FACE, damage.blur(crop[None], 3.0)[0]) == "too blurred"
    assert doubt(FACE, np.full_like(crop, 128)) == "too blurred"


def test_a_nose_beside_the_middle_is_a_face_turned_away(crop: np.ndarray) -> None:
    beside = FRONTAL.copy()
    beside[2, 0] += 25
    assert doubt(replace(FACE, landmarks=beside), crop) == "turned away"


def test_landmarks_that_are_one_point_are_not_doubted(crop: np.ndarray) -> None:
    assert doubt(replace(FACE, landmarks=np.zeros((5, 2), np.float32)), crop) is None


@pytest.mark.parametrize("degrees", [-90, -30, 0, 20, 170])
def test_a_tilted_head_is_not_turned(degrees: float) -> None:
    angle = np.radians(degrees)
    tilt = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    beside = FRONTAL + np.array([[0, 0], [0, 0], [12, 0], [0, 0], [0, 0]])
    assert turn(FRONTAL @ tilt.T) == pytest.approx(0, abs=1e-5)
    assert turn(beside @ tilt.T * 3 + 100) == pytest.approx(0.3)


def test_sharpness_does_not_depend_on_light_and_contrast(crop: np.ndarray) -> None:
    dimmed = (crop // 2 + 60).astype(np.uint8)
    assert sharpness(dimmed) == pytest.approx(sharpness(crop), rel=0.05)


def test_the_demos_face_is_not_doubted(detector: str) -> None:
    find = FaceDetector(detector)
    with open_source("demo") as demo:
        for frame in islice(demo, 0, 350, 10):
            (face,) = find(frame.image)
            assert turn(face.landmarks) < FURTHEST / 2
            assert doubt(face, face_crop(frame.image, face.box)) is None
