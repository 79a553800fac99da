"""A source with an end -> one without: at its own speed, and from the beginning again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edgemood.console import say
from edgemood.errors import EdgemoodError
from edgemood.runtime.sources.base import Source, open_aside
from edgemood.values import Frame

# Seconds that each of several pictures is shown.
PICTURE = 2.0
# Seconds by which it may be late and still catch up: more, and whoever takes its frames is slow.
LATE = 0.5


class Looped(Source):
    """Frames and times are counted on from round to round.

    What is damaged in it is said once. source: for the first round. opens: opens it again.
    """

    def __init__(self, source: Source, opens: Callable[[], Source]) -> None:
        self._now, self._opens = source, opens
        self.name, self.size, self.fps = source.name, source.size, source.fps
        self._count = 0  # of frames in earlier rounds

    def frames(self, tick: float) -> Iterator[Frame | None]:
        start, end = time.monotonic(), 0.0
        told = ""
        while True:
            shift, last = end, -1
            try:
                for frame in self._now.frames(tick):
                    if frame is None:
                        yield None
                        continue
                    moment = end if self.is_pictures else shift + frame.time
                    while (early := start + moment - time.monotonic()) > 0:
                        time.sleep(min(early, tick))
                        if early > tick:
                            yield None
                    if early < -LATE:
                        start -= early
                    last = frame.index
                    end = moment + (1 / self.fps if self.fps else PICTURE)
                    yield Frame(frame.image, self._count + frame.index, moment)
                    del frame
            except EdgemoodError as error:
                if last < 0:
                    raise
                if str(error) != told:
                    told = str(error)
                    say(f"edgemood: {told}")
            if last < 0:
                return
            self._now.close()
            self._now = yield from open_aside(self._opens, tick)
            self._count += last + 1

    def frame_name(self, frame: Frame) -> str:
        return self._now.frame_name(Frame(frame.image, frame.index - self._count, frame.time))

    def reads(self, path: Path) -> bool:
        return self._now.reads(path)

    def is_cut(self, frame: Frame) -> bool:
        # A round shows those who were in the last one: they keep their numbers. One picture goes on
        # being what it was.
        return self._now.count != 1 and self._now.is_cut(frame)

    def close(self) -> None:
        self._now.close()
