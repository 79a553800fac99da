"""`edgemood evaluate`: judge model files on labelled faces."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgemood.benchmarks.evaluate import Evaluation

HELP = (
    "Judge emotion models on labelled faces: accuracy, calibration, robustness to damaged "
    "pictures, slices, agreement. Prints tables and writes a report with plots."
)
EXAMPLES = [
    "edgemood evaluate models/emotion-small.int8.onnx --data fer2013.csv",
    "edgemood evaluate a.onnx b.tflite --data my-faces/ --by 1",
    "edgemood evaluate models/emotion-small.onnx --engine opencv --json - > figures.json",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help=".onnx or .tflite file that explains itself, or a .py adapter (docs/evaluate.md)",
    )
    parser.add_argument(
        "--data", metavar="PATH", help="folder, zip or csv of faces (default: EDGEMOOD_DATA)"
    )
    parser.add_argument(
        "--split", metavar="NAME", help="part of the data (default: PublicTest, test or validation)"
    )
    parser.add_argument(
        "--by",
        action="append",
        default=[],
        metavar="COLUMN",
        help="slice by a csv column, or by the folders at level 1, 2, ...; may be repeated",
    )
    parser.add_argument(
        "--engine",
        choices=("onnxruntime", "opencv", "litert"),
        help="what runs the models (default: ONNX Runtime for .onnx, LiteRT for .tflite)",
    )
    parser.add_argument(
        "--output", metavar="DIR", help="where report.md and plots go (default: reports/MODEL)"
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write all figures as JSON; - for stdout, without tables"
    )


def main(args: argparse.Namespace) -> int:
    from edgemood.benchmarks.evaluate import evaluate, open_candidates
    from edgemood.benchmarks.evaluate_report import heading, report, tables, to_json
    from edgemood.console import say, table
    from edgemood.datasets import open_dataset
    from edgemood.files import require_place, write_text
    from edgemood.machine import cores

    require_place(args.json, "--json")
    candidates = open_candidates(args.models, args.engine, threads=cores())
    dataset = open_dataset(args.data)
    folder = _folder(args)
    evaluation = evaluate(candidates, dataset, args.split, args.by)
    if args.json == "-":
        print(to_json(evaluation), end="")
    else:
        print(heading(evaluation))
        for part in tables(evaluation):
            print()
            table(part.columns, part.rows, part.title)
            if part.note:
                print(part.note)
    plots = _save_figures(evaluation, folder)
    write_text(folder / "report.md", report(evaluation, _command(args), plots))
    say(f"The report is in {folder / 'report.md'}")
    if args.json not in (None, "-"):
        write_text(args.json, to_json(evaluation))
    return 0


def _folder(args: argparse.Namespace) -> Path:
    """Make the report's folder, before the work whose result goes there."""
    from edgemood.files import make_folder

    name = Path(args.models[0]).stem if len(args.models) == 1 else "comparison"
    folder = Path(args.output or Path("reports", name))
    make_folder(folder, "--output")
    return folder


def _save_figures(evaluation: Evaluation, folder: Path) -> bool:
    """Save the plots where matplotlib is installed; returns whether it is."""
    from edgemood.benchmarks.evaluate_report import figures
    from edgemood.console import say

    try:
        from edgemood.benchmarks import plots
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "matplotlib":
            raise
        say(
            "matplotlib is not installed, so the report has no plots. Install it with: "
            "pip install -e '.[train]'"
        )
        return False
    for name, figure in figures(evaluation).items():
        plots.save(figure, folder / name)
    return True


def _command(args: argparse.Namespace) -> str:
    """The line that makes the report again."""
    words = ["edgemood", "evaluate", *args.models]
    for name in ("data", "split", "engine"):
        if value := getattr(args, name):
            words += [f"--{name}", value]
    for name in args.by:
        words += ["--by", name]
    return shlex.join(words)
