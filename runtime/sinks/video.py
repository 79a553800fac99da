"""Results -> an annotated video."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import cv2
import numpy as np

from edgemood.errors import EdgemoodError
from edgemood.runtime.sinks.base import Result, Sink
from edgemood.runtime.sources import Source
from edgemood.runtime.sources.capture import is_utf8

# What the OpenCV wheel can write. MJPG is large, but fills FFmpeg's buffer of 256 kB soon, and can
# be read up to where it ends: a program killed after 20, 60, 120 frames of 512x480 left 11, 57, 115
# in an .mkv file. With mp4v, that file was empty after 60.
VIDEOS = {".mp4": "mp4v", ".mkv": "MJPG", ".avi": "MJPG"}
# Seconds that a live source's silence takes in its video, at most: it may be away for days.
GAP = 2.0


class VideoFile(Sink):
    """A video of all frames, in place; a live source's keeps its time by repeating frames.

    The first frame gives the size; others are fitted into it.
    """

    def __init__(self, path: Path, source: Source) -> None:
        self._path = path
        # So that FFmpeg takes no colon for a protocol, wherever the program goes.
        self._place = str(path.absolute())
        if not is_utf8(self._place):
            raise EdgemoodError(
                f"{path} cannot be written as a video: its name is no UTF-8, which OpenCV wants. "
                "Name another file with --save."
            )
        self._live = source.is_live
        # A picture is shown for a second; a camera that does not say gets what most have.
        fps = source.fps or (30.0 if source.is_live else 1.0)
        # MPEG-4 counts time in a fraction of 16 bits; measured rates have endless decimals.
        self._fps = round(fps, 3 if fps < 65 else 2)
        self._skipped = 0.0  # seconds of silence that were left out
        self._size = (0, 0)
        self._written = 0
        self._writer: cv2.VideoWriter | None = None

    def write(self, result: Result) -> None:
        writer = self._writer or self._open(result.frame.image)
        copies = self._copies(result.frame.time) if self._live else 1
        if copies <= 0:
            return
        picture = _fit(result.picture, self._size)
        for _ in range(copies):
            # None from OpenCV 4, which never says; False from OpenCV 5, for example on a full disk.
            if writer.write(picture) is False:  # type: ignore[comparison-overlap]
                self._writer = None
                writer.release()
                raise self._fault()
            self._written += 1

    def _open(self, image: np.ndarray) -> cv2.VideoWriter:
        height, width = image.shape[:2]
        # The encoder works on pairs of rows and columns, and an odd one would be cut off.
        self._size = (width + width % 2, height + height % 2)
        self._writer = cv2.VideoWriter(
            self._place,
            cv2.CAP_FFMPEG,
            cv2.VideoWriter.fourcc(*VIDEOS[self._path.suffix.lower()]),
            self._fps,
            self._size,
        )
        if not self._writer.isOpened():
            raise EdgemoodError(
                f"{self._path} cannot be written as a video of {self._size[0]}x{self._size[1]} at "
                f"{self._fps:g} FPS. Name another file with --save, for example out.avi."
            )
        return self._writer

    def _copies(self, time: float) -> int:
        """How often a live frame of this time is written, so that the video keeps its pace."""
        due = round((time - self._skipped) * self._fps) + 1 - self._written
        longest = max(1, round(GAP * self._fps))
        if due > longest:
            self._skipped += (due - longest) / self._fps
        return min(due, longest)

    def close(self) -> None:
        """Finish the file; raises EdgemoodError where that fails."""
        writer, self._writer = self._writer, None
        if writer is None or not writer.isOpened():
            return
        writer.release()
        # Nobody says whether that went well. What was not finished does not know its length, except
        # where all of it was still in FFmpeg's buffer: then it was cut off at the disk's last byte.
        check = cv2.VideoCapture(self._place, cv2.CAP_FFMPEG)
        known = check.get(cv2.CAP_PROP_FRAME_COUNT) == self._written
        check.release()
        if not known or self._room() < 4096:
            raise self._fault()

    def _room(self) -> float:
        """Bytes that are free on its disk, as far as it can be asked."""
        try:
            return shutil.disk_usage(Path(self._place).parent).free
        except OSError:  # the folder was taken away
            return math.inf

    def _fault(self) -> EdgemoodError:
        reason = "the disk is full" if self._room() < 1e6 else "it could not be written any further"
        count = f"{self._written} frame{'' if self._written == 1 else 's'}"
        if self._path.suffix.lower() == ".mp4":
            found = f"is unfinished and cannot be played: {reason} after {count}"
            remedy = "; .mkv and .avi keep what was written"
        else:
            found, remedy = f"ends early: {reason} after {count}", ""
        return EdgemoodError(
            f"{self._path} {found}. Make room, or name another place with --save{remedy}.",
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
