"""Readings of one frame after another -> one picture of every face's emotions over time."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgemood.datasets import PICTURES
from edgemood.errors import EdgemoodError
from edgemood.files import require_place
from edgemood.runtime.draw import INK, MUTED, PALETTE, PAPER, Colour, paint
from edgemood.runtime.letters import baseline, written
from edgemood.runtime.sinks import Result, Sink
from edgemood.runtime.sinks.base import spare
from edgemood.runtime.sinks.pictures import write_picture
from edgemood.runtime.sources import Source

# Seconds without a frame that make a gap, as a frame without the face does.
GAP = 2.0
# More faces make no picture that can be looked at: these are kept, the longest in view.
ROWS = 40
# A camera runs for a month; with more spans than this, 3 MB, the shortest become part of others.
MOST = 20_000

WIDTH, MARGIN, ROW, SPACE, TEXT = 1280, 16, 30, 8, 18
HEAD, FOOT, SIDE = 56, 40, 80  # above, below and left of the rows
LINE = 26  # further ones of the legend, and of the foot
GRID: Colour = (70, 70, 70)
# Seconds from one mark of the axis to the next.
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)


@dataclass(slots=True)
class Span:
    """A time in which one face had one label. start, end: in seconds."""

    track: int
    label: str
    unsure: bool
    start: float
    end: float


class Spans:
    """Collects spans frame by frame. labels: the model's, in its order, once a face was seen.

    gone: how many faces were too short in view to be drawn, and are in `all` no more.
    """

    def __init__(self) -> None:
        self.labels: tuple[str, ...] = ()
        self.all: list[Span] = []
        self.gone = 0
        self.start = 0.0
        self.end: float | None = None  # of the last frame, once there is one
        self._open: dict[int, Span] = {}
        self._room = MOST

    def add(self, time: float, faces: Sequence[tuple[int, str, bool]]) -> None:
        """One more frame: (track, label, unsure) of its faces. Time that runs back begins anew."""
        if self.end is None or time < self.end:
            self.all, self._open, self.start, self.end = [], {}, time, time
            self.gone, self._room = 0, MOST
        going = self._open if time - self.end <= GAP else {}
        self._open = {}
        for track, label, unsure in faces:
            span = going.get(track)
            if span is not None:
                span.end = time
            if span is None or (span.label, span.unsure) != (label, unsure):
                span = Span(track, label, unsure, time, time)
                self.all.append(span)
            self._open[track] = span
        self.end = time
        if len(self.all) > self._room:
            self._thin()
            self._room = max(MOST, 2 * len(self.all))

    def seconds(self) -> dict[int, float]:
        """How long each face was in view."""
        seconds: dict[int, float] = {}
        for span in self.all:
            seconds[span.track] = seconds.get(span.track, 0.0) + span.end - span.start
        return seconds

    def _thin(self) -> None:
        """Forget faces that would not be drawn; of what is left, make two neighbours one."""
        seconds = self.seconds()
        stay = set(longest(seconds)) | self._open.keys()
        self.gone += len(seconds.keys() - stay)
        going = {id(span) for span in self._open.values()}
        pixel = ((self.end or 0.0) - self.start) / WIDTH
        before: dict[int, Span] = {}  # a face's last span, if it may take in one more
        thinned = []
        for span in self.all:
            if span.track not in stay:
                continue
            last = before.pop(span.track, None)
            if last and id(span) not in going and span.start - last.end <= max(GAP, pixel):
                if span.end - span.start > last.end - last.start:
                    last.label, last.unsure = span.label, span.unsure
                last.end = span.end
            else:
                thinned.append(span)
                before[span.track] = span
        self.all = thinned


def longest(seconds: Mapping[int, float]) -> list[int]:
    """The faces that are drawn: of these, by seconds in view, the first ROWS."""
    return sorted(seconds, key=lambda track: -seconds[track])[:ROWS]


class Timeline(Sink):
    """Draws all that was read when the source has ended.

    path: of a picture. source: what it is of; EdgemoodError where the picture would replace that.
    Where no frame came, nothing is written.
    """

    def __init__(self, path: str | os.PathLike[str], source: Source | None = None) -> None:
        spare(os.path.expanduser(path), source)
        self._path = picture_path(path)
        self._spans = Spans()

    def write(self, result: Result) -> None:
        if result.readings:
            self._spans.labels = tuple(result.readings[0].emotion.probabilities)
        self._spans.add(
            result.frame.time,
            [(r.track, r.emotion.label, r.unsure is not None) for r in result.readings],
        )

    def close(self) -> None:
        if self._spans.end is not None:
            write_picture(self._path, draw(self._spans))


def read_lines(path: str | os.PathLike[str]) -> Spans:
    """What the lines of `edgemood run --jsonl` say; where they hold several runs, the last.

    Raises EdgemoodError where the file can't be read, has no line, or one that is something else.
    """
    spans = Spans()
    for number, text in _lines(Path(path)):
        try:
            line = json.loads(text)
            time = float(line["time"])
            faces = [
                (f["track"], str(f["emotion"]), f["unsure"] is not None) for f in line["faces"]
            ]
            if not math.isfinite(time) or not all(type(track) is int for track, _, _ in faces):
                raise ValueError
            if faces:
                spans.labels = tuple(map(str, line["faces"][0]["probabilities"]))
            spans.add(time, faces)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise EdgemoodError(
                f"{path} line {number} is no reading: a file that `edgemood run --jsonl` wrote was "
                "wanted. Pass one."
            ) from error
    if spans.end is None:
        raise EdgemoodError(
            f"{path} has no whole line: a file that `edgemood run --jsonl` wrote was wanted. Pass "
            "one."
        )
    return spans


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with open(path, encoding="utf-8") as file:
            for number, text in enumerate(file, start=1):
                # A run that was killed may leave part of a line.
                if text.endswith("\n") and text.strip():
                    yield number, text
    except (OSError, UnicodeDecodeError) as error:
        found = error.strerror if isinstance(error, OSError) else "it is no text"
        raise EdgemoodError(
            f"{path} cannot be read: {found}. Pass a file that `edgemood run --jsonl` wrote."
        ) from error


def picture_path(path: str | os.PathLike[str]) -> Path:
    """The path of a picture to be written; EdgemoodError where it can't be."""
    target = Path(os.path.expanduser(path))
    if target.suffix.lower() not in PICTURES:
        raise EdgemoodError(
            f"{path} does not end as a picture does: one of {' '.join(sorted(PICTURES))} was "
            "wanted, for example timeline.png."
        )
    require_place(target)
    return target


# --- drawing ------------------------------------------------------------------------------------


def draw(spans: Spans) -> np.ndarray:
    """One row a face, coloured by label, hatched where unsure, empty where the face was away.

    Returns BGR uint8 [H, 1280, 3]; without a face, the time axis alone.
    """
    seconds = spans.seconds()
    rows = {track: i for i, track in enumerate(sorted(longest(seconds)))}
    legend = _legend(spans.labels)
    top = HEAD + LINE * legend[-1][1]
    bottom = top + max(1, len(rows)) * (ROW + SPACE)
    faces = len(seconds) + spans.gone
    foot = FOOT + (LINE if faces > ROWS else 0)
    image = np.full((bottom + foot, WIDTH, 3), INK, np.uint8)
    end = spans.start if spans.end is None else spans.end
    length = max(end - spans.start, 1e-3)

    def across(time: float) -> int:
        return round(SIDE + (time - spans.start) / length * (WIDTH - MARGIN - SIDE))

    for x, line, label in legend:
        y, is_unsure = LINE * line, label == "unsure"
        colour = MUTED if is_unsure else _colour(label, spans.labels)
        _band(image[y + 14 : y + 30, x : x + 24], colour, is_unsure)
        _write(image, label, (x + 32, y + 28))
    for time in _ticks(spans.start, end):
        words, x = _clock(time, length), across(time)
        cv2.line(image, (x, top - 4), (x, bottom + 4), GRID)
        left = min(x - _width(words) // 2, WIDTH - _width(words) - 4)
        _write(image, words, (left, bottom + 24))
    for track, row in rows.items():
        _write(image, f"face {track}", (MARGIN // 2, top + row * (ROW + SPACE) + 20))
    for span in spans.all:
        if span.track not in rows:
            continue
        y = top + rows[span.track] * (ROW + SPACE)
        # A face that was seen in one frame still leaves a mark.
        x0, x1 = across(span.start), max(across(span.end), across(span.start) + 2)
        colour = _colour(span.label, spans.labels)
        _band(image[y : y + ROW, x0:x1], colour, span.unsure)
        if _width(span.label) + 12 <= x1 - x0:
            # So that colour is not all that tells it; on plain ground, to be legible.
            image[y + 6 : y + ROW - 6, x0 + 2 : x0 + 10 + _width(span.label)] = colour
            _write(image, span.label, (x0 + 6, y + 20), INK)
    if faces > ROWS:
        words = f"{ROWS} of {faces} faces, the longest in view"
        _write(image, words, (WIDTH - MARGIN - _width(words), bottom + foot - 12))
    return image


def _colour(label: str, labels: tuple[str, ...]) -> Colour:
    return PALETTE[labels.index(label) % len(PALETTE)] if label in labels else MUTED


def _band(place: np.ndarray, colour: Colour, unsure: bool) -> None:
    place[:] = colour
    if unsure:
        # Diagonal lines of the ground's colour, half as wide as the stripes between them.
        rows, columns = np.indices(place.shape[:2])
        place[(rows + columns) % 6 < 3] = INK


def _legend(labels: tuple[str, ...]) -> list[tuple[int, int, str]]:
    """(x, line, label) of each patch, as many in a line as fit."""
    places, x, line = [], SIDE, 0
    for label in (*labels, "unsure"):
        wide = 32 + _width(label)
        if x > SIDE and x + wide > WIDTH - MARGIN:
            x, line = SIDE, line + 1
        places.append((x, line, label))
        x += wide + 24
    return places


def _ticks(start: float, end: float) -> list[float]:
    """Round times, 4 to 12 of them unless the time is very short."""
    length = end - start
    step = next(
        (s for s in STEPS if length / s <= 12), STEPS[-1] * math.ceil(length / 12 / STEPS[-1])
    )
    first, last = math.ceil(start / step - 1e-9), math.floor(end / step + 1e-9)
    return [step * i for i in range(first, last + 1)]


def _clock(seconds: float, length: float) -> str:
    """As the axis of so many seconds has it: 7.5 s, 1:05, or 2:01:05."""
    if length < 120:
        return f"{seconds:g} s"
    minutes, seconds = divmod(round(seconds), 60)
    if length < 7200:
        return f"{minutes}:{seconds:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def _write(image: np.ndarray, words: str, at: tuple[int, int], colour: Colour = PAPER) -> None:
    """Words whose first letter stands at this (x, y)."""
    paint(image, written(words, TEXT), (at[0], at[1] - baseline(TEXT)), colour)


def _width(words: str) -> int:
    return written(words, TEXT).shape[1]
