"""A model file -> the same file with one bit flipped, thousands of times, each through our loader.

A process of its own, since an engine may crash on what a loader lets through. It ends with 0 when
each flip was refused in a sentence, or gave a model that answers as the whole one does; a detector
called foreign*, which has no digest, may give any answer. On stdout: how many were refused; in the
file named last: the flip that is being tried.

python flips.py model.onnx 2000 1000 1 current: 2000 flips anywhere, 1000 outside weights, seed 1
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgemood.errors import EdgemoodError
from edgemood.runtime import EmotionModel, FaceDetector, open_source

# What holds weights in both formats is much longer than anything else.
WEIGHTS = 256


def runs_of_weights(data: bytes) -> list[bytes]:
    """What an ONNX or TFLite file holds as weights, constant by constant."""
    if data[4:8] == b"TFL3":
        from ai_edge_litert import schema_py_generated as schema

        buffers = schema.ModelT.InitFromPackedBuf(data).buffers
        return [bytes(each.data) for each in buffers if each.data is not None]
    import onnx

    return [each.raw_data for each in onnx.load_from_string(data).graph.initializer]


def outside_weights(data: bytes) -> np.ndarray:
    """Places of every byte that is not in a long run of weights: header, graph, card."""
    outside = np.ones(len(data), bool)
    for run in runs_of_weights(data):
        if len(run) >= WEIGHTS:
            start = data.index(run)
            outside[start : start + len(run)] = False
    return np.flatnonzero(outside)


def answer(path: Path) -> Callable[[], bytes]:
    """Loads the file and asks it something."""
    if path.name.startswith("emotion"):
        crops = np.random.default_rng(0).integers(0, 256, (4, 48, 48), np.uint8)
        return lambda: EmotionModel(path).predict(crops).tobytes()
    image = next(iter(open_source("demo"))).image
    if path.name.startswith("foreign"):
        # Without a digest, it may say anything.
        return lambda: repr(FaceDetector(path)(image)).encode()[:0]
    return lambda: repr(FaceDetector(path)(image)).encode()


def main(path: Path, anywhere: int, graph: int, seed: int, current: Path) -> None:
    ask = answer(path)
    expected = ask()
    data = path.read_bytes()
    rng = np.random.default_rng(seed)
    places = np.concatenate([rng.integers(0, len(data), anywhere),
                             rng.choice(outside_weights(data), graph)])  # fmt: skip
    refused = 0
    with open(path, "r+b", buffering=0) as file, open(current, "wb", buffering=0) as log:
        for place, bit in zip(places.tolist(), rng.integers(0, 8, len(places)).tolist()):
            os.pwrite(log.fileno(), f"{place:9} {bit}".encode(), 0)
            os.pwrite(file.fileno(), bytes([data[place] ^ 1 << bit]), place)
            try:
                same = ask() == expected
            except EdgemoodError:
                refused += 1
            else:
                assert same, f"bit {bit} of byte {place} gives other answers"
            os.pwrite(file.fileno(), data[place : place + 1], place)
    print(refused)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]), Path(sys.argv[5]))
