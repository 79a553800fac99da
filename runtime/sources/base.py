"""What every source is: frames one after the other, and word of how it is doing."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from edgemood.values import Frame

if TYPE_CHECKING:
    from concurrent.futures import Future

AnySource = TypeVar("AnySource", "Source", "Source | None")
State = Literal["connecting", "online", "stalled", "offline"]


@dataclass(frozen=True, slots=True)
class Status:
    """How a source is doing.

    state: "connecting" (a connection is being made), "online", "stalled" (connected, but no frame
    has come for two seconds) or "offline" (there will be another try).
    captured: frames that came since the first one was asked for. dropped: those of them that a
    newer one replaced before anybody asked.
    decode_errors: pictures that could not be decoded. reconnects: connections that gave frames
    after an earlier one was lost. stalls: how often it fell silent.
    age: seconds since the newest frame came; None before the first.
    reason: why it was lost last, for a person; empty where it was not.
    """

    state: State = "online"
    captured: int = 0
    dropped: int = 0
    decode_errors: int = 0
    reconnects: int = 0
    stalls: int = 0
    age: float | None = None
    reason: str = ""


class Source:
    """Iterate over it for its frames, once; close it, or use it in a `with` block.

    Opening reads the first frame, so that what can't be read fails there, with exit code 2; a
    fault after that raises EdgemoodError with exit code 1 out of the iteration. Only a network
    stream that does not answer yet is opened without: it goes on trying.

    name: for messages, free of passwords. size: (width, height) of the first frame in pixels; a
    guess for a stream that has given none yet. fps: frames a second as declared; None for
    pictures, and where a camera does not say. count: frames as declared; None where it never ends.
    is_live: frames come when they come, and wait for nobody: the newest is given, others dropped.
    """

    name: str
    size: tuple[int, int]
    fps: float | None = None
    count: int | None = None
    is_live = False

    @property
    def is_pictures(self) -> bool:
        """Frames have no time and nothing to do with one another."""
        return not self.is_live and self.fps is None

    @property
    def status(self) -> Status:
        """How it is doing now; may be asked from any thread."""
        return Status()

    def frame_name(self, frame: Frame) -> str:
        """A file name for this frame: the picture's own, or one that sorts."""
        return f"frame-{frame.index:06d}.jpg"

    def reads(self, path: Path) -> bool:
        """Whether it reads this file, or pictures in this folder: writing there would harm them."""
        return is_same(path, self.name)

    def is_cut(self, frame: Frame) -> bool:
        """Asked of the frame given last: what it shows does not go on from the frame before."""
        return self.is_pictures

    def frames(self, tick: float) -> Iterator[Frame | None]:
        """Its frames; where none came for `tick` seconds, None: time to look at other things.

        Files give None only where reading one hangs.
        """
        raise NotImplementedError

    def __iter__(self) -> Iterator[Frame]:
        """Its frames; waits for each."""
        for frame in self.frames(1.0):
            if frame is not None:
                yield frame

    def close(self) -> None:
        """Let go of device, file or connection; may be called twice."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def open_aside(opens: Callable[[], AnySource], tick: float) -> Generator[None, None, AnySource]:
    """Open a source in a thread; None for every `tick` seconds until it is there.

    For those that follow a first one: a server that takes its time must not keep the program from
    ending. What is opened when nobody waits for it any longer is closed. Raises what `opens` does.
    """
    from concurrent import futures  # adds a logger to the program's, so not before it must

    opened: futures.Future[AnySource] = futures.Future()

    def work() -> None:
        try:
            opened.set_result(opens())
        except BaseException as error:
            opened.set_exception(error)

    threading.Thread(target=work, name="edgemood opening", daemon=True).start()
    try:
        while not futures.wait([opened], tick).done:
            yield None
    except GeneratorExit:
        opened.add_done_callback(_close)
        raise
    return opened.result()


def _close(opened: Future[AnySource]) -> None:
    if opened.exception() is None and (source := opened.result()) is not None:
        source.close()


def is_same(path: Path, name: str | Path) -> bool:
    """Whether both are there, and the same file."""
    try:
        return path.samefile(name)
    except OSError:
        return False


def is_in(path: Path, folder: Path) -> bool:
    """Whether this is a folder, and the path lies in it or below."""
    return any(is_same(each, folder) for each in path.absolute().parents)


# What stands before the host, and parameters that cameras take passwords in; some without a "?".
_LOGIN = re.compile(r"(?<=:/)(/*)[^/?#]*@")
_ODD_LOGIN = re.compile(r"(?<=:/)(/*)[^/@]*:(?!\d*(?:[/?#]|$)).*@")
_PARAMETER = re.compile(
    r"(?i)((?:^|[?&;#/])[^=&;/?#]*(?:user|usr|login|pass|pwd|token|key|auth|secret|sig|session)"
    r"[^=&;/?#]*=)[^&;#]*"
)


def hide_secrets(text: str) -> str:
    """An address without its user and password, and with *** for parameters that hold such."""
    text = _ODD_LOGIN.sub(r"\1", _LOGIN.sub(r"\1", text))
    return _PARAMETER.sub(r"\1***", text) if ":/" in text else text
