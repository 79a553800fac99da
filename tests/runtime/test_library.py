"""The library as docs/library.md promises it: it keeps to itself and leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

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
