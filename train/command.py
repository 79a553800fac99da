"""The word `train`: a recipe and a data set -> a run folder."""

from __future__ import annotations

import argparse
import shlex
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
        help="what to train: small (default), nano, teacher or seed; face: the face detector",
    )
    parser.add_argument(
        "--data",
        help="folder of class folders, zip of one, or fer2013.csv (face: faces.zip or its folder); "
        "default EDGEMOOD_DATA",
    )
    parser.add_argument("--epochs", type=int, help="instead of the recipe's number")
    parser.add_argument("--seed", type=int, help="of everything random; default 0")
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
        metavar="RUN",
        help="small, nano: learn from this finished run too; may be given more than once",
    )
    parser.add_argument(
        "--bfloat16",
        action="store_true",
        default=None,
        help="small, teacher, seed: compute in it, in half the time on a processor with AMX and in "
        "twice the time on one without",
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="go on with a run that was stopped, as it was started; default the newest one",
    )


def main(args: argparse.Namespace) -> int:
    from edgemood.console import say
    from edgemood.errors import EdgemoodError
    from edgemood.noise import quiet

    with quiet():
        import keras

        from edgemood.train import runs
        from edgemood.train.detector import runs as detector_runs

        keras.ops.zeros(1)  # the first tensor makes TensorFlow look for devices, aloud

    recipe, seed, teachers = args.recipe or "small", args.seed or 0, args.teacher or []
    if args.resume is not None:
        names = ("recipe", "data", "epochs", "seed", "run", "weights", "teacher", "bfloat16")
        given = [f"--{name}" for name in names if getattr(args, name) is not None]
        if given:
            raise EdgemoodError(
                f"--resume goes on with a run as it was started, {given[0]} would change it. Leave "
                f"{given[0]} out, or start a new run without --resume."
            )
        run = runs.find_unfinished(Path(args.resume) if args.resume else None)
    elif recipe != detector_runs.NAME:
        run = runs.start(
            recipe, args.data, args.epochs, seed, args.run, teachers, args.weights,
            bool(args.bfloat16),
        )  # fmt: skip
    elif teachers:
        raise EdgemoodError(f"recipe '{recipe}' learns from no teacher. Leave --teacher out.")
    elif args.bfloat16:
        raise EdgemoodError(
            f"recipe '{recipe}' takes longer in bfloat16, its layers are narrow. Leave --bfloat16 "
            "out."
        )
    else:
        run = detector_runs.start(args.data, args.epochs, seed, args.run, args.weights)
    detector = runs.read_config(run)["name"] == detector_runs.NAME
    try:
        (detector_runs if detector else runs).train(run)
    except KeyboardInterrupt:
        say(
            "stopped; every finished epoch is kept. Go on with: edgemood train --resume "
            f"{shlex.quote(str(run))}"
        )
        raise
    return 0
