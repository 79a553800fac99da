"""How calls take turns, when there are enough of them, and how well a median is then known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgemood.benchmarks.timing import (
    LEAST,
    MOST,
    Samples,
    median_interval,
    narrow_within,
    take_turns,
    time_calls,
)


def test_percentiles_are_those_of_sorted_timings_in_milliseconds() -> None:
    seconds = np.random.default_rng(0).permutation(np.arange(1, 101)) / 1000
    samples = Samples.of(seconds.reshape(4, 25))
    assert samples.p50 == pytest.approx(50.5)
    assert samples.percentile(95) == pytest.approx(95.05)
    assert samples.per_second == pytest.approx(1 / 0.0505)


@pytest.mark.parametrize(("count", "place"), [(2, 1), (6, 1), (8, 1), (9, 2), (12, 3), (20, 6)])
def test_the_interval_is_from_the_ranks_of_the_tables(count: int, place: int) -> None:
    """Ranks as in the tables for the sign test at 5 %, two-sided."""
    values = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert median_interval(values) == (place, count + 1 - place)


@pytest.mark.parametrize("draw", ["normal", "lognormal", "exponential"])
@pytest.mark.parametrize("count", [6, 11, 30])
def test_the_interval_holds_the_median_of_any_distribution_in_95_percent(
    draw: str, count: int
) -> None:
    rng = np.random.default_rng(0)
    median = float(np.median(getattr(rng, draw)(size=1_000_000)))
    held = 0
    for _ in range(2000):
        low, high = median_interval(getattr(rng, draw)(size=count))
        held += low <= median <= high
    assert held / 2000 >= 0.94  # two standard errors below


def test_the_interval_has_the_median_in_it_though_calls_of_a_round_are_alike() -> None:
    rounds = np.array([[1.0, 9, 9], [1, 1, 9], [1, 1, 9], [1, 1, 9], [1, 1, 9], [9, 9, 9]])
    samples = Samples(rounds)
    low, high = samples.interval
    assert low <= samples.p50 <= high


def test_turns_alternate_and_the_first_round_is_left_out() -> None:
    played: list[str] = []

    def turn(name: str) -> np.ndarray:
        played.append(name)
        return np.full(2, len(played), float)

    a, b = take_turns([lambda: turn("a"), lambda: turn("b")], range(3))
    assert "".join(played) == "ababab"
    assert a.tolist() == [[3, 3], [5, 5]]
    assert b.tolist() == [[4, 4], [6, 6]]


def steady() -> np.ndarray:
    return np.ones(3)


def restless() -> Callable[[], np.ndarray]:
    rng = np.random.default_rng(0)
    return lambda: np.full(3, rng.uniform(1, 2))


def test_rounds_end_when_every_median_is_narrow_and_never_sooner() -> None:
    (alone,) = take_turns([steady], range(MOST), narrow_within(60))
    assert len(alone) == LEAST
    beside, noisy = take_turns([steady, restless()], range(MOST), narrow_within(60))
    assert len(beside) == len(noisy) == MOST - 1


def test_rounds_end_in_time_but_not_before_there_is_an_interval() -> None:
    (noisy,) = take_turns([restless()], range(MOST), narrow_within(0))
    assert len(noisy) == LEAST


def test_a_turn_begins_with_a_call_that_is_not_timed() -> None:
    called: list[int] = []
    assert time_calls(called.append, [1, 2, 3]).shape == (3,)
    assert called == [1, 1, 2, 3]
