"""The word `export`: a run folder -> ONNX and TFLite files, each proved equal to the network."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "Turn a trained network into ONNX and TFLite files, float and int8, that answer as it does."
EXAMPLES = [
    "edgemood export",
    "edgemood export runs/small --data fer2013.csv",
    "edgemood export runs/small --output models/",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run",
        nargs="?",
        type=Path,
        metavar="RUN",
        help="folder that `edgemood train` wrote (default: the newest finished one in ./runs)",
    )
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="where the data set lies that the run was trained on (default: where it lay then)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the files to deploy (default: models/; the float .tflite, every file "
        "of the baseline `seed`, and the face detector stay in the run folder)",
    )


def main(args: argparse.Namespace) -> int:
    from edgemood.noise import quiet

    with quiet():
        from edgemood.export import deploy, face_detector
    from edgemood.datasets import by_ferplus, open_dataset
    from edgemood.export.source import is_detector, newest_run, read_source

    run = args.run or newest_run()
    if is_detector(run):
        face_detector.deploy(run, args.output)
    else:
        source = read_source(run)
        dataset = open_dataset(args.data or source.data)
        deploy.deploy(source, by_ferplus(dataset) if source.ferplus else dataset, args.output)
    return 0
