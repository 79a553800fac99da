import math

import numpy as np
import pytest

from edgemood import metrics


def one_hot(labels, classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[labels]


# Ten pictures of three classes.
TRUTH = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2])


class TestPerfectClassifier:
    probabilities = one_hot(TRUTH, 3)

    def test_has_no_error_of_any_kind(self):
        matrix = metrics.confusion_matrix(TRUTH, self.probabilities.argmax(axis=1), 3)
        assert metrics.accuracy(TRUTH, self.probabilities.argmax(axis=1)) == 1
        assert matrix.tolist() == [[5, 0, 0], [0, 3, 0], [0, 0, 2]]
        assert metrics.macro_f1(matrix) == 1
        assert metrics.recall(matrix).tolist() == metrics.precision(matrix).tolist() == [1, 1, 1]
        assert metrics.expected_calibration_error(self.probabilities, TRUTH) == 0
        assert metrics.negative_log_likelihood(self.probabilities, TRUTH) == 0

    def test_may_keep_every_answer(self):
        curve = metrics.risk_coverage(self.probabilities, TRUTH)
        assert curve.area == 0
        assert curve.accuracy_at(0.5) == 1
        assert metrics.threshold_for_accuracy(self.probabilities, TRUTH) == 0.0


class TestConstantClassifier:
    """Says 0.5, 0.3, 0.2 whatever it sees: useless, yet calibrated."""

    probabilities = np.tile(np.array([0.5, 0.3, 0.2]), (10, 1))

    def test_finds_one_class_only(self):
        matrix = metrics.confusion_matrix(TRUTH, self.probabilities.argmax(axis=1), 3)
        assert matrix.tolist() == [[5, 0, 0], [3, 0, 0], [2, 0, 0]]
        assert metrics.recall(matrix).tolist() == [1, 0, 0]
        assert metrics.precision(matrix)[0] == 0.5
        assert np.isnan(metrics.precision(matrix)[1:]).all()
        # F1 of the class it names: precision 1/2, recall 1, so 2/3; the others count 0.
        assert metrics.macro_f1(matrix) == pytest.approx((2 / 3) / 3)

    def test_is_calibrated_and_pays_the_entropy_of_the_classes(self):
        assert metrics.expected_calibration_error(self.probabilities, TRUTH) == pytest.approx(0)
        entropy = -(0.5 * math.log(0.5) + 0.3 * math.log(0.3) + 0.2 * math.log(0.2))
        assert metrics.negative_log_likelihood(self.probabilities, TRUTH) == pytest.approx(entropy)

    def test_gains_nothing_by_keeping_silent(self):
        curve = metrics.risk_coverage(self.probabilities, TRUTH)
        assert curve.coverage.tolist() == [1.0]
        assert [curve.accuracy_at(share) for share in (0.1, 0.5, 1)] == [0.5, 0.5, 0.5]
        assert metrics.threshold_for_accuracy(self.probabilities, TRUTH) is None


class TestOverConfidentClassifier:
    """Says 0.95 each time and is right six times of ten."""

    truth = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    probabilities = np.tile(np.array([0.95, 0.05]), (10, 1))

    def test_error_is_the_gap_between_confidence_and_accuracy(self):
        error = metrics.expected_calibration_error(self.probabilities, self.truth)
        assert error == pytest.approx(0.95 - 0.6)

    def test_pays_for_certainty_when_wrong(self):
        expected = -(0.6 * math.log(0.95) + 0.4 * math.log(0.05))
        found = metrics.negative_log_likelihood(self.probabilities, self.truth)
        assert found == pytest.approx(expected)

    def test_reliability_shows_all_pictures_in_the_last_bin(self):
        figures = metrics.reliability(self.probabilities, self.truth)
        assert figures.count.tolist() == [0] * 14 + [10]
        assert figures.confidence[-1] == pytest.approx(0.95)
        assert figures.accuracy[-1] == pytest.approx(0.6)
        assert np.isnan(figures.accuracy[:-1]).all()


def test_chance_is_the_error_of_answers_that_are_right_as_often_as_they_say():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 3000)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    figures = [
        metrics.reliability(probabilities, (rng.random(3000) > confidence).astype(np.int64))
        for _ in range(100)
    ]
    found = np.mean([figure.error for figure in figures])
    assert figures[0].chance == pytest.approx(found, rel=0.05)
    assert math.isnan(metrics.reliability(probabilities[:0], np.empty(0, np.int64)).chance)


def test_a_probability_of_zero_for_the_truth_costs_much_but_not_everything():
    found = metrics.negative_log_likelihood(np.array([[1.0, 0.0]], np.float32), np.array([1]))
    assert found == pytest.approx(-math.log(np.finfo(np.float32).eps))


@pytest.mark.parametrize(
    ("confidence", "place"),
    [
        pytest.param(0.5, 0, id="a limit belongs to the bin below it"),
        pytest.param(0.51, 1, id="what lies above belongs to the next bin"),
        pytest.param(1.0, 1, id="certainty lies in the last bin"),
    ],
)
def test_bins_of_the_calibration_error(confidence, place):
    probabilities = np.array([[confidence, 1 - confidence]])
    figures = metrics.reliability(probabilities, np.array([0]), bins=2)
    assert figures.count.argmax() == place


# From the closed form, rounded; 0 of 10 is the textbook case in which the normal interval is empty.
@pytest.mark.parametrize(
    ("right", "total", "interval"),
    [
        pytest.param(0, 10, (0.0, 0.2775), id="none of ten"),
        pytest.param(5, 10, (0.2366, 0.7634), id="half of ten"),
        pytest.param(10, 10, (0.7225, 1.0), id="all of ten"),
        pytest.param(0, 0, (0.0, 1.0), id="nothing counted says nothing"),
    ],
)
def test_wilson_interval(right, total, interval):
    assert metrics.wilson_interval(right, total) == pytest.approx(interval, abs=5e-5)


def test_wilson_interval_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    for right, total in [(1, 3), (17, 56), (2454, 3589), (3588, 3589)]:
        wanted = stats.binomtest(right, total).proportion_ci(method="wilson")
        assert metrics.wilson_interval(right, total) == pytest.approx((wanted.low, wanted.high))


def test_classes_without_pictures_are_left_out_of_macro_f1():
    # Two pictures of class 0, one found, one called class 2, which has no pictures.
    matrix = metrics.confusion_matrix(np.array([0, 0]), np.array([0, 2]), 3)
    assert metrics.macro_f1(matrix) == pytest.approx(2 / 3)
    assert np.isnan(metrics.recall(matrix)[1:]).all()


def test_figures_are_scikit_learns():
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 7, 500)
    logits = rng.normal(size=(500, 7)) + 1.5 * one_hot(truth, 7)
    odds = np.exp(logits)
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    predicted = probabilities.argmax(axis=1)
    matrix = metrics.confusion_matrix(truth, predicted, 7)
    assert (matrix == sk.confusion_matrix(truth, predicted)).all()
    assert metrics.accuracy(truth, predicted) == sk.accuracy_score(truth, predicted)
    assert metrics.recall(matrix) == pytest.approx(sk.recall_score(truth, predicted, average=None))
    assert metrics.precision(matrix) == pytest.approx(
        sk.precision_score(truth, predicted, average=None)
    )
    assert metrics.macro_f1(matrix) == pytest.approx(sk.f1_score(truth, predicted, average="macro"))
    assert metrics.negative_log_likelihood(probabilities, truth) == pytest.approx(
        sk.log_loss(truth, probabilities)
    )


# Confidences .9 right, .8 right, .7 wrong, .6 right.
STAIRS = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
STAIRS_TRUTH = np.array([0, 0, 1, 0])


def test_risk_coverage_by_hand():
    curve = metrics.risk_coverage(STAIRS, STAIRS_TRUTH)
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert curve.risk == pytest.approx([0, 0, 1 / 3, 1 / 4])
    assert curve.area == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)
    assert curve.accuracy_at(0.5) == 1
    assert curve.accuracy_at(0.75) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("wanted", "threshold"),
    [
        pytest.param(0.9, 0.8, id="the lowest confidence that is still good enough"),
        pytest.param(0.75, 0.0, id="0 where all answers together are good enough"),
    ],
)
def test_threshold_for_accuracy(wanted, threshold):
    assert metrics.threshold_for_accuracy(STAIRS, STAIRS_TRUTH, wanted) == threshold


def test_pictures_of_equal_confidence_count_alike_in_any_order():
    probabilities = np.array([[0.6, 0.4]] * 4)
    for truth in ([0, 0, 1, 1], [1, 0, 1, 0]):
        curve = metrics.risk_coverage(probabilities, np.array(truth))
        assert curve.accuracy_at(0.25) == 0.5


def test_agreement_of_two_models():
    one = np.array([[0.7, 0.3], [0.6, 0.4]])
    other = np.array([[0.8, 0.2], [0.4, 0.6]])
    found = metrics.agreement(one, other)
    assert found.same == 0.5
    assert found.difference == pytest.approx(0.2)
