"""The word `bench`: model files -> their speed on this machine, beside size and accuracy."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, astuple
from pathlib import Path
from typing import TYPE_CHECKING

from edgemood.errors import EdgemoodError

if TYPE_CHECKING:
    from edgemood.benchmarks.bench import Row

HELP = (
    "Measure emotion models on this machine, in every engine that reads them: milliseconds per "
    "face, and frames per second from a clip through face detector and model."
)
EXAMPLES = [
    "edgemood bench",
    "edgemood bench models/emotion-small.int8.onnx --clip clip.mp4",
    "edgemood bench --threads 4 --json figures.json",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models",
        nargs="*",
        type=Path,
        metavar="MODEL",
        help=".onnx or .tflite files (default: every emotion model in models/)",
    )
    parser.add_argument(
        "--clip",
        default="demo",
        metavar="FILE",
        help="video, or folder of pictures, for frames per second (default: the built-in demo)",
    )
    parser.add_argument(
        "--detector", metavar="FILE", help="face detector (default: as for `edgemood run`)"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of one call (default: 1)")
    parser.add_argument(
        "--json", metavar="FILE", help="write all figures as JSON; - for stdout, without the table"
    )


def main(args: argparse.Namespace) -> int:
    import cv2

    from edgemood.benchmarks import bench
    from edgemood.benchmarks.following import departure
    from edgemood.console import say
    from edgemood.files import write_text
    from edgemood.runtime import FaceDetector

    if args.threads < 1:
        raise EdgemoodError(f"{args.threads} threads can't compute anything: --threads 1 or more.")
    cv2.setNumThreads(args.threads)  # of the detector; an engine is told itself
    models, notes = bench.open_models(args.models or bench.shipped_models(), args.threads)
    detector = None
    try:
        detector = FaceDetector(args.detector)
    except EdgemoodError as error:
        if args.detector:
            raise
        notes.append(f"frames are not measured: {error}")
    frames = bench.frame_costs(models, detector, args.clip) if detector else [None] * len(models)
    rows = [
        bench.Row(model.path.name, model.engine, model.path.stat().st_size, model.card, face, frame)
        for model, face, frame in zip(models, bench.face_latency(models), frames)
    ]
    followed = None
    if detector:
        try:
            followed = departure(args.clip, detector, frames=bench.CLIP_FRAMES)
        except EdgemoodError as error:
            notes.append(f"following is not measured: {error}")
    for note in notes:
        say(note)
    here = bench.machine()
    text = json.dumps(
        {
            "schema": 1,
            "machine": here,
            "threads": args.threads,
            "clip": args.clip,
            "rows": [asdict(row) for row in rows],
            "following": asdict(followed) if followed else None,
        },
        indent=1,
    )
    if args.json == "-":
        print(text)
        return 0
    if args.json:
        write_text(args.json, text + "\n")
    _print(rows, here, args.threads, args.clip)
    if followed:
        print(
            f"followed faces: IoU with those detected in each frame {followed.p50:.2f} (p50), "
            f"{followed.p5:.2f} (p5), {followed.p1:.2f} (p1), for {followed.following:.2f} ms of "
            f"CPU time a frame instead of {followed.detecting:.2f}"
        )
    return 0


def _print(rows: list[Row], here: dict[str, str | int], threads: int, clip: str) -> None:
    from edgemood.console import table

    cpu, cores, system, *_ = here.values()
    versions = ", ".join(f"{name} {here[name]}" for name in list(here)[3:])
    print(f"{cpu}, {cores} cores, {system}")
    print(f"{versions}; {threads} thread{'s' if threads > 1 else ''}; frames of: {clip}")
    table(
        [
            *("model", "engine", "precision", "kB", "parameters", "MMACs", "accuracy*"),
            *("ms/face p50", "p95", "ms/frame p50", "p95", "FPS"),
        ],
        [_cells(row) for row in rows],
    )
    print("* by the file's own card")
    if any(row.frame for row in rows):
        print("milliseconds of CPU time a frame, beyond decoding, and the mean's parts:")
        table(
            ["model", "engine", "p50", "mean", "detect", "track", "crop", "classify", "read"],
            [
                [row.file, row.engine, *(f"{cost:.2f}" for cost in astuple(row.frame)[1:])]
                for row in rows
                if row.frame
            ],
        )


def _cells(row: Row) -> list[str]:
    card, frame = row.card, row.frame
    return [
        row.file,
        row.engine,
        card.precision,
        f"{row.size / 1000:,.0f}",
        "-" if card.parameters is None else f"{card.parameters:,}",
        "-" if card.macs is None else f"{card.macs / 1e6:.1f}",
        _accuracy(card.accuracy),
        f"{row.face.p50:.3f}",
        f"{row.face.p95:.3f}",
        *(
            ["-"] * 3
            if frame is None
            else [
                *(f"{frame.latency.p50:.2f}", f"{frame.latency.p95:.2f}"),
                f"{frame.latency.per_second:.0f}",
            ]
        ),
    ]


def _accuracy(accuracy: dict[str, float]) -> str:
    """Of the split that models are judged on, as `Dataset.split` picks it."""
    from edgemood.datasets import JUDGED

    split = next((name for name in (*JUDGED, *accuracy) if name in accuracy), None)
    return "-" if split is None else f"{accuracy[split]:.1%} {split}"
