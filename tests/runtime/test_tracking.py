"""Track numbers: stable while a face moves, new for another face, never used twice."""

from __future__ import annotations

import numpy as np
import pytest

from edgemood.runtime.tracking import MEMORY, Tracker, iou
from edgemood.values import Box, Face


def faces(*boxes: Box) -> list[Face]:
    return [Face(box, 0.9, np.zeros((5, 2), np.float32)) for box in boxes]


def test_a_moving_face_keeps_its_number() -> None:
    track = Tracker()
    assert {track(faces((10 * i, 50 + 3 * i, 80, 100)))[0] for i in range(50)} == {1}


def test_two_faces_keep_their_numbers_whatever_their_order() -> None:
    track = Tracker()
    left, right = (0, 0, 50, 50), (200, 0, 50, 50)
    assert track(faces(left, right)) == [1, 2]
    assert track(faces(right, left)) == [2, 1]


def test_a_face_that_is_missed_for_a_moment_keeps_its_number() -> None:
    track = Tracker()
    track(faces((0, 0, 50, 50)))
    for _ in range(MEMORY):
        track([])
    assert track(faces((5, 0, 50, 50))) == [1]


def test_a_face_that_was_gone_for_long_gets_a_new_number() -> None:
    track = Tracker()
    track(faces((0, 0, 50, 50)))
    for _ in range(MEMORY + 1):
        track([])
    assert track(faces((0, 0, 50, 50))) == [2]


def test_two_faces_at_one_place_get_two_numbers() -> None:
    track = Tracker()
    track(faces((0, 0, 50, 50)))
    assert sorted(track(faces((0, 0, 50, 50), (1, 0, 50, 50)))) == [1, 2]


def test_numbers_go_on_after_a_change_of_scene() -> None:
    track = Tracker()
    track(faces((0, 0, 50, 50)))
    track.forget()
    assert track(faces((0, 0, 50, 50))) == [2]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        pytest.param((0, 0, 10, 10), (0, 0, 10, 10), 1, id="the same box"),
        pytest.param((0, 0, 10, 10), (5, 0, 10, 10), 1 / 3, id="half of each is shared"),
        pytest.param((0, 0, 10, 10), (10, 0, 10, 10), 0, id="side by side"),
        pytest.param((0, 0, 10, 10), (50, 50, 10, 10), 0, id="far apart in both directions"),
        pytest.param((-10, -10, 20, 20), (0, 0, 10, 10), 0.25, id="past the frame's edge"),
    ],
)
def test_iou_is_the_shared_part_of_the_union(a: Box, b: Box, expected: float) -> None:
    assert iou(a, b) == pytest.approx(expected)
    assert iou(b, a) == pytest.approx(expected)
