"""Labels over time: quick enough, without flicker, at any frame rate."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from edgemood.runtime.smoothing import DWELL, FLOOR, Smoother, logits, softmax

HAPPY, SAD = [0.8, 0.15, 0.05], [0.15, 0.8, 0.05]


def labels(frames: Iterable[tuple[float, list[float]]]) -> list[int]:
    smoother = Smoother()
    return [smoother(logits(row), time)[0] for time, row in frames]


def test_the_first_frame_is_taken_as_it_is() -> None:
    label, shown = Smoother()(logits(SAD), 12.5)
    assert label == 1
    assert shown == pytest.approx(SAD)


@pytest.mark.parametrize("fps", [5, 10, 25, 30, 60])
def test_a_lasting_change_is_followed_after_the_same_time_at_any_frame_rate(fps: int) -> None:
    times = np.arange(-fps, 2 * fps) / fps
    shown = labels((time, HAPPY if time < 0 else SAD) for time in times.tolist())
    changed = times[shown.index(1)]
    assert shown == sorted(shown), "one change, and none back"
    # The average crosses over within 0.2 s; no frame comes later than a frame later.
    assert changed > DWELL - 1 / fps - 1e-6
    assert changed <= DWELL + 0.2 + 1 / fps


@pytest.mark.parametrize("seconds", [1 / 30, 0.1, 0.3, 0.4])
def test_a_short_glance_does_not_change_the_label(seconds: float) -> None:
    times = (np.arange(90) / 30).tolist()
    assert set(labels((t, SAD if 1 <= t < 1 + seconds else HAPPY) for t in times)) == {0}


def test_two_classes_that_take_turns_in_every_frame_do_not_flicker() -> None:
    near = [[0.46, 0.44, 0.10], [0.44, 0.46, 0.10]]
    shown = labels((i / 30, near[i % 2]) for i in range(300))
    assert np.count_nonzero(np.diff(shown)) <= 1


def test_after_a_long_break_the_new_expression_counts_at_once() -> None:
    assert labels([(0.0, HAPPY), (0.03, HAPPY), (5.0, SAD)]) == [0, 0, 1]


def test_a_frame_of_the_same_time_changes_nothing() -> None:
    smoother = Smoother()
    smoother(logits(HAPPY), 1.0)
    assert smoother(logits(SAD), 1.0) == (0, pytest.approx(HAPPY))


def test_probabilities_sum_to_1_and_move_towards_what_is_shown() -> None:
    smoother = Smoother()
    shown = [smoother(logits(HAPPY if i < 5 else SAD), i / 30)[1] for i in range(40)]
    assert np.sum(shown, axis=1) == pytest.approx(1)
    assert (np.diff([row[1] for row in shown[4:]]) > 0).all()
    assert shown[-1] == pytest.approx(SAD, abs=0.01)


def test_a_probability_of_0_is_no_last_word() -> None:
    assert logits([1.0, 0.0]) == pytest.approx([0.0, np.log(FLOOR)])
    assert softmax([1000.0, 1000.0 + np.log(3)]) == pytest.approx([0.25, 0.75])
