"""A frame -> readings: the one place where detector, tracks, crop, model and reader meet."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import astuple, dataclass
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from edgemood.crop import SIZE, face_crop
from edgemood.errors import EdgemoodError
from edgemood.runtime.engines import EmotionModel
from edgemood.runtime.faces import FaceDetector, require_frame
from edgemood.runtime.following import Every, Follower, Glimpse
from edgemood.runtime.neutral import load_neutral
from edgemood.runtime.reader import Done, Reader
from edgemood.values import Face, Reading

DEFAULT_MODEL = "emotion-small.int8.onnx"


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds that each stage took for one frame; nothing for one that repeats the last."""

    detect: float = 0.0
    track: float = 0.0
    crop: float = 0.0
    classify: float = 0.0
    read: float = 0.0

    @property
    def total(self) -> float:
        return sum(astuple(self))


class Pipeline:
    """Finds the faces of a frame, follows them, and reads their expressions.

    model: an emotion model or its file; None: the one that ships with the package.
    detector: a face detector or its file; None: see `find_detector`.
    engine, threads: for a model given by its file, see `EmotionModel`.
    detect_every: look for faces in every n-th frame and follow them in between; "auto": as seldom
    as a new face is still noticed within 0.3 s (see docs/tracking.md).
    raw: readings are what the model says of a single frame, neither smoothed nor shifted.
    neutral: a file with the resting face of whoever will be seen, as `Neutral.save` writes it.
    Raises EdgemoodError where one of them can't be had or used.

        with Pipeline() as pipeline:
            for frame in open_source("clip.mp4"):
                for reading in pipeline(frame.image, frame.time):
                    print(reading.track, reading.emotion.label)
    """

    def __init__(
        self,
        model: EmotionModel | str | os.PathLike[str] | None = None,
        detector: FaceDetector | str | os.PathLike[str] | None = None,
        *,
        engine: str | None = None,
        threads: int = 1,
        detect_every: Every = "auto",
        raw: bool = False,
        neutral: str | os.PathLike[str] | None = None,
    ) -> None:
        if not isinstance(model, EmotionModel):
            model = EmotionModel(model or default_model(), engine, threads)
        if not isinstance(detector, FaceDetector):
            detector = FaceDetector(detector)
        self.model = model
        self.detector = detector
        labels = model.labels
        self.reader = Reader(
            labels, model.card.unsure_below, raw, load_neutral(neutral, labels) if neutral else None
        )
        self.timings = Timings()  # of the latest frame
        self.clock: Callable[[], float] = perf_counter  # what they are taken with
        self._timed = _Timed(detector)
        self._follower = Follower(self._timed, detector.sides, detect_every)
        self._last: Glimpse | None = None
        # Of the last frame: track, face, crop, and the probabilities that the model gave.
        self._said: list[tuple[int, Face, np.ndarray, list[float]]] = []

    def __call__(self, image: np.ndarray, time: float | None = None) -> list[Reading]:
        """The faces of the next frame, BGR uint8 [H, W, 3] of any size, largest first.

        time: of the frame, in seconds; one before the last frame's means another scene. None: now.
        A frame that equals the last one is neither searched nor shown to the model again.
        Raises ValueError for another kind of array, EdgemoodError (exit code 1) where the model
        answers with something else than probabilities.
        """
        require_frame(image)
        time = perf_counter() if time is None else time
        if self._last is not None and self._last.equals(image):
            self._follower.stay(time)
            self.timings = Timings()
            # A label may still be on its way to what this picture shows.
            return [self.reader(*said, time) for said in self._said]
        self._timed.clock, self._timed.seconds = self.clock, 0.0
        start = self.clock()
        tracks = self._follower(image, time)
        self._last = Glimpse(image, [track.face.box for track in tracks])
        tracked = self.clock()
        crops = np.empty((len(tracks), SIZE, SIZE), np.uint8)
        for crop, track in zip(crops, tracks):
            crop[:] = face_crop(image, track.face.box, self.model.card.framing)
        cropped = self.clock()
        probabilities = self.model.predict(crops)
        classified = self.clock()
        if not np.isfinite(probabilities).all():
            raise EdgemoodError(
                f"{self.model.path} answered with numbers that are not finite: it is damaged or "
                "badly trained. Pass another model.",
                exit_code=1,
            )
        self._said = [
            (track.number, track.face, crop, row)
            for track, crop, row in zip(tracks, crops, probabilities.tolist())
        ]
        readings = [self.reader(*said, time) for said in self._said]
        self.timings = Timings(
            self._timed.seconds,
            tracked - start - self._timed.seconds,
            cropped - tracked,
            classified - cropped,
            self.clock() - classified,
        )
        return readings

    def calibrate(self, seconds: float, done: Done | None = None) -> None:
        """Take the largest face, for so many seconds from now on, as one at rest.

        Its later readings are shifted, see `edgemood.runtime.neutral`. done: called then with the
        number of its track and its `Neutral`. Raises EdgemoodError where the model has no label
        "neutral".
        """
        self.reader.calibrate(seconds, done)

    def forget(self) -> None:
        """The next frame shows another scene: its faces get new track numbers."""
        self._follower.forget()
        self.reader.forget()
        self._last = None

    def close(self) -> None:
        """Forget every face; networks go with the last reference to them."""
        self.forget()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Timed:
    """A detector that knows how long it took.

    No method of the pipeline, which would refer to itself and keep its networks after their end.
    """

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self.clock: Callable[[], float] = perf_counter
        self.seconds = 0.0

    def __call__(self, *args: Any, **kwargs: Any) -> list[Face]:
        start = self.clock()
        faces = self._detector(*args, **kwargs)
        self.seconds += self.clock() - start
        return faces


def default_model() -> Path:
    """The emotion model that ships with the package; raises EdgemoodError if there is none."""
    path = Path(str(files("edgemood.models") / DEFAULT_MODEL))
    if not path.exists():
        raise EdgemoodError(
            f"{path} is not there, though it is the default model: pass one with --model, or make "
            "it with `make train` and `make export`."
        )
    return path
