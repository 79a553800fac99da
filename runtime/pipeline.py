"""A frame -> readings: the one place where detector, crop, model and tracker meet."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from time import perf_counter

import numpy as np

from edgemood.crop import SIZE, face_crop
from edgemood.errors import EdgemoodError
from edgemood.runtime.engines import EmotionModel
from edgemood.runtime.faces import FaceDetector
from edgemood.runtime.tracking import Tracker
from edgemood.values import Emotion, Face, Reading

DEFAULT_MODEL = "emotion-small.int8.onnx"


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds that each stage took for one frame."""

    detect: float = 0.0
    crop: float = 0.0
    classify: float = 0.0

    @property
    def total(self) -> float:
        return self.detect + self.crop + self.classify


class Pipeline:
    """Finds the faces of a frame, follows them, and reads their expressions.

    model: an emotion model or its file; None: the one that ships with the package.
    detector: a face detector or its file; None: see `find_detector`.
    engine, threads: for a model given by its file, see `EmotionModel`.
    Raises EdgemoodError where one of them can't be had or used.

        with Pipeline() as pipeline:
            for frame in open_source("clip.mp4"):
                for reading in pipeline(frame.image):
                    print(reading.track, reading.emotion.label)
    """

    def __init__(
        self,
        model: EmotionModel | str | os.PathLike[str] | None = None,
        detector: FaceDetector | str | os.PathLike[str] | None = None,
        *,
        engine: str | None = None,
        threads: int = 1,
    ) -> None:
        if not isinstance(model, EmotionModel):
            model = EmotionModel(model or default_model(), engine, threads)
        if not isinstance(detector, FaceDetector):
            detector = FaceDetector(detector)
        self.model = model
        self.detector = detector
        self.timings = Timings()  # of the latest frame
        self._tracker = Tracker()

    def __call__(self, image: np.ndarray) -> list[Reading]:
        """The faces of the next frame, BGR uint8 [H, W, 3] of any size, largest first.

        Raises ValueError for another kind of array, EdgemoodError (exit code 1) where the model
        answers with something else than probabilities.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(
                f"a frame is BGR uint8 [H, W, 3], this is {image.dtype} {list(image.shape)}"
            )
        start = perf_counter()
        faces = sorted(self.detector(image), key=lambda face: -face.box[2] * face.box[3])
        detected = perf_counter()
        crops = np.empty((len(faces), SIZE, SIZE), np.uint8)
        for crop, face in zip(crops, faces):
            crop[:] = face_crop(image, face.box, self.model.card.framing)
        cropped = perf_counter()
        probabilities = self.model.predict(crops)
        self.timings = Timings(detected - start, cropped - detected, perf_counter() - cropped)
        if not np.isfinite(probabilities).all():
            raise EdgemoodError(
                f"{self.model.path} answered with numbers that are not finite: it is damaged or "
                "badly trained. Pass another model.",
                exit_code=1,
            )
        return [
            self._reading(*one) for one in zip(self._tracker(faces), faces, probabilities.tolist())
        ]

    def _reading(self, track: int, face: Face, probabilities: list[float]) -> Reading:
        labels, bound = self.model.labels, self.model.card.unsure_below
        confidence = max(probabilities)
        emotion = Emotion(
            labels[probabilities.index(confidence)], confidence, dict(zip(labels, probabilities))
        )
        unsure = "low confidence" if bound is not None and confidence < bound else None
        return Reading(track, face, emotion, unsure)

    def forget(self) -> None:
        """The next frame shows another scene: its faces get new track numbers."""
        self._tracker.forget()

    def close(self) -> None:
        """Forget every face; networks go with the last reference to them."""
        self.forget()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def default_model() -> Path:
    """The emotion model that ships with the package; raises EdgemoodError if there is none."""
    path = Path(str(files("edgemood.models") / DEFAULT_MODEL))
    if not path.exists():
        raise EdgemoodError(
            f"{path} is not there, though it is the default model: pass one with --model, or make "
            "it with `make train` and `make export`."
        )
    return path
