"""The word `models`: a data set -> every file in models/, by the commands anyone can type."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HELP = """Train and export every network that ships, step by step, from a data set to models/.

Each step is a command that can be typed by itself. A training that has ended is not done again, one
that was stopped goes on where it was; so this can be stopped and called again at any time."""
EXAMPLES = (
    "edgemood models --data fer2013/",
    "edgemood models --list",
    "edgemood models --ladder && edgemood evaluate runs/ladder-*/emotion-*.onnx",
)
# Run folder in --runs -> arguments of `edgemood train`, in this order; {runs} is that folder.
TRAININGS = {
    "teacher": "--recipe teacher",
    "small-first": "--recipe small --teacher {runs}/teacher",
    "small": "--recipe small --teacher {runs}/small-first --teacher {runs}/teacher",
    "nano": "--recipe nano --teacher {runs}/small",
    "face": "--recipe face",
}
# Run folder -> folders in it that are exported.
EXPORTED = {"small": (".", "ferplus"), "nano": (".",), "face": (".",)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="folder with FER-2013 and, for the face detector, faces.zip (default: EDGEMOOD_DATA)",
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="of run folders (runs/)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder for the files (default: models/)"
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--only",
        nargs="+",
        choices=tuple(TRAININGS),
        metavar="NAME",
        help=f"these networks only: {', '.join(TRAININGS)}",
    )
    choice.add_argument(
        "--ladder",
        nargs="*",
        type=int,
        metavar="SEED",
        help="instead, short runs that tell what each part of the nano recipe is worth, one with "
        "each of these seeds (0)",
    )
    parser.add_argument("--list", action="store_true", help="print the commands, run none")


def main(args: argparse.Namespace) -> int:
    from edgemood.console import say, table

    if args.ladder is None and not args.only and not _has_faces(args.data):
        say("edgemood: no faces.zip lies beside the data, so the face detector is left as it is")
    for words in steps(args):
        command = shlex.join(["edgemood", *words])
        if args.list:
            print(command)
            continue
        say(f"\n$ {command}")
        # A process of its own, as if it had been typed: memory is given back after each.
        code = subprocess.run([sys.executable, "-m", "edgemood.cli", *words]).returncode
        if code:
            say(f"edgemood: `{command}` ended with {code}: mend what it says, and go on here.")
            return code
    if not args.list:
        configs = [args.runs / name / "config.json" for name in _trainings(args)]
        runs = [json.loads(config.read_text()) for config in configs]
        table(
            ("network", "epochs", "hours of training"),
            [(run["name"], run["epochs"], f"{run['seconds'] / 3600:.1f}") for run in runs],
        )
    return 0


def steps(args: argparse.Namespace) -> Iterator[list[str]]:
    """The words of each command that is still to be run.

    Asked for one after another, so that each is chosen by what the one before has left.
    """
    data = ["--data", args.data] if args.data else []
    output = ["--output", str(args.output)] if args.output else []
    for name, options in _trainings(args).items():
        folder = args.runs / name
        if not (folder / "config.json").exists():
            words = [word.format(runs=args.runs) for word in options.split()]
            yield ["train", *words, "--run", str(folder), *data]
        elif not (folder / "model.keras").exists():
            yield ["train", "--resume", str(folder)]
        if args.ladder is not None:  # files to compare, not to ship: they stay with their runs
            yield ["export", str(folder), *data, "--output", str(folder)]
        for part in EXPORTED.get(name, ()):
            if (folder / "model.keras").exists() and not (folder / part / "config.json").exists():
                continue  # no votes, no network of them
            yield ["export", str(folder / part), *([] if name == "face" else data), *output]


def _trainings(args: argparse.Namespace) -> dict[str, str]:
    """The runs that were asked for, as in TRAININGS."""
    if args.ladder is None:
        all_here = [name for name in TRAININGS if name != "face" or _has_faces(args.data)]
        return {name: TRAININGS[name] for name in args.only or all_here}
    from edgemood.train.recipes import LADDER

    return {
        name + (f"-{seed}" if seed else ""): f"--recipe {name} --seed {seed}"
        + (" --teacher {runs}/small" if recipe.distill else "")
        for seed in args.ladder or [0]
        for name, recipe in LADDER.items()
    }  # fmt: skip


def _has_faces(data: str | None) -> bool:
    """Whether the folder named as data has what the face detector learns from."""
    from edgemood.train.detector.pictures import ARCHIVE

    folder = data or os.environ.get("EDGEMOOD_DATA")
    return folder is not None and Path(os.path.expanduser(folder), ARCHIVE).is_file()
