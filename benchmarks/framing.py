"""`python -m edgemood.benchmarks.framing`: does the crop show faces as the data set's pictures do?

Labelled pictures are pasted into frames, and each goes the way of a camera's frame: detector, crop,
network. Printed are the framing that the detector's boxes ask for, fitted on one split, and how
many of it and of another split are read rightly on this way, at the framing on the model's card and
around the fitted one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgemood.benchmarks.evaluate import Candidate, batched, match_labels
from edgemood.console import say, table, track
from edgemood.crop import SIZE, Framing, face_crop
from edgemood.datasets import TRAINING, Dataset, open_dataset
from edgemood.errors import EdgemoodError
from edgemood.runtime import EmotionModel, FaceDetector
from edgemood.runtime.pipeline import default_model
from edgemood.values import Face

FITTED = 5000  # pictures of the split that the framing is fitted on
FRAME = (360, 480)  # height, width, of the frames that pictures are pasted into
SIDES = (90, 240)  # a pasted picture's side, in the frame's pixels
# Framings that are tried: of the fitted scale, and in box widths.
SCALES = (0.94, 0.98, 1.02, 1.06)
SHIFTS = (-0.03, 0.0, 0.03, 0.06)


@dataclass(frozen=True)
class Found:
    """A picture in a frame, and the face that a detector finds in it.

    frame: BGR uint8 [h, w, 3]. corner, side: where the picture lies in it, in pixels. face: None
    where none was found whose centre lies in the middle half of the picture.
    """

    frame: np.ndarray
    corner: tuple[int, int]
    side: int
    face: Face | None

    @property
    def framing(self) -> Framing | None:
        """The one by which this face's crop would be the picture."""
        if self.face is None:
            return None
        _, y, width, height = self.face.box
        below = self.corner[1] + self.side / 2 - (y + height / 2)
        return Framing(self.side / width, below / width)


def pasted(
    picture: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Gray uint8 [48, 48] -> BGR uint8 [*FRAME, 3] with it somewhere, enlarged; (x, y, side).

    Around it, its edges are repeated and fade into gray: there is no border that could be taken
    for a face's, or for one of the picture.
    """
    side = int(rng.integers(SIDES[0], SIDES[1] + 1))
    x, y = (int(rng.integers(0, room - side + 1)) for room in (FRAME[1], FRAME[0]))
    large = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
    frame = cv2.copyMakeBorder(
        large, y, FRAME[0] - side - y, x, FRAME[1] - side - x, cv2.BORDER_REPLICATE
    )
    soft = cv2.blur(frame, (31, 31))
    soft[y : y + side, x : x + side] = large
    return cv2.cvtColor(soft, cv2.COLOR_GRAY2BGR), (x, y, side)


def look(detector: FaceDetector, picture: np.ndarray, rng: np.random.Generator) -> Found:
    """Paste a picture into a frame and find its face there, the most certain one."""
    frame, (x, y, side) = pasted(picture, rng)
    middle = np.array([x, y]) + side / 2
    for face in detector(frame):
        left, top, width, height = face.box
        centre = np.array([left + width / 2, top + height / 2])
        if np.abs(centre - middle).max() <= side / 4:
            return Found(frame, (x, y), side, face)
    return Found(frame, (x, y), side, None)


def looks(detector: FaceDetector, dataset: Dataset, task: str) -> Iterator[Found]:
    """`look` at each picture; where it is pasted hangs on its place in the data set alone."""
    for i, picture in enumerate(track(dataset.images(), task)):
        yield look(detector, picture, np.random.default_rng(i))


def fit(found: Sequence[Framing]) -> tuple[Framing, np.ndarray]:
    """The median framing, and the quartiles of scale and shift, float64 [2, 2]."""
    values = np.array([(each.scale, each.shift) for each in found])
    scale, shift = np.median(values, axis=0).tolist()
    return Framing(scale, shift), np.percentile(values, (25, 75), axis=0).T


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="framing", description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, help="an emotion model (default: shipped)")
    parser.add_argument("--data", metavar="PATH", help="labelled faces (default: EDGEMOOD_DATA)")
    parser.add_argument("--detector", metavar="FILE", help="default: as for `edgemood run`")
    args = parser.parse_args(argv)
    try:
        _report(
            EmotionModel(args.model or default_model()),
            FaceDetector(args.detector),
            open_dataset(args.data),
        )
    except EdgemoodError as error:
        say(f"edgemood: {error}")
        return error.exit_code
    return 0


def _report(model: EmotionModel, detector: FaceDetector, dataset: Dataset) -> None:
    training = dataset.split(TRAINING)
    spread = np.linspace(0, len(training) - 1, min(FITTED, len(training))).astype(int)
    training = training.select(spread)
    fitted = [
        each.framing
        for each in looks(detector, training, "fitting the framing")
        if each.framing is not None
    ]
    if not fitted:
        raise EdgemoodError(
            f"{detector.path} finds none of {len(training)} pictures of faces: pass another file "
            "with --detector."
        )
    framing, quartiles = fit(fitted)
    print(
        f"{detector.path.name} finds {len(fitted) / len(training):.1%} of {len(training):,} "
        f"pictures of {TRAINING}, pasted {SIDES[0]} to {SIDES[1]} px wide into "
        f"{FRAME[1]}x{FRAME[0]}. Framing: scale {framing.scale:.3f} (middle half "
        f"{quartiles[0][0]:.2f} to {quartiles[0][1]:.2f}), shift {framing.shift:+.3f} "
        f"({quartiles[1][0]:+.2f} to {quartiles[1][1]:+.2f}) box widths."
    )

    judged = dataset.split()
    card = model.card.framing
    ways = [card, *(Framing(framing.scale * each, below) for each in SCALES for below in SHIFTS)]
    learnt, shown = (
        _through_frames(model, detector, part, ways, f"from frame to crop, {part.splits[0]}")
        for part in (training, judged)
    )
    print(
        f"{model.path.name} is right on {shown.originals:.1%} of {len(judged):,} pictures of "
        f"{judged.splits[0]}; {shown.share:.1%} of them are found in frames, {shown.found:.1%} of "
        f"these are read rightly as they are ({learnt.found:.1%} of {TRAINING}'s, which it has "
        "learnt from). Read from the frame, these:"
    )
    rows = [
        (
            f"{way.scale:.2f}" + (" (card)" if way is card else ""), f"{way.shift:+.2f}",
            f"{of_learnt:.1%}", f"{of_shown:.1%}", f"{100 * (shown.found - of_shown):+.1f}",
        )
        for way, of_learnt, of_shown in zip(ways, learnt.rights, shown.rights)
    ]  # fmt: skip
    table(("scale", "shift", TRAINING, judged.splits[0], "points lost"), rows)


@dataclass(frozen=True)
class Shares:
    """Shares of labelled pictures.

    originals: read rightly as they are. share: found in frames. found: of these, read rightly as
    they are. rights: of these, read rightly from the frame, for each framing.
    """

    originals: float
    share: float
    found: float
    rights: list[float]


def _through_frames(
    model: EmotionModel, detector: FaceDetector, pictures: Dataset, ways: Sequence[Framing],
    task: str,
) -> Shares:  # fmt: skip
    crops: list[list[np.ndarray]] = [[] for _ in ways]
    hit = np.zeros(len(pictures), bool)
    for i, each in enumerate(looks(detector, pictures, task)):
        if each.face is not None:
            hit[i] = True
            for way, taken in zip(ways, crops):
                taken.append(face_crop(each.frame, each.face.box, way))
    predict = batched(model.predict)
    truth = match_labels(Candidate(model.path.name, model.labels, model.predict), pictures)
    originals = predict(pictures.images()).argmax(axis=1) == truth
    rights = [
        predict(np.array(taken, np.uint8).reshape(-1, SIZE, SIZE)).argmax(axis=1) == truth[hit]
        for taken in crops
    ]
    return Shares(
        float(originals.mean()),
        float(hit.mean()),
        float(originals[hit].mean()) if hit.any() else 0.0,
        [float(right.mean()) if len(right) else 0.0 for right in rights],
    )


if __name__ == "__main__":
    raise SystemExit(main())
