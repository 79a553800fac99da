"""A video file -> every frame once, in order, with the file's own times."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from edgemood.errors import EdgemoodError
from edgemood.runtime.sources.base import Source
from edgemood.runtime.sources.capture import Stamped, open_file
from edgemood.runtime.sources.intake import Intake, Lost, Mailbox
from edgemood.values import Frame

# Seconds that a read may hang before the caller gets to look at other things.
PATIENCE = 1.0


class Video(Source):
    """A video file. name: for messages, if not its path.

    A thread decodes one frame ahead: while that one is awaited, a program can still be stopped,
    and where there is a second core, decoding costs no time.
    """

    def __init__(self, path: Path, name: str = "") -> None:
        self.name = name or str(path)
        self._mailbox = Mailbox(every=True)
        self._intake = Intake(partial(open_file, path), self._mailbox, self._on_change)
        try:
            while (first := self._mailbox.take(PATIENCE)) is None and not self._intake.ended:
                pass
            self._first = first or self._mailbox.take(0)
        except BaseException:  # a signal ended the waiting
            self.close()
            raise
        if self._first is None:
            error = self._intake.error
            assert error is not None
            if not isinstance(error, Lost):
                raise error
            found = error.found if error.remedy else _ailment(path)
            raise EdgemoodError(
                f"{self.name} cannot be read as a video: {found}. "
                f"{error.remedy or 'Copy it again'}, or pass another file."
            ) from error
        image = self._first[0]
        self.size = (image.shape[1], image.shape[0])
        connection = self._intake.connection
        assert isinstance(connection, Stamped)
        self.fps = connection.fps or 25.0
        self.count = connection.count

    def _on_change(self, intake: Intake) -> None:
        if intake.ended:
            self._mailbox.close()

    def frames(self, tick: float) -> Iterator[Frame | None]:
        assert self.fps is not None
        shot, self._first = self._first, None
        index, last = 0, 0.0
        while True:
            if shot is not None:
                image, last = shot
                del shot
                yield Frame(image, index, last)
                del image
                index += 1
            elif not self._intake.ended:
                yield None
            elif (shot := self._mailbox.take(0)) is not None:
                continue
            else:
                break
            shot = self._mailbox.take(max(tick, PATIENCE))
        if self._intake.error is not None and not isinstance(self._intake.error, Lost):
            raise self._intake.error
        # Counts may be estimates from the duration, and sound may last longer than pictures do: an
        # end is early only if count and time both say so, and by how much tells a short video.
        if self.count and index < self.count and self._intake.error is not None:
            length = self.count / self.fps
            slack = max(2 / self.fps, min(1.0, 0.1 * length))
            if last + 1 / self.fps < length - slack:
                raise EdgemoodError(
                    f"{self.name} ended early: {index} of {self.count} frames could be read. Copy "
                    "it again.",
                    exit_code=1,
                )
        if self._intake.broken:
            raise EdgemoodError(
                f"{self.name} is damaged: {self._intake.broken} of its frames could not be "
                f"decoded, {index} could. Copy it again.",
                exit_code=1,
            )

    def close(self) -> None:
        self._mailbox.close()
        self._intake.leave(0.5)


def _ailment(path: Path) -> str:
    """Why a video can't be read, as far as its bytes tell."""
    try:
        with open(path, "rb") as file:
            head = file.read(512)
            # An mp4 is a chain of boxes; the one called moov is the index, often the last.
            if head[4:8] == b"ftyp":
                file.seek(0)
                size = os.fstat(file.fileno()).st_size
                at, kinds = 0, set()
                while at + 8 <= size:
                    file.seek(at)
                    header = file.read(16)
                    length = int.from_bytes(header[:4], "big")
                    if length == 1:  # a 64-bit length follows the name
                        length = int.from_bytes(header[8:16], "big")
                    kinds.add(header[4:8])
                    at = at + length if length >= 8 else size
                if b"moov" not in kinds:
                    return "its index is missing, it was cut off or never finished"
    except OSError as error:
        return error.strerror or str(error)
    if head.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, not the file itself"
    if not head.strip(b"\x00"):
        return "it holds nothing but zeros"
    if all(byte >= 32 or byte in b"\t\n\r\f" for byte in head):
        return "it is a text file"
    return "it is damaged, or in a format that OpenCV does not know (ffmpeg -i IN OUT.mp4 may help)"
