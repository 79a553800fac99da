"""A blocking connection -> pictures that can be waited for with an end to the waiting.

A read that hangs in OpenCV, a driver or a socket can't be called off. So it happens in a thread
that can be left behind, and whoever wants a picture waits for it at a mailbox.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable
from typing import Protocol

import numpy as np

# A picture, BGR uint8 [H, W, 3], and its time in seconds by the clock of where it comes from.
Shot = tuple[np.ndarray, float]


class Lost(Exception):
    """The connection can't be made or goes no further: says why, and what to do about it."""

    def __init__(self, found: str, remedy: str = "") -> None:
        super().__init__(found)
        self.found, self.remedy = found, remedy


class Ended(Exception):
    """There are no more pictures, and that is no fault."""


class Connection(Protocol):
    """Made, read and closed by one thread; `interrupt` alone is for others.

    fps: as declared, or None. broken: pictures so far that could not be decoded. skipped: whole
    pictures so far that were passed over, since newer ones had come already.
    """

    fps: float | None
    broken: int
    skipped: int

    def wait(self) -> None:
        """Until a picture has come; raises Lost or Ended."""

    def decode(self) -> Shot | None:
        """The picture that has come; None where it can't be decoded."""

    def interrupt(self) -> None:
        """End a `wait` that another thread is in, where that can be done."""

    def close(self) -> None: ...


_threads: weakref.WeakSet[Intake] = weakref.WeakSet()


@atexit.register
def _leave_all() -> None:
    """OpenCV aborts the process if a read of its returns while Python shuts down."""
    for intake in list(_threads):
        intake.leave()
    end = time.monotonic() + 0.5
    for intake in list(_threads):
        intake.leave(max(0.0, end - time.monotonic()))


class Mailbox:
    """Holds one picture: the newest, or with `every` the next, before it is taken no other."""

    def __init__(self, every: bool = False) -> None:
        self.captured = 0
        self.dropped = 0
        self.every = every
        self._shot: Shot | None = None
        self._closed = False
        self._changed = threading.Condition()

    def make_room(self) -> None:
        """Asked before the next one is decoded, so that two are never in memory for one."""
        with self._changed:
            while self.every and self._shot is not None and not self._closed:
                self._changed.wait()
            self.dropped += self._shot is not None
            self._shot = None

    def put(self, shot: Shot, skipped: int = 0) -> None:
        with self._changed:
            self.captured += 1 + skipped
            self.dropped += skipped
            self._shot = shot
            self._changed.notify_all()

    def take(self, timeout: float) -> Shot | None:
        """The picture, waited for; None where none came in time, or none will come."""
        with self._changed:
            if self._shot is None and not self._closed:
                self._changed.wait(timeout)
            shot, self._shot = self._shot, None
            if self.every:
                self._changed.notify_all()
            return shot

    def count_from(self, shot: Shot | None) -> None:
        """Count from this one on, which was taken: what came before is nobody's loss."""
        with self._changed:
            self.captured = (shot is not None) + (self._shot is not None)
            self.dropped = 0

    def close(self) -> None:
        """Nobody waits here any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Intake:
    """Makes a connection and reads it into a mailbox, in a thread of its own.

    first: when the first picture came (time.monotonic), None before. latest: when the newest came,
    or the thread began. ended: nothing more will come. error: what ended it, None where it was
    left. on_change: called with it when the first picture has come and when it has ended.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        mailbox: Mailbox,
        on_change: Callable[[Intake], object],
    ) -> None:
        self.first: float | None = None
        self.latest = time.monotonic()
        self.ended = False
        self.error: BaseException | None = None
        self.connection: Connection | None = None
        self._connect = connect
        self._mailbox = mailbox
        self._on_change = on_change
        self._left = self._waits = False
        self._thread = threading.Thread(target=self._run, name="edgemood intake", daemon=True)
        self._thread.start()
        _threads.add(self)

    def _run(self) -> None:
        try:
            self.connection = self._connect()
            try:
                skipped = 0
                while not self._left:  # it may have been while the connection was made
                    self.connection.wait()
                    if self._left:
                        break
                    self._waits = True
                    self._mailbox.make_room()
                    self._waits = False
                    shot = self.connection.decode()
                    if self._left:
                        break
                    if shot is None:
                        continue
                    self.latest = time.monotonic()
                    is_first = self.first is None
                    if is_first:
                        self.first = self.latest
                    self._mailbox.put(shot, self.connection.skipped - skipped)
                    skipped = self.connection.skipped
                    # It is the mailbox's now: kept here, it would be one more in memory.
                    del shot
                    if is_first:
                        self._on_change(self)
            finally:
                self.connection.close()
        except BaseException as error:
            self.error = error
        self.ended = True
        self._on_change(self)

    @property
    def silence(self) -> float:
        """Seconds without a picture, while one was wanted."""
        return 0.0 if self._waits else time.monotonic() - self.latest

    @property
    def broken(self) -> int:
        return self.connection.broken if self.connection else 0

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def leave(self, timeout: float = 0.0) -> None:
        """Have it end when its read returns, and wait so long for that."""
        self._left = True
        if self.connection:
            self.connection.interrupt()
        self._thread.join(timeout)
