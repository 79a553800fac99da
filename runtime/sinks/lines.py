"""Results -> lines of JSON, one a frame, or rows of CSV, one a face; each whole once written."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from edgemood.errors import EdgemoodError
from edgemood.runtime.sinks.base import Result, Sink, spare
from edgemood.runtime.sources import Source
from edgemood.values import Frame, Reading

SCHEMA = 1
# Columns of every CSV file; the model's labels follow.
COLUMNS = (
    "frame",
    "time",
    "name",
    "track",
    "x",
    "y",
    "width",
    "height",
    "score",
    "emotion",
    "confidence",
    "unsure",
)


def json_line(frame: Frame, readings: Sequence[Reading], name: str | None = None) -> str:
    """One frame as a line of JSON, without its newline: schema 1, numbers to four decimals.

    name: of the frame's picture; None for frames of a video or a camera.
    """
    faces = []
    for reading in readings:
        emotion = reading.emotion
        faces.append(
            {
                "track": reading.track,
                "box": list(reading.face.box),
                "score": round(reading.face.score, 4),
                "emotion": emotion.label,
                "confidence": round(emotion.confidence, 4),
                "unsure": reading.unsure,
                "probabilities": {name: round(p, 4) for name, p in emotion.probabilities.items()},
            }
        )
    line: dict[str, Any] = {"schema": SCHEMA, "frame": frame.index, "time": round(frame.time, 4)}
    if name is not None:
        line["name"] = _text(name)
    return json.dumps(line | {"faces": faces}, ensure_ascii=False)


def csv_rows(frame: Frame, readings: Sequence[Reading], name: str | None = None) -> str:
    """One frame's faces as rows of CSV, each with its newline; see COLUMNS.

    Fractions have four decimals always, so that a number which was cut off can be told.
    """
    rows = []
    for reading in readings:
        face, emotion = reading.face, reading.emotion
        numbers = face.score, emotion.confidence, *emotion.probabilities.values()
        score, confidence, *probabilities = (f"{number:.4f}" for number in numbers)
        shown = None if name is None else _text(name)
        row = [frame.index, f"{frame.time:.4f}", shown, reading.track, *face.box, score]
        rows.append([*row, emotion.label, confidence, reading.unsure, *probabilities])
    return _csv(rows)


def _text(name: str) -> str:
    """A file's name; a byte of it that is no UTF-8, which no text can hold, as Python writes it."""
    return name.encode(errors="backslashreplace").decode()


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _ends(path: str, count: int) -> tuple[str, str]:
    """The first `count` bytes of a file, and what stands behind its last newline."""
    with open(path, "rb") as file:
        first = file.read(count)
        end = file.seek(0, os.SEEK_END)
        tail = b""
        while b"\n" not in tail and len(tail) < end:
            file.seek(max(0, end - 2 * len(tail) - 65536))
            tail = file.read()
    rest = tail.rpartition(b"\n")[2]
    return first.decode(errors="replace"), rest.decode(errors="surrogateescape")


class Lines(Sink):
    """Text written in place, each frame's at once and unbuffered.

    path: a file, which is replaced unless `append`, or "-" for standard output. option: the one
    that names another. first: what an empty file begins with.

    A program that was killed may have left half a line. It is taken away before something is
    appended: hardly a reader goes on behind one. Whatever else has no newline is given one.
    """

    def __init__(
        self, path: str, source: Source | None, append: bool, option: str, first: str = ""
    ) -> None:
        self._name = "standard output" if path == "-" else path
        self._option = option
        self._picture_name = source.frame_name if source and source.is_pictures else None
        spare(path, source)
        try:
            # A descriptor of our own, so that a reader who leaves is our fault to report alone.
            self._file = open(  # noqa: SIM115
                os.dup(sys.stdout.fileno()) if path == "-" else path,
                "ab" if append else "wb",
                buffering=0,
            )
            self._is_file = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
            size = os.fstat(self._file.fileno()).st_size if append and self._is_file else 0
            begins, rest = _ends(path, len(first.encode())) if size and path != "-" else ("", "")
        except OSError as error:
            raise EdgemoodError(
                f"{self._name} cannot be written: {error.strerror}. Name another file with "
                f"{option}, or - for standard output."
            ) from error
        if not size:
            self._put(first)
        elif begins != first and path != "-":
            self.close()
            raise EdgemoodError(
                f"{path} begins with other columns than {first.strip()}, so nothing can be "
                f"appended. Name another file with {option}, or leave out --append."
            )
        elif rest and self._is_half(rest):
            self._file.truncate(size - len(rest.encode(errors="surrogateescape")))
        elif rest:
            self._put("\n")

    def _is_half(self, text: str) -> bool:
        """Whether this, behind the last newline, is a part of a line of ours."""
        raise NotImplementedError

    def _put(self, text: str) -> None:
        """Raises BrokenPipeError where the reader has gone, EdgemoodError for other faults."""
        data = memoryview(text.encode())
        done = 0
        try:
            while done < len(data):
                count = self._file.write(data[done:])
                if count is None:
                    raise BlockingIOError(0, "its reader does not wait")
                done += count
        except BrokenPipeError:
            raise
        except OSError as error:
            if self._is_file and done:
                with suppress(OSError):
                    self._file.truncate(os.fstat(self._file.fileno()).st_size - done)
            raise EdgemoodError(
                f"{self._name} cannot be written any further: {error.strerror}. Make room, or "
                f"name another file with {self._option}."
            ) from error

    def close(self) -> None:
        # What failed in `write` was reported already.
        with suppress(OSError):
            self._file.close()

    def _name_of(self, frame: Frame) -> str | None:
        return self._picture_name(frame) if self._picture_name else None


class JsonLines(Lines):
    """One line of JSON a frame, see `json_line`. path, append: as for `Lines`.

    source: what must not be overwritten, and knows its pictures' names.
    """

    def __init__(self, path: str, source: Source | None = None, append: bool = False) -> None:
        super().__init__(path, source, append, "--jsonl")

    def _is_half(self, text: str) -> bool:
        begins = '{"schema": '
        if not (text.startswith(begins) or begins.startswith(text)):
            return False
        try:
            json.loads(text)
        except ValueError:
            return True
        return False

    def write(self, result: Result) -> None:
        frame = result.frame
        self._put(json_line(frame, result.readings, self._name_of(frame)) + "\n")


class CsvRows(Lines):
    """A header, then one row a face, see `csv_rows`. labels: the model's, in its order."""

    def __init__(
        self,
        path: str,
        labels: Sequence[str],
        source: Source | None = None,
        append: bool = False,
    ) -> None:
        self._columns = len(COLUMNS) + len(labels)
        super().__init__(path, source, append, "--csv", _csv([[*COLUMNS, *labels]]))

    def _is_half(self, text: str) -> bool:
        row = next(csv.reader([text]))
        return len(row) < self._columns or not re.fullmatch(r"\d\.\d{4}", row[-1])

    def write(self, result: Result) -> None:
        frame = result.frame
        self._put(csv_rows(frame, result.readings, self._name_of(frame)))
