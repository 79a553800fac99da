"""Opens, uses and closes parts of the library in turn -> what the process needed, as JSON.

A process of its own, since memory is measured. The garbage collector is off: closing must be
enough, whenever it may come by.

python cycles.py 1000 detector.onnx picture.png clip.mp4
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable
from importlib.resources import files

import numpy as np

from edgemood.benchmarks.soak import Camera, encode
from edgemood.runtime import EmotionModel, FaceDetector, Pipeline, open_source

MODELS = files("edgemood.models")
# The first cycles fill caches and allocators.
WARM = 0.3


def needs() -> dict[str, float]:
    with open("/proc/self/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return {
        "MB": int(lines["VmRSS"].split()[0]) / 1024,
        "threads": int(lines["Threads"]),
        "files": len(os.listdir("/proc/self/fd")),
    }


def cycles(detector: str, picture: str, clip: str, address: str) -> list[Callable[[], object]]:
    """Each opens a part, uses it once, and closes it; what is quick comes more often."""
    model = EmotionModel(MODELS / "emotion-small.int8.onnx")
    finder = FaceDetector(detector)
    with open_source(picture) as source:
        image = next(iter(source)).image

    def read(name: str) -> None:
        with open_source(name) as source:
            next(iter(source))

    def classify(name: str, engine: str) -> None:
        EmotionModel(MODELS / name, engine).predict(np.zeros((1, 48, 48), np.uint8))

    def shared() -> None:
        with Pipeline(model, finder) as pipeline:
            pipeline(image)

    def alone() -> None:
        with Pipeline(detector=detector) as pipeline:
            pipeline(image)

    quick = [lambda: read("demo"), lambda: read(picture), lambda: read(clip), shared]
    return [
        *quick * 13,
        lambda: read(address),
        lambda: classify("emotion-small.int8.onnx", "onnxruntime"),
        lambda: classify("emotion-small.onnx", "opencv"),
        lambda: classify("emotion-small.int8.tflite", "litert"),
        lambda: FaceDetector(detector)(image),
        alone,
    ]


def main(count: int, *paths: str) -> None:
    with Camera(encode("demo"), faults=0.0, seed=0) as camera:
        every = cycles(*paths, camera.address)
        gc.collect()
        gc.disable()
        for i in range(count):
            if i == int(WARM * count):
                before = needs()
            every[i % len(every)]()
    print(json.dumps({"before": before, "after": needs()}))


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
