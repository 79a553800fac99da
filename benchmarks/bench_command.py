"""The word `bench`: model files -> their speed on this machine, beside size and accuracy."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgemood.errors import EdgemoodError

if TYPE_CHECKING:
    from edgemood.benchmarks.bench import Accuracy, Results
    from edgemood.benchmarks.bench_report import Section
    from edgemood.benchmarks.following import Departure
    from edgemood.runtime import EmotionModel, FaceDetector

HELP = (
    "Measure emotion models on this machine, in every engine that reads them: milliseconds per "
    "face, memory, and frames per second from a clip through face detector and model. "
    "docs/benchmarks.md says how, and what each column is."
)
EXAMPLES = [
    "edgemood bench",
    "edgemood bench models/emotion-small.int8.onnx --clip clip.mp4",
    "edgemood bench --threads 1,2,4 --json here.json --plots plots/",
    "edgemood bench --compare there.json here.json",
    "edgemood bench --target 15fps --profile pi.json   # then: edgemood run --profile pi.json",
]
# Programs that wanted a core in the last minute before, from which other work is in the figures.
BUSY = 0.5


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
    parser.add_argument(
        "--target",
        metavar="FPS",
        help="plan instead: find what reads best at so many frames a second, such as 15fps",
    )
    parser.add_argument(
        "--cpu",
        metavar="SHARE",
        help="the same for a share of one core, such as 20%%, at the rate of --target or the clip",
    )
    parser.add_argument(
        "--profile",
        metavar="FILE",
        help="where the plan goes, for `edgemood run --profile` (default: profile.json)",
    )
    parser.add_argument(
        "--threads",
        metavar="N",
        help="threads of one call, or several numbers of them, such as 1,2,4 (default: 1)",
    )
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="labelled faces to measure accuracy on (default: EDGEMOOD_DATA or data/; without "
        "either, the accuracy on each model's own card)",
    )
    parser.add_argument(
        "--compare",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="measure nothing: print what --json wrote, and of several files, what changed from "
        "the first to each other",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write all figures and times as JSON; - for stdout alone"
    )
    parser.add_argument(
        "--markdown", metavar="FILE", help="write the tables as Markdown; - for stdout alone"
    )
    parser.add_argument(
        "--plots",
        type=Path,
        metavar="FOLDER",
        help="draw accuracy over latency, stages and distributions into it (needs matplotlib)",
    )


def main(args: argparse.Namespace) -> int:
    if any(option is not None for option in (args.target, args.cpu, args.profile)):
        from edgemood.benchmarks import planner

        return planner.main(args)
    _check(args)
    return _compare(args) if args.compare else _measure(args)


def _check(args: argparse.Namespace) -> None:
    """What can be refused is, before minutes are spent."""
    from edgemood.files import make_folder, require_place

    if args.compare and args.models:
        raise EdgemoodError("--compare measures nothing: leave the models out, or --compare.")
    if args.compare and args.json:
        raise EdgemoodError("--compare writes no JSON, it reads it: leave --json out.")
    if args.compare and args.plots and len(args.compare) > 1:
        raise EdgemoodError("--plots draws one file's figures: --compare that one alone.")
    if args.json == args.markdown == "-":
        raise EdgemoodError(
            "--json - and --markdown - would both be on the standard output: name a file for one."
        )
    for option in ("json", "markdown"):
        require_place(getattr(args, option), f"--{option}")
    if args.plots:
        import matplotlib  # noqa: F401  # says so, where it is not installed

        make_folder(args.plots, "--plots")


# --- measuring ----------------------------------------------------------------------------------


def _measure(args: argparse.Namespace) -> int:
    import cv2

    from edgemood.benchmarks import bench
    from edgemood.benchmarks.bench_file import to_json
    from edgemood.console import say
    from edgemood.files import write_text
    from edgemood.machine import condition
    from edgemood.runtime import FaceDetector

    before = condition()
    models: list[EmotionModel] = []
    notes: list[str] = []
    threads = _threads(args.threads or "1")
    for number in threads:
        opened, left_out = bench.open_models(args.models or bench.shipped_models(), number)
        models += opened
        notes += left_out
    detector = None
    try:
        detector = FaceDetector(args.detector)
        clip = bench.describe(args.clip, detector)
    except EdgemoodError as error:
        if args.detector or detector:
            raise
        clip = None
        notes.append(f"frames are not measured: {error}")
    accuracies = _accuracies(models, args.data, notes)
    if before.load is not None and before.load > BUSY:
        notes.append(f"the load was {before.load} before: other work may be in the figures.")
    for note in dict.fromkeys(notes):
        say(note)
    rows = bench.measure(models, accuracies, detector, args.clip)
    cv2.setNumThreads(threads[0])
    followed = _departure(args.clip, detector) if detector else None
    after = condition()
    if after.throttled or after.throttled_before != before.throttled_before:
        say("the board was throttled meanwhile: cool it, or power it better, and measure again.")
    found = bench.Results(bench.machine(), before, after, bench.METHOD, clip, tuple(rows), followed)
    if args.json == "-":
        print(to_json(found), end="")
    elif args.json:
        write_text(args.json, to_json(found))
    return _show(args, found)


def _threads(text: str) -> list[int]:
    """ "1,2,4" -> [1, 2, 4]."""
    from edgemood.runtime.profile import MOST_THREADS

    parts = text.split(",")
    if not all(part.isdecimal() and 1 <= int(part) <= MOST_THREADS for part in parts):
        raise EdgemoodError(
            f"--threads is {text!r}, whole numbers from 1 to {MOST_THREADS} were wanted: write "
            "--threads 1 or --threads 1,2,4."
        )
    return list(dict.fromkeys(map(int, parts)))


def _accuracies(
    models: Sequence[EmotionModel], data: str | None, notes: list[str]
) -> Sequence[Accuracy | None]:
    """Measured where there is data, else by the models' cards."""
    from edgemood.benchmarks import bench
    from edgemood.datasets import default_path, open_dataset

    if data or default_path():
        try:
            return bench.measured_accuracies(models, open_dataset(data).split())
        except EdgemoodError as error:
            if data:
                raise
            notes.append(f"accuracy is not measured: {error}")
    return [bench.accuracy_by_card(model.card) for model in models]


def _departure(clip: str, detector: FaceDetector) -> Departure | None:
    from edgemood.benchmarks import bench
    from edgemood.benchmarks.following import departure
    from edgemood.console import say

    try:
        return departure(clip, detector, frames=bench.CLIP_FRAMES)
    except EdgemoodError as error:
        say(f"following is not measured: {error}")
        return None


# --- showing ------------------------------------------------------------------------------------


def _show(args: argparse.Namespace, results: Results) -> int:
    """As tables, Markdown and figures, whatever was asked for."""
    from edgemood.benchmarks import bench_report as report

    parts = report.tables(results)
    if args.plots:
        from edgemood.benchmarks import plots

        drawn = report.figures(results)
        for name, figure in drawn.items():
            plots.save(figure, args.plots / name)
        if args.markdown:
            page = Path.cwd() if args.markdown == "-" else Path(args.markdown).parent
            parts = report.with_figures(parts, drawn, os.path.relpath(args.plots, page))
    section = report.heading(results), parts, report.following_line(results) or ""
    return _write(args, {"Benchmark": section})


def _compare(args: argparse.Namespace) -> int:
    from edgemood.benchmarks.bench_file import read_results
    from edgemood.benchmarks.compare import compare

    first, *others = [read_results(path) for path in args.compare]
    if not others:
        return _show(args, first)
    return _write(
        args,
        {
            f"From {args.compare[0]} to {path}": compare(first, other)
            for path, other in zip(args.compare[1:], others)
        },
    )


def _write(args: argparse.Namespace, sections: dict[str, Section]) -> int:
    """sections: by their titles."""
    from edgemood.benchmarks.bench_report import markdown, print_section
    from edgemood.files import write_text

    if args.markdown:
        text = markdown(sections, _command(args))
        if args.markdown == "-":
            print(text, end="")
        else:
            write_text(args.markdown, text)
    if "-" not in (args.json, args.markdown):
        for title, section in sections.items():
            print_section(title if len(sections) > 1 or args.compare else "", section)
    return 0


def _command(args: argparse.Namespace) -> str:
    """The line that makes it again."""
    words = ["edgemood", "bench", *map(str, args.models)]
    if args.compare:
        return shlex.join([*words, "--compare", *map(str, args.compare)])
    for name, usual in (("clip", "demo"), ("detector", None), ("threads", None), ("data", None)):
        if (value := getattr(args, name)) != usual:
            words += [f"--{name}", value]
    return shlex.join(words)
