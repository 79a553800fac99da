"""The word `export`: a run folder or a Keras file -> model files, each proved equal to it."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "Turn a trained network into ONNX and TFLite files, float and int8, that answer as it does."
EXAMPLES = [
    "edgemood export",
    "edgemood export runs/small --data fer2013.csv",
    "edgemood export runs/small --output models/",
    "edgemood export theirs.keras --labels happy,sad --pixels 0..1 --data faces/",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run",
        nargs="?",
        type=Path,
        metavar="RUN",
        help="folder that `edgemood train` wrote (default: the newest finished one in ./runs), or "
        "a Keras file of any making, with --labels and --pixels",
    )
    parser.add_argument(
        "--labels",
        metavar="A,B,...",
        type=lambda text: tuple(name.strip() for name in text.split(",")),
        help="of a Keras file: what its outputs stand for, in their order",
    )
    parser.add_argument(
        "--pixels",
        choices=("0..255", "0..1", "-1..1"),
        help="of a Keras file: what it was trained on",
    )
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="where the data set lies that the run was trained on (default: where it lay then); "
        "for a Keras file: labelled faces with train/ and test/ (default: EDGEMOOD_DATA)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the files to deploy (default: models/; the float .tflite and every "
        "file of the baseline `seed` stay in the run folder)",
    )


def main(args: argparse.Namespace) -> int:
    from edgemood.noise import quiet

    with quiet():
        from edgemood.export import deploy, face_detector
    from edgemood.datasets import by_ferplus, open_dataset
    from edgemood.export.keras_file import read_keras_file
    from edgemood.export.source import is_detector, newest_run, read_source

    run = args.run or newest_run()
    if args.labels or args.pixels or run.is_file():
        dataset = open_dataset(args.data)
        deploy.deploy(*read_keras_file(run, args.labels, args.pixels, dataset), args.output)
    elif is_detector(run):
        face_detector.deploy(run, args.output)
    else:
        source = read_source(run)
        dataset = open_dataset(args.data or source.data)
        deploy.deploy(source, by_ferplus(dataset) if source.ferplus else dataset, args.output)
    return 0
