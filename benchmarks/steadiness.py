"""Readings over time, labelled faces, people at rest -> how steady, quick and honest labels are.

What smoothing, doubt and resting faces do (`edgemood.runtime`), measured with the settings that
`edgemood run` has. Smoothing alone proves nothing: a label that never changes does not flicker. So
flicker on clips stands beside the time it takes to follow a change that is known to be one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from edgemood import damage
from edgemood.crop import FER2013, SIZE, face_crop
from edgemood.runtime.doubt import LOW_CONFIDENCE, REASONS, doubt
from edgemood.runtime.engines import Predict
from edgemood.runtime.neutral import neutral_place, resting
from edgemood.runtime.smoothing import Smoother, logits
from edgemood.values import Face, Reading

# What a resting face is complained of being read as.
COMPLAINTS = ("angry", "sad")


# --- flicker ------------------------------------------------------------------------------------


@dataclass
class Flicker:
    """What a clip's readings do. seconds: that faces were in view, each counted by itself."""

    changes: int = 0
    seconds: float = 0.0
    readings: int = 0
    unsure: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def rate(self) -> float:
        """Label changes a second; nan where no face was in view for longer than a frame."""
        return self.changes / self.seconds if self.seconds else math.nan


def flicker(frames: Iterable[tuple[float, Sequence[Reading]]]) -> Flicker:
    """Count over (time in seconds, readings) of every frame, a track at a time."""
    found = Flicker()
    last: dict[int, tuple[float, str]] = {}
    for time, readings in frames:
        for reading in readings:
            label = reading.emotion.label
            before = last.get(reading.track)
            if before is not None:
                found.seconds += time - before[0]
                found.changes += label != before[1]
            last[reading.track] = (time, label)
            found.readings += 1
            if reading.unsure:
                found.unsure[reading.unsure] += 1
    return found


# --- reaction -----------------------------------------------------------------------------------

FPS = 30.0
HOLD = 1.5  # seconds that each expression is shown before and after a step
PICTURES = 6  # of a class that take turns where it is not one picture that is held


@dataclass(frozen=True)
class Step:
    """A change from one class to another, as the model reads it.

    before, after: places of the two classes. probabilities: float32 [2 * n, classes], the first n
    frames of the one, the others of the other. times: [2 * n] seconds, the change at 0.
    """

    before: int
    after: int
    probabilities: np.ndarray
    times: np.ndarray

    @property
    def is_read(self) -> bool:
        """The model's mean answer to each side is right: else there is nothing to react to."""
        half = len(self.times) // 2
        sides = self.probabilities[:half], self.probabilities[half:]
        return [side.mean(axis=0).argmax() for side in sides] == [self.before, self.after]


def steps(
    predict: Predict,
    pictures: np.ndarray,
    labels: np.ndarray,
    each: int,
    mixed: bool,
    rng: np.random.Generator,
) -> Iterator[Step]:
    """Steps into each class from any other, `each` of them, of labelled pictures; of one class,
    none.

    predict: gray uint8 [N, 48, 48] -> probabilities. pictures: such, [N, 48, 48]; labels: [N].
    mixed: every frame shows one of six pictures of its class, by chance: other people, other
    light, wrong labels. Otherwise one picture is held, as a face holds an expression. Either way
    no two frames are alike (see `jittered`).
    """
    classes = np.unique(labels)
    if len(classes) < 2:
        return
    half = round(HOLD * FPS)
    times = (np.arange(2 * half) - half) / FPS
    for after in np.repeat(classes, each):
        before = rng.choice(classes[classes != after])
        shown = []
        for label in (before, after):
            chosen = rng.choice(np.flatnonzero(labels == label), PICTURES if mixed else 1)
            shown.append(rng.choice(chosen, half))
        yield Step(
            int(before), int(after), predict(jittered(pictures[np.concatenate(shown)], rng)), times
        )


def jittered(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a webcam and a detector add from frame to frame to faces, gray uint8 [N, 48, 48].

    Normal, with a deviation of 0.6 pixels in place, 1.5 % in size, 1 degree, 3 % in light, and 2
    gray levels of noise.
    """
    out = np.empty_like(pictures)
    middle = ((SIZE - 1) / 2, (SIZE - 1) / 2)
    for place, picture in zip(out, pictures):
        matrix: np.ndarray = cv2.getRotationMatrix2D(
            middle, rng.normal(0, 1), 1 + rng.normal(0, 0.015)
        )
        matrix[:, 2] += rng.normal(0, 0.6, 2)
        moved = cv2.warpAffine(picture, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
        lit = moved * (1 + rng.normal(0, 0.03)) + rng.normal(0, 2, moved.shape)
        place[:] = np.clip(np.rint(lit), 0, 255)
    return out


def reaction(step: Step, smoother: Smoother) -> float:
    """Seconds from the step until the label is the new class; inf where it never is."""
    for values, time in zip(step.probabilities.tolist(), step.times.tolist()):
        place, _ = smoother(logits(values), time)
        if time >= 0 and place == step.after:
            return float(time)
    return math.inf


# --- doubt --------------------------------------------------------------------------------------

# Faces of these widths in pixels are looked for in frames.
WIDTHS = (100, 48, 32, 24)
FRAME = 640  # pixels, each side
# Where a damaged crop comes from a face that is large and seen from the front.
CLEAR = Face(
    (0, 0, 100, 100),
    1.0,
    np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32),
)


@dataclass(frozen=True)
class Doubted:
    """What becomes of one damage of one strength.

    faces: how many. accuracy: of all. marked: reason -> share of them. kept: accuracy of those
    without a mark of the picture's; relied: without any, low confidence included; nan where
    nothing is left.
    """

    damage: str
    faces: int
    accuracy: float
    marked: dict[str, float]
    kept: float
    relied: float


def doubted(
    damage: str,
    faces: Sequence[Face],
    crops: np.ndarray,
    probabilities: np.ndarray,
    truth: np.ndarray,
    bound: float | None,
) -> Doubted:
    """One damage's figures, of what a model says of N faces.

    crops: gray uint8 [N, 48, 48]. probabilities: [N, classes]. truth: int64 [N]. bound: the model's
    confidence under which a label is marked, or None.
    """
    right = probabilities.argmax(axis=1) == truth
    reasons = [doubt(face, crop) for face, crop in zip(faces, crops)]
    if bound is not None:
        timid = probabilities.max(axis=1) < bound
        reasons = [LOW_CONFIDENCE if r is None and low else r for r, low in zip(reasons, timid)]
    seen = np.array([reason in (None, LOW_CONFIDENCE) for reason in reasons], bool)
    sure = np.array([reason is None for reason in reasons], bool)
    return Doubted(
        damage,
        len(crops),
        _mean(right),
        {reason: reasons.count(reason) / len(reasons) for reason in REASONS if reason in reasons},
        _mean(right[seen]),
        _mean(right[sure]),
    )


def strengths() -> dict[str, damage.Damage]:
    """Damages that grow, beside the usual suite: what the bounds of doubt were read off."""

    def night(factor: float) -> damage.Damage:
        # A sensor's noise does not fade with the light.
        return lambda images: damage.noise(
            damage.dark(images, factor), np.random.default_rng(0), 2.0
        )

    def blur(sigma: float) -> damage.Damage:
        return lambda images: damage.blur(images, sigma)

    return (
        damage.suite()
        | {f"light x{factor}": night(factor) for factor in (0.2, 0.12, 0.08)}
        | {f"blur {sigma}": blur(sigma) for sigma in (1.0, 2.0, 2.5, 3.0)}
    )


def placed(
    find: Callable[[np.ndarray], list[Face]], pictures: np.ndarray, width: int
) -> tuple[list[Face], np.ndarray, np.ndarray]:
    """Faces of this width in pixels, found in gray frames of 640x640 pixels and cropped.

    find: a face detector. pictures: gray uint8 [N, 48, 48], framed as FER-2013's are. Returns the
    faces found, their crops uint8 [n, 48, 48], and which pictures they are of, [n].
    """
    side = round(width * FER2013.scale)
    start = (FRAME - side) // 2
    frame = np.full((FRAME, FRAME, 3), 127, np.uint8)
    method = cv2.INTER_AREA if side < SIZE else cv2.INTER_CUBIC
    faces, crops, which = [], [], []
    for i, picture in enumerate(pictures):
        scaled = cv2.resize(picture, (side, side), interpolation=method)
        frame[start : start + side, start : start + side] = scaled[:, :, None]
        found = find(frame)
        if found:
            faces.append(found[0])
            crops.append(face_crop(frame, found[0].box))
            which.append(i)
    return faces, np.array(crops, np.uint8).reshape(-1, SIZE, SIZE), np.array(which, np.int64)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan


# --- resting faces ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rested:
    """What taking people's resting faces changes.

    pictures: at rest, of so many people. before, after: share of them read as angry or sad.
    recall: label -> recall on labelled pictures, without and with the shifts of all these people.
    """

    people: int
    pictures: int
    before: float
    after: float
    recall: dict[str, tuple[float, float]]


def rested(
    labels: tuple[str, ...],
    faces: np.ndarray,
    people: np.ndarray,
    others: np.ndarray,
    truth: np.ndarray,
) -> Rested:
    """Each person's pictures but one are the resting face, and the one is read; all in turn.

    faces: probabilities [N, classes] of resting faces; people: whose, [N], at least two pictures
    each to count. others: probabilities [M, classes] of labelled pictures of other people, who
    are shifted by these people's resting faces: a person's own sad face would carry that person's
    offset, and lose less. truth: int64 [M].
    Raises EdgemoodError where there is no label "neutral".
    """
    neutral_place(labels)
    complaints = [labels.index(label) for label in COMPLAINTS if label in labels]
    shown = {place: others[truth == place] for place in complaints}
    before, after, whose = [], [], set()
    recalls: dict[int, list[float]] = {place: [] for place in complaints}
    for i, person in enumerate(people):
        rest = np.flatnonzero(people == person)
        rest = rest[rest != i]
        if not len(rest):
            continue
        neutral = resting(labels, faces[rest])
        before.append(int(faces[i].argmax()) in complaints)
        after.append(int(neutral(faces[i]).argmax()) in complaints)
        for place, pictures in shown.items():
            recalls[place].append(_mean(neutral(pictures).argmax(axis=1) == place))
        whose.add(person)
    return Rested(
        len(whose),
        len(before),
        _mean(np.array(before)),
        _mean(np.array(after)),
        {
            labels[place]: (
                _mean(pictures.argmax(axis=1) == place),
                _mean(np.array(recalls[place])),
            )
            for place, pictures in shown.items()
        },
    )
