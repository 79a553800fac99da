"""A list of sources -> one source: the frames of each, one source after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from edgemood.console import say
from edgemood.errors import EdgemoodError
from edgemood.runtime.sources.base import (
    Source,
    Status,
    hide_secrets,
    is_in,
    is_same,
    open_aside,
)
from edgemood.values import Frame


def read_list(path: Path) -> list[str]:
    """The lines of a text file that name sources; none of empty ones and comments (#).

    What is a file beside the list is named as such, wherever the program was started.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise EdgemoodError(f"{path} cannot be read as a list: {reason}. Pass another.") from error
    named = [line for each in lines if (line := each.strip()) and not line.startswith("#")]
    if not named:
        raise EdgemoodError(f"{path} names no source, one a line was wanted. Add some.")
    return [str(path.parent / line) if _is_there(path.parent / line) else line for line in named]


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a line of prose is no name that a file can have
        return False


class Several(Source):
    """Frames are counted on from source to source, and so is their time.

    What can't be opened or read to its end is named, the rest goes on; the end is then a fault
    with exit code 1. opens: opens one of them.
    """

    def __init__(self, name: str, sources: Sequence[str], opens: Callable[[str], Source]) -> None:
        self.name = name
        self._count = len(sources)
        self._sources = sources
        self._failed: list[str] = []
        self._opened = self._open(sources, opens)
        self._now: Source | None = next(self._opened, None)
        if self._now is None:
            raise EdgemoodError(
                f"{name} cannot be used: none of the {self._count} sources in it can be opened. "
                "Correct it."
            )
        self.size = self._now.size
        self.fps = self._now.fps or 25.0  # a list of pictures alone is no matter of this class
        self.is_live = self._now.is_live
        self._is_first = False

    def _open(self, sources: Sequence[str], opens: Callable[[str], Source]) -> Iterator[Source]:
        for source in sources:
            try:
                opened = opens(source)
            except EdgemoodError as error:
                self._fail(hide_secrets(source), error)
            else:
                yield opened

    def _fail(self, name: str, error: EdgemoodError) -> None:
        self._failed.append(name)
        say(f"edgemood: {error}")

    def frames(self, tick: float) -> Iterator[Frame | None]:
        count, end = 0, 0.0
        while self._now is not None:
            start, last = end, -1
            try:
                for frame in self._now.frames(tick):
                    if frame is None:
                        yield None
                        continue
                    self._is_first, last = last < 0, frame.index
                    end = start + frame.time
                    yield Frame(frame.image, count + frame.index, end)
                    del frame
            except EdgemoodError as error:
                self._fail(self._now.name, error)
            count += last + 1
            end += 1 / (self._now.fps or 1.0)
            self._now.close()
            self._now = yield from open_aside(partial(next, self._opened, None), tick)
        if self._failed:
            raise EdgemoodError(
                f"{len(self._failed)} of {self._count} sources in {self.name} could not be read, "
                f"or not to the end, the first is {self._failed[0]}. Look at what was said of it.",
                exit_code=1,
            )

    def reads(self, path: Path) -> bool:
        named = [Path(os.path.expanduser(name)) for name in (self.name, *self._sources)]
        # What a folder among them holds is known when it is opened, which may be too late.
        return any(is_same(path, each) or (path.is_file() and is_in(path, each)) for each in named)

    def is_cut(self, frame: Frame) -> bool:
        return self._is_first or (self._now is not None and self._now.is_cut(frame))

    @property
    def status(self) -> Status:
        return self._now.status if self._now is not None else Status("offline")

    def close(self) -> None:
        if self._now is not None:
            self._now.close()
            self._now = None
        self._opened = iter(())
