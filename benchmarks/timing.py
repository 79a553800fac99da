"""Calls that take turns -> their times as `Samples`: percentiles, and how well the median is known.

Whatever is compared takes turns, round by round, so that a machine that slows down or is busy with
something else for a while does so for all of it. perf_counter, the clock, never goes back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import numpy as np

# The fewest rounds whose medians give an interval of 95 %: it is 97 % for the range of six.
LEAST = 6
# Rounds go on until each median is known to this share of itself in both directions, by half the
# length of its interval; and no longer than so many rounds.
NARROW = 0.02
MOST = 60

T = TypeVar("T")
# Runs once and returns the seconds that each of its calls took, float64 [calls].
Turn = Callable[[], np.ndarray]
# Seconds of each turn, a round each -> whether that is enough of them.
Enough = Callable[[Sequence[Sequence[np.ndarray]]], bool]


@dataclass(frozen=True, eq=False)
class Samples:
    """Milliseconds of each call, float64 [rounds, calls]."""

    rounds: np.ndarray

    @classmethod
    def of(cls, seconds: np.ndarray) -> Samples:
        """seconds: float64 [rounds, calls], or [calls]. Rounded to 0.1 µs, which a file holds."""
        return cls(np.round(np.atleast_2d(seconds) * 1000, 4))

    @property
    def p50(self) -> float:
        return self.percentile(50)

    @property
    def mean(self) -> float:
        return float(self.rounds.mean())

    @property
    def per_second(self) -> float:
        """Calls a second, one after another: all calls by all their time."""
        return 1000 / self.mean if self.mean else math.inf

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the median, see `median_interval`; p50 is in it.

        Of the rounds' medians: calls of one round are too much alike to count as many.
        """
        low, high = median_interval(np.median(self.rounds, axis=1))
        return min(low, self.p50), max(high, self.p50)

    @property
    def spread(self) -> float:
        """Half the length of the interval, as a share of the median."""
        low, high = self.interval
        return (high - low) / 2 / self.p50 if self.p50 else math.inf

    def percentile(self, share: float) -> float:
        """Of all calls; share: 0 to 100."""
        return float(np.percentile(self.rounds, share))


def median_interval(values: np.ndarray) -> tuple[float, float]:
    """Interval that holds the median with at least 95 %, from values [n] in any order.

    The k-th smallest and k-th largest, for the largest k that keeps 95 %: a median lies beyond the
    k-th smallest as often as a coin thrown n times shows heads fewer than k times. No distribution
    is assumed (David & Nagaraja, Order Statistics, 2003, section 7.1). Fewer than six values never
    reach 95 %: of these, it is the smallest and the largest.
    """
    ordered = np.sort(values)
    count, beyond, k = len(ordered), 0.5 ** len(ordered), 1
    while 2 * (beyond := beyond + math.comb(count, k) * 0.5**count) <= 0.05:
        k += 1
    return float(ordered[k - 1]), float(ordered[-k])


def take_turns(
    turns: Sequence[Turn], rounds: Iterable[object], enough: Enough = lambda taken: False
) -> list[np.ndarray]:
    """Seconds of every call of each turn, float64 [rounds, calls].

    Each turn runs once a round; the first round is warm-up, and is not returned. enough: asked
    after every other one whether to end before `rounds` do.
    """
    taken: list[list[np.ndarray]] = [[] for _ in turns]
    for number, _ in enumerate(rounds):
        for turn, seconds in zip(turns, taken):
            measured = turn()
            if number:
                seconds.append(measured)
        if number and enough(taken):
            break
    return [np.stack(seconds) for seconds in taken]


def narrow_within(seconds: float) -> Enough:
    """Enough is when every median is known to NARROW, or so many seconds have passed from now.

    Never before there are LEAST rounds.
    """
    end = perf_counter() + seconds

    def enough(taken: Sequence[Sequence[np.ndarray]]) -> bool:
        if len(taken[0]) < LEAST:
            return False
        return perf_counter() >= end or all(
            Samples.of(np.stack(rounds)).spread <= NARROW for rounds in taken
        )

    return enough


def time_calls(call: Callable[[T], object], arguments: Sequence[T]) -> np.ndarray:
    """Seconds of a call with each argument, float64 [len(arguments)].

    One more call comes first, untimed: whoever had the turn before has filled the caches.
    """
    call(arguments[0])
    seconds = []
    last = perf_counter()
    for argument in arguments:
        call(argument)
        now = perf_counter()
        seconds.append(now - last)
        last = now
    return np.array(seconds)
