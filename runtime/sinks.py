"""Results -> a window, a video, pictures, lines of JSON."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from edgemood.datasets import PICTURES
from edgemood.errors import EdgemoodError
from edgemood.files import make_folder, replace_file
from edgemood.runtime.draw import annotate
from edgemood.runtime.sources import Source
from edgemood.values import Frame, Reading

SCHEMA = 1
# What the OpenCV wheel can write. MJPG in .avi is large, but can be read however it ended.
VIDEOS = {".mp4": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}


@dataclass
class Result:
    """One frame and what was read in it. fps: to be shown; None where there is none to show."""

    frame: Frame
    readings: Sequence[Reading]
    fps: float | None = None

    @cached_property
    def picture(self) -> np.ndarray:
        """The frame with the readings drawn on it, BGR uint8 [H, W, 3]; drawn when first used.

        It is drawn on the frame itself, whose pixels nobody needs any more: a copy of a large
        frame would cost more than the drawing.
        """
        annotate(self.frame.image, self.readings, self.fps)
        return self.frame.image


class Sink(Protocol):
    """Opened before the first frame; `write` and `close` raise EdgemoodError for a fault."""

    def write(self, result: Result) -> None: ...

    def close(self) -> None: ...


# --- lines of JSON ------------------------------------------------------------------------------


def json_line(frame: Frame, readings: Sequence[Reading]) -> str:
    """One frame as a line of JSON, without its newline: schema 1, numbers to four decimals."""
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
    return json.dumps(line | {"faces": faces}, ensure_ascii=False)


def _spare(target: str | Path, source: Source) -> None:
    """Raise EdgemoodError where the target is what the source reads."""
    with suppress(OSError):  # one of them is no file, and there is nothing to spare
        if Path(target).samefile(source.name):
            raise EdgemoodError(
                f"{target} is the source itself: writing there would destroy it. Name another "
                "place."
            )


class JsonLines:
    """One line a frame, written in place and flushed. path: a file, or "-" for standard output."""

    def __init__(self, path: str, source: Source) -> None:
        self._name = "standard output" if path == "-" else path
        _spare(path, source)
        try:
            # A descriptor of our own, so that a reader who leaves is our fault to report alone.
            self._file = open(os.dup(sys.stdout.fileno()) if path == "-" else path, "wb")  # noqa: SIM115
        except OSError as error:
            raise EdgemoodError(
                f"{self._name} cannot be written: {error.strerror}. Name another file with "
                "--jsonl, or - for standard output."
            ) from error

    def write(self, result: Result) -> None:
        """Raises BrokenPipeError where the reader has gone, EdgemoodError for other faults."""
        line = json_line(result.frame, result.readings) + "\n"
        try:
            self._file.write(line.encode())
            self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise EdgemoodError(
                f"{self._name} cannot be written any further: {error.strerror}. Make room, or "
                "name another file with --jsonl."
            ) from error

    def close(self) -> None:
        # What failed in `write` is tried once more here, and was reported already.
        with suppress(OSError):
            self._file.close()


# --- video and pictures -------------------------------------------------------------------------


def save_sink(path: str, source: Source) -> Sink:
    """The sink for `--save`: .mp4 .mkv .avi, a picture (the last frame), or a folder (all).

    Raises EdgemoodError where it can't be written, or would replace what is being read.
    """
    target = Path(path).expanduser()
    _spare(target, source)
    suffix = target.suffix.lower()
    if target.is_dir() or path.endswith(("/", os.sep)) or not suffix:
        return PictureFolder(target, source)
    if suffix in VIDEOS:
        return VideoFile(target, source)
    if suffix in PICTURES:
        return LastPicture(target)
    raise EdgemoodError(
        f"{path} ends in {suffix}, a video ({' '.join(VIDEOS)}), a picture "
        f"({' '.join(sorted(PICTURES))}) or a folder was wanted for --save."
    )


def _probe(folder: Path, target: Path) -> None:
    """Raise EdgemoodError where no file can be made in `folder`."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise EdgemoodError(
            f"{target} cannot be written: {error.strerror}. Name a place that can with --save."
        ) from error


class VideoFile:
    """A video of all frames, in place; a live source's keeps its time by repeating frames."""

    def __init__(self, path: Path, source: Source) -> None:
        self._path = path
        self._live = source.is_live
        # A picture is shown for a second; a camera that does not say gets what most have.
        self._fps = source.fps or (30.0 if source.is_live else 1.0)
        # The encoder works on pairs of rows and columns, and an odd one would be cut off.
        self._size = (source.size[0] + source.size[0] % 2, source.size[1] + source.size[1] % 2)
        self._written = 0
        _probe(path.parent, path)
        self._writer = cv2.VideoWriter(
            str(path.absolute()),
            cv2.CAP_FFMPEG,
            cv2.VideoWriter.fourcc(*VIDEOS[path.suffix.lower()]),
            self._fps,
            self._size,
        )
        if not self._writer.isOpened():
            raise EdgemoodError(
                f"{path} cannot be written as a video of {self._size[0]}x{self._size[1]} at "
                f"{self._fps:g} FPS. Name another file with --save, for example out.avi."
            )

    def write(self, result: Result) -> None:
        copies = 1
        if self._live:
            copies = round(result.frame.time * self._fps) + 1 - self._written
        picture = _fit(result.picture, self._size)
        for _ in range(copies):
            # None from OpenCV 4, which never says; False from OpenCV 5, for example on a full disk.
            if self._writer.write(picture) is False:  # type: ignore[comparison-overlap]
                raise self._fault("the disk may be full")
            self._written += 1

    def close(self) -> None:
        """Finish the file; one without a frame is removed."""
        if not self._writer.isOpened():
            return
        self._writer.release()
        if not self._written:
            self._path.unlink(missing_ok=True)
            return
        check = cv2.VideoCapture(str(self._path.absolute()), cv2.CAP_FFMPEG)
        whole = check.isOpened()
        check.release()
        if not whole:
            raise self._fault("it could not be finished")

    def _fault(self, found: str) -> EdgemoodError:
        return EdgemoodError(
            f"{self._path} is no whole video: {found} after {self._written} frames. Make room, or "
            "name another place with --save; .mkv and .avi keep what was written.",
            exit_code=1,
        )


def _fit(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture in the middle of one of this (width, height), shrunk or enlarged, on black."""
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    # The odd row or column that the encoder wants is no reason to resample the rest.
    if 0 <= size[0] - width <= 1 and 0 <= size[1] - height <= 1:
        return cv2.copyMakeBorder(
            picture, 0, size[1] - height, 0, size[0] - width, cv2.BORDER_REPLICATE
        )
    scale = min(size[0] / width, size[1] / height)
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    x, y = (size[0] - width) // 2, (size[1] - height) // 2
    canvas[y : y + height, x : x + width] = cv2.resize(
        picture, (width, height), interpolation=method
    )
    return canvas


class LastPicture:
    """The last frame as one picture, written when the source has ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._result: Result | None = None
        _probe(path.parent, path)

    def write(self, result: Result) -> None:
        self._result = result

    def close(self) -> None:
        if self._result is not None:
            _write_picture(self._path, self._result.picture)
            self._result = None


class PictureFolder:
    """Every frame as a picture in a folder, which is made if it isn't there."""

    def __init__(self, path: Path, source: Source) -> None:
        self._path = path
        self._name = source.frame_name
        self._empty = not path.exists()  # ours to remove if nothing comes
        make_folder(path, "--save")
        _probe(path, path)

    def write(self, result: Result) -> None:
        _write_picture(self._path / self._name(result.frame), result.picture)
        self._empty = False

    def close(self) -> None:
        if self._empty:
            self._path.rmdir()
            self._empty = False


def _write_picture(path: Path, picture: np.ndarray) -> None:
    if path.suffix.lower() == ".pgm":
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    with replace_file(path) as file:
        file.write(cv2.imencode(path.suffix.lower(), picture)[1].tobytes())


# --- window -------------------------------------------------------------------------------------

QUIT, SPACE = {ord("q"), ord("Q"), 27}, ord(" ")
# Milliseconds between two looks at keys, the close button and signals.
POLL = 50


def no_display() -> str | None:
    """Why no window can be shown here, or None. Asked beforehand: Qt would end the process."""
    if sys.platform != "linux":
        return None
    if os.environ.get("WAYLAND_DISPLAY"):
        return None
    display = os.environ.get("DISPLAY")
    if not display:
        return "there is no display"
    match = re.fullmatch(r"(?:unix)?(?P<host>[^:]*):(?P<number>\d+)(?:\.\d+)?", display)
    if match is None:
        return None  # a form that we don't know, and Qt may
    number = int(match["number"])
    addresses: list[tuple[int, Any]] = [(socket.AF_INET, (match["host"], 6000 + number))]
    if not match["host"]:
        path = f"/tmp/.X11-unix/X{number}"
        addresses = [(socket.AF_UNIX, path), (socket.AF_UNIX, "\0" + path)]
    for family, address in addresses:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(2)
            try:
                probe.connect(address)
                return None
            except OSError:
                continue
    return f"the display {display} does not answer"


class Window:
    """Shows results, at a file's own speed. q, Esc or the close button quit; space pauses.

    A picture stays until space is pressed. is_open: False once the user has quit.
    stopped: asked while waiting, whether the program is to end.
    """

    def __init__(self, source: Source, stopped: Callable[[], bool]) -> None:
        self._title = f"edgemood: {Path(source.name).name}"
        self._live, self._pictures = source.is_live, source.is_pictures
        self._stopped = stopped
        self._start: float | None = None
        self.is_open = True
        try:
            cv2.namedWindow(
                self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
            )
            # No larger than fits on a small screen, no smaller than a face that can be seen.
            width, height = source.size
            scale = min(1280 / width, 720 / height, max(1.0, 480 / height))
            cv2.resizeWindow(self._title, round(width * scale), round(height * scale))
        except cv2.error as error:
            raise EdgemoodError(
                "this OpenCV cannot show a window (opencv-python-headless?). Pass --headless."
            ) from error

    def write(self, result: Result) -> None:
        cv2.imshow(self._title, result.picture)
        if self._pictures:
            self._wait(lambda: False)
            return
        if self._live:
            due = 0.0
        else:
            if self._start is None:
                self._start = time.monotonic() - result.frame.time
            due = self._start + result.frame.time
        if self._wait(lambda: time.monotonic() >= due, due) and self.is_open:
            paused = time.monotonic()
            self._wait(lambda: False)
            if self._start is not None:
                self._start += time.monotonic() - paused

    def _wait(self, done: Callable[[], bool], due: float | None = None) -> bool:
        """Serve the window until `done`, a quit, a stop or space; whether it was space."""
        while True:
            left = POLL if due is None else (due - time.monotonic()) * 1000
            key = cv2.waitKey(min(POLL, max(1, round(left))))
            if key & 0xFF in QUIT and key != -1:
                self.is_open = False
            if not self._visible():
                self.is_open = False
            if not self.is_open or self._stopped():
                return False
            if key != -1 and key & 0xFF == SPACE:
                return True
            if done():
                return False

    def _visible(self) -> bool:
        """False once the close button was pressed, which Qt tells by an error."""
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:
            return False

    def close(self) -> None:
        with suppress(cv2.error):  # the user may have closed it
            cv2.destroyWindow(self._title)
