"""Following: boxes as of detection in every frame, new faces in time, and little work for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgemood.benchmarks.following import departure
from edgemood.runtime.faces import SIDES, FaceDetector
from edgemood.runtime.following import NOTICE, Every, Follower, Glimpse, Patch
from edgemood.runtime.sources import open_source
from edgemood.runtime.tracking import iou
from edgemood.values import Box, Face

GROUND = (92, 84, 78)


class Looks:
    """A real detector that remembers how it was called."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self.whole = self.quick = self.close = self.region = 0

    def __call__(self, image: np.ndarray, region: Box | None = None, **how: Any) -> list[Face]:
        if region is not None and how.get("sides", (0,))[0] > SIDES[0]:
            self.close += 1
        elif region is not None:
            self.region += 1
        elif how.get("sides"):
            self.quick += 1
        else:
            self.whole += 1
        return self._detector(image, region, **how)


@pytest.fixture(scope="module")
def faces(yunet: str) -> FaceDetector:
    """YuNet, which what is noticed how soon was measured with."""
    return FaceDetector(yunet)


@pytest.fixture
def looks(faces: FaceDetector) -> Looks:
    return Looks(faces)


@pytest.fixture(scope="module")
def person() -> np.ndarray:
    """A face in its surroundings, 130x130; the detector's box is 100 px wide."""
    with open_source("demo") as demo:
        image = next(iter(demo)).image
    return cv2.resize(image[110:370, 190:450], (130, 130), interpolation=cv2.INTER_AREA)


def scene(
    *people: tuple[np.ndarray, float, float], size: tuple[int, int] = (320, 240)
) -> np.ndarray:
    """A gray frame with these pictures around these points, the last in front."""
    frame = np.full((size[1], size[0], 3), GROUND, np.uint8)
    for picture, x, y in people:
        height, width = picture.shape[:2]
        left, top = round(x - width / 2), round(y - height / 2)
        x0, y0 = max(0, left), max(0, top)
        shown = picture[y0 - top : size[1] - top, x0 - left : size[0] - left]
        frame[y0 : y0 + shown.shape[0], x0 : x0 + shown.shape[1]] = shown
    return frame


def follower(looks: Looks, every: Every = "auto") -> Follower:
    return Follower(looks, SIDES, every)


def test_boxes_on_the_clips_are_those_of_detection_in_every_frame(
    faces: FaceDetector, clips: list[Path]
) -> None:
    """IoU at least 0.9 in the median and 0.8 in 95 % of frames, nothing invented, one number."""
    for clip in clips:
        found = departure(str(clip), faces, frames=120)
        assert found is not None, clip
        assert found.percentile(50) >= 0.9, clip
        assert found.percentile(5) >= 0.8, clip
        assert found.extra == 0, clip
        assert found.tracks == 1, clip


@pytest.mark.parametrize("rate", [5, 10, 15, 24, 30, 60])
@pytest.mark.parametrize("company", [False, True], ids=["alone", "beside another"])
def test_a_new_face_is_noticed_in_time(
    looks: Looks, person: np.ndarray, rate: int, company: bool
) -> None:
    follow = follower(looks)
    others = [(person, 80, 120)] if company else []
    for i in range(rate + rate // 7):  # not where a look would be due anyway
        follow(scene(*others), i / rate)
    came = i = rate + rate // 7
    while len(follow(scene(*others, (person, 240, 120)), i / rate)) == len(others):
        i += 1
        assert i < came + 2 * rate
    # The face may have come just after the frame before the first that shows it.
    assert (i - came + 1) / rate <= max(NOTICE + 0.001, 1 / rate)


@pytest.mark.parametrize(
    "company", [False, True], ids=["with nobody in view", "beside another, who moves"]
)
@pytest.mark.parametrize("place", [(640, 360), (1230, 640)], ids=str)
def test_a_small_new_face_is_noticed_as_soon(
    looks: Looks, person: np.ndarray, company: bool, place: tuple[int, int]
) -> None:
    """43 pixels wide in 1280x720, which a quick look does not find."""
    follow = follower(looks)
    small = cv2.resize(person, (56, 56), interpolation=cv2.INTER_AREA)
    grain = np.empty((720, 1280, 3), np.uint8)

    def frame(i: int, *others: tuple[np.ndarray, float, float]) -> np.ndarray:
        if company:
            others = ((person, 400 + i % 20, 200 + i % 5), *others)
        image = scene(*others, size=(1280, 720))
        return cv2.add(image, cv2.randu(grain, 0, 9))

    for i in range(20):
        assert len(follow(frame(i), i / 30)) == company
    came = i = 20
    while len(follow(frame(i, (small, *place)), i / 30)) == company:
        i += 1
        assert i < 50
    assert (i - came + 1) / 30 <= NOTICE + 0.001


def test_in_a_new_scene_small_faces_are_noticed_as_soon(looks: Looks, person: np.ndarray) -> None:
    follow = follower(looks)
    small = cv2.resize(person, (56, 56), interpolation=cv2.INTER_AREA)
    dark = scene(size=(1280, 720)) // 2
    for i in range(20):
        assert follow(dark, i / 30) == []
    shown = scene(*((small, x, y) for x in (300, 900) for y in (150, 500)), size=(1280, 720))
    tracks = [follow(shown, (20 + i) / 30) for i in range(9)]
    assert len(tracks[-1]) == 4


def test_where_all_moves_on_and_on_no_more_is_done_than_a_limit_allows(looks: Looks) -> None:
    """Two whole frames at once, three quarters of one a second."""
    follow = follower(looks)
    random = np.random.default_rng(0)
    for i in range(150):
        follow(random.integers(0, 255, (480, 640, 3), np.uint8), i / 30)
    assert 0 < looks.close <= 8 + 5 * 3


def test_a_doubted_face_begins_a_track_if_another_look_or_the_next_one_finds_it(
    person: np.ndarray,
) -> None:
    """A detector that is real but for its scores, which no picture gives as they are wanted."""
    asked: list[Box | None] = []

    def doubting(image: np.ndarray, region: Box | None = None, **how: Any) -> list[Face]:
        asked.append(region)
        found = Face((110, 60, 100, 120), 0.65, np.zeros((5, 2), np.float32))
        return [found] if region is None or alone else []

    for alone in (True, False):
        follow = Follower(doubting, SIDES)
        seen = [len(follow(scene(), i / 30)) for i in range(17)]
        assert seen == ([1] * 17 if alone else [0] * 9 + [1] * 8)
    assert len([region for region in asked if region]) > 1


def test_with_nobody_in_view_hardly_anything_is_done(looks: Looks) -> None:
    frame = np.empty((240, 320, 3), np.uint8)
    follow = follower(looks)
    for i in range(300):
        assert follow(cv2.randu(frame, 60, 80), i / 30) == []
    assert (looks.region, looks.whole, looks.close) == (0, 0, 0)
    assert looks.quick == pytest.approx(10 / NOTICE, abs=1)


def test_a_face_in_view_is_looked_at_a_few_times_a_second(looks: Looks, person: np.ndarray) -> None:
    """It moves by a fifth of itself a frame, to and fro, and its box with it."""
    follow = follower(looks)
    for i in range(60):
        x = 160 + 20 * abs(i % 8 - 4)
        (track,) = follow(scene((person, x, 120)), i / 30)
        assert iou(track.face.box, (x - 50, 60, 100, 120)) > 0.75
        assert track.number == 1
    assert looks.region == 0
    assert looks.quick <= 2 / 0.267 + 1


@pytest.mark.parametrize("every", [1, 3])
def test_the_detector_is_asked_in_every_nth_frame(
    looks: Looks, person: np.ndarray, every: int
) -> None:
    follow = follower(looks, every)
    for i in range(12):
        assert len(follow(scene((person, 150 + i, 120)), i / 30)) == 1
    assert (looks.whole, looks.quick, looks.region) == (12 / every, 0, 0)


def test_every_frame_is_the_least(looks: Looks) -> None:
    with pytest.raises(ValueError, match="every 0th"):
        follower(looks, 0)


def test_landmarks_go_with_the_face(looks: Looks, person: np.ndarray) -> None:
    follow = follower(looks)
    (track,) = follow(scene((person, 150, 120)), 0.0)
    before = track.face
    (track,) = follow(scene((person, 162, 115)), 0.03)
    assert looks.quick == 1
    assert np.abs(track.face.landmarks - before.landmarks - (12, -5)).max() <= 1
    assert track.face.score == before.score


def test_a_face_that_goes_is_gone_in_the_next_frame(looks: Looks, person: np.ndarray) -> None:
    follow = follower(looks)
    for i in range(3):
        assert len(follow(scene((person, 160, 120)), i / 30)) == 1
    assert follow(scene(), 0.1) == []


def test_after_a_cut_the_new_scenes_face_is_found_at_once(looks: Looks, person: np.ndarray) -> None:
    follow = follower(looks)
    for i in range(3):
        follow(scene((person, 80, 120)), i / 30)
    (track,) = follow(scene((person, 240, 120)), 0.1)
    assert abs(track.face.box[0] + track.face.box[2] / 2 - 240) < 10


def test_people_who_swap_sides_keep_their_numbers(looks: Looks, person: np.ndarray) -> None:
    """The nearer one passes in front of the other, who is hidden for a while."""
    follow = follower(looks)
    near = cv2.resize(cv2.flip(person, 1), (150, 150))
    seen: dict[str, set[int]] = {"near": set(), "far": set()}
    for i in range(76):
        t = i / 25
        left, right = 60 + 120 * t, 420 - 120 * t
        for track in follow(scene((person, right, 110), (near, left, 125), size=(480, 240)), t):
            x = track.face.box[0] + track.face.box[2] / 2
            if abs(left - right) > 90:
                seen["near" if abs(x - left) < abs(x - right) else "far"].add(track.number)
    assert len(seen["near"]) == len(seen["far"]) == 1
    assert seen["near"] != seen["far"]


def test_a_small_face_that_only_a_close_look_finds_is_kept_by_looks_at_its_place(
    looks: Looks, person: np.ndarray
) -> None:
    follow = follower(looks)
    small = cv2.resize(person, (52, 52), interpolation=cv2.INTER_AREA)
    tracks = [follow(scene((small, 900 + 2 * i, 348), size=(1280, 720)), i / 30) for i in range(24)]
    assert [[track.number for track in each] for each in tracks] == [[1]] * 24
    assert looks.quick - 1 == looks.region > 0


def test_after_a_long_gap_a_face_is_a_new_one(looks: Looks, person: np.ndarray) -> None:
    follow = follower(looks)
    frame = scene((person, 160, 120))
    given = [track.number for i in range(3) for track in follow(frame, 10.0 * i)]
    assert given == [1, 2, 3]


def test_frames_without_times_are_each_looked_at(looks: Looks, person: np.ndarray) -> None:
    follow = follower(looks)
    for x in (100, 160, 220):
        (track,) = follow(scene((person, x, 120)), 0.0)
        assert abs(track.face.box[0] + track.face.box[2] / 2 - x) < 10
    assert looks.quick == 3


def test_a_face_that_is_all_one_gray_is_not_found_everywhere() -> None:
    """As one in the dark, or of which a sliver is left in the frame."""
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    dark = noise.copy()
    dark[60:180, 110:210] = 7
    face = Face((110, 60, 100, 120), 0.9, np.zeros((5, 2), np.float32))
    assert Patch(dark, face).find(noise, face.box) is None
    assert Patch(noise, face).find(noise, face.box) is not None


@pytest.mark.parametrize("cause", ["the pipeline is told", "time runs back"])
def test_another_scene_has_other_people(looks: Looks, person: np.ndarray, cause: str) -> None:
    follow = follower(looks)
    frame = scene((person, 160, 120))
    assert [track.number for track in follow(frame, 5.0)] == [1]
    if cause == "time runs back":
        assert [track.number for track in follow(frame, 0.0)] == [2]
    else:
        follow.forget()
        assert [track.number for track in follow(frame, 5.1)] == [2]


@pytest.mark.parametrize(
    ("place", "equal"),
    [
        pytest.param(None, True, id="nothing has changed"),
        pytest.param((slice(200, 208), slice(8, 16)), False, id="8x8 pixels anywhere"),
        pytest.param((slice(110, 115), slice(150, 155)), False, id="5x5 pixels of a face of 100"),
    ],
)
def test_a_glimpse_tells_frames_apart(
    person: np.ndarray, place: tuple[slice, slice] | None, equal: bool
) -> None:
    frame = scene((person, 160, 120))
    glimpse = Glimpse(frame, [(110, 60, 100, 120)])
    if place:
        frame[place] ^= 1  # the caller's own array, changed in place
    assert glimpse.equals(frame) is equal
    assert glimpse.equals(frame.copy()) is equal
    assert not glimpse.equals(frame[:-1])
