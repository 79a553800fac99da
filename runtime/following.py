"""Frames with their times -> the tracks in view, for a fraction of the cost of detecting in each.

Now and then the detector looks at a whole frame. In between, the faces it found are followed: the
place that looks most like the face a moment ago is found by normalised cross-correlation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Literal

import cv2
import numpy as np

from edgemood.runtime.faces import DOUBT, OVERLAP
from edgemood.runtime.noticing import Newcomers
from edgemood.runtime.tracking import Track, Tracker, centre, iou
from edgemood.values import Box, Face

Every = int | Literal["auto"]

# Of "auto", in seconds: a face that comes into view is noticed within the first; and after a face
# was lost, each frame is looked at for the second.
NOTICE = 0.3
SEARCH = 0.25
# Times of frames are as files have them, rounded to so many seconds.
ROUNDED = 0.001
# A face that a look missed or doubts is looked for by itself, in a region this many times its size.
# A missed one is found with a lower score, as in ByteTrack, where its box fits this well.
AROUND = 2.0
FAINT = 0.3
FITS = 0.5
# A doubted one is looked at in this many pixels: at 96, a pattern on a shirt in one of the clips
# is taken for a face with a score of 0.79, at 128 and above not at all.
SURE_SIDE = 128

# Samples across a face, how far it may move between two frames in face widths, and the least
# correlation with it that is still taken for the face.
SAMPLES = 20
REACH = 0.4
ALIKE = 0.7
# Pixels from one compared pixel to the next.
GRID = 8


class Follower:
    """Follows the faces from frame to frame.

    detect: a `FaceDetector`, or what is called like one. sides: of its looks; the first is quick,
    the largest shows small faces. every: detect in every n-th frame, from 1; "auto": as seldom as
    the constants above allow.
    """

    def __init__(
        self, detect: Callable[..., list[Face]], sides: Sequence[int], every: Every = "auto"
    ) -> None:
        if every != "auto" and every < 1:
            raise ValueError(f"detect in every frame, or in every n-th, but not in every {every}th")
        self._detect = detect
        self._quick = sides[0]
        self._every = every
        self._tracker = Tracker()
        self._newcomers = Newcomers(detect, sides)
        self._view: list[Track] = []
        self._doubted: list[Box] = []
        self._patches: dict[int, Patch] = {}
        # Times of the last frame and look, and frames since the last look.
        self._time = self._looked = -math.inf
        self._frames = 0

    def __call__(self, image: np.ndarray, time: float) -> list[Track]:
        """The tracks whose faces the next frame shows, BGR uint8 [H, W, 3], largest first.

        time: of the frame, in seconds. One before the last frame's means another scene.
        """
        if time < self._time:
            self.forget()
        elif time == self._time:  # pictures have none: each is looked at, in full
            self._looked = -math.inf
            self._newcomers.forget()
        since, self._time = time - self._time, time
        self._frames += 1
        if self._is_due(since) or not self._follow(image):
            self._look(image)
        return self._view

    def stay(self, time: float) -> list[Track]:
        """The same for a frame that equals the last one: nothing has moved."""
        self._time = max(time, self._time)
        self._frames += 1
        for track in self._view:
            track.see(track.face, self._time)
        return self._view

    def forget(self) -> None:
        """The next frame shows another scene: its faces are new ones."""
        self._tracker.forget()
        self._newcomers.forget()
        self._view, self._doubted = [], []
        self._time = self._looked = -math.inf

    def _is_due(self, since: float) -> bool:
        """Whether this frame, `since` seconds after the last one, has to be looked at."""
        if self._every != "auto":
            return self._frames >= self._every or self._looked == -math.inf
        if any(
            self._time - track.seen < SEARCH
            for track in self._tracker.tracks
            if track not in self._view
        ):
            return True
        # The next frame would come too late.
        return self._time - self._looked + since > NOTICE + ROUNDED

    def _look(self, image: np.ndarray) -> None:
        time, before = self._time, self._view
        faces = self._detect(image) if self._every != "auto" else self._found(image)
        faces.sort(key=_smallness)
        self._view = self._tracker(faces, time)
        self._looked, self._frames = time, 0
        for track in self._tracker.tracks:
            if track in before and track not in self._view:
                face = self._look_around(image, track)
                if face is not None:
                    self._tracker.see(track, face, time)
                    self._view.append(track)
        self._view.sort(key=lambda track: _smallness(track.face))
        if self._every != 1:
            self._patches = {track.number: Patch(image, track.face) for track in self._view}

    def _found(self, image: np.ndarray) -> list[Face]:
        """The faces of a quick look at the whole frame, and small new ones."""
        found = self._believed(image, self._detect(image, sides=(self._quick,)))
        known = [face.box for face in found] + [track.box(self._time) for track in self._view]
        return found + self._newcomers(image, self._time, known)

    def _believed(self, image: np.ndarray, faces: Sequence[Face]) -> list[Face]:
        """Doubted ones as a look at them alone shows them; without those that only this one saw."""
        believed: list[Face] = []
        doubted: list[Box] = []
        for face in faces:
            if face.score < DOUBT:
                doubted.append(face.box)
                alone = self._detect(image, _around(face.box), sides=(SURE_SIDE,))
                again = [other for other in alone if _is_at(other, [face.box])]
                tracks = [track.face.box for track in self._tracker.tracks]
                if not again and not _is_at(face, [*self._doubted, *tracks]):
                    continue
                face = max([face, *again], key=lambda face: face.score)
            believed.append(face)
        self._doubted = doubted
        return believed

    def _look_around(self, image: np.ndarray, track: Track) -> Face | None:
        """The face of a track that the look has missed, where it should be."""
        faces = [
            face
            for face in self._detect(image, _around(track.box(self._time)), least=FAINT)
            if track.overlap(face.box, self._time) >= FITS
            and all(iou(face.box, other.face.box) < OVERLAP for other in self._view)
        ]
        return max(faces, key=lambda face: face.score, default=None)

    def _follow(self, image: np.ndarray) -> bool:
        """Whether all faces in view could be followed into this frame."""
        faces: list[Face] = []
        for track in self._view:
            face = self._patches[track.number].find(image, track.box(self._time))
            if face is None:
                return False
            faces.append(face)
        # Where one face hides another, or two tracks have got onto one face, a look must decide.
        if any(iou(a.box, b.box) >= OVERLAP for a, b in combinations(faces, 2)):
            return False
        for track, face in zip(self._view, faces):
            self._tracker.see(track, face, self._time)
        return True


def _smallness(face: Face) -> int:
    return -face.box[2] * face.box[3]


def _around(box: Box) -> Box:
    """A square around a face, in which it is found again by itself."""
    (x, y), side = centre(box), round(AROUND * max(box[2:]))
    return round(x - side / 2), round(y - side / 2), side, side


def _is_at(face: Face, places: Sequence[Box]) -> bool:
    return any(iou(face.box, place) >= FITS for place in places)


class Patch:
    """A face's pixels in one frame, to find it again in the next ones.

    A sparse grid of the green channel is enough. On the clips, faces followed for 8 frames from
    one detection to the next have a median IoU of 0.91 to 0.98 with the boxes detected in each
    frame, 1st percentile 0.81 to 0.92, with 20 to 48 samples across a face and a reach of a
    quarter or 0.4 of it alike, for 0.05 to 0.14 ms; held in place instead, 0.70 to 0.98 and 0.36 to
    0.90. Optical flow of 25 points is dearer, 0.26 ms, and on one clip loses the face.
    """

    def __init__(self, image: np.ndarray, face: Face) -> None:
        x, y, width, height = face.box
        rows, columns = image.shape[:2]
        self._face = face
        self._step = max(1, round(width / SAMPLES))
        self._corner = min(max(0, x), columns - 1), min(max(0, y), rows - 1)
        right, bottom = max(x + width, self._corner[0] + 1), max(y + height, self._corner[1] + 1)
        self._samples = _sampled(image, *self._corner, right, bottom, self._step)
        # All one gray, it would be found everywhere: OpenCV gives such a patch a correlation of 1.
        self._is_plain = bool((self._samples == self._samples[0, 0]).all())

    def find(self, image: np.ndarray, near: Box) -> Face | None:
        """The face in another frame, moved; None where nothing near this box looks like it."""
        step, (rows, columns) = self._step, self._samples.shape
        reach = max(1, round(REACH * self._face.box[2] / step)) * step
        # Whole steps of leave on each side, as many as the frame has room for.
        x = _clamped(self._corner[0] + near[0] - self._face.box[0] - reach, step)
        y = _clamped(self._corner[1] + near[1] - self._face.box[1] - reach, step)
        there = _sampled(
            image, x, y, x + 2 * reach + columns * step, y + 2 * reach + rows * step, step
        )
        if there.shape[0] < rows or there.shape[1] < columns or self._is_plain:
            return None
        match = cv2.matchTemplate(there, self._samples, cv2.TM_CCOEFF_NORMED)
        _, best, _, (column, row) = cv2.minMaxLoc(match)
        if best < ALIKE:
            return None
        across = round(x + step * (column + _summit(match[row], column)) - self._corner[0])
        down = round(y + step * (row + _summit(match[:, column], row)) - self._corner[1])
        left, top, width, height = self._face.box
        moved = self._face.landmarks + np.array((across, down), np.float32)
        return Face((left + across, top + down, width, height), self._face.score, moved)


class Glimpse:
    """Samples of a frame, to tell whether the next one equals it, for 0.01 ms.

    Compared are every 8th pixel in both directions, and on each face as many as `Patch` uses. A
    change that none of them shows is smaller than 8x8 pixels and a 20th of a face. A whole frame is
    neither kept, which its owner may draw on, nor copied.
    """

    def __init__(self, image: np.ndarray, boxes: Sequence[Box]) -> None:
        self._shape = image.shape
        self._places = [(0, 0, image.shape[1], image.shape[0], GRID)]
        for x, y, width, height in boxes:
            step = min(GRID, max(1, round(width / SAMPLES)))
            self._places.append((max(0, x), max(0, y), max(0, x + width), max(0, y + height), step))
        self._samples = [_sampled(image, *place) for place in self._places]

    def equals(self, image: np.ndarray) -> bool:
        """Whether this frame is the same."""
        return image.shape == self._shape and all(
            np.array_equal(_sampled(image, *place), samples)
            for place, samples in zip(self._places, self._samples)
        )


def _sampled(
    image: np.ndarray, left: int, top: int, right: int, bottom: int, step: int
) -> np.ndarray:
    """Every step-th green pixel of every step-th row, in memory of their own."""
    return image[top:bottom:step, left:right:step, 1].copy()


def _clamped(start: int, step: int) -> int:
    """The first of start, start + step, ... that lies in the frame."""
    return start if start >= 0 else start % step


def _summit(values: np.ndarray, at: int) -> float:
    """How far beside the highest value a parabola through it and its neighbours is highest."""
    if not 0 < at < len(values) - 1:
        return 0.0
    before, here, after = map(float, values[at - 1 : at + 2])
    bend = before - 2 * here + after
    return (before - after) / (2 * bend) if bend < 0 else 0.0
