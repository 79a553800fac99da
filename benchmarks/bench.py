"""Model files and a clip -> how fast and how right they are on this machine, as `Results`.

One `Row` for each file, engine and number of threads. How their calls take turns, and for how long,
is in `timing.py`.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from importlib.resources import files
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, thread_time

import cv2
import numpy as np
import onnxruntime

import edgemood
from edgemood.benchmarks.evaluate import Candidate, batched, match_labels
from edgemood.benchmarks.following import Departure
from edgemood.benchmarks.fresh import Start, fresh_start
from edgemood.benchmarks.timing import (
    LEAST,
    MOST,
    NARROW,
    Samples,
    narrow_within,
    take_turns,
    time_calls,
)
from edgemood.console import track
from edgemood.datasets import (
    FERPLUS_EMOTIONS,
    JUDGED,
    Dataset,
    ferplus_majority,
    ferplus_votes,
)
from edgemood.errors import EdgemoodError
from edgemood.machine import Condition, cores, memory, processor, system
from edgemood.modelfile import Card, read_model
from edgemood.runtime import EmotionModel, FaceDetector, Pipeline, open_source
from edgemood.runtime.draw import annotate
from edgemood.runtime.engines import FORMATS, SAME
from edgemood.runtime.sources import Source
from edgemood.runtime.sources.demo import demo_crops
from edgemood.values import Frame, Reading

# Faces of a batch; calls a round with one face, and with a batch; and the seconds after which
# rounds end although a median is not known narrowly. At least six rounds of 40 calls are kept, so
# that p95 rests on the 12 slowest.
BATCH = 8
FACE_CALLS, BATCH_CALLS = 40, 5
FACE_SECONDS, BATCH_SECONDS = 15.0, 5.0
# Frames of the clip that a round plays, and seconds as above.
CLIP_FRAMES = 100
CLIP_SECONDS = 30.0
# Starts of each model, of which the median is shown.
STARTS, START_SECONDS = 3, 20.0
# When rounds end.
METHOD: dict[str, float] = {
    "narrow": NARROW,
    "least_rounds": float(LEAST),
    "most_rounds": MOST - 1.0,  # the first is warm-up
    "face_seconds": FACE_SECONDS,
    "batch_seconds": BATCH_SECONDS,
    "clip_seconds": CLIP_SECONDS,
}
# Where the CPU time of a frame goes.
STAGES = ("decode", "detect", "track", "crop", "classify", "read", "draw")


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Share of labels that were right, 0..1. right, total: None where it is the card's word.

    ferplus: the labels are FER+'s, see `ferplus_majority`, and not the data set's own classes.
    """

    split: str
    value: float
    right: int | None = None
    total: int | None = None
    ferplus: bool = False

    def __str__(self) -> str:
        marks = "+" * self.ferplus + "*" * (self.total is None)
        return f"{self.value:.1%} {marks}".rstrip()


@dataclass(frozen=True, eq=False)
class Frames:
    """Of the frames of a clip.

    latency: from asking for a frame, through decoding and its readings, to their being drawn on it.
    pipeline: CPU time from a frame to its readings, of the thread that calls: with one thread, that
    is all. Its median is a frame whose faces are followed, its mean has the looks for faces in it.
    stages: milliseconds of CPU time that a frame spends in each of STAGES, mean of each round,
    float64 [rounds, 7]; all together, the whole program's. "decode" is what is left after the
    others: it has every other thread's time in it, which with more than one is an engine's too.
    """

    latency: Samples
    pipeline: Samples
    stages: np.ndarray

    @property
    def parts(self) -> dict[str, float]:
        """Stage -> milliseconds of CPU time a frame, mean."""
        return dict(zip(STAGES, self.stages.mean(axis=0).tolist()))


@dataclass(frozen=True, eq=False)
class Row:
    """One model file in one engine with so many threads.

    size: bytes. sha256: its first 12 digits. face, batch: one face, or BATCH of them, to their
    probabilities. frames: None where there was no detector.
    """

    file: str
    sha256: str
    size: int
    card: Card
    engine: str
    threads: int
    accuracy: Accuracy | None
    starts: tuple[Start, ...]
    face: Samples
    batch: Samples
    frames: Frames | None

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes it the same row in the results of another machine or version."""
        return self.file, self.engine, self.threads

    def start(self, step: str) -> float:
        """Milliseconds, median over the starts; step: a name in `Start`."""
        return float(median(getattr(start, step) for start in self.starts))

    @property
    def peak(self) -> float | None:
        """Bytes of memory, median over the starts; None where the system does not tell."""
        peaks = [start.peak for start in self.starts if start.peak is not None]
        return median(peaks) if peaks else None


@dataclass(frozen=True, slots=True)
class Clip:
    """What was played. detector: its file's name, and the first 12 digits of its SHA-256."""

    name: str
    width: int
    height: int
    frames: int
    detector: str

    def __str__(self) -> str:
        size = f"{self.width}x{self.height}"
        return f"{self.name}, {size}, the first {self.frames}; detector {self.detector}"


@dataclass(frozen=True, eq=False)
class Results:
    """All figures of one run. before, after: how the machine was doing. method: as METHOD.

    following: None where the clip is no video, or shows no face.
    """

    machine: dict[str, str | int]
    before: Condition
    after: Condition
    method: dict[str, float]
    clip: Clip | None
    rows: tuple[Row, ...]
    following: Departure | None


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


def measure(
    models: Sequence[EmotionModel],
    accuracies: Sequence[Accuracy | None],
    detector: FaceDetector | None,
    clip: str,
) -> list[Row]:
    """One row for each model. accuracies: theirs. detector: None leaves frames out."""
    starts = fresh_starts(models)
    faces, batches = face_latency(models), face_latency(models, BATCH)
    frames: Sequence[Frames | None] = [None] * len(models)
    if detector:
        frames = frame_costs([Pipeline(model, detector) for model in models], clip)
    paths = {model.path for model in models}
    alike = len({path.name for path in paths}) < len(paths)
    rows = []
    for i, model in enumerate(models):
        data = model.path.read_bytes()
        rows.append(
            Row(
                file=str(model.path) if alike else model.path.name,
                sha256=short_digest(data),
                size=len(data),
                card=model.card,
                engine=model.engine,
                threads=model.threads,
                accuracy=accuracies[i],
                starts=starts[i],
                face=faces[i],
                batch=batches[i],
                frames=frames[i],
            )
        )
    return rows


def short_digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


# --- accuracy -----------------------------------------------------------------------------------


def measured_accuracies(models: Sequence[EmotionModel], part: Dataset) -> list[Accuracy]:
    """Of each model on the pictures of one split; threads change nothing and are asked once.

    A model with FER+'s labels is judged by them, where the pictures have its votes.
    Raises EdgemoodError where a picture's class is none of a model's labels.
    """
    votes = ferplus_votes(part)

    def truth_for(model: EmotionModel) -> np.ndarray:
        """Places in the model's labels; -1 where most voters say none of them."""
        if votes is not None and _is_ferplus(model.labels):
            return ferplus_majority(votes, model.labels)
        return match_labels(Candidate(model.path.name, model.labels, model.predict), part)

    truths = [truth_for(model) for model in models]
    images = part.images()
    known: dict[tuple[Path, str], Accuracy] = {}
    for model, truth in track(list(zip(models, truths)), "measuring accuracy"):
        key = model.path, model.engine
        if key not in known:
            right = int((batched(model.predict)(images).argmax(axis=1) == truth).sum())
            total = int((truth >= 0).sum())
            ferplus = votes is not None and _is_ferplus(model.labels)
            known[key] = Accuracy(str(part.splits[0]), right / max(1, total), right, total, ferplus)
    return [known[model.path, model.engine] for model in models]


def accuracy_by_card(card: Card) -> Accuracy | None:
    """Of the split that models are judged on, as `Dataset.split` picks it."""
    split = next((name for name in (*JUDGED, *card.accuracy) if name in card.accuracy), None)
    if split is None:
        return None
    return Accuracy(split, card.accuracy[split], ferplus=_is_ferplus(card.labels))


def _is_ferplus(labels: Sequence[str]) -> bool:
    return set(labels) == set(FERPLUS_EMOTIONS)


# --- starts and faces ---------------------------------------------------------------------------


def fresh_starts(models: Sequence[EmotionModel]) -> list[tuple[Start, ...]]:
    """STARTS of each model, taking turns; the files' bytes are in the system's cache already.

    Fewer where START_SECONDS have passed after a turn.
    """
    made: list[tuple[Start, ...]] = []
    end = perf_counter() + START_SECONDS
    for _ in track(range(STARTS), "starting models afresh"):
        made.append(tuple(fresh_start(model) for model in models))
        if perf_counter() > end:
            break
    return list(zip(*made))


def face_latency(models: Sequence[EmotionModel], faces: int = 1) -> list[Samples]:
    """Of each model for so many faces in one call."""
    crops = demo_crops()
    calls, seconds = (FACE_CALLS, FACE_SECONDS) if faces == 1 else (BATCH_CALLS, BATCH_SECONDS)
    batches = [crops[np.arange(i, i + faces) % len(crops)] for i in range(calls)]

    def call(model: EmotionModel) -> np.ndarray:
        cv2.setNumThreads(model.threads)
        return time_calls(model.predict, batches)

    rounds = track(iter(range(MOST)), f"timing {'faces' if faces == 1 else f'batches of {faces}'}")
    turns = [partial(call, model) for model in models]
    return [Samples.of(taken) for taken in take_turns(turns, rounds, narrow_within(seconds))]


# --- frames -------------------------------------------------------------------------------------


def frame_costs(pipelines: Sequence[Pipeline], clip: str) -> list[Frames]:
    """Of each pipeline, from the clip to readings drawn on its frames; sets the pipelines' clocks.

    Raises EdgemoodError where the clip can't be opened, or is a camera, which sets the pace itself.
    """
    players = [Player(pipeline, clip) for pipeline in pipelines]
    rounds = track(iter(range(MOST)), "timing frames")
    taken = take_turns([player.play for player in players], rounds, narrow_within(CLIP_SECONDS))
    # The players' first round is warm-up too.
    return [
        Frames(
            Samples.of(seconds),
            Samples.of(np.stack(player.pipelines[1:])),
            np.round(np.stack(player.stages[1:]) * 1000, 4),
        )
        for player, seconds in zip(players, taken)
    ]


class Player:
    """Plays a clip through a pipeline, round by round.

    pipelines: seconds of CPU time of each frame in the pipeline, [frames] a round. stages: seconds
    of CPU time a frame in each of STAGES, [7] a round.
    """

    def __init__(self, pipeline: Pipeline, clip: str) -> None:
        self._pipeline, self._clip = pipeline, clip
        pipeline.clock = thread_time
        self.pipelines: list[np.ndarray] = []
        self.stages: list[np.ndarray] = []

    def play(self) -> np.ndarray:
        """Seconds from asking for each frame to its drawn readings, float64 [frames]."""
        cv2.setNumThreads(self._pipeline.model.threads)
        self._pipeline.forget()
        seconds, costs = [], []
        with open_clip(self._clip) as source:
            frames = enumerate(islice(source, CLIP_FRAMES))
            started, last = process_time(), perf_counter()
            for number, frame in frames:
                _, drawing = read_and_draw(self._pipeline, frame, number, source.fps)
                spent = self._pipeline.timings
                now = perf_counter()
                seconds.append(now - last)
                last = now
                costs.append(
                    (spent.detect, spent.track, spent.crop, spent.classify, spent.read, drawing)
                )
            total = process_time() - started
        parts = np.array(costs)
        self.pipelines.append(parts[:, :-1].sum(axis=1))
        means = parts.mean(axis=0)
        self.stages.append(np.append(total / len(parts) - means.sum(), means))
        return np.array(seconds)


def open_clip(clip: str) -> Source:
    """A video, pictures or the demo; raises EdgemoodError for anything else, as a camera is."""
    source = open_source(clip)
    if source.is_live:
        source.close()
        raise EdgemoodError(
            f"{source.name} is a camera, which sets the pace itself: a video file, a folder of "
            "pictures or demo was wanted."
        )
    return source


def describe(clip: str, detector: FaceDetector) -> Clip:
    """Without the folders it lies in; raises as `open_clip` does."""
    with open_clip(clip) as source:
        width, height = source.size
        frames = min(CLIP_FRAMES, source.count or CLIP_FRAMES)
    network = f"{detector.path.name} {short_digest(detector.path.read_bytes())}"
    return Clip(Path(clip).name, width, height, frames, network)


def read_and_draw(
    pipeline: Pipeline, frame: Frame, number: int, fps: float | None
) -> tuple[Sequence[Reading], float]:
    """A frame's readings, now drawn on it, and the seconds of this thread's CPU time that drawing
    took. number: of the frame in its clip.
    """
    unlike_the_last(frame.image, number)
    readings = pipeline(frame.image, frame.time)
    start = thread_time()
    annotate(frame.image, readings, fps)
    return readings, thread_time() - start


def unlike_the_last(image: np.ndarray, number: int) -> None:
    """Change a pixel of a frame, so that it doesn't equal the last one, which would cost nothing.

    A camera's frames never do; those of a clip that stands still may.
    """
    image[0, 0] = number % 256


# --- where it is measured -----------------------------------------------------------------------


def machine() -> dict[str, str | int]:
    """What a timing depends on besides the program: processor, cores, memory, system, versions."""
    found: dict[str, str | int] = {"cpu": processor(), "cores": cores()}
    if (held := memory()) is not None:
        found["memory"] = held
    found |= {
        "system": system(),
        "edgemood": edgemood.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "onnxruntime": onnxruntime.__version__,
    }
    with suppress(metadata.PackageNotFoundError):
        found["litert"] = metadata.version("ai-edge-litert")
    return found
