"""The word `train`: a recipe and a data set -> a run folder."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "Train a network on labelled face pictures and write a run folder."
EXAMPLES = (
    "edgemood train --data fer2013.csv",
    "edgemood train --recipe nano --data faces/ --epochs 20",
    "edgemood train --recipe face --data faces.zip",
    "edgemood train --resume",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--recipe",
        default="small",
        help="what to train: small (default), nano, teacher or seed; face: the face detector",
    )
    parser.add_argument(
        "--data",
        help="folder of class folders, zip of one, or fer2013.csv (face: faces.zip or its folder); "
        "default EDGEMOOD_DATA",
    )
    parser.add_argument("--epochs", type=int, help="instead of the recipe's number")
    parser.add_argument("--seed", type=int, default=0, help="of everything random; default 0")
    parser.add_argument(
        "--run", type=Path, help="folder to write; default runs/<recipe>, then <recipe>-2, ..."
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="RUN",
        help="begin with what another run of the same network has learnt, of any classes "
        "(face: its weights.npz)",
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        action="append",
        default=[],
        metavar="RUN",
        help="small, nano: learn from this finished run too; may be given more than once",
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="go on with a run that was stopped; default the newest one",
    )


def main(args: argparse.Namespace) -> int:
    from edgemood.console import say
    from edgemood.noise import quiet

    with quiet():
        import keras

        from edgemood.train import runs
        from edgemood.train.detector import runs as detector_runs

        keras.ops.zeros(1)  # the first tensor makes TensorFlow look for devices, aloud

    if args.resume is None and args.recipe == detector_runs.NAME:
        run = detector_runs.start(args.data, args.epochs, args.seed, args.run, args.weights)
    elif args.resume is None:
        run = runs.start(
            args.recipe, args.data, args.epochs, args.seed, args.run, args.teacher, args.weights
        )
    else:
        run = runs.find_unfinished(Path(args.resume) if args.resume else None)
    detector = runs.read_config(run)["name"] == detector_runs.NAME
    try:
        (detector_runs if detector else runs).train(run)
    except KeyboardInterrupt:
        say(f"stopped; every finished epoch is kept. Go on with: edgemood train --resume {run}")
        raise
    return 0
