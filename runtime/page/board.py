"""Results of one frame after another -> what a page has to tell, whenever it is asked."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import edgemood
from edgemood.errors import EdgemoodError
from edgemood.files import new_file
from edgemood.runtime.draw import MUTED, PALETTE
from edgemood.runtime.sinks import JsonLines, Result, json_line
from edgemood.runtime.sources import Source

# Bytes of lines that are kept for download: with one face, 12 minutes at 30 frames a second.
KEPT = 8 * 2**20
# The timeline: seconds that it reaches back, and from one of its points to the next.
REACH, STEP = 300.0, 0.5
# Seconds without a frame after which a source counts as stalled that says nothing of the kind: the
# window is paused, or a disk hangs.
STALLED = 5.0
# Bytes of disk that a recording leaves free: on a full one, other programs fail.
SPARE = 256 * 2**20


class Board:
    """Written by the pipeline's thread, read by the server's.

    labels: the model's, in its order.
    """

    def __init__(self, source: Source, labels: Sequence[str]) -> None:
        self._source = source
        # Where a file lies is nobody's business.
        self._name = source.name if source.is_live else Path(source.name).name
        self._labels = labels
        self._name_of = source.frame_name if source.is_pictures else None
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._line = '{"schema": 1, "frame": null, "time": null, "faces": []}'
        self._kept: deque[bytes] = deque()
        self._size = 0
        self._points: deque[tuple[float, list[tuple[int, str, bool]]]] = deque(
            maxlen=round(REACH / STEP)
        )
        self._frames = 0
        self._latest: float | None = None  # when the newest result came
        self._fps: float | None = None
        self._seconds = 0.0
        self.recording = Recording(source)

    def put(self, result: Result, seconds: float) -> None:
        """The next frame's; the pipeline took so many seconds for it."""
        frame, now = result.frame, time.monotonic()
        line = json_line(frame, result.readings, self._name_of(frame) if self._name_of else None)
        with self._lock:
            self._line = line
            self._frames += 1
            self._latest = now
            self._fps = result.fps
            # A moving mean over some ten frames, else the number could not be read.
            self._seconds += (seconds - self._seconds) / min(self._frames, 10)
            self._kept.append(line.encode() + b"\n")
            self._size += len(self._kept[-1])
            while self._size > KEPT:
                self._size -= len(self._kept.popleft())
            if not self._points or now - self._start - self._points[-1][0] >= STEP:
                faces = [(r.track, r.emotion.label, r.unsure is not None) for r in result.readings]
                self._points.append((now - self._start, faces))
        self.recording.write(result)

    def readings(self) -> str:
        """The newest frame's line of JSON."""
        return self._line

    def kept(self) -> list[bytes]:
        """The lines of the latest frames, each with its newline, oldest first."""
        with self._lock:
            return list(self._kept)

    def status(self) -> dict[str, Any]:
        """How source and pipeline are doing, as JSON has it."""
        status = asdict(self._source.status)
        now = time.monotonic()
        with self._lock:
            age = now - (self._start if self._latest is None else self._latest)
            if status["state"] == "online":
                status["reason"] = ""
                if age > STALLED:
                    status["state"] = "stalled"
            status["age"] = None if self._latest is None else round(age, 2)
            fps = self._fps if status["state"] == "online" else None
            seconds, frames = self._seconds, self._frames
        return {
            "version": edgemood.__version__,
            "source": self._name,
            **status,
            "frames": frames,
            "fps": None if fps is None else round(fps, 1),
            "ms": round(seconds * 1000, 1),
            "recording": self.recording.status(),
        }

    def welcome(self) -> str:
        """What a page needs once, JSON: labels, their colours, and the timeline so far."""
        with self._lock:
            points = list(self._points)
        colours = [_hex(PALETTE[i % len(PALETTE)]) for i in range(len(self._labels))]
        return json.dumps(
            {
                "labels": list(self._labels),
                "colours": colours,
                "muted": _hex(MUTED),
                "reach": REACH,
                "step": STEP,
                "at": time.monotonic() - self._start,
                "points": points,
            }
        )

    def update(self, line: str | None = None) -> str:
        """News for a page, JSON: the status, and a frame's line if one is given."""
        at = time.monotonic() - self._start
        readings = f', "readings": {line}' if line else ""
        return f'{{"at": {at:.3f}, "status": {json.dumps(self.status())}{readings}}}'


def _hex(colour: tuple[int, int, int]) -> str:
    """A BGR colour as CSS has it."""
    return "#{2:02x}{1:02x}{0:02x}".format(*colour)


def _found(error: EdgemoodError) -> str:
    """What is wrong, without the advice, which is about options."""
    return str(error).partition(". ")[0]


class Recording:
    """Lines of JSON in a file of the current folder, from `start` to `stop`.

    What goes wrong ends the recording and nothing else: `status` says it.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._sink: JsonLines | None = None
        self._path: Path | None = None
        self._frames = 0
        self._fault = ""
        self._turns = 0  # how often it was started or ended: tells what is older
        self._looked = 0.0  # when there was room on the disk

    def start(self) -> None:
        """Begin a file with a name of its own; nothing where one is being written."""
        with self._lock:
            if self._sink is not None:
                return
            self._path, self._frames, self._fault = None, 0, ""
            self._turns += 1
            try:
                self._path = new_file(".jsonl")
                self._sink = JsonLines(str(self._path), self._source)
            except OSError as error:
                self._fault = f"no file can be made where the program runs: {error.strerror}"
            except EdgemoodError as error:
                self._fault = _found(error)

    def write(self, result: Result) -> None:
        with self._lock:
            if self._sink is None:
                return
            try:
                self._sink.write(result)
                self._frames += 1
            except EdgemoodError as error:
                self._end(_found(error))
            now = time.monotonic()
            if now - self._looked > 1.0 and self._path is not None:
                self._looked = now
                try:
                    free = shutil.disk_usage(self._path.parent).free
                except OSError as error:  # the folder was taken away
                    self._end(f"its folder cannot be reached: {error.strerror}")
                else:
                    if free < SPARE:
                        self._end(f"less than {SPARE >> 20} MB of the disk are free")

    def stop(self) -> None:
        """Finish the file; may be called twice."""
        with self._lock:
            self._end(self._fault)

    def _end(self, fault: str) -> None:
        self._fault = fault
        if self._sink is not None:
            self._turns += 1
            self._sink.close()
            self._sink = None

    def status(self) -> dict[str, Any]:
        with self._lock:
            return {
                "on": self._sink is not None,
                "file": None if self._path is None else self._path.name,
                "frames": self._frames,
                "fault": self._fault,
                "turns": self._turns,
            }
