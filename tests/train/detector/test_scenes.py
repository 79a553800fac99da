"""Scenes repeat themselves by seed, and their labels lie on the faces that were pasted."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgemood.train.detector import fit
from edgemood.train.detector.pictures import Bank, Picture
from edgemood.train.detector.scenes import USUAL, Variety, moved, scene

GENTLE = Variety(turn=(10.0, 25.0), harsh=0.0, plain=0.0)
FACE = np.array([[30, 20, 40, 50, 40, 40, 60, 40, 50, 50, 42, 60, 58, 60, 1]], np.float32)


def levels(image: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(
        cv2.resize(image, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
        for step in (1, 2, 4)
    )


@pytest.fixture(scope="module")
def bank() -> Bank:
    """One white ellipse as a face before black, and black pictures without one."""
    frame = np.zeros((100, 100), np.uint8)
    cv2.ellipse(frame, (50, 45), (20, 25), 0, 0, 360, 255, -1)
    face = Picture(levels(frame), FACE, "somebody")
    nothing = Picture(levels(np.zeros((100, 100), np.uint8)), FACE[:0])
    return Bank({"people": [face], "crops": [], "expressions": []}, [nothing])


def test_the_same_seed_gives_the_same_scene(bank: Bank) -> None:
    def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
        return scene(bank, 96, 128, USUAL, np.random.default_rng(seed))

    for once, again in zip(draw(5), draw(5)):
        assert np.array_equal(once, again)
    assert not np.array_equal(draw(5)[0], draw(6)[0])


@pytest.mark.parametrize("size", fit.Recipe().sizes, ids=lambda size: f"{size[1]}x{size[0]}")
def test_every_size_of_the_recipe_is_seen_through_the_worst_camera(
    bank: Bank, size: tuple[int, int, int, float]
) -> None:
    damaged = Variety(turn=(10.0, 30.0), harsh=1.0, plain=0.5)
    for seed in range(4):
        image, _ = scene(bank, *size[:2], damaged, np.random.default_rng(seed))
        assert image.shape == size[:2]
        assert image.std() > 1


def test_labels_lie_on_the_faces_that_were_pasted(bank: Bank) -> None:
    apart = []
    for seed in range(300):
        image, faces = scene(bank, 128, 160, GENTLE, np.random.default_rng(seed))
        x, y, w, h = faces[0, :4] if len(faces) == 1 else (0, 0, 0, 0)
        # A whole face alone before an even background: what is brighter than that is the face.
        inside = x > 1 and y > 1 and x + w < 159 and y + h < 127
        others = np.ones_like(image, bool)
        if not inside or not faces[0, 14]:
            continue
        others[int(y) - 1 : int(y + h) + 2, int(x) - 1 : int(x + w) + 2] = False
        if image[others].any() or image.max() < 100:
            continue
        columns = np.flatnonzero((image > image.max() / 2).any(axis=0))
        rows = np.flatnonzero((image > image.max() / 2).any(axis=1))
        apart.append(np.abs(columns[[0, -1]] - [x, x + w - 1]).max())
        apart.append(np.abs(rows[[0, -1]] - [y, y + h - 1]).max())
    assert len(apart) >= 40
    # A soft mask hides a little of the edge.
    assert np.mean(apart) < 1
    assert max(apart) < 3


def test_faces_that_are_mostly_outside_or_tiny_are_left_open(bank: Bank) -> None:
    for seed in range(200):
        _, faces = scene(bank, 96, 128, USUAL, np.random.default_rng(seed))
        x, y, w, h = faces[faces[:, 14] == 1, :4].T
        across = np.minimum(x + w, 128) - np.maximum(x, 0)
        down = np.minimum(y + h, 96) - np.maximum(y, 0)
        assert (across * down >= 0.6 * w * h).all()
        assert (w >= 10).all()


def test_sizes_reach_from_ten_pixels_to_nearly_the_whole_frame(bank: Bank) -> None:
    widths = np.concatenate([
        faces[faces[:, 14] == 1, 2]
        for seed in range(400)
        for _, faces in [scene(bank, 128, 160, USUAL, np.random.default_rng(seed))]
    ])  # fmt: skip
    assert widths.min() < 12
    assert widths.max() > 95
    assert 0.1 < (widths < 16).mean() < 0.5


def test_a_mirrored_face_keeps_its_own_right_and_left() -> None:
    mirror = np.array([[-1, 0, 100], [0, 1, 0]], float)
    points = moved(FACE, mirror)[0, 4:14].reshape(5, 2)
    assert points[0, 0] < points[1, 0], "the right eye is still on the left of the picture"
    assert points[3, 0] < points[4, 0]
    assert moved(FACE, mirror)[0, :4].tolist() == [30, 20, 40, 50]


def test_a_face_turned_by_a_right_angle_lies_on_its_side() -> None:
    turn = np.array([[0, -1, 100], [1, 0, 0]], float)
    assert moved(FACE, turn)[0, :4] == pytest.approx([30, 30, 50, 40])
