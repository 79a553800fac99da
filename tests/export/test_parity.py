"""The deploy gate's arithmetic, on made-up answers."""

from __future__ import annotations

import numpy as np
import pytest

from edgemood.export.parity import BOUNDS, ENOUGH, chance, compare, limits_for

LABELS = ("a", "b", "c")


def answers(truth: np.ndarray, wrong: np.ndarray, confidence: float = 0.8) -> np.ndarray:
    """Probabilities that name the true class, but the next one at the places `wrong`."""
    named = truth.copy()
    named[wrong] = (named[wrong] + 1) % 3
    rest = (1 - confidence) / 2
    return np.where(np.eye(3)[named] == 1, confidence, rest).astype(np.float32)


@pytest.fixture
def truth() -> np.ndarray:
    return np.arange(3000) % 3


@pytest.mark.parametrize("precision", BOUNDS)
def test_a_file_that_answers_as_its_source_passes(truth: np.ndarray, precision: str) -> None:
    source = answers(truth, np.arange(0, 900))
    same = compare(truth, source, source + np.float32(1e-6))
    assert same.breaches(LABELS, BOUNDS[precision]) == []
    assert same.accuracy == pytest.approx(0.7)
    assert same.agreement == 1


def test_more_accuracy_than_the_source_has_is_no_loss(truth: np.ndarray) -> None:
    better = compare(truth, answers(truth, np.arange(60), 0.5), answers(truth, np.arange(0), 0.5))
    assert better.accuracy_loss == pytest.approx(-0.02)
    assert not any("loses" in words for words in better.breaches(LABELS, BOUNDS["int8"]))


@pytest.mark.parametrize(
    ("result", "words"),
    [
        pytest.param(
            lambda truth: answers(truth, np.arange(18), 0.5),
            "0.60 points of accuracy",
            id="accuracy",
        ),
        pytest.param(
            lambda truth: answers(truth, np.arange(0, 250, 3), 0.5), "recall of 'a'", id="recall"
        ),
        pytest.param(
            lambda truth: answers(truth, np.arange(100), 0.5),
            "96.67% of the pictures",
            id="agreement",
        ),
        pytest.param(
            lambda truth: answers(truth, np.arange(0), 0.95),
            "changes a probability",
            id="difference",
        ),
        pytest.param(lambda truth: answers(truth, np.arange(0)) * np.nan, "by nan", id="nan"),
    ],
)
def test_what_lies_outside_a_bound_is_named(truth: np.ndarray, result, words: str) -> None:
    source = answers(truth, np.arange(0), 0.5)
    breaches = compare(truth, source, result(truth)).breaches(LABELS, BOUNDS["int8"])
    assert any(words in breach for breach in breaches), breaches


def test_labels_that_change_between_ties_are_no_change_of_mind() -> None:
    truth = np.zeros(3000, np.int64)
    source = np.tile(np.float32([0.335, 0.333, 0.332]), (3000, 1))
    result = np.tile(np.float32([0.333, 0.332, 0.335]), (3000, 1))
    tied = compare(truth, source, result)
    assert (tied.agreement, tied.but_ties) == (0, 1)
    apart = compare(truth, source + np.float32([0.02, -0.01, -0.01]), result)
    assert (apart.agreement, apart.but_ties) == (0, 0)


def test_bounds_stand_as_they_are_from_two_thousand_pictures_on() -> None:
    bounds = BOUNDS["int8"]
    assert limits_for(np.array([ENOUGH - 10, 10]), bounds) == bounds
    fewer = limits_for(np.array([ENOUGH - 11, 10]), bounds)
    assert bounds.accuracy < fewer.accuracy < bounds.accuracy + 0.01
    assert bounds.agreement - 0.01 < fewer.agreement < bounds.agreement


def test_chance_covers_what_a_sample_of_a_good_file_shows() -> None:
    """A file that changes 3 % of all labels, half for the better, passes 95 samples in 100."""
    rng = np.random.default_rng(0)
    moves = rng.choice([-1, 0, 1], (10_000, 300), p=[0.015, 0.97, 0.015]).sum(axis=1) / 300
    assert np.mean(-moves <= chance(300, BOUNDS["int8"])) > 0.95


def test_a_class_without_pictures_is_neither_lost_nor_kept_in_the_card() -> None:
    truth = np.arange(3000) % 2
    parity = compare(truth, answers(truth, np.arange(0)), answers(truth, np.arange(0)))
    assert parity.breaches(LABELS, BOUNDS["float32"]) == []
    assert "recall_loss_c" not in parity.figures(LABELS)
