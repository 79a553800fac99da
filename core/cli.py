"""The command `edgemood`: one table of words, each an edge of a station, imported when called.

A word's module has `HELP`, one line; `EXAMPLES`, command lines; `add_arguments(parser)`; and
`main(args) -> int`, the exit code. It must import anything heavy inside `main`.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence

import edgemood
from edgemood.errors import EdgemoodError

# The only place where core knows the stations.
WORDS = {
    "data": ("edgemood.data_command", "fetch FER-2013, or say what is in a data set"),
    "train": ("edgemood.train.command", "train a network on a data set"),
    "export": ("edgemood.export.command", "turn a trained network into ONNX and TFLite files"),
    "models": ("edgemood.train.models_command", "train and export every network that ships"),
    "run": ("edgemood.runtime.command", "find faces in a camera, video or picture and read them"),
    "evaluate": ("edgemood.benchmarks.evaluate_command", "judge model files on labelled faces"),
    "bench": ("edgemood.benchmarks.bench_command", "measure speed, size and accuracy here"),
    "steadiness": (
        "edgemood.benchmarks.steadiness_command",
        "measure how steady, quick and honest labels are over time",
    ),
    "timeline": ("edgemood.runtime.timeline_command", "draw lines of JSON as emotions over time"),
    "doctor": ("edgemood.runtime.doctor_command", "say what works here, and what to do if not"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one word; returns the exit code. No traceback for what a user can mend."""
    # Whoever started us may have closed one. Nothing else that is opened may then take its place,
    # since libraries write to descriptor 2 whatever lies there.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    # Names of files and classes may hold what a terminal has no letters for.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            return _run(list(sys.argv[1:] if argv is None else argv))
        finally:
            sys.stdout.flush()  # at the program's end, Python would complain of what fails here
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Whoever read our output has gone. Python would complain once more when it flushes.
        _hush()
        return 128 + signal.SIGPIPE if hasattr(signal, "SIGPIPE") else 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _hush()
        print(
            f"edgemood: what it says cannot be written: {error.strerror}. Make room, or send it "
            "elsewhere.",
            file=sys.stderr,
        )
        return 1


def _hush() -> None:
    """Let standard output go nowhere from here on."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(argv: list[str]) -> int:
    parser = _parser(argv)
    args = parser.parse_args(argv)
    if args.word is None:
        parser.print_help()
        return 0
    try:
        return importlib.import_module(WORDS[args.word][0]).main(args)
    except EdgemoodError as error:
        if args.debug:
            traceback.print_exc()
        print(f"edgemood: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        extra = _extra(error.name or "")
        if extra and args.word == "export":
            extra = "train,export,tflite"  # one after the other would be missed, in a minute's work
        if args.debug or extra is None:
            raise
        print(
            f"edgemood: `edgemood {args.word}` needs {error.name}, which is not installed. "
            f"Install it, in Edgemood's folder, with: pip install -e '.[{extra}]'",
            file=sys.stderr,
        )
        return 2
    except ImportError as error:
        # OpenCV's wheel wants libraries that every desktop has and a bare server may not.
        if args.debug or "cannot open shared object file" not in str(error):
            raise
        print(
            f"edgemood: a library of the system is missing: {error}. On Debian, Ubuntu and "
            "Raspberry Pi OS, install it with: sudo apt install libgl1 libglib2.0-0",
            file=sys.stderr,
        )
        return 2


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """All words with their one-line help; arguments only of the word that is used."""
    parser = argparse.ArgumentParser(
        prog="edgemood",
        description=edgemood.__doc__,
        epilog="example: edgemood run demo",
    )
    parser.add_argument("--version", action="version", version=f"edgemood {edgemood.__version__}")
    words = parser.add_subparsers(dest="word", metavar="WORD")
    chosen = next((word for word in argv if not word.startswith("-")), None)
    for word, (module, line) in WORDS.items():
        own = words.add_parser(
            word, help=line, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if word == chosen:
            station = importlib.import_module(module)
            own.description = station.HELP
            own.epilog = "examples:\n" + "\n".join(f"  {line}" for line in station.EXAMPLES)
            station.add_arguments(own)
        own.add_argument(
            "--debug", action="store_true", help="show a traceback with an error message"
        )
    return parser


def _extra(module: str) -> str | None:
    """The extra that installs a module, or None if none does."""
    extras = {
        "tensorflow": "train", "keras": "train", "matplotlib": "train", "rich": "train",
        "kagglehub": "train", "tf2onnx": "export", "onnx": "export", "ai_edge_litert": "tflite",
        "starlette": "serve", "uvicorn": "serve", "websockets": "serve",
    }  # fmt: skip
    return extras.get(module.split(".")[0])


if __name__ == "__main__":
    sys.exit(main())
