"""A resting face shifts what looks like it, within bounds, and survives a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgemood.errors import EdgemoodError
from edgemood.runtime.neutral import BOUND, MARGIN, Neutral, load_neutral, resting

LABELS = ("angry", "happy", "neutral", "sad")
# Somebody whose resting face is read as sad, and how that person looks when really sad.
REST = np.array([0.12, 0.03, 0.35, 0.50])
SORROW = np.array([0.05, 0.01, 0.04, 0.90])


def label(logits: np.ndarray) -> str:
    return LABELS[int(logits.argmax())]


def test_a_resting_face_that_was_read_as_sad_is_read_as_neutral() -> None:
    neutral = resting(LABELS, REST[None])
    assert label(np.log(REST)) == "sad"
    shifted = neutral(REST)
    assert label(shifted) == "neutral"
    assert shifted[2] - np.delete(shifted, 2).max() == pytest.approx(MARGIN, abs=1e-6)


def test_a_really_sad_face_of_the_same_person_stays_sad() -> None:
    assert label(resting(LABELS, REST[None])(SORROW)) == "sad"


def test_a_resting_face_that_is_read_as_neutral_shifts_nothing() -> None:
    clear = np.array([[0.02, 0.02, 0.94, 0.02]])
    neutral = resting(LABELS, clear)
    assert neutral.shift == pytest.approx(0)
    assert neutral(SORROW) == pytest.approx(np.log(SORROW))


def test_a_grimace_taken_for_rest_shifts_by_the_bound_and_no_more() -> None:
    shift = resting(LABELS, np.array([[0.001, 0.997, 0.001, 0.001]])).shift
    assert shift.max() == BOUND
    assert shift[2] == 0
    assert (shift >= 0).all()


def test_looks_are_averaged_as_logarithms_and_their_order_does_not_matter() -> None:
    looks = np.array([REST, SORROW, REST])
    assert resting(LABELS, looks) == resting(LABELS, looks[::-1])
    mean = np.log(looks).mean(axis=0)
    rest = np.log(resting(LABELS, looks).rest)
    assert rest - rest[0] == pytest.approx(mean - mean[0])


def test_many_faces_are_shifted_as_each_of_them() -> None:
    neutral = resting(LABELS, REST[None])
    both = neutral(np.array([REST, SORROW]))
    assert both == pytest.approx(np.array([neutral(REST), neutral(SORROW)]))


def test_a_saved_resting_face_is_the_same_when_loaded(tmp_path: Path) -> None:
    neutral = resting(LABELS, REST[None])
    neutral.save(tmp_path / "me.json")
    loaded = load_neutral(tmp_path / "me.json", LABELS)
    assert loaded.shift == pytest.approx(neutral.shift, abs=1e-3)


def test_a_model_without_the_label_neutral_is_refused() -> None:
    with pytest.raises(EdgemoodError, match="one called 'neutral' was wanted"):
        resting(("awake", "tired"), np.array([[0.5, 0.5]]))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, "is not there: a resting face was wanted"),
        ("", "is empty, a resting face was wanted"),
        ("[]", "is not a resting face"),
        ('{"schema": 2, "rest": {}}', "is not a resting face"),
        ('{"schema": 1, "rest": {"angry": 2.0, "neutral": -1.0}}', "is not a resting face"),
        ('{"schema": 1, "rest": {"angry": "x", "neutral": 1}}', "is not a resting face"),
        ('{"schema": 1, "rest": {"angry": NaN, "neutral": 1}}', "is not a resting face"),
        ('{"schema": 1, "rest": {"tired": 0.5, "neutral": 0.5}}', "with the labels tired, neutral"),
    ],
    ids=[
        "is not there",
        "is empty",
        "is a list",
        "has another schema",
        "has no probabilities",
        "has words for numbers",
        "has nan",
        "has other labels",
    ],
)
def test_a_file_that_is_no_resting_face_is_refused(
    tmp_path: Path, text: str | None, found: str
) -> None:
    path = tmp_path / "me.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(EdgemoodError, match=found):
        load_neutral(path, LABELS)


def test_the_file_can_be_read_by_a_person(tmp_path: Path) -> None:
    Neutral(("neutral", "müde"), (0.75, 0.25)).save(tmp_path / "me.json")
    assert json.loads((tmp_path / "me.json").read_text("utf-8")) == {
        "schema": 1,
        "rest": {"neutral": 0.75, "müde": 0.25},
    }
