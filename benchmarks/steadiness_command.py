"""The word `steadiness`: clips and labelled faces -> flicker, reaction, doubt, resting faces."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from edgemood.benchmarks.steadiness import Doubted, Flicker, Rested
    from edgemood.datasets import Dataset
    from edgemood.runtime import EmotionModel, FaceDetector
    from edgemood.values import Reading

HELP = (
    "Measure labels over time: how often they change on clips, how soon they follow a known "
    "change, what is marked as unsure and how right the rest is, and what people's resting faces "
    "change. docs/readings.md says what the figures mean."
)
EXAMPLES = [
    "edgemood steadiness clip.mp4 --data fer2013.csv",
    "edgemood steadiness --model my.onnx --people resting/ --json figures.json",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "clips", nargs="*", metavar="CLIP", help="videos with faces, for the flicker"
    )
    parser.add_argument(
        "--model", metavar="PATH", help="an .onnx or .tflite emotion model (default: shipped)"
    )
    parser.add_argument(
        "--detector", metavar="PATH", help="face detector (default: as for `edgemood run`)"
    )
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="folder, zip or csv of labelled faces (default: EDGEMOOD_DATA)",
    )
    parser.add_argument(
        "--split", metavar="NAME", help="part of the data (default: PublicTest, test or validation)"
    )
    parser.add_argument(
        "--people",
        metavar="PATH",
        help="folder or zip with a folder of face crops for each person at rest",
    )
    parser.add_argument(
        "--steps",
        metavar="N",
        type=int,
        default=30,
        help="known changes into each class (default: 30)",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write all figures as JSON; - for stdout, without tables"
    )


# Pictures that are looked for in frames: the detector takes its time.
PLACED = 300


@dataclass(frozen=True)
class Reacted:
    """Steps into one class, or all: how many were drawn, how many read, seconds to follow them."""

    frames: str
    into: str
    drawn: int
    read: int
    p50: float
    p90: float


def main(args: argparse.Namespace) -> int:
    import cv2
    import numpy as np

    from edgemood.benchmarks import steadiness
    from edgemood.benchmarks.evaluate import Candidate, batched, match_labels
    from edgemood.benchmarks.json_text import json_text
    from edgemood.datasets import open_dataset
    from edgemood.errors import EdgemoodError
    from edgemood.files import require_place, write_text
    from edgemood.runtime import EmotionModel, FaceDetector
    from edgemood.runtime.pipeline import default_model

    if args.steps < 1:
        raise EdgemoodError(f"{args.steps} steps show nothing: --steps 1 or more.")
    require_place(args.json, "--json")
    cv2.setNumThreads(1)
    model = EmotionModel(args.model or default_model())
    part = open_dataset(args.data).split(args.split)
    truth = match_labels(Candidate(model.path.name, model.labels, model.predict), part)
    people = open_dataset(args.people) if args.people else None
    clips = {clip: _watch(clip, model, args.detector) for clip in args.clips}
    pictures = part.images()
    predict = batched(model.predict)
    said = predict(pictures)
    reactions = list(_reactions(model, pictures, truth, said, args.steps))
    doubts = list(_doubts(model, FaceDetector(args.detector), pictures, truth, said))
    rested = None
    if people is not None:
        rested = steadiness.rested(
            model.labels,
            predict(people.images()),
            np.array(people.classes)[people.labels],
            said,
            truth,
        )
    if args.json != "-":
        _print(model, part, clips, reactions, doubts, rested)
    if args.json:
        text = json_text(_figures(model, part, clips, reactions, doubts, rested))
        if args.json == "-":
            print(text, end="")
        else:
            write_text(args.json, text)
    return 0


def _watch(clip: str, model: EmotionModel, detector: str | None) -> tuple[Flicker, Flicker]:
    """What `edgemood run --raw` makes of a clip, and what `edgemood run` does."""
    from edgemood.benchmarks.steadiness import flicker
    from edgemood.errors import EdgemoodError
    from edgemood.runtime import Pipeline, open_source

    found = []
    for raw in (True, False):
        with open_source(clip) as source, Pipeline(model, detector, raw=raw) as pipeline:
            if source.is_pictures or source.is_live:
                raise EdgemoodError(f"{clip} is no video: a video file was wanted.")

            def frames() -> Iterator[tuple[float, Sequence[Reading]]]:
                for frame in source:
                    yield frame.time, pipeline(frame.image, frame.time)

            found.append(flicker(frames()))
    return found[0], found[1]


def _reactions(
    model: EmotionModel, pictures: np.ndarray, truth: np.ndarray, said: np.ndarray, each: int
) -> Iterator[Reacted]:
    """said: the model's probabilities for the pictures."""
    import numpy as np

    from edgemood.benchmarks.steadiness import reaction, steps
    from edgemood.console import track
    from edgemood.runtime.smoothing import Smoother

    # A picture that the model misreads when it stands still makes no step that is read.
    known = said.argmax(axis=1) == truth
    for name, mixed in (("held", False), ("mixed", True)):
        chosen = slice(None) if mixed else known
        shown, labels = pictures[chosen], truth[chosen]
        drawn = steps(model.predict, shown, labels, each, mixed, np.random.default_rng(0))
        count = each * len(np.unique(labels))
        made = list(track(drawn, f"steps of {name} pictures", count))
        for place in (*np.unique(labels).tolist(), None):
            asked = [step for step in made if place in (None, step.after)]
            read = [step for step in asked if step.is_read]
            seconds = np.array([reaction(step, Smoother()) for step in read])
            # An interpolated percentile has no value beside one that was never followed.
            p50, p90 = (
                np.quantile(seconds, (0.5, 0.9), method="higher") if read else (np.nan, np.nan)
            )
            into = "all" if place is None else model.labels[place]
            yield Reacted(name, into, len(asked), len(read), float(p50), float(p90))


def _doubts(
    model: EmotionModel,
    find: FaceDetector,
    pictures: np.ndarray,
    truth: np.ndarray,
    said: np.ndarray,
) -> Iterator[Doubted]:
    """All pictures, then their damaged crops, then some of them as faces of frames.

    said: the model's probabilities for the pictures.
    """
    import numpy as np

    from edgemood.benchmarks.evaluate import batched
    from edgemood.benchmarks.steadiness import CLEAR, WIDTHS, doubted, placed, strengths
    from edgemood.console import track

    predict, bound = batched(model.predict), model.card.unsure_below
    clear = [CLEAR] * len(pictures)
    yield doubted("clean", clear, pictures, said, truth, bound)
    for name, change in track(list(strengths().items()), "damages"):
        crops = change(pictures)
        yield doubted(name, clear, crops, predict(crops), truth, bound)
    some = np.random.default_rng(0).permutation(len(pictures))[:PLACED]
    for width in track(WIDTHS, "face widths"):
        faces, crops, which = placed(find, pictures[some], width)
        yield doubted(f"{width} px", faces, crops, predict(crops), truth[some[which]], bound)


def _figures(
    model: EmotionModel,
    part: Dataset,
    clips: dict[str, tuple[Flicker, Flicker]],
    reactions: list[Reacted],
    doubts: list[Doubted],
    rested: Rested | None,
) -> dict[str, Any]:
    from edgemood.runtime import doubt, neutral, smoothing

    return {
        "schema": 1,
        "model": model.path.name,
        "data": str(part.path),
        "split": str(part.splits[0]),
        "pictures": len(part),
        "settings": {
            "tau": smoothing.TAU,
            "dwell": smoothing.DWELL,
            "smallest": doubt.SMALLEST,
            "furthest": doubt.FURTHEST,
            "darkest": doubt.DARKEST,
            "blurrest": doubt.BLURREST,
            "unsure_below": model.card.unsure_below,
            "margin": neutral.MARGIN,
            "bound": neutral.BOUND,
        },
        "clips": [
            {"clip": clip, "raw": _flicker(raw), "smoothed": _flicker(smoothed)}
            for clip, (raw, smoothed) in clips.items()
        ],
        "reaction": [asdict(each) for each in reactions],
        "doubt": [asdict(each) for each in doubts],
        "rest": None if rested is None else asdict(rested),
    }


def _flicker(found: Flicker) -> dict[str, Any]:
    return {
        "rate": found.rate,
        "changes": found.changes,
        "seconds": found.seconds,
        "readings": found.readings,
        "unsure": dict(found.unsure),
    }


def _print(
    model: EmotionModel,
    part: Dataset,
    clips: dict[str, tuple[Flicker, Flicker]],
    reactions: list[Reacted],
    doubts: list[Doubted],
    rested: Rested | None,
) -> None:
    from edgemood.console import table
    from edgemood.runtime.doubt import LOW_CONFIDENCE, REASONS
    from edgemood.runtime.smoothing import DWELL, TAU

    print(
        f"{model.path.name} on {len(part):,} pictures of {part.path} ({part.splits[0]}); averaged "
        f"over {TAU} s, dwell {DWELL} s"
    )
    if clips:
        print()
        table(
            ["clip", "s with a face", "changes/s raw", "smoothed", *REASONS],
            [
                [
                    Path(clip).name,
                    f"{smoothed.seconds:.1f}",
                    f"{raw.rate:.2f}",
                    f"{smoothed.rate:.2f}",
                    *(f"{smoothed.unsure[r] / max(1, smoothed.readings):.1%}" for r in REASONS),
                ]
                for clip, (raw, smoothed) in clips.items()
            ],
            "Flicker, and share of the readings that is marked",
        )
    print()
    table(
        ["frames", "change into", "drawn", "read", "p50 s", "p90 s"],
        [
            [each.frames, each.into, each.drawn, each.read, f"{each.p50:.2f}", f"{each.p90:.2f}"]
            for each in reactions
        ],
        "Reaction to a known change, of those that the model reads on both sides",
    )
    print()
    pictured = [reason for reason in REASONS if reason != LOW_CONFIDENCE]
    table(
        ["damage", "faces", "accuracy", *pictured, "rest right", LOW_CONFIDENCE, "rest right"],
        [
            [
                each.damage,
                f"{each.faces:,}",
                _share(each.accuracy),
                *(f"{each.marked.get(reason, 0):.1%}" for reason in pictured),
                _share(each.kept),
                f"{each.marked.get(LOW_CONFIDENCE, 0):.1%}",
                _share(each.relied),
            ]
            for each in doubts
        ],
        "Doubt: share of the faces that is marked, accuracy of the rest; px: found in frames",
    )
    if rested is not None:
        print()
        table(
            ["", "without", "with resting face"],
            [
                ["read as angry or sad at rest", f"{rested.before:.1%}", f"{rested.after:.1%}"],
                *(
                    [f"recall of {label}", f"{without:.1%}", f"{shifted:.1%}"]
                    for label, (without, shifted) in rested.recall.items()
                ),
            ],
            f"Resting faces: {rested.pictures} pictures of {rested.people} people",
        )


def _share(value: float) -> str:
    return "-" if value != value else f"{value:.1%}"
