"""A clip -> how far following its faces departs from detecting them in each, and the costs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from time import thread_time

import numpy as np

from edgemood.benchmarks.timing import Samples
from edgemood.errors import EdgemoodError
from edgemood.runtime import FaceDetector, open_source
from edgemood.runtime.following import Every, Follower
from edgemood.runtime.tracking import iou


@dataclass(frozen=True, eq=False)
class Departure:
    """Followed boxes against detected ones.

    overlaps: of every face detected, the IoU with the nearest followed box, 0 where there is none,
    float64 [faces]. extra: followed boxes with no detected one near, a frame. tracks: numbers
    given. detecting, following: the calling thread's CPU time for each frame, in one round.
    """

    overlaps: np.ndarray
    extra: float
    tracks: int
    detecting: Samples
    following: Samples

    def percentile(self, share: float) -> float:
        """Of the overlaps; share: 0 to 100."""
        return float(np.percentile(self.overlaps, share))


def departure(
    clip: str, detector: FaceDetector, every: Every = "auto", frames: int | None = None
) -> Departure | None:
    """Of a clip's first frames, or all; None where the detector finds no face in them.

    Raises EdgemoodError where the clip can't be opened, or its frames have no times.
    """
    follow = Follower(detector, detector.sides, every)
    overlaps: list[float] = []
    numbers: set[int] = set()
    extra = count = 0
    costs: list[tuple[float, float]] = []
    with open_source(clip) as source:
        if source.is_live or source.is_pictures:
            raise EdgemoodError(f"{source.name} is no video, one was wanted to follow faces in.")
        for frame in islice(source, frames):
            start = thread_time()
            faces = detector(frame.image)
            middle = thread_time()
            tracks = follow(frame.image, frame.time)
            costs.append((middle - start, thread_time() - middle))
            boxes = [track.face.box for track in tracks]
            overlaps += [max((iou(face.box, box) for box in boxes), default=0) for face in faces]
            extra += sum(all(iou(face.box, box) < 0.3 for face in faces) for box in boxes)
            numbers |= {track.number for track in tracks}
            count += 1
    if not overlaps:
        return None
    detecting, following = map(Samples.of, np.array(costs).T)
    return Departure(np.round(overlaps, 4), extra / count, len(numbers), detecting, following)
