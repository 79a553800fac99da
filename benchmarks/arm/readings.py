"""Crops, pictures and a clip -> what every shipped model reads in them, as files of lines of JSON.

    python benchmarks/arm/readings.py FOLDER [CLIP [PICTURES]]

It needs an installed Edgemood and nothing else of this repository, since the emulated Arm processor
that it is made for has no more. There a program takes 20 seconds to start, and a look for faces
half a second: so this is one program, in which the models share the looks.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgemood.console import track
from edgemood.runtime import EmotionModel, FaceDetector, Pipeline, open_source
from edgemood.runtime.faces import SIDES, STILL_SIDES
from edgemood.runtime.sinks.lines import json_line
from edgemood.runtime.sources.demo import demo_crops
from edgemood.values import Face, Frame

# Of each of the demo's faces, so many copies in noise of at most so much.
COPIES, NOISE = 10, 40
# Of a clip, every third frame: enough to see each expression of the demo, and near enough to each
# other for faces to be followed.
STRIDE = 3


class SharedLooks(FaceDetector):
    """A detector that several pipelines ask of one frame after another, and that looks once."""

    _image: np.ndarray | None = None

    def __call__(self, image: np.ndarray, *args: Any, **kwargs: Any) -> list[Face]:
        if image is not self._image:
            self._image, self._seen = image, dict[str, list[Face]]()
        key = repr((args, kwargs))
        if key not in self._seen:
            self._seen[key] = super().__call__(image, *args, **kwargs)
        return self._seen[key]


def main(folder: str, clip: str = "demo", pictures: str = "") -> None:
    cv2.setNumThreads(1)
    shipped = sorted(Path(str(files("edgemood.models"))).glob("emotion-*"))
    models = [EmotionModel(path) for path in shipped if path.suffix != ".md"]
    for model in models:
        with open(f"{folder}/{model.path.name}.crops.jsonl", "w") as out:
            for i, row in enumerate(model.predict(noisy_crops())):
                probabilities = dict(zip(model.labels, np.round(row, 4).tolist()))
                emotion = max(probabilities, key=lambda label: probabilities[label])
                face = {"box": [0, 0, 48, 48], "emotion": emotion, "probabilities": probabilities}
                print(json.dumps({"frame": i, "faces": [face]}), file=out)
    for kind, source in (("pictures", pictures), ("clip", clip)):
        if not source:
            continue
        is_clip = kind == "clip"
        stride = STRIDE if is_clip else 1
        detector = SharedLooks(sides=SIDES if is_clip else STILL_SIDES)
        with open_source(source) as opened, ExitStack() as stack:
            outs = [
                stack.enter_context(open(f"{folder}/{model.path.name}.{kind}.jsonl", "w"))
                for model in models
            ]
            pipelines = [
                Pipeline(model, detector, detect_every="auto" if is_clip else 1, raw=True)
                for model in models
            ]
            frames: Iterable[Frame] = islice(opened, None, None, stride)
            for frame in track(frames, kind, opened.count and -(-opened.count // stride)):
                for pipeline, out in zip(pipelines, outs):
                    print(json_line(frame, pipeline(frame.image, frame.time)), file=out)


def noisy_crops() -> np.ndarray:
    """uint8 [COPIES * faces, 48, 48], the same bits on every machine."""
    crops = np.tile(demo_crops().astype(int), (COPIES, 1, 1))
    noise = np.random.default_rng(0).integers(-NOISE, NOISE, crops.shape, endpoint=True)
    return (crops + noise).clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    main(*sys.argv[1:])
