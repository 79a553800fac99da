"""The library as docs/library.md promises it: its examples run, it is typed, it keeps to itself."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "library.md"
# A block of Python, and the block of text behind it, if there is one: what it prints.
EXAMPLES = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", PAGE.read_text(), re.S)
NEEDS_DETECTOR = ("Pipeline()", "FaceDetector()")


@pytest.mark.parametrize(
    ("code", "prints"),
    [pytest.param(*example, id=f"example {i}") for i, example in enumerate(EXAMPLES, start=1)],
)
def test_an_example_of_the_page_runs_and_prints_what_it_says(
    code: str, prints: str, request: pytest.FixtureRequest
) -> None:
    if any(name in code for name in NEEDS_DETECTOR):
        request.getfixturevalue("detector")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, str(PAGE), "exec"), {})
    assert said.getvalue() == prints


def test_the_page_has_examples_of_every_part() -> None:
    code = "".join(code for code, _ in EXAMPLES)
    for name in ("Pipeline", "FaceDetector", "EmotionModel", "open_source"):
        assert f"{name}(" in code


def test_programs_that_use_the_library_are_checked_by_mypy_in_strict_mode(tmp_path: Path) -> None:
    """The examples pass, and one that takes a number for a text does not."""
    stations = [*(ROOT / "core").iterdir(), *(ROOT / name for name in ("runtime", "models"))]
    package = tmp_path / "types" / "edgemood"
    package.mkdir(parents=True)
    for path in stations:
        (package / path.name).symlink_to(path)
    scripts = []
    for i, (code, _) in enumerate(EXAMPLES):
        scripts.append(tmp_path / f"example_{i}.py")
        scripts[-1].write_text(code)
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from edgemood.runtime import Pipeline, open_source\n"
        "for frame in open_source('demo'):\n"
        "    for reading in Pipeline()(frame.image):\n"
        "        print(reading.track.upper())\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent",
         "--cache-dir", os.devnull, *scripts, wrong],
        cwd=tmp_path,
        env={"MYPYPATH": str(tmp_path / "types"), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert [line.split(": ", 1) for line in done.stdout.splitlines()[:-1]] == [
        ["wrong.py:4", 'error: "int" has no attribute "upper"  [attr-defined]']
    ], done.stdout + done.stderr


ALONE = """
import logging, os, signal, sys, threading
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # the one thing that importing edgemood sets
import cv2, onnxruntime
from ai_edge_litert.interpreter import Interpreter

def state():
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    loggers = [logging.root, *map(logging.getLogger, sorted(logging.root.manager.loggerDict))]
    levels = {logger.name: logger.level for logger in loggers}
    log = getattr(cv2.utils, "logging", cv2)
    return (dict(os.environ), handlers, levels, cv2.getNumThreads(), log.getLogLevel(), os.getcwd(),
            threading.active_count(), sys.path[:], sys.excepthook)

before = state()
from importlib.resources import files
from edgemood.runtime import EmotionModel, FaceDetector, Pipeline, open_source
models = files("edgemood.models")
parts = [EmotionModel(models / name, engine) for name, engine in (
    ("emotion-small.int8.onnx", "onnxruntime"), ("emotion-small.int8.onnx", "opencv"),
    ("emotion-small.int8.tflite", "litert"))]
detector = FaceDetector(sys.argv[1])
with open_source("demo") as source, Pipeline(parts[0], detector) as pipeline:
    pipeline(next(iter(source)).image)
for one, other in zip(before, state()):
    assert one == other, (one, other)
"""


def test_using_the_library_changes_nothing_of_the_program_around_it(detector: str) -> None:
    """No environment variable, signal handler, logger, number of threads, OpenCV's log level."""
    subprocess.run([sys.executable, "-c", ALONE, detector], check=True, timeout=60)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc here")
def test_a_thousand_times_opened_and_closed_leaves_no_thread_file_or_memory(
    detector: str, tmp_path: Path
) -> None:
    """Sources, models, detectors and pipelines, without any help of the garbage collector."""
    picture, clip = tmp_path / "picture.png", tmp_path / "clip.avi"
    image = np.full((480, 640, 3), 90, np.uint8)
    cv2.imwrite(str(picture), image)
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 25, (640, 480))
    for _ in range(5):
        writer.write(image)
    writer.release()
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("cycles.py"), "1000", detector, picture, clip],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    before, after = (json.loads(done.stdout)[name] for name in ("before", "after"))
    assert after["threads"] <= before["threads"]
    assert after["files"] <= before["files"]
    # Allocators go on settling for 6 MB; a picture that stays each time would leave 150 MB.
    assert after["MB"] - before["MB"] < 15
