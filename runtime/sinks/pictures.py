"""Results -> what `--save` names: an annotated video, a picture, or a folder of pictures."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from edgemood.datasets import PICTURES
from edgemood.errors import EdgemoodError
from edgemood.files import make_folder, replace_file
from edgemood.runtime.sinks.base import Result, Sink, spare
from edgemood.runtime.sinks.video import VIDEOS, VideoFile
from edgemood.runtime.sources import Source
from edgemood.values import Frame


def save_sink(path: str, source: Source) -> Sink:
    """The sink for `--save`: .mp4 .mkv .avi, a picture (the last frame), or a folder (all).

    Raises EdgemoodError where it can't be written, or would replace what is being read.
    """
    target = Path(os.path.expanduser(path))
    spare(target, source)
    suffix = target.suffix.lower()
    if target.is_dir() or path.endswith(("/", os.sep)) or not suffix:
        return PictureFolder(target, source)
    if suffix in VIDEOS:
        _probe(target)
        return VideoFile(target, source)
    if suffix in PICTURES:
        _probe(target)
        return LastPicture(target)
    raise EdgemoodError(
        f"{path} ends in {suffix}, a video ({' '.join(VIDEOS)}), a picture "
        f"({' '.join(sorted(PICTURES))}) or a folder was wanted for --save."
    )


def _probe(target: Path) -> None:
    """Raise EdgemoodError where a file can't be made or changed, or a folder not written to."""
    try:
        if target.is_file():
            open(target, "ab").close()
        tempfile.TemporaryFile(dir=target if target.is_dir() else target.parent).close()
    except OSError as error:
        raise EdgemoodError(
            f"{target} cannot be written: {error.strerror}. Name a place that can with --save."
        ) from error


class LastPicture(Sink):
    """The last frame as one picture, written when the source has ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._result: Result | None = None

    def write(self, result: Result) -> None:
        self._result = result

    def close(self) -> None:
        result, self._result = self._result, None
        if result is not None:
            write_picture(self._path, result.picture)


class PictureFolder(Sink):
    """Every frame as a picture in a folder, which is made if it isn't there."""

    def __init__(self, path: Path, source: Source) -> None:
        self._path = path
        self._name = source.frame_name
        self._pictures: set[str] | None = set() if source.is_pictures else None
        self._empty = not path.exists()  # ours to remove if nothing comes
        make_folder(path, "--save")
        _probe(path)

    def write(self, result: Result) -> None:
        path = self._path / self._unique(result.frame)
        if path.parent != self._path:
            make_folder(path.parent, "--save")
        write_picture(path, result.picture)
        self._empty = False

    def _unique(self, frame: Frame) -> str:
        """The frame's name; with a number where a picture from elsewhere has had it before."""
        name, number = self._name(frame), frame.index
        if self._pictures is None:
            return name
        stem, suffix = os.path.splitext(name)
        while name in self._pictures:
            name, number = f"{stem}-{number}{suffix}", number + 1
        self._pictures.add(name)
        return name

    def close(self) -> None:
        if self._empty:
            with suppress(OSError):  # somebody else has put something into it
                self._path.rmdir()
            self._empty = False


def write_picture(path: Path, picture: np.ndarray) -> None:
    """A BGR uint8 [H, W, 3] picture as a file of the kind that its name ends in, whole or not.

    Raises EdgemoodError where it can't be written, or is larger than such files may be.
    """
    suffix = path.suffix.lower()
    if suffix == ".pgm":
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    try:
        done, data = cv2.imencode(suffix, picture)
    except cv2.error:
        done = False
    if not done:
        raise EdgemoodError(
            f"{path} cannot be written: no {suffix} holds {picture.shape[1]}x{picture.shape[0]} "
            "pixels. Name another kind of picture, for example .png.",
            exit_code=1,
        )
    with replace_file(path) as file:
        file.write(data.tobytes())
