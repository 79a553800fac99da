"""Model files and a clip -> how fast they are on this machine, one `Row` per file and engine.

Whatever is compared takes turns, round by round, so that a machine that slows down or is busy with
something else for a while does so for all of them.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from functools import partial
from importlib import metadata
from importlib.resources import files
from itertools import islice
from pathlib import Path
from time import perf_counter, thread_time
from typing import TypeVar

import cv2
import numpy as np
import onnxruntime

from edgemood.console import track
from edgemood.errors import EdgemoodError
from edgemood.machine import cores, processor, system
from edgemood.modelfile import Card, read_model
from edgemood.runtime import EmotionModel, FaceDetector, Pipeline, open_source
from edgemood.runtime.engines import FORMATS, SAME
from edgemood.runtime.pipeline import Timings
from edgemood.runtime.sources.demo import demo_crops
from edgemood.values import Frame

# Rounds, of which the first is warm-up, and calls a round. Enough that p95 rests on the 50 slowest
# faces and the 12 slowest frames, few enough that a row takes seconds.
FACE_ROUNDS, FACE_CALLS = 11, 100
CLIP_ROUNDS, CLIP_FRAMES = 3, 120

T = TypeVar("T")
# Runs once and returns the seconds that each of its calls took, float64 [calls].
Turn = Callable[[], np.ndarray]


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds per call. per_second: calls a second, one after another."""

    p50: float
    p95: float
    per_second: float

    @classmethod
    def of(cls, seconds: np.ndarray) -> Latency:
        """seconds: float64 [calls], in any order."""
        p50, p95 = np.percentile(seconds, (50, 95)) * 1000
        return cls(float(p50), float(p95), float(1 / seconds.mean()))


@dataclass(frozen=True, slots=True)
class Frames:
    """Of the frames of a clip: time, CPU time, and where the pipeline spends the latter.

    latency: getting a frame, decoded or drawn, to its readings. cpu, mean: milliseconds of CPU
    time in the pipeline alone, median and mean. The median is a frame whose faces are followed, the
    mean has the looks for new ones in it. The other five are its parts. Counted is the thread that
    calls, not a decoder's: with one thread, that is all.
    """

    latency: Latency
    cpu: float
    mean: float
    detect: float
    track: float
    crop: float
    classify: float
    read: float

    @classmethod
    def of(cls, seconds: np.ndarray, timings: Sequence[Timings]) -> Frames:
        """seconds: float64 [frames]; timings: of the same frames, by a clock of CPU time."""
        total = np.array([each.total for each in timings]) * 1000
        parts = np.mean([astuple(each) for each in timings], axis=0) * 1000
        return cls(
            Latency.of(seconds), float(np.median(total)), float(total.mean()), *parts.tolist()
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One model file in one engine.

    size: bytes. face: one crop to its probabilities. frame: None where there was no detector.
    """

    file: str
    engine: str
    size: int
    card: Card
    face: Latency
    frame: Frames | None


# --- measuring ----------------------------------------------------------------------------------


def take_turns(turns: Sequence[Turn], rounds: Iterable[object]) -> list[np.ndarray]:
    """Seconds of every call of each turn, which runs once a round; the first round is warm-up."""
    taken: list[list[np.ndarray]] = [[] for _ in turns]
    for number, _ in enumerate(rounds):
        for turn, seconds in zip(turns, taken):
            measured = turn()
            if number:
                seconds.append(measured)
    return [np.concatenate(seconds) for seconds in taken]


def time_calls(call: Callable[[T], object], arguments: Sequence[T]) -> np.ndarray:
    """Seconds of a call with each argument, float64 [len(arguments)].

    One more call comes first, untimed: whoever had the turn before has filled the caches.
    """
    call(arguments[0])
    return time_each(arguments, call)


def time_each(items: Iterable[T], call: Callable[[T], object]) -> np.ndarray:
    """Seconds to get each item and to call with it, float64 [items]."""
    seconds = []
    last = perf_counter()
    for item in items:
        call(item)
        now = perf_counter()
        seconds.append(now - last)
        last = now
    return np.array(seconds)


# --- what is measured ---------------------------------------------------------------------------


def shipped_models() -> list[Path]:
    """The emotion models in models/; raises EdgemoodError where there is none."""
    folder = Path(str(files("edgemood.models")))
    found = sorted(path for path in folder.glob("emotion-*") if path.suffix in (".onnx", ".tflite"))
    if not found:
        raise EdgemoodError(
            f"{folder} holds no emotion model: name a file, or make one with `make train` and "
            "`make export`."
        )
    return found


def open_models(paths: Iterable[Path], threads: int) -> tuple[list[EmotionModel], list[str]]:
    """Each file in each engine that reads it, and a sentence on each pair that has to be left out.

    Raises EdgemoodError for a file that is no model, and where nothing is left.
    """
    models: list[EmotionModel] = []
    notes: list[str] = []
    crops = demo_crops()
    for path in paths:
        expected: np.ndarray | None = None
        for engine in FORMATS[read_model(path).kind]:
            try:
                model = EmotionModel(path, engine, threads)
                found = model.predict(crops)
            except (EdgemoodError, ModuleNotFoundError) as error:
                reason = str(error)
                if isinstance(error, ModuleNotFoundError):
                    reason = f"{error.name} is not installed, which `make bench` does."
                notes.append(f"{path.name} is not measured in {engine}: {reason}")
                continue
            expected = found if expected is None else expected
            apart = float(np.abs(found - expected).max())
            if apart <= SAME:
                models.append(model)
            else:
                notes.append(
                    f"{path.name} is not measured in {engine}: its probabilities are up to "
                    f"{apart:.2f} from those that {models[-1].engine} computes."
                )
    if not models:
        raise EdgemoodError("there is nothing to measure: " + " ".join(notes))
    return models, notes


def face_latency(models: Sequence[EmotionModel]) -> list[Latency]:
    """Of each model for one face at a time."""
    crops = demo_crops()
    faces = [crops[i % len(crops)][None] for i in range(FACE_CALLS)]
    turns = [lambda model=model: time_calls(model.predict, faces) for model in models]
    rounds = track(range(FACE_ROUNDS), "timing faces")
    return [Latency.of(seconds) for seconds in take_turns(turns, rounds)]


def frame_costs(models: Sequence[EmotionModel], detector: FaceDetector, clip: str) -> list[Frames]:
    """Of each model behind a detector, from the clip to its readings.

    Raises EdgemoodError where the clip can't be opened, or is a camera, which sets the pace itself.
    """

    def play(pipeline: Pipeline, timings: list[Timings]) -> np.ndarray:
        def read(frame: Frame) -> None:
            pipeline(frame.image, frame.time)
            timings.append(pipeline.timings)

        with open_source(clip) as source:
            if source.is_live:
                raise EdgemoodError(
                    f"{source.name} is a camera, which sets the pace itself: a video file, a "
                    "folder of pictures or demo was wanted."
                )
            pipeline.forget()
            frames = islice(iter(source), CLIP_FRAMES)
            return time_each(frames, read)

    turns: list[Turn] = []
    timings: list[list[Timings]] = []
    for model in models:
        pipeline, parts = Pipeline(model, detector), list[Timings]()
        pipeline.clock = thread_time
        turns.append(partial(play, pipeline, parts))
        timings.append(parts)
    rounds = track(range(CLIP_ROUNDS), "timing frames")
    return [
        # As of the seconds, the first round is not in it.
        Frames.of(seconds, parts[-len(seconds) :])
        for seconds, parts in zip(take_turns(turns, rounds), timings)
    ]


# --- where it is measured -----------------------------------------------------------------------


def machine() -> dict[str, str | int]:
    """What a timing depends on besides the program: processor, cores, system, versions."""
    found: dict[str, str | int] = {
        "cpu": processor(),
        "cores": cores(),
        "system": system(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "onnxruntime": onnxruntime.__version__,
    }
    with suppress(metadata.PackageNotFoundError):
        found["litert"] = metadata.version("ai-edge-litert")
    return found
