"""Tracks become readings: smoothed or raw, with a doubt, shifted by a resting face."""

from __future__ import annotations

import numpy as np
import pytest

from edgemood.errors import EdgemoodError
from edgemood.runtime.neutral import Neutral, resting
from edgemood.runtime.reader import FORGET, Reader
from edgemood.values import Face, Reading

LABELS = ("happy", "neutral", "sad")
HAPPY, SAD, TIRED = [0.9, 0.05, 0.05], [0.05, 0.05, 0.9], [0.05, 0.4, 0.55]
LANDMARKS = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)
FACE = Face((100, 100, 80, 100), 0.9, LANDMARKS)
CROP = np.random.default_rng(5).integers(40, 220, (48, 48), np.uint8)
DARK = CROP // 20


def read(
    reader: Reader,
    row: list[float],
    times: np.ndarray | list[float],
    track: int = 1,
    crop: np.ndarray = CROP,
) -> list[Reading]:
    return [reader(track, FACE, crop, row, float(time)) for time in times]


def test_a_reading_says_its_label_confidence_and_probabilities_alike() -> None:
    (reading,) = read(Reader(LABELS), SAD, [0.0])
    assert (reading.track, reading.face, reading.unsure) == (1, FACE, None)
    assert reading.emotion.label == "sad"
    assert reading.emotion.confidence == reading.emotion.probabilities["sad"]
    assert list(reading.emotion.probabilities.values()) == pytest.approx(SAD)


def test_one_odd_frame_does_not_change_the_label_unless_raw_readings_are_wanted() -> None:
    for raw, label in ((False, "sad"), (True, "happy")):
        reader = Reader(LABELS, raw=raw)
        read(reader, SAD, [0, 0.03])
        (odd,) = read(reader, HAPPY, [0.06])
        assert odd.emotion.label == label
        assert (odd.emotion.probabilities["happy"] == 0.9) == raw


def test_tracks_do_not_mix() -> None:
    reader = Reader(LABELS)
    for time in (0.0, 0.03, 0.06):
        (one,) = read(reader, SAD, [time], track=1)
        (other,) = read(reader, HAPPY, [time], track=2)
    assert (one.emotion.label, other.emotion.label) == ("sad", "happy")


def test_the_label_of_a_doubted_face_stays_the_most_probable() -> None:
    (reading,) = read(Reader(LABELS, bound=1.1), SAD, [0.0], crop=DARK)
    assert (reading.emotion.label, reading.unsure) == ("sad", "too dark")


@pytest.mark.parametrize(("bound", "unsure"), [(None, None), (0.5, None), (0.95, "low confidence")])
def test_a_low_confidence_is_a_doubt_where_the_model_knows_a_bound(
    bound: float | None, unsure: str | None
) -> None:
    (reading,) = read(Reader(LABELS, bound=bound), SAD, [0.0])
    assert reading.unsure == unsure


def test_the_face_seen_first_is_calibrated_for_the_seconds_and_no_other() -> None:
    taken: list[tuple[int, Neutral]] = []
    reader = Reader(LABELS)
    reader.calibrate(1.0, lambda track, neutral: taken.append((track, neutral)))
    for time in np.arange(0, 1.02, 0.1):
        assert not taken
        (before,) = read(reader, TIRED, [time], track=7)
        (other,) = read(reader, TIRED, [time], track=8)
    assert [track for track, _ in taken] == [7]
    assert taken[0][1].rest == pytest.approx(TIRED)
    times = np.arange(1.1, 3, 0.1)
    assert read(reader, TIRED, times, track=7)[-1].emotion.label == "neutral"
    assert read(reader, TIRED, times, track=8)[-1].emotion.label == "sad"
    assert before.emotion.label == other.emotion.label == "sad"


def test_a_calibration_that_is_interrupted_begins_again() -> None:
    taken: list[Neutral] = []
    reader = Reader(LABELS)
    reader.calibrate(1.0, lambda track, neutral: taken.append(neutral))
    read(reader, HAPPY, np.arange(0, 0.5, 0.1))
    read(reader, TIRED, np.arange(5, 5.95, 0.1))
    assert not taken
    read(reader, TIRED, [6.0])
    assert taken[0].rest == pytest.approx(TIRED)


def test_the_largest_face_is_waited_for_where_it_is_doubted_at_first() -> None:
    taken: list[tuple[int, Neutral]] = []
    reader = Reader(LABELS)
    reader.calibrate(0.5, lambda track, neutral: taken.append((track, neutral)))
    for i in range(12):
        read(reader, TIRED, [i / 10], 1, CROP if i > 3 else DARK)
        read(reader, HAPPY, [i / 10], 2)
    assert [track for track, _ in taken] == [1]
    assert taken[0][1].rest == pytest.approx(TIRED)


def test_frames_with_a_doubt_are_no_rest() -> None:
    taken: list[Neutral] = []
    reader = Reader(LABELS)
    reader.calibrate(0.5, lambda track, neutral: taken.append(neutral))
    for i in range(20):
        read(reader, *((HAPPY, [i / 10], 1, DARK) if i % 2 else (TIRED, [i / 10], 1, CROP)))
    assert taken[0].rest == pytest.approx(TIRED)


def test_a_kept_resting_face_is_that_of_every_face() -> None:
    reader = Reader(LABELS, neutral=resting(LABELS, np.array([TIRED])))
    for track in (1, 2):
        assert read(reader, TIRED, [0.0], track)[0].emotion.label == "neutral"


def test_without_a_label_neutral_nothing_is_calibrated() -> None:
    with pytest.raises(EdgemoodError, match="one called 'neutral' was wanted"):
        Reader(("awake", "tired")).calibrate(1.0)


def test_faces_that_went_long_ago_take_no_memory() -> None:
    reader = Reader(LABELS)
    for track in range(1, 500):
        read(reader, SAD, [track * FORGET / 4], track)
    assert len(reader._people) <= 6


def test_where_time_runs_back_again_and_again_memory_does_not_grow() -> None:
    reader = Reader(LABELS)
    for track in range(1, 500):
        read(reader, SAD, [100.0, 100.1, 50.0][track % 3 : track % 3 + 1], track)
    assert len(reader._people) <= 6


def test_after_a_cut_the_first_frame_is_taken_as_it_is() -> None:
    reader = Reader(LABELS)
    read(reader, SAD, [0.0, 0.1])
    reader.forget()
    assert read(reader, HAPPY, [0.1])[0].emotion.label == "happy"
