"""Faces of one look after another -> `Track`s: numbers that stay with a face.

Tracking by detection, after SORT (Bewley et al. 2016, arXiv:1602.00763): a Kalman filter says where
each face should be, overlap (IoU) says which of the found ones it is. As in ByteTrack (Zhang et al.
2022, arXiv:2110.06864), faces that are lost stay in the matching for a while; that faces of low
score keep a track but begin none is seen to in `following`. Times are in seconds, so frames may
come at any rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edgemood.values import Box, Face

# A face continues a track where their boxes overlap by this much, as in ByteTrack.
OVERLAP = 0.2
# A lost face keeps its number for so many seconds, and loses this much of its overlap in each: of
# two tracks on one place, the one whose face was just seen has it, and the other's face is behind.
MEMORY = 2.0
FADE = 0.1
# The Kalman filter's noise, in face widths: of a measured place, and of the speed in a second.
# Chosen, with FADE, on 1,080 simulated pairs of people who walk past one another (0.3 to 2 widths a
# second, 4 to 30 looks a second, places off by 3 %, 3 % of faces missed, of two that overlap by 0.3
# one is seen): in 89 % both keep their numbers, in 87 % where the speed's is 0.5 or FADE is 0.
MEASURED = 0.05
DRIVEN = 0.2
# Faces this near, in their mean width and height, may be covering one another. What shows of the
# one behind shrinks, so that it seems to slow down: no speed is learned from it then. Of 24 drawn
# people whom another passes in front of, YuNet finding them, 14 keep their numbers if speed is
# learned until boxes touch, and 24 with this.
NEAR = 1.5


class Tracker:
    """Gives faces their numbers: from 1, one for each face, never used again."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self._next = 1

    def __call__(self, faces: Sequence[Face], time: float) -> list[Track]:
        """The tracks of the faces found at this time, which is in seconds and never runs back."""
        self.tracks = [track for track in self.tracks if time - track.seen <= MEMORY]
        pairs = [
            (overlap - FADE * (time - track.seen), track, i)
            for track in self.tracks
            for i, face in enumerate(faces)
            if (overlap := track.overlap(face.box, time)) >= OVERLAP
        ]
        # Best first, not the best sum: an assignment that is optimal in all gives no other numbers
        # where a face overlaps one or two tracks, and needs a solver.
        pairs.sort(key=lambda pair: -pair[0])
        found: dict[int, Track] = {}
        for _, track, i in pairs:
            if i not in found and track not in found.values():
                self.see(track, faces[i], time)
                found[i] = track
        for i, face in enumerate(faces):
            if i not in found:
                found[i] = Track(self._next, face, time)
                self.tracks.append(found[i])
                self._next += 1
        return [found[i] for i in sorted(found)]

    def see(self, track: Track, face: Face, time: float) -> None:
        """A track's face has been found again."""
        apart = not any(
            _near(face.box, other.face.box) for other in self.tracks if other is not track
        )
        track.see(face, time, apart)

    def forget(self) -> None:
        """Take every face of the next look for a new one: the scene has changed."""
        self.tracks = []


@dataclass(eq=False, slots=True)
class Track:
    """One face over time.

    number: its own. face: as it was last seen, at the time `seen`, in seconds.
    """

    number: int
    face: Face
    seen: float
    # Of the box's centre: place in pixels, speed in pixels a second, ...
    _place: tuple[float, float] = field(init=False)
    _speed: tuple[float, float] = (0.0, 0.0)
    # ... and the covariance of both in face widths, the same for either axis: place, both, speed.
    _spread: tuple[float, float, float] = (MEASURED**2, 0.0, 1.0)

    def __post_init__(self) -> None:
        self._place = centre(self.face.box)

    def box(self, time: float) -> Box:
        """Where the face should be at this time, with its last size."""
        (x, y), (u, v) = self._place, self._speed
        past = time - self.seen
        _, _, width, height = self.face.box
        return (round(x + past * u - width / 2), round(y + past * v - height / 2), width, height)

    def overlap(self, box: Box, time: float) -> float:
        """IoU with where the face should be, or where it was: a lost face goes on, or stays."""
        return max(iou(self.box(time), box), iou(self.face.box, box))

    def see(self, face: Face, time: float, apart: bool = True) -> None:
        """The face has been found again. apart: nothing is near that could cover it."""
        past = time - self.seen
        a, b, c = self._spread
        # Predict: place += past * speed, the speed driven by white noise.
        a += past * (2 * b + past * c) + DRIVEN**2 * past**3 / 3
        b += past * c + DRIVEN**2 * past**2 / 2
        c += DRIVEN**2 * past
        # Correct by the measured place.
        gain, pull = a / (a + MEASURED**2), b / (a + MEASURED**2)
        self._spread = ((1 - gain) * a, (1 - gain) * b, c - pull * b)
        (x, y), (u, v), found = self._place, self._speed, centre(face.box)
        x, y = x + past * u, y + past * v
        across, down = found[0] - x, found[1] - y
        self._place = (x + gain * across, y + gain * down)
        if apart:
            self._speed = (u + pull * across, v + pull * down)
        self.face, self.seen = face, time


def _near(a: Box, b: Box) -> bool:
    (ax, ay), (bx, by) = centre(a), centre(b)
    across, down = NEAR * (a[2] + b[2]) / 2, NEAR * (a[3] + b[3]) / 2
    return abs(ax - bx) < across and abs(ay - by) < down


def centre(box: Box) -> tuple[float, float]:
    """The middle of a box, in pixels."""
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0..1."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)
