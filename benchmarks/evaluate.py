"""Models and labelled faces -> every figure they are judged by, as an `Evaluation`.

One pass over the pictures, a batch at a time: each batch is read once, damaged once in every way,
and shown to every model, so that a data set larger than memory and several models cost no more
than they must.
"""

from __future__ import annotations

import math
import os
import runpy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from edgemood import metrics
from edgemood.benchmarks.timing import time_calls
from edgemood.console import track
from edgemood.crop import SIZE
from edgemood.damage import suite
from edgemood.datasets import (
    FERPLUS_TO_FER2013,
    Dataset,
    ferplus_majority,
    ferplus_votes,
    resized,
)
from edgemood.errors import EdgemoodError
from edgemood.runtime.engines import EmotionModel, Predict

BATCH = 256
COVERAGES = (0.5, 0.7, 0.8, 0.9)
WANTED = 0.9  # accuracy that the reported threshold is to reach on what it keeps
# Below this many pictures an interval is wider than 10 points either way.
SMALL = 100
# A numeric csv column with more different values than this is cut into quarters.
MANY = 10
# Slices by picture size: upper limit in pixels of the shorter side, and what the slice is called.
SIZES = {31: "under 32", 47: "32 to 47", 95: "48 to 95", 191: "96 to 191"}


@dataclass(frozen=True)
class Candidate:
    """Something that names expressions, to be judged.

    name: what the tables call it. labels: class names in the order of its output.
    predict: gray uint8 [N, 48, 48], N >= 1 -> probabilities [N, len(labels)], rows sum to 1.
    engine: what runs it. threads: how many it may use, None where nobody knows.
    """

    name: str
    labels: tuple[str, ...]
    predict: Predict
    engine: str = "own code"
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """So many right of so many."""

    right: int
    total: int

    @property
    def value(self) -> float:
        """0..1, nan where nothing was counted."""
        return self.right / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the value, after Wilson."""
        return metrics.wilson_interval(self.right, self.total)

    @property
    def small(self) -> bool:
        """Too few pictures to conclude much."""
        return self.total < SMALL


@dataclass(frozen=True)
class Calibration:
    """Whether confidence means what it says.

    threshold: lowest confidence that leaves `WANTED` accuracy, None where none does.
    coverage: share of the pictures that it keeps, 0 without one.
    """

    negative_log_likelihood: float
    reliability: metrics.Reliability
    curve: metrics.RiskCoverage
    threshold: float | None
    coverage: float


@dataclass(frozen=True)
class Judgement:
    """The figures of one model.

    accuracy: on all pictures. unseen: without exact copies of Training pictures, None where there
    is no such split or it was judged itself. ferplus: against FER+'s strict majority, on the
    pictures that have one among the model's labels; None without votes.
    confusion: int64 [classes, classes], rows true, in the order of `labels`.
    robustness: damage -> accuracy, "clean" first. slices: kind -> group -> accuracy.
    milliseconds: median of single-face calls.
    """

    model: str
    engine: str
    threads: int | None
    labels: tuple[str, ...]
    accuracy: Share
    unseen: Share | None
    ferplus: Share | None
    macro_f1: float
    confusion: np.ndarray
    calibration: Calibration
    robustness: dict[str, Share]
    slices: dict[str, dict[str, Share]]
    milliseconds: float

    @property
    def recall(self) -> list[Share]:
        """One for each label: of its pictures, those found."""
        return _shares(self.confusion.diagonal(), self.confusion.sum(axis=1))

    @property
    def precision(self) -> list[Share]:
        """One for each label: of the pictures given it, those that deserved it."""
        return _shares(self.confusion.diagonal(), self.confusion.sum(axis=0))


@dataclass(frozen=True)
class Pair:
    """Two models on the same pictures. agreement: None where their labels differ."""

    one: str
    other: str
    agreement: metrics.Agreement | None


@dataclass(frozen=True)
class Evaluation:
    """Models judged on the same pictures.

    data: path of the data set. copies: pictures that are exact copies of Training pictures, None
    where that was not asked. pairs: every two of the models.
    """

    data: str
    split: str
    pictures: int
    copies: int | None
    models: tuple[Judgement, ...]
    pairs: tuple[Pair, ...]


def evaluate(
    candidates: Sequence[Candidate],
    dataset: Dataset,
    split: str | None = None,
    by: Sequence[str] = (),
) -> Evaluation:
    """Judge candidates on one split of a data set.

    split: None takes PublicTest, test or validation, whichever is there first.
    by: further slices: names of csv columns, or numbers of folder levels below the data set.
    Raises EdgemoodError where a picture cannot be read, a class has no label in a model, a slice
    does not exist, or a model does not return probabilities.
    """
    part = dataset.split(split)
    # All that can be refused is, before the long pass.
    truths = [match_labels(candidate, part) for candidate in candidates]
    groups = dict(slice_by(part, name) for name in by)
    votes = ferplus_votes(part)
    copied = copies_of_training(dataset, part)

    answers, looks = _ask(candidates, part)
    groups |= {
        "brightness": quarters(looks.brightness),
        "sharpness": quarters(looks.sharpness),
        "size": _by_size(looks.sizes),
    }
    judgements = []
    for candidate, truth, answer in zip(candidates, truths, answers):
        judgements.append(
            judge(
                candidate,
                truth,
                answer,
                groups,
                copied,
                None
                if votes is None
                else ferplus_majority(votes, tuple(map(_plain, candidate.labels))),
            )
        )
    return Evaluation(
        data=str(dataset.path),
        split=str(part.splits[0]),
        pictures=len(part),
        copies=None if copied is None else int(copied.sum()),
        models=tuple(judgements),
        pairs=tuple(
            _compare(candidates[i], candidates[j], answers[i].clean, answers[j].clean)
            for i, j in combinations(range(len(candidates)), 2)
        ),
    )


# --- one model's figures ------------------------------------------------------------------------


@dataclass(frozen=True)
class Answers:
    """What one model said.

    clean: probabilities, float32 [N, classes]. damaged: damage -> label predicted, int64 [N].
    milliseconds: see `Judgement`.
    """

    clean: np.ndarray
    damaged: dict[str, np.ndarray]
    milliseconds: float


def judge(
    candidate: Candidate,
    truth: np.ndarray,
    answers: Answers,
    groups: dict[str, dict[str, np.ndarray]],
    copied: np.ndarray | None = None,
    majority: np.ndarray | None = None,
) -> Judgement:
    """Figures of one model from its answers.

    truth: int64 [N], places in the candidate's labels. groups: kind -> group -> bool [N].
    copied: bool [N], is a copy of a Training picture. majority: as `truth`, -1 where there is none.
    """
    predicted = answers.clean.argmax(axis=1)
    right = predicted == truth
    threshold = metrics.threshold_for_accuracy(answers.clean, truth, WANTED)
    kept = answers.clean.max(axis=1) >= (math.inf if threshold is None else threshold)
    matrix = metrics.confusion_matrix(truth, predicted, len(candidate.labels))
    return Judgement(
        model=candidate.name,
        engine=candidate.engine,
        threads=candidate.threads,
        labels=candidate.labels,
        accuracy=_share(right),
        unseen=None if copied is None else _share(right[~copied]),
        ferplus=None if majority is None else _share((predicted == majority)[majority >= 0]),
        macro_f1=metrics.macro_f1(matrix),
        confusion=matrix,
        calibration=Calibration(
            metrics.negative_log_likelihood(answers.clean, truth),
            metrics.reliability(answers.clean, truth),
            metrics.risk_coverage(answers.clean, truth),
            threshold,
            float(kept.mean()),
        ),
        robustness={"clean": _share(right)}
        | {name: _share(labels == truth) for name, labels in answers.damaged.items()},
        slices={
            kind: {group: _share(right[mask]) for group, mask in masks.items()}
            for kind, masks in groups.items()
            if masks
        },
        milliseconds=answers.milliseconds,
    )


def _share(right: np.ndarray) -> Share:
    return Share(int(right.sum()), len(right))


def _shares(right: np.ndarray, total: np.ndarray) -> list[Share]:
    return [Share(int(r), int(t)) for r, t in zip(right, total)]


def _compare(one: Candidate, other: Candidate, left: np.ndarray, right: np.ndarray) -> Pair:
    names = [_plain(label) for label in one.labels]
    places = [_plain(label) for label in other.labels]
    if sorted(names) != sorted(places):
        return Pair(one.name, other.name, None)
    order = [places.index(name) for name in names]
    return Pair(one.name, other.name, metrics.agreement(left, right[:, order]))


# --- labels, copies, slices ---------------------------------------------------------------------


def match_labels(candidate: Candidate, dataset: Dataset) -> np.ndarray:
    """Place of each picture's class among the candidate's labels, int64 [N].

    Names match whatever their case, and in FER-2013's spelling as in FER+'s (happy, happiness).
    Raises EdgemoodError where a picture's class is none of the labels.
    """
    known = {_plain(label): place for place, label in enumerate(candidate.labels)}
    places = np.array([known.get(_plain(name), -1) for name in dataset.classes])
    truth = places[dataset.labels]
    lost = np.flatnonzero(truth < 0)
    if len(lost):
        raise EdgemoodError(
            f"{dataset.path}: {dataset.names[lost[0]]} is of the class "
            f"'{dataset.classes[dataset.labels[lost[0]]]}', which {candidate.name} does not know: "
            f"it has {', '.join(candidate.labels)}. Rename that class to one of these or leave "
            "it out."
        )
    return truth


def _plain(label: str) -> str:
    label = label.strip().lower()
    return FERPLUS_TO_FER2013.get(label, label)


def copies_of_training(dataset: Dataset, part: Dataset) -> np.ndarray | None:
    """Which pictures of `part` are exact copies of Training pictures, bool [N].

    None where the data set has no Training split, or `part` is of it.
    """
    training = dataset.select(dataset.splits == "Training")
    if not len(training) or (part.splits == "Training").any():
        return None
    seen = set(training.digests().tolist())
    return np.array([digest in seen for digest in part.digests().tolist()])


def slice_by(dataset: Dataset, name: str) -> tuple[str, dict[str, np.ndarray]]:
    """What the slices are called, and group -> bool [N]: by a csv column or by folders.

    name: a column, or "1" for the folders right below the data set, "2" for those in them, ...
    """
    if name in dataset.columns:
        values = dataset.columns[name]
        numbers = _numbers(values)
        if numbers is not None and len(np.unique(numbers)) > MANY:
            return f"column {name}", quarters(numbers)
        return f"column {name}", _by_value(values)
    folders = [PurePosixPath(path).parent.parts for path in dataset.names.tolist()]
    depth = max(len(parts) for parts in folders)
    if name.isdecimal() and 1 <= int(name) <= depth:
        level = int(name) - 1
        values = np.array([parts[level] if level < len(parts) else "(none)" for parts in folders])
        return f"folder level {name}", _by_value(values)
    has = [f"'{column}'" for column in dataset.columns] + [str(i + 1) for i in range(depth)]
    raise EdgemoodError(
        f"{dataset.path} cannot be sliced by '{name}': it has "
        + (f"{', '.join(has)}. Name one of these." if has else "no further column.")
    )


def _numbers(values: np.ndarray) -> np.ndarray | None:
    try:
        numbers = values.astype(np.float64)
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _by_value(values: np.ndarray) -> dict[str, np.ndarray]:
    """One group for each different value, the largest first."""
    names, counts = np.unique(values, return_counts=True)
    return {str(names[i]) or "(empty)": values == names[i] for i in np.argsort(-counts)}


def quarters(values: np.ndarray) -> dict[str, np.ndarray]:
    """Four groups of about equal size, named by their limits; fewer where many values are equal."""
    limits = np.quantile(values, [0.25, 0.5, 0.75])
    for digits in range(3, 18):  # as few as tell the limits apart, and tell them truly
        written = [
            np.format_float_positional(x, digits, fractional=False, trim="-") for x in limits
        ]
        told = np.array([float(each) for each in written])
        if np.array_equal(np.searchsorted(told, values), np.searchsorted(limits, values)):
            break
    between = [f"{low} to {high}" for low, high in pairwise(written)]
    names = [f"up to {written[0]}", *between, f"over {written[-1]}"]
    return _by_limits(values, limits, names)


def _by_size(sizes: np.ndarray) -> dict[str, np.ndarray]:
    """Groups by the shorter side, none where all pictures are of one size."""
    if len(np.unique(sizes)) < 2:
        return {}
    return _by_limits(sizes, np.array(list(SIZES)), [*SIZES.values(), f"over {max(SIZES)}"])


def _by_limits(
    values: np.ndarray, limits: np.ndarray, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Groups up to and including each limit and above the last, without the empty ones."""
    place = np.searchsorted(limits, values)
    return {name: place == i for i, name in enumerate(names) if (place == i).any()}


# --- asking the models --------------------------------------------------------------------------


@dataclass(frozen=True)
class Looks:
    """What pictures are like, each [N].

    brightness: mean gray level of the face at 48x48. sharpness: variance of its Laplacian
    (Pech-Pacheco et al. 2000). sizes: shorter side of the picture as stored, in pixels.
    """

    brightness: np.ndarray
    sharpness: np.ndarray
    sizes: np.ndarray


def _ask(candidates: Sequence[Candidate], part: Dataset) -> tuple[list[Answers], Looks]:
    """Every candidate's answers to every picture, clean and damaged."""
    damages = suite()
    clean = [np.empty((len(part), len(c.labels)), np.float32) for c in candidates]
    damaged = [{name: np.empty(len(part), np.int64) for name in damages} for _ in candidates]
    looks = Looks(*(np.empty(len(part)) for _ in range(3)))
    timed = np.empty((0, SIZE, SIZE), np.uint8)
    for start in track(range(0, len(part), BATCH), "judging batches"):
        batch = np.arange(start, min(start + BATCH, len(part)))
        images = np.empty((len(batch), SIZE, SIZE), np.uint8)
        for i, picture in enumerate(part.pictures(batch)):
            images[i] = resized(picture)
            looks.sizes[start + i] = min(picture.shape)
            looks.sharpness[start + i] = cv2.Laplacian(images[i], cv2.CV_32F).var()
        looks.brightness[batch] = images.mean(axis=(1, 2))
        for candidate, answer in zip(candidates, clean):
            answer[batch] = _probabilities(candidate, images)
        for name, damage in damages.items():
            pictures = damage(images)
            for candidate, answers in zip(candidates, damaged):
                answers[name][batch] = _probabilities(candidate, pictures).argmax(axis=1)
        if not start:
            timed = images
    times = [_milliseconds(candidate, timed) for candidate in candidates]
    return [Answers(*all_) for all_ in zip(clean, damaged, times)], looks


def batched(predict: Predict) -> Predict:
    """The same for any number of pictures: asked of BATCH at a time, which fit into any memory."""

    def answer(images: np.ndarray) -> np.ndarray:
        starts = range(0, max(1, len(images)), BATCH)
        return np.concatenate([predict(images[start : start + BATCH]) for start in starts])

    return answer


def _milliseconds(candidate: Candidate, images: np.ndarray) -> float:
    """Median over at most 200 calls with one face each, after ten unmeasured ones."""
    faces = [images[i % len(images)][None] for i in range(min(210, 10 + len(images)))]
    return float(np.median(time_calls(candidate.predict, faces)[10:])) * 1000


def _probabilities(candidate: Candidate, images: np.ndarray) -> np.ndarray:
    """The candidate's answer, checked: [N, classes], finite, rows that sum to 1."""
    try:
        answer = np.asarray(candidate.predict(images))
    except EdgemoodError:
        raise
    except Exception as error:
        raise EdgemoodError(
            f"{candidate.name} cannot be judged: {candidate.engine} fails on uint8 "
            f"{list(images.shape)} with {type(error).__name__}: {' '.join(str(error).split())}.",
            exit_code=1,
        ) from error
    wanted = (len(images), len(candidate.labels))
    if answer.shape != wanted:
        raise _bad_answer(candidate, f"{list(answer.shape)}, {list(wanted)} was wanted")
    with np.errstate(invalid="ignore"):
        off = ~(np.abs(answer.sum(axis=1) - 1) < 0.02) | (answer < -1e-6).any(axis=1)
    if off.any():
        row = answer[off.argmax()].tolist()
        raise _bad_answer(
            candidate, f"{[round(value, 4) for value in row]}, probabilities that sum to 1 wanted"
        )
    return answer


def _bad_answer(candidate: Candidate, found: str) -> EdgemoodError:
    return EdgemoodError(
        f"{candidate.name} cannot be judged: it returned {found}. Mend its predict, or export the "
        "model again.",
        exit_code=1,
    )


# --- opening candidates -------------------------------------------------------------------------


def open_candidates(
    paths: Sequence[str | os.PathLike[str]], engine: str | None = None, threads: int = 1
) -> list[Candidate]:
    """Model files, or .py files that adapt other models, as candidates with names of their own.

    engine, threads: as for `EmotionModel`. An adapter defines `labels`, and `predict` as in
    `Candidate`. Raises EdgemoodError where a file is not a model or an adapter fails.
    """
    names = [Path(path).name for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    candidates = []
    for name, path in zip(names, paths):
        if Path(path).suffix == ".py":
            candidates.append(_open_adapter(name, Path(path)))
        else:
            model = EmotionModel(path, engine, threads)
            candidates.append(Candidate(name, model.labels, model.predict, model.engine, threads))
    return candidates


def _open_adapter(name: str, path: Path) -> Candidate:
    try:
        defined = runpy.run_path(str(path))
    except FileNotFoundError as error:
        missing = error.filename or path
        raise EdgemoodError(
            f"{path} cannot be loaded: {missing} is not there. Name a file that is."
        ) from error
    except Exception as error:
        raise EdgemoodError(
            f"{path} cannot be loaded: {type(error).__name__}: {' '.join(str(error).split())}. "
            "Mend it (--debug shows where)."
        ) from error
    labels, predict = defined.get("labels"), defined.get("predict")
    if not callable(predict) or isinstance(labels, str) or not labels:
        raise EdgemoodError(
            f"{path} defines no `labels` and `predict`: an adapter was wanted, with label names in "
            "the order of the output and a function from gray uint8 [N, 48, 48] to probabilities. "
            "docs/evaluate.md has an example."
        )
    return Candidate(name, tuple(str(label) for label in labels), predict)
