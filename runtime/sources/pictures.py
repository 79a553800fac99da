"""Picture files -> frames without a time, each a scene of its own."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import numpy as np

from edgemood.console import say
from edgemood.datasets import PICTURES
from edgemood.errors import EdgemoodError
from edgemood.runtime.sources.base import Source, is_same
from edgemood.runtime.sources.decode import Undecodable, decode
from edgemood.values import Frame


def is_picture(path: str | Path) -> bool:
    """Judged by its ending."""
    return os.path.splitext(path)[1].lower() in PICTURES


def pictures_in(folder: Path, recursive: bool = False) -> list[Path]:
    """The pictures in a folder, and with `recursive` in those below it, by name; none hidden."""
    found = []
    for place, folders, names in os.walk(folder):
        if not recursive:
            folders.clear()
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(place, name) for name in sorted(names) if is_picture(name) and name[0] != "."
        ]
    return found


class Pictures(Source):
    """Pictures one after the other. name: what they are together, for messages.

    folder: names of frames are paths below it; None: the files' own names.
    """

    def __init__(self, name: str, paths: Sequence[Path], folder: Path | None = None) -> None:
        self.name = name
        self._paths = paths
        self._folder = folder
        self.count = len(paths)
        self._broken: list[Path] = []
        self._ready = self._decoded()
        first = next(self._ready, None)
        if first is None:
            raise EdgemoodError(
                f"{name} cannot be used: none of the {self.count} pictures in it can be decoded. "
                "Copy them again."
            )
        self._first: Frame | None = first
        self.size = (first.image.shape[1], first.image.shape[0])

    def frames(self, tick: float) -> Iterator[Frame]:
        """A picture that can't be decoded is named and left out: its index is missing."""
        first, self._first = self._first, None
        if first is not None:
            yield first
            del first
        yield from self._ready
        if self._broken:
            raise EdgemoodError(
                f"{len(self._broken)} of {self.count} pictures in {self.name} could not be "
                f"decoded, the first is {self._broken[0].name}. Copy them again.",
                exit_code=1,
            )

    def _decoded(self) -> Generator[Frame, None, None]:
        for index, path in enumerate(self._paths):
            try:
                image = read_picture(path)
            except EdgemoodError as error:
                if self.count == 1 and self._folder is None:
                    raise
                self._broken.append(path)
                say(f"edgemood: {str(error).rpartition('. ')[0]}: it is left out")
            else:
                yield Frame(image, index, 0.0)
                del image

    def close(self) -> None:
        # It refers to this source, and this source to it: neither would go.
        self._ready.close()
        self._first = None

    def reads(self, path: Path) -> bool:
        folders = {each.parent for each in self._paths}
        files = (each for each in self._paths if each.name == path.name)
        return super().reads(path) or any(is_same(path, each) for each in (*folders, *files))

    def frame_name(self, frame: Frame) -> str:
        path = self._paths[frame.index]
        return path.name if self._folder is None else path.relative_to(self._folder).as_posix()


def read_picture(path: Path) -> np.ndarray:
    """BGR uint8 [H, W, 3], turned as its EXIF says; raises EdgemoodError with the reason."""
    try:
        # Not imread: on Windows it can't open every path that Python can.
        data = path.read_bytes()
    except OSError as error:
        raise EdgemoodError(
            f"{path} cannot be read: {error.strerror}. Pass another picture."
        ) from error
    if not data:
        raise EdgemoodError(f"{path} is empty, a picture was wanted. Copy it again.")
    try:
        return decode(data)
    except Undecodable as error:
        raise EdgemoodError(f"{path} {error}. {error.remedy}.") from error
