"""What every sink is: it takes the results of one frame after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from edgemood.errors import EdgemoodError
from edgemood.runtime.draw import annotate
from edgemood.runtime.sources import Source, Status
from edgemood.values import Frame, Reading


@dataclass
class Result:
    """One frame and what was read in it.

    fps: to be shown; None where there is none to show. status: of a live source, else None.
    """

    frame: Frame
    readings: Sequence[Reading]
    fps: float | None = None
    status: Status | None = None

    @cached_property
    def picture(self) -> np.ndarray:
        """The frame with the readings drawn on it, BGR uint8 [H, W, 3]; drawn when first used.

        It is drawn on the frame itself, whose pixels nobody needs any more: a copy of a large
        frame would cost more than the drawing.
        """
        annotate(self.frame.image, self.readings, self.fps)
        return self.frame.image


class Sink:
    """Takes results. What can't be opened, written or closed raises EdgemoodError.

    It is opened before the first frame. is_open: False once its user wants no more.
    """

    is_open = True

    def write(self, result: Result) -> None:
        """Take the next frame's."""
        raise NotImplementedError

    def idle(self, status: Status) -> None:
        """A live source has given nothing for a moment."""

    def close(self) -> None:
        """Finish what was written; may be called twice."""

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Callback(Sink):
    """Calls a function with every result."""

    def __init__(self, function: Callable[[Result], object]) -> None:
        self._function = function

    def write(self, result: Result) -> None:
        self._function(result)


def spare(target: str | Path, source: Source | None) -> None:
    """Raise EdgemoodError where the target is what the source reads."""
    if source is not None and source.reads(Path(target)):
        raise EdgemoodError(
            f"{target} is the source itself: writing there would destroy it. Name another place."
        )
