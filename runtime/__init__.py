"""Frames -> faces -> emotions: the runtime, as a library.

    from edgemood.runtime import Pipeline

    with Pipeline() as pipeline:
        readings = pipeline(image)      # image: BGR uint8 [H, W, 3]

Each name is imported when it is first used: the command needs a few of them and starts fast, and
whoever only classifies crops never loads a video back end.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgemood.runtime.engines import EmotionModel
    from edgemood.runtime.faces import FaceDetector
    from edgemood.runtime.pipeline import Pipeline
    from edgemood.runtime.sources import Source, open_source
    from edgemood.values import Box, Emotion, Face, Frame, Reading

__all__ = [
    "Box",
    "Emotion",
    "EmotionModel",
    "Face",
    "FaceDetector",
    "Frame",
    "Pipeline",
    "Reading",
    "Source",
    "open_source",
]

_HOMES = {
    "EmotionModel": "edgemood.runtime.engines",
    "FaceDetector": "edgemood.runtime.faces",
    "Pipeline": "edgemood.runtime.pipeline",
    "Source": "edgemood.runtime.sources",
    "open_source": "edgemood.runtime.sources",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES.get(name, "edgemood.values")), name)
    globals()[name] = value  # the next use finds it without coming here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
