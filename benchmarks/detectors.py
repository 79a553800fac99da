"""`python -m edgemood.benchmarks.detectors FIRST SECOND [CLIP ...]`: two face detectors compared.

Printed are what a look of each takes, in turns and in one thread, in every engine that runs its
file; the ratio of these times to the second's in OpenCV; and which of the faces that the second
finds in the clips at the larger of two sizes are found by the first, and by the second itself at
the smaller.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgemood.benchmarks.bench import machine, open_clip, short_digest
from edgemood.benchmarks.bench_report import Section, print_section
from edgemood.benchmarks.evaluate_report import Table
from edgemood.benchmarks.json_text import json_text
from edgemood.benchmarks.timing import (
    MOST,
    Samples,
    median_interval,
    narrow_within,
    take_turns,
    time_calls,
)
from edgemood.console import say, track
from edgemood.detection import WIDTHS, Finding, find
from edgemood.errors import EdgemoodError
from edgemood.files import require_place, write_text
from edgemood.machine import cores, processor
from edgemood.runtime import FaceDetector
from edgemood.runtime.faces import ENGINES
from edgemood.values import Face

OPENCV = ENGINES[0]
# Width and height of the network's input. What the second finds at the last is to be found.
SIZES = ((160, 128), (320, 256))
# Frames of each clip, evenly taken; looks of a round, at as many of those frames; and the seconds
# after which rounds end although a median is not known narrowly.
FRAMES, CALLS, SECONDS = 200, 20, 15.0


@dataclass(frozen=True, eq=False)
class Looker:
    """A detector at one of SIZES. name: "first" or "second"."""

    name: str
    size: tuple[int, int]
    detector: FaceDetector

    @property
    def engine(self) -> str:
        return self.detector.engine

    @property
    def about(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"detector": self.name, "engine": self.engine, "size": self.size}


@dataclass(frozen=True, eq=False)
class Comparison:
    """looks: of every looker, in turns. found: clip -> what each that runs in OpenCV finds of the
    last one's faces, the last left out.
    """

    looks: list[tuple[Looker, Samples]]
    found: dict[str, list[tuple[Looker, Finding]]]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="detectors", description=__doc__)
    add = parser.add_argument
    add("first", type=Path, metavar="FIRST", help="an .onnx face detector, such as face.onnx")
    add("second", type=Path, metavar="SECOND", help="another, such as YuNet's own file")
    add("clips", nargs="*", default=["demo"], metavar="CLIP",
        help="videos or folders of pictures (default: the built-in demo)")  # fmt: skip
    add("--json", metavar="FILE", help="write all figures and times as JSON; - for stdout alone")
    args = parser.parse_args(argv)
    try:
        require_place(args.json, "--json")
        lookers = open_lookers("first", args.first) + open_lookers("second", args.second)
        compared = compare(lookers, args.clips)
        if args.json != "-":
            print_section("", section(compared))
        if args.json == "-":
            print(to_json(compared), end="")
        elif args.json:
            write_text(args.json, to_json(compared))
    except EdgemoodError as error:
        say(f"edgemood: {error}")
        return error.exit_code
    return 0


# --- measuring ----------------------------------------------------------------------------------


def open_lookers(name: str, path: Path) -> list[Looker]:
    """A file in every engine that runs it, at every size; says where another engine does not.

    Raises EdgemoodError for a file that is no face detector.
    """
    lookers: list[Looker] = []
    for engine in ENGINES:
        try:
            lookers += [Looker(name, size, FaceDetector(path, size[:1], engine)) for size in SIZES]
        except EdgemoodError as error:
            if engine == OPENCV:
                raise
            say(f"the {name} is not measured in {engine}: {error}")
    return lookers


def compare(lookers: Sequence[Looker], clips: Sequence[str]) -> Comparison:
    """Raises EdgemoodError where a clip can't be opened, or is a camera."""
    cv2.setNumThreads(1)
    in_opencv = [looker for looker in lookers if looker.engine == OPENCV]
    found: dict[str, list[tuple[Looker, Finding]]] = {}
    shown: list[np.ndarray] = []
    for clip in clips:
        findings, frames = find_in(clip, in_opencv)
        found[clip] = findings
        shown += frames[:: -(-len(frames) // CALLS)]  # no more than CALLS of each clip
    return Comparison(time_looks(lookers, shown), found)


def find_in(
    clip: str, lookers: Sequence[Looker]
) -> tuple[list[tuple[Looker, Finding]], list[np.ndarray]]:
    """What each but the last finds of the last one's faces; and the frames, of the larger size."""
    rows: list[list[np.ndarray]] = [[] for _ in lookers]
    shown = []
    width = SIZES[-1][0]
    for picture in track(pictures(clip), f"looking at {Path(clip).name}"):
        shown.append(cv2.resize(picture, SIZES[-1]))
        for looker, found in zip(lookers, rows):
            found.append(rows_of(looker.detector(picture), width / picture.shape[1]))
    return [
        (looker, find(each, rows[-1], width)) for looker, each in zip(lookers[:-1], rows)
    ], shown


def pictures(clip: str) -> Iterator[np.ndarray]:
    """Frames of a clip, evenly taken, with black below or beside them to be of SIZES' shape."""
    width, height = SIZES[0]
    with open_clip(clip) as source:
        step = max(1, (source.count or FRAMES) // FRAMES)
        for frame in islice(source, 0, FRAMES * step, step):
            rows, columns = frame.image.shape[:2]
            below = max(0, round(columns * height / width) - rows)
            beside = max(0, round(rows * width / height) - columns)
            yield cv2.copyMakeBorder(frame.image, 0, below, 0, beside, cv2.BORDER_CONSTANT)


def rows_of(faces: Sequence[Face], scale: float) -> np.ndarray:
    """Box and landmarks of each in so many times its pixels, and its score; float64 [n, 15]."""
    rows = np.array([(*face.box, *face.landmarks.ravel(), face.score) for face in faces])
    rows = rows.reshape(-1, 15)
    rows[:, :14] *= scale
    return rows


def time_looks(
    lookers: Sequence[Looker], shown: Sequence[np.ndarray]
) -> list[tuple[Looker, Samples]]:
    """Of each, in turns. shown: BGR uint8 of the larger size, of which CALLS are looked at."""
    some = [shown[i] for i in np.linspace(0, len(shown) - 1, CALLS).astype(int)]
    at = {size: [cv2.resize(picture, size) for picture in some] for size in SIZES}
    turns = [partial(time_calls, looker.detector, at[looker.size]) for looker in lookers]
    rounds = track(iter(range(MOST)), "timing looks")
    taken = take_turns(turns, rounds, narrow_within(SECONDS))
    return [(looker, Samples.of(seconds)) for looker, seconds in zip(lookers, taken)]


def ratios(looks: Samples, to: Samples) -> np.ndarray:
    """Of the medians in each round, in which both had their turns; float64 [rounds]."""
    return np.median(looks.rounds, axis=1) / np.median(to.rounds, axis=1)


def pooled(findings: Sequence[Finding]) -> Finding:
    """Of several clips together."""
    return Finding(
        np.concatenate([each.widths for each in findings]),
        np.concatenate([each.overlaps for each in findings]),
        np.concatenate([each.distances for each in findings]),
        sum(each.frames for each in findings),
        sum(each.extra for each in findings),
    )


# --- showing ------------------------------------------------------------------------------------


def section(compared: Comparison) -> Section:
    """As tables; of every clip by itself, and of all where there are several."""
    files = {looker.name: looker.detector.path.name for looker, _ in compared.looks}
    lines = [
        f"{processor()}, {cores()} cores, one thread",
        ", ".join(f"{name}: {file}" for name, file in files.items()),
    ]
    tables = [_looks(compared.looks)]
    for i, (looker, _) in enumerate(next(iter(compared.found.values()))):
        shown = [(Path(clip).name, each[i][1]) for clip, each in compared.found.items()]
        if len(shown) > 1:
            shown.append(("all", pooled([finding for _, finding in shown])))
        tables.append(
            Table(
                f"The {looker.name} at {_named(looker.size)}: faces that the second finds at "
                f"{_named(SIZES[-1])}",
                [
                    *("clip", "found", *(f"1/{round(1 / width)}" for width in WIDTHS[:-1])),
                    *("IoU", "landmarks", "extra/200"),
                ],
                [_found(clip, finding) for clip, finding in shown],
            )
        )
    last = (
        "1/24: faces so wide, as a share of the frame, or wider, up to the next column. IoU: "
        "median of those found; landmarks: median distance, in box widths. extra/200: faces found "
        f"where the second finds none at {_named(SIZES[-1])}, in 200 frames."
    )
    return lines, tables, last


def _looks(found: Sequence[tuple[Looker, Samples]]) -> Table:
    second = {
        looker.size: looks
        for looker, looks in found
        if (looker.name, looker.engine) == ("second", OPENCV)
    }
    rows = []
    for looker, looks in found:
        ratio = ratios(looks, second[looker.size])
        low, high = median_interval(ratio)
        rows.append(
            [
                looker.name,
                looker.engine,
                _named(looker.size),
                f"{looks.p50:.3f}",
                f"{looks.spread:.1%}",
                f"{np.median(ratio):.2f} ({low:.2f} to {high:.2f})",
            ]
        )
    return Table(
        "Milliseconds of a look",
        ["detector", "engine", "input", "p50", "±", f"of the second's in {OPENCV}"],
        rows,
        f"±: half the 95 % interval of the median, after {len(ratio)} rounds of {CALLS} looks. The "
        "last column: median of the rounds' ratios, and its interval.",
    )


def _found(clip: str, finding: Finding) -> list[str]:
    counts = zip(finding.found, finding.wanted)
    return [
        clip,
        f"{finding.recall(0):.1%}" if len(finding.widths) else "-",
        *(f"{hit}/{wanted}" if wanted else "-" for hit, wanted in counts),
        *((f"{finding.overlap:.2f}", f"{finding.distance:.1%}") if finding.hit.any() else "--"),
        f"{finding.extra_per_200:.1f}",
    ]


def _named(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def to_json(compared: Comparison) -> str:
    """Every time and every face: all that `section` says is computed from these."""
    paths = {looker.name: looker.detector.path for looker, _ in compared.looks}
    return json_text(
        {
            "kind": "edgemood detectors",
            "schema": 1,
            "machine": machine(),
            "detectors": {
                name: {"file": path.name, "sha256": short_digest(path.read_bytes())}
                for name, path in paths.items()
            },
            "looks": [
                looker.about | {"rounds": looks.rounds.tolist()} for looker, looks in compared.looks
            ],
            "found": [
                looker.about
                | {
                    "clip": Path(clip).name,
                    "frames": finding.frames,
                    "extra": finding.extra,
                    "widths": finding.widths.tolist(),
                    "overlaps": finding.overlaps.tolist(),
                    "distances": finding.distances.tolist(),
                }
                for clip, findings in compared.found.items()
                for looker, finding in findings
            ],
        }
    )


if __name__ == "__main__":
    sys.exit(main())
