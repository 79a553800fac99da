"""The deploy gate: a source and the files made of it, on the same real faces -> figures or refusal.

Every file is run in its real engine and must answer as its source does, within `BOUNDS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgemood import metrics
from edgemood.console import table, track
from edgemood.datasets import Dataset

Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Bounds:
    """How far a file may lie from its source.

    accuracy, recall: largest loss, as a share of all pictures or of a class's. agreement: least
    share of pictures given the same label, or one that is a tie. difference: largest change of a
    probability.
    """

    accuracy: float
    recall: float
    agreement: float
    difference: float


# Accuracy and agreement of int8 are what the project promises. Its other two bounds tell a network
# that was quantised from one that was damaged: good exports of FER-2013 networks lost up to 0.5
# points of a class's recall and changed a probability by up to 0.06; one whose multiplications
# overflowed lost 19 points and changed one by 0.85.
BOUNDS = {
    # A float file computes what its source computes, but for the order of additions.
    "float32": Bounds(accuracy=0.001, recall=0.001, agreement=0.999, difference=0.001),
    "int8": Bounds(accuracy=0.005, recall=0.02, agreement=0.97, difference=0.30),
}
# A label that the source holds so nearly as likely as its own is a tie, not a change of mind: a
# network that has hardly learnt yet says almost the same of every class.
TIE = 0.01
# From this many pictures on, accuracy and agreement are held to their bounds as they stand.
ENOUGH = 2000


def chance(pictures: int, bounds: Bounds) -> float:
    """What sampling adds to a bound on a share, where so few pictures were looked at.

    If a share 1 - agreement of all labels changes, the number of right ones among n pictures moves
    with a standard deviation of at most sqrt((1 - agreement) n). Two of these are allowed, and
    always one picture, the least that can change.
    """
    return max(1.0, 2 * math.sqrt((1 - bounds.agreement) * pictures)) / max(pictures, 1)


@dataclass(frozen=True)
class Parity:
    """A file beside its source, on the same pictures; shares run from 0 to 1.

    pictures: int64 [classes], how many of each were looked at. accuracy, recall: the file's; recall
    is float64 [classes], nan for a class without pictures. accuracy_loss, recall_loss: by how much
    the source's are higher. agreement: share of pictures given the same label; but_ties: or one
    that is a `TIE`. difference: largest change of a probability.
    """

    pictures: np.ndarray
    accuracy: float
    recall: np.ndarray
    accuracy_loss: float
    recall_loss: np.ndarray
    agreement: float
    but_ties: float
    difference: float

    def breaches(self, labels: Sequence[str], bounds: Bounds) -> list[str]:
        """What lies outside the bounds, each as the end of a sentence about the file."""
        limits = limits_for(self.pictures, bounds)
        found = []
        if self.accuracy_loss > limits.accuracy:
            found.append(
                f"loses {_points(self.accuracy_loss)} points of accuracy, at most "
                f"{_points(limits.accuracy)} may be lost"
            )
        for label, loss, limit in zip(
            labels, self.recall_loss, recall_limits(self.pictures, bounds)
        ):
            if loss > limit:
                found.append(
                    f"loses {_points(loss)} points of recall of '{label}', at most "
                    f"{_points(limit)} may be lost"
                )
        if self.but_ties < limits.agreement:
            found.append(
                f"gives {self.but_ties:.2%} of the pictures its source's label or a tied one, at "
                f"least {limits.agreement:.2%} was wanted"
            )
        # Written so that nan, which compares with nothing, is a breach.
        if not self.difference <= limits.difference:
            found.append(
                f"changes a probability by {self.difference:.4f}, at most {limits.difference} was "
                "wanted"
            )
        return found

    def figures(self, labels: Sequence[str]) -> dict[str, float]:
        """What a model's card keeps of it."""
        return {
            "pictures": int(self.pictures.sum()),
            "accuracy_loss": round(self.accuracy_loss, 5),
            "agreement": round(self.agreement, 5),
            "largest_difference": round(self.difference, 6),
            **{
                f"recall_loss_{label}": round(float(loss), 5)
                for label, loss in zip(labels, self.recall_loss)
                if not math.isnan(loss)
            },
        }


def limits_for(pictures: np.ndarray, bounds: Bounds) -> Bounds:
    """The bounds with what chance adds to accuracy and agreement on these pictures [classes]."""
    total = int(pictures.sum())
    extra = 0.0 if total >= ENOUGH else chance(total, bounds)
    return Bounds(
        bounds.accuracy + extra, bounds.recall, bounds.agreement - extra, bounds.difference
    )


def recall_limits(pictures: np.ndarray, bounds: Bounds) -> np.ndarray:
    """Largest loss of each class's recall, float64 [classes]: a class never has ENOUGH pictures."""
    return np.array([bounds.recall + chance(int(count), bounds) for count in pictures])


def compare(truth: np.ndarray, source: np.ndarray, result: np.ndarray) -> Parity:
    """Figures of a file. truth: int64 [N]; source, result: probabilities float32 [N, classes]."""
    classes = source.shape[1]
    before, after = (
        metrics.confusion_matrix(truth, answers.argmax(axis=1), classes)
        for answers in (source, result)
    )
    alike = metrics.agreement(source, result)
    held = np.take_along_axis(source, result.argmax(axis=1)[:, None], axis=1)[:, 0]
    return Parity(
        pictures=before.sum(axis=1),
        accuracy=float(after.trace() / len(truth)),
        recall=metrics.recall(after),
        accuracy_loss=float((before.trace() - after.trace()) / len(truth)),
        recall_loss=metrics.recall(before) - metrics.recall(after),
        agreement=alike.same,
        but_ties=float((source.max(axis=1) - held <= TIE).mean()),
        difference=alike.difference,
    )


def measure(source: Predict, results: Mapping[str, Predict], judged: Dataset) -> dict[str, Parity]:
    """Run the source and every result on all these pictures; name of the result -> its figures.

    A predict takes uint8 [N, 48, 48] and returns probabilities float32 [N, classes].
    """
    wanted: list[np.ndarray] = []
    given: dict[str, list[np.ndarray]] = {name: [] for name in results}
    batches = math.ceil(len(judged) / 256)
    for crops, _ in track(judged.batches(256), "judging", total=batches):
        wanted.append(source(crops))
        for name, predict in results.items():
            given[name].append(predict(crops))
    expected = np.concatenate(wanted)
    return {
        name: compare(judged.labels, expected, np.concatenate(answers))
        for name, answers in given.items()
    }


def print_tables(found: Mapping[str, Parity], labels: Sequence[str], split: str) -> None:
    """The figures of every file and what was allowed, on stdout. split: the pictures' name."""
    one = next(iter(found.values()))
    source = one.accuracy + one.accuracy_loss
    rows = [["source", _points(source), "", "", "", ""]]
    rows += [
        [
            name,
            _points(parity.accuracy),
            _points(parity.accuracy_loss),
            _points(parity.agreement),
            _points(parity.but_ties),
            f"{parity.difference:.4f}",
        ]
        for name, parity in found.items()
    ]
    for name, bounds in BOUNDS.items():
        limits = limits_for(one.pictures, bounds)
        rows.append(
            [
                f"allowed, {name}",
                "",
                _points(limits.accuracy),
                "",
                _points(limits.agreement),
                f"{limits.difference:.4f}",
            ]
        )
    table(
        ["file", "accuracy %", "lost", "agreement %", "but ties %", "largest difference"],
        rows,
        f"{int(one.pictures.sum()):,} pictures of {split}",
    )
    allowed = [recall_limits(one.pictures, bounds) for bounds in BOUNDS.values()]
    table(
        ["recall lost", "pictures", "source %", *found, *(f"allowed, {name}" for name in BOUNDS)],
        [
            [
                label,
                one.pictures[i],
                _points(one.recall[i] + one.recall_loss[i]),
                *(_points(parity.recall_loss[i]) for parity in found.values()),
                *(_points(limit[i]) for limit in allowed),
            ]
            for i, label in enumerate(labels)
        ],
    )


def _points(share: float) -> str:
    return f"{round(100 * share, 2) + 0.0:.2f}"  # never -0.00
