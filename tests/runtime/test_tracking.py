"""Track numbers: they stay with a face wherever it goes, and are never used twice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edgemood.runtime.tracking import MEMORY, OVERLAP, Tracker, iou
from edgemood.values import Box, Face


def face(x: float, y: float = 200, width: int = 80, score: float = 0.9) -> Face:
    """A face around this point."""
    box = (round(x - width / 2), round(y - width * 0.6), width, round(width * 1.2))
    return Face(box, score, np.zeros((5, 2), np.float32))


def times(seconds: float, rate: float | None) -> Iterator[float]:
    """At a steady rate; None: at one that wanders from 5 to 60 a second."""
    rng = np.random.default_rng(3)
    now = 0.0
    while now < seconds:
        yield now
        now += 1 / (rate or rng.uniform(5, 60))


def numbers(track: Tracker, faces: list[Face], time: float) -> list[int]:
    """The number of each of the faces, in their order."""
    found = track(faces, time)
    return [next(one.number for one in found if one.face is each) for each in faces]


@pytest.mark.parametrize("rate", [4, 30, None], ids=["4 a second", "30 a second", "at any rate"])
def test_a_moving_face_keeps_its_number(rate: float | None) -> None:
    track = Tracker()
    assert {numbers(track, [face(150 * t, 90 * t)], t)[0] for t in times(4, rate)} == {1}


@pytest.mark.parametrize("rate", [10, 30, None], ids=["10 a second", "30 a second", "at any rate"])
@pytest.mark.parametrize("speed", [80, 200])
def test_two_people_who_walk_past_one_another_keep_their_numbers(
    rate: float | None, speed: float
) -> None:
    """As the detector shows them: of two faces that overlap by 0.3 or more, only the front one."""
    track = Tracker()
    front, back = [], []
    for t in times(4, rate):
        near = face(400 + speed * (t - 2), width=88)
        far = face(400 - speed * (t - 2))
        if iou(near.box, far.box) < 0.3:
            one, other = numbers(track, [far, near], t)
            front.append(other)
            back.append(one)
        else:
            front += numbers(track, [near], t)
    assert len(set(front)) == len(set(back)) == 1
    assert front[0] != back[0]


def test_two_people_who_swap_sides_between_looks_are_told_apart_by_where_they_were_going() -> None:
    track = Tracker()
    for t in np.arange(0, 1.5, 1 / 30):
        track([face(300 + 100 * t), face(600 - 100 * t)], float(t))
    # At 1.5 s they were 450 and 450; nothing is seen for 0.6 s.
    left, right = face(600 - 100 * 2.1), face(300 + 100 * 2.1)
    assert numbers(track, [left, right], 2.1) == [2, 1]


@pytest.mark.parametrize("speed", [0, 60, -120])
def test_a_face_that_is_lost_for_a_second_keeps_its_number(speed: float) -> None:
    track = Tracker()
    for t in times(1, 30):
        track([face(400 + speed * t)], t)
    for t in times(1, 30):
        assert track([], 1 + t) == []
    assert numbers(track, [face(400 + speed * 2)], 2.0) == [1]


def test_a_face_that_stops_while_it_is_lost_keeps_its_number() -> None:
    track = Tracker()
    for t in times(1, 30):
        track([face(200 + 200 * t)], t)
    assert numbers(track, [face(400)], 2.0) == [1]


def test_a_face_that_was_gone_for_long_gets_a_new_number() -> None:
    track = Tracker()
    track([face(100)], 0.0)
    assert numbers(track, [face(100)], MEMORY + 0.1) == [2]
    assert len(track.tracks) == 1


def test_ten_faces_at_once_keep_their_numbers_in_whatever_order_they_are_found() -> None:
    rng = np.random.default_rng(1)
    track = Tracker()
    seen: list[set[int]] = [set() for _ in range(10)]
    for t in times(3, None):
        # Two rows of five, 100 px apart, each swaying by 25 px on its own, a tenth of them missed.
        people = [
            face(100 + 100 * (i % 5) + 25 * np.sin(2 * t + i), 100 + 130 * (i // 5), 70)
            for i in range(10)
        ]
        order = [int(i) for i in rng.permutation(10) if rng.random() > 0.1]
        for i, number in zip(order, numbers(track, [people[i] for i in order], t)):
            seen[i].add(number)
    assert [len(each) for each in seen] == [1] * 10
    assert len(set.union(*seen)) == 10


def test_a_number_is_never_used_again() -> None:
    track = Tracker()
    given: list[int] = []
    for visit in range(20):
        given += numbers(track, [face(100), face(400)], visit * 10.0)
    track.forget()
    given += numbers(track, [face(100)], 201.0)
    assert given == list(range(1, 42))


def test_two_faces_at_one_place_get_two_numbers() -> None:
    track = Tracker()
    track([face(100)], 0.0)
    assert sorted(numbers(track, [face(100), face(101)], 0.1)) == [1, 2]


def test_a_track_says_where_a_steady_face_will_be() -> None:
    track = Tracker()
    for t in times(2, None):
        (one,) = track([face(100 + 150 * t, 100 + 50 * t)], t)
    assert iou(one.box(2.25), face(100 + 150 * 2.25, 100 + 50 * 2.25).box) > 0.9


def test_boxes_that_hardly_touch_are_not_one_face() -> None:
    track = Tracker()
    track([face(100)], 0.0)
    assert iou(face(100).box, face(160).box) < OVERLAP
    assert numbers(track, [face(160)], 0.03) == [2]


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
