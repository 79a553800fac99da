"""Probabilities [N, classes] and true labels [N] -> the figures a classifier is judged by.

`truth` and `predicted` are integers [N], indices into the classes; `probabilities` are floats
[N, classes] whose rows sum to 1. The confidence of a picture is its largest probability. Shares
run from 0 to 1. What has no value, such as the recall of a class without pictures, is nan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

BINS = 15  # of the calibration error: the number its authors report with
# Engines answer in float32, whose quantised softmax can be exactly 0; its logarithm must not be.
SMALLEST = float(np.finfo(np.float32).eps)


# --- right and wrong ----------------------------------------------------------------------------


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits, both float [N, classes]."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of pictures whose label is right."""
    return float(np.mean(truth == predicted)) if len(truth) else math.nan


def wilson_interval(right: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a share counted as `right` of `total`; (0, 1) where nothing was counted.

    Unlike the normal approximation it stays within 0..1 and is honest for few pictures and for
    shares near 0 or 1. Wilson 1927, J. Am. Stat. Assoc. 22, p. 209.
    """
    if not total:
        return 0.0, 1.0
    share, pull = right / total, z**2 / total
    centre = (share + pull / 2) / (1 + pull)
    half = z / (1 + pull) * math.sqrt(share * (1 - share) / total + pull / (4 * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """int64 [classes, classes]: row is the true class, column the predicted one."""
    pairs = np.asarray(truth) * classes + np.asarray(predicted)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def recall(matrix: np.ndarray) -> np.ndarray:
    """Of each true class's pictures, the share that was found; nan where it has none."""
    return _ratio(matrix.diagonal(), matrix.sum(axis=1))


def precision(matrix: np.ndarray) -> np.ndarray:
    """Of the pictures given each label, the share that deserved it; nan where none was."""
    return _ratio(matrix.diagonal(), matrix.sum(axis=0))


def macro_f1(matrix: np.ndarray) -> float:
    """Mean over classes of the harmonic mean of precision and recall.

    A class that is never predicted counts 0. A class without pictures is left out: nothing about
    it was asked.
    """
    present = matrix.sum(axis=1) > 0
    f1 = _ratio(2 * matrix.diagonal(), matrix.sum(axis=0) + matrix.sum(axis=1))
    return float(f1[present].mean()) if present.any() else math.nan


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    out = np.full(len(whole), math.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


# --- calibration --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy in equal bins of confidence; each array [bins].

    count: pictures in the bin. confidence, accuracy: their mean confidence and the share right,
    nan in an empty bin.
    """

    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """Mean gap between confidence and accuracy, weighted by count."""
        if not self.count.sum():
            return math.nan
        gap = np.nan_to_num(np.abs(self.confidence - self.accuracy))
        return float(np.average(gap, weights=self.count))

    @property
    def chance(self) -> float:
        """The `error` to expect of these confidences if each were right as often as it says.

        Few pictures in a bin scatter around the truth: of n answers of confidence c, the share
        right by sqrt(c (1 - c) / n), and the mean size of a normal error is sqrt(2 / pi) of that.
        """
        if not self.count.sum():
            return math.nan
        c = np.nan_to_num(self.confidence)
        scatter = np.sqrt(2 / math.pi * c * (1 - c) / np.maximum(self.count, 1))
        return float(np.average(scatter, weights=self.count))


def reliability(probabilities: np.ndarray, truth: np.ndarray, bins: int = BINS) -> Reliability:
    """Reliability diagram over bins ((m - 1) / bins, m / bins]. Guo et al. 2017, section 2."""
    confidence, right = _confidence(probabilities, truth)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    return Reliability(
        count,
        _ratio(np.bincount(place, confidence, bins), count),
        _ratio(np.bincount(place, right, bins), count),
    )


def expected_calibration_error(
    probabilities: np.ndarray, truth: np.ndarray, bins: int = BINS
) -> float:
    """ECE: how far confidence and accuracy lie apart, 0..1. Guo et al. 2017, arXiv:1706.04599."""
    return reliability(probabilities, truth, bins).error


def negative_log_likelihood(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean of -ln(probability of the true class), in nats; a probability of 0 counts as 1.2e-7."""
    if not len(truth):
        return math.nan
    given = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.clip(given, SMALLEST, 1.0)).mean())


def _confidence(probabilities: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Confidence, float64 [N], and whether the most probable class is the true one, bool [N]."""
    right = probabilities.argmax(axis=1) == truth
    return probabilities.max(axis=1).astype(np.float64), right


# --- saying nothing when unsure -----------------------------------------------------------------


@dataclass(frozen=True)
class RiskCoverage:
    """What is left, and how good it is, when only confident answers are kept.

    One entry per different confidence, falling: thresholds, the confidence from which answers are
    kept; kept and right: how many then are, and how many of these are right. Pictures of equal
    confidence can only be kept together, so the order of the pictures does not matter.
    """

    thresholds: np.ndarray
    kept: np.ndarray
    right: np.ndarray

    @property
    def coverage(self) -> np.ndarray:
        """Share of the pictures that is kept, rising to 1."""
        return self.kept / self.kept[-1]

    @property
    def risk(self) -> np.ndarray:
        """Share of what is kept that is wrong."""
        return 1 - self.right / self.kept

    @property
    def area(self) -> float:
        """Mean risk over all coverages (AURC): 0 for a perfect order of perfect answers."""
        steps = np.diff(self.kept, prepend=0)
        return float(np.average(self.risk, weights=steps))

    def accuracy_at(self, coverage: float) -> float:
        """Share right among the most confident pictures that make up this coverage.

        Where the cut falls into pictures of equal confidence, the mean over all ways to choose.
        """
        wanted = coverage * self.kept[-1]
        right = np.interp(wanted, np.append(0, self.kept), np.append(0, self.right))
        return float(right / wanted)


def risk_coverage(probabilities: np.ndarray, truth: np.ndarray) -> RiskCoverage:
    """Risk-coverage curve of at least one picture. Geifman & El-Yaniv 2017, arXiv:1705.08500."""
    confidence, right = _confidence(probabilities, truth)
    order = np.argsort(-confidence, kind="stable")
    ends = np.flatnonzero(np.diff(confidence[order], append=-1.0))
    return RiskCoverage(confidence[order][ends], ends + 1, np.cumsum(right[order])[ends])


def threshold_for_accuracy(
    probabilities: np.ndarray, truth: np.ndarray, wanted: float = 0.9
) -> float | None:
    """Lowest confidence from which the answers kept have this accuracy, or None if none has.

    0.0 where all answers together have it.
    """
    curve = risk_coverage(probabilities, truth)
    enough = np.flatnonzero(curve.right >= wanted * curve.kept)
    if not len(enough):
        return None
    last = enough[-1]
    return 0.0 if last == len(curve.kept) - 1 else float(curve.thresholds[last])


# --- two models ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Agreement:
    """same: share of pictures given the same label. difference: largest of a probability."""

    same: float
    difference: float


def agreement(one: np.ndarray, other: np.ndarray) -> Agreement:
    """How alike two models' probabilities [N, classes] for the same pictures are."""
    return Agreement(
        accuracy(one.argmax(axis=1), other.argmax(axis=1)),
        float(np.abs(one.astype(np.float64) - other).max()) if len(one) else math.nan,
    )
