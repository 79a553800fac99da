"""Bytes of a Motion JPEG stream, as they come -> the pictures in them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

from edgemood.runtime.sources.decode import Undecodable, decode, jpeg_header
from edgemood.runtime.sources.intake import Shot

# A picture that goes on for longer is none: 8K at the best quality takes half of this.
MAX_BYTES = 32 * 2**20
# So much is asked for at once. What has piled up beyond a picture is then seen, and passed over.
CHUNK = 2**20
START, END = b"\xff\xd8\xff", b"\xff\xd9"
# What may come next in a scan's data that belongs to the picture no more; `FF 00` is a plain FF.
_NEXT = re.compile(rb"\xff(?:\xd9|\xd8\xff)")
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d{1,9})[ \t]*\r?$")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


class Splitter:
    """Cuts a stream into pictures, whole or not: what is broken is the decoder's to find out.

    boundary: of multipart/x-mixed-replace (RFC 2046, section 5.1.1); None: JPEGs one after the
    other, between which anything may stand.
    """

    def __init__(self, boundary: bytes | None = None) -> None:
        self._buffer = bytearray()
        self._seen = 0  # so much of the buffer was searched already
        self._cut = self._next_jpeg
        if boundary is not None:
            # Some servers count the two dashes before it as part of it.
            self._line = b"--" + boundary.removeprefix(b"--")
            self._cut = self._next_part

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What is complete with this chunk."""
        self._buffer += chunk
        while (picture := self._cut()) is not None:
            yield picture
        if len(self._buffer) > MAX_BYTES:
            self._drop(len(self._buffer))
            yield b""

    def _drop(self, count: int) -> bytes:
        """Take so many bytes off the front."""
        front = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._seen = 0
        return front

    def _find(self, what: bytes, at: int) -> int:
        """Where it is at or after `at`; looks at no byte twice."""
        found = self._buffer.find(what, max(at, self._seen))
        if found < 0:
            self._seen = max(at, len(self._buffer) - len(what) + 1)
        return found

    def _next_jpeg(self) -> bytes | None:
        start = self._buffer.find(START)
        if start < 0:
            del self._buffer[:-2]
            return None
        if start:
            self._drop(start)
        scan = jpeg_header(self._buffer)[1]
        if scan is None:
            return None
        if scan < 0:  # a broken header: go on with the next picture
            end = self._find(START, 2)
            return None if end < 0 else self._drop(end)
        found = _NEXT.search(self._buffer, max(scan, self._seen))
        if found is None:
            self._seen = max(scan, len(self._buffer) - 2)
            return None
        return self._drop(found.end() if found[0] == END else found.start())

    def _next_part(self) -> bytes | None:
        line = self._buffer.find(self._line)
        if line < 0:
            del self._buffer[: -len(self._line)]
            return None
        blank = _BLANK_LINE.search(self._buffer, line)
        if blank is None:
            return None
        start = blank.end()
        length = _LENGTH.search(self._buffer, line, start)
        end = self._find(self._line, start)
        if end >= 0:
            return self._drop(end)[start:]
        # The next boundary may come with the next picture only: that would be one frame late.
        if length:
            end = start + int(length[1])
            return self._drop(end)[start:] if end <= len(self._buffer) else None
        tail = bytes(self._buffer[-4:]).rstrip(b"\r\n")
        if tail.endswith(END):
            scan = jpeg_header(self._buffer, start)[1]
            if scan is not None and 0 <= scan < len(self._buffer):
                return self._drop(len(self._buffer))[start:]
        return None


class Mjpeg:
    """Reads pictures off a stream of bytes; the newest, where several have come.

    read_some: waits for bytes and returns them; raises Lost or Ended. newest: False: every one.
    fps, broken, skipped: see `Connection`.
    """

    def __init__(
        self, read_some: Callable[[], bytes], boundary: bytes | None = None, newest: bool = True
    ) -> None:
        self.fps: float | None = None
        self.broken = 0
        self.skipped = 0
        self._read_some = read_some
        self._splitter = Splitter(boundary)
        self._newest = newest
        self._ready: list[bytes] = []

    def wait(self) -> None:
        while not self._ready:
            self._ready += self._splitter.feed(self._read_some())
        if self._newest:
            self.skipped += len(self._ready) - 1
            del self._ready[:-1]

    def decode(self) -> Shot | None:
        try:
            return decode(self._ready.pop(0)), time.monotonic()
        except Undecodable:
            self.broken += 1
            return None
