"""A clip -> how far following its faces departs from detecting them in each, and the costs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from time import thread_time

import numpy as np

from edgemood.errors import EdgemoodError
from edgemood.runtime import FaceDetector, open_source
from edgemood.runtime.following import Every, Follower
from edgemood.runtime.tracking import iou


@dataclass(frozen=True, slots=True)
class Departure:
    """Followed boxes against detected ones.

    p50, p5, p1: percentiles, over all faces detected, of the IoU with the nearest followed box, 0
    where there is none. extra: followed boxes with no detected one near, a frame. tracks: numbers
    given. detecting, following: milliseconds of the calling thread's CPU time a frame, mean.
    """

    p50: float
    p5: float
    p1: float
    extra: float
    tracks: int
    detecting: float
    following: float


def departure(
    clip: str, detector: FaceDetector, every: Every = "auto", frames: int | None = None
) -> Departure | None:
    """Of a clip's first frames, or all; None where the detector finds no face in them.

    Raises EdgemoodError where the clip can't be opened, or its frames have no times.
    """
    follow = Follower(detector, detector.sides[:1], every)
    overlaps: list[float] = []
    numbers: set[int] = set()
    extra = count = 0
    costs = np.zeros(2)
    with open_source(clip) as source:
        if source.is_live or source.is_pictures:
            raise EdgemoodError(f"{source.name} is no video, one was wanted to follow faces in.")
        for frame in islice(source, frames):
            start = thread_time()
            faces = detector(frame.image)
            middle = thread_time()
            tracks = follow(frame.image, frame.time)
            costs += middle - start, thread_time() - middle
            boxes = [track.face.box for track in tracks]
            overlaps += [max((iou(face.box, box) for box in boxes), default=0) for face in faces]
            extra += sum(all(iou(face.box, box) < 0.3 for face in faces) for box in boxes)
            numbers |= {track.number for track in tracks}
            count += 1
    if not overlaps:
        return None
    p50, p5, p1 = np.percentile(overlaps, (50, 5, 1)).tolist()
    costs *= 1000 / count
    return Departure(p50, p5, p1, extra / count, len(numbers), *costs.tolist())
