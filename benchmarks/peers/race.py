"""Environments that are ready, clips, pictures -> what every peer did with them, in turns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from edgemood.benchmarks.peers.environments import Environment
from edgemood.console import say, track
from edgemood.datasets import FERPLUS_TO_FER2013, Dataset
from edgemood.errors import EdgemoodError
from edgemood.runtime import open_source

# Seconds after which a turn is ended. The slowest take minutes.
LIMIT = 3600.0
# One of these is in every answer.
ANSWERS = {"seconds", "labels", "memory"}
# For every peer alike: no graphics card, no chatter of TensorFlow's.
SURROUNDINGS = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
# What peers call FER-2013's classes, in lower case.
SPELLINGS = FERPLUS_TO_FER2013 | {
    "fearful": "fear",
    "disgusted": "disgust",
    "surprised": "surprise",
}


@dataclass
class Turn:
    """One start of a peer on a clip.

    clip, round: which, from 0. cold: seconds from starting its program to the first frame's answer
    that has a face in it; None where it found none. memory: bytes, the most its process held.
    seconds, cpu: of every frame. faces: of every frame, [x, y, width, height, label] each.
    """

    clip: int
    round: int
    cold: float | None = None
    memory: int = 0
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    faces: list[list[list[Any]]] = field(default_factory=list)


@dataclass
class Entry:
    """A peer in a race. note: what became of it, where that is not what was wanted.

    untrained: its network is, so that what it says means nothing. packages, interpreter: as of its
    environment. labels: of every picture, None where it found no face.
    """

    name: str
    title: str
    untrained: bool = False
    note: str = ""
    packages: dict[str, int] = field(default_factory=dict)
    interpreter: int = 0
    turns: list[Turn] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)


@dataclass
class Clip:
    """What all peers are shown.

    decoding: of every round, the seconds that each of its frames took to get.
    """

    name: str
    fps: float
    size: tuple[int, int]
    frames: int
    decoding: list[list[float]] = field(default_factory=list)


@dataclass
class Race:
    """All that was measured; as JSON, with its dataclasses as objects, what `summary` reads.

    machine: its processor and system. split: of the pictures, whose labels are truth.
    """

    machine: dict[str, str]
    peers: list[Entry]
    rounds: int
    clips: list[Clip] = field(default_factory=list)
    split: str = ""
    truth: list[str] = field(default_factory=list)
    schema: int = 1


Runner = tuple[Entry, Environment]


def race_on_clips(
    race: Race,
    runners: Sequence[Runner],
    addresses: Sequence[str],
    frames: int,
    folder: Path,
    save: Callable[[], None],
) -> None:
    """Every round, on every clip, each peer is started anew and reads the clip's first frames.

    A peer that fails keeps its turns, gets a note and drops out. folder: for large files. save:
    called after every round. Raises EdgemoodError where a clip can't be read.
    """
    files = [folder / f"{index}.npy" for index, _ in enumerate(addresses)]
    race.clips = [lay_out(address, frames, file) for address, file in zip(addresses, files)]
    running = list(runners)
    for number in range(race.rounds):
        for index, (address, file) in enumerate(zip(addresses, files)):
            clip = race.clips[index]
            clip.decoding.append(decode(address, frames))
            for entry, environment in list(running):
                turn = Turn(index, number)
                what = f"round {number + 1} of {race.rounds}, {clip.name}, {entry.title}"
                try:
                    take_turn(environment, file, clip, turn, what)
                except EdgemoodError as error:
                    note(entry, error)
                    running.remove((entry, environment))
                    continue
                entry.turns.append(turn)
                say(f"{what}: {1 / np.mean(turn.seconds):,.1f} frames a second")
        save()


def race_on_pictures(race: Race, runners: Sequence[Runner], part: Dataset, folder: Path) -> None:
    """Each peer labels the pictures of a data set, once: it would say the same again."""
    file = folder / "pictures.npy"
    np.save(file, part.images())
    race.split = str(part.splits[0])
    race.truth = [part.classes[label] for label in part.labels]
    for entry, environment in runners:
        if entry.untrained:
            continue
        try:
            entry.labels = take_labels(environment, file, f"pictures, {entry.title}")
        except EdgemoodError as error:
            note(entry, error)


def note(entry: Entry, error: EdgemoodError) -> None:
    """What became of a peer goes into its row and to whoever waits."""
    entry.note = str(error)
    say(f"{entry.title}: {error}")


def spelt(label: str | None) -> str | None:
    """A peer's label as FER-2013 spells it; one that FER-2013 lacks stays as it is."""
    return label if label is None else SPELLINGS.get(label.lower(), label.lower())


# --- clips --------------------------------------------------------------------------------------


def lay_out(address: str, frames: int, file: Path) -> Clip:
    """Write a clip's first frames to a file, BGR uint8 [N, height, width, 3], for every peer alike.

    Raises EdgemoodError where it is no video.
    """
    count = len(decode(address, frames))
    with open_source(address) as source:
        if source.is_live or not source.fps:
            raise EdgemoodError(f"{source.name} is no video, one was wanted to race on.")
        width, height = source.size
        shape = (count, height, width, 3)
        kept = np.lib.format.open_memmap(file, "w+", np.uint8, shape)
        for place, frame in zip(kept, source):
            place[:] = frame.image
        return Clip(Path(source.name).name, source.fps, (width, height), count)


def decode(address: str, frames: int) -> list[float]:
    """Seconds that getting each of a clip's first frames takes."""
    seconds = []
    with open_source(address) as source:
        began = time.perf_counter()
        for _ in islice(source, frames):
            seconds.append(time.perf_counter() - began)
            began = time.perf_counter()
    return seconds


# --- peers --------------------------------------------------------------------------------------


def take_turn(environment: Environment, frames: Path, clip: Clip, turn: Turn, what: str) -> None:
    """Fill in a turn. frames: file of the clip's. what: to show progress by.

    Raises EdgemoodError, whose text says what became of the peer.
    """
    spoken = answers(environment, "frames", str(frames), str(clip.fps))
    for moment, answer in track(spoken, what, clip.frames):
        if "memory" in answer:
            turn.memory = answer["memory"]
            continue
        turn.seconds.append(answer["seconds"])
        turn.cpu.append(answer["cpu"])
        turn.faces.append(
            [[*(round(side, 1) for side in box), spelt(label)] for *box, label in answer["faces"]]
        )
        if turn.cold is None and answer["faces"]:
            turn.cold = moment
    if len(turn.seconds) != clip.frames:
        raise EdgemoodError(f"it answered for {len(turn.seconds)} of {clip.frames} frames.")


def take_labels(environment: Environment, pictures: Path, what: str) -> list[str | None]:
    """What a peer calls each picture of a file. Raises EdgemoodError as `take_turn` does."""
    count = len(np.load(pictures, mmap_mode="r"))
    labels: list[str | None] = []
    for _, answer in track(answers(environment, "pictures", str(pictures)), what):
        labels += [spelt(label) for label in answer["labels"]]
    if len(labels) != count:
        raise EdgemoodError(f"it answered for {len(labels)} of {count} pictures.")
    return labels


def answers(environment: Environment, *task: str) -> Iterator[tuple[float, dict[str, Any]]]:
    """Seconds since a peer's program was started, and what it answers then: a line of JSON.

    Raises EdgemoodError where it fails, takes too long or says something else.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            [*environment.command, *task],
            cwd=environment.folder,
            env=surroundings(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        assert process.stdout is not None
        limit = threading.Timer(LIMIT, process.kill)
        limit.daemon = True
        limit.start()
        try:
            for line in process.stdout:
                moment = time.perf_counter() - began
                try:
                    answer = json.loads(line)
                except ValueError:
                    raise EdgemoodError(f"it answered {line[:80]!r}, no line of JSON.") from None
                if not isinstance(answer, dict) or not answer.keys() & ANSWERS:
                    raise EdgemoodError(f"it answered {line[:80]!r}, no answer.")
                yield moment, answer
            status = process.wait()
        finally:
            limit.cancel()
            process.kill()
            process.wait()
            process.stdout.close()
        if time.perf_counter() - began > LIMIT:
            raise EdgemoodError(f"it was ended, since it was not done after {LIMIT:,g} s.")
        if status:
            said.seek(0)
            last = [line.strip() for line in said if line.strip()][-1:]
            how = status if status > 0 else signal.Signals(-status).name
            raise EdgemoodError(f"it ended with {how}: {''.join(last) or 'it said nothing'}")


def surroundings() -> dict[str, str]:
    """Environment variables for a peer: ours, but none that lead into our own packages."""
    found = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    if "EDGEMOOD_DETECTOR" in found:  # a peer runs in another folder
        found["EDGEMOOD_DETECTOR"] = str(Path(found["EDGEMOOD_DETECTOR"]).absolute())
    return found | SURROUNDINGS
