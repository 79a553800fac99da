"""What a model says of the faces of one frame after another -> readings that can be shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgemood.runtime.doubt import LOW_CONFIDENCE, doubt
from edgemood.runtime.neutral import Neutral, neutral_place, resting
from edgemood.runtime.smoothing import Smoother, logits
from edgemood.values import Emotion, Face, Reading

# Seconds without a face after which what is known of it goes; its number never comes again by then.
FORGET = 10.0
# A resting face is looked at without a break; after one of so many seconds it begins again.
BREAK = 1.0

Done = Callable[[int, Neutral], None]


class Reader:
    """Follows what is said of each track.

    labels: the model's. bound: confidence under which a label is marked; None: no such mark.
    raw: readings are what the model says of a single frame, neither smoothed nor shifted.
    neutral: resting face of everybody who has none of their own.
    """

    def __init__(
        self,
        labels: tuple[str, ...],
        bound: float | None = None,
        raw: bool = False,
        neutral: Neutral | None = None,
    ) -> None:
        self._labels, self._bound, self._raw, self._neutral = labels, bound, raw, neutral
        self._people: dict[int, _Person] = {}
        self._pose: _Pose | None = None

    def __call__(
        self, track: int, face: Face, crop: np.ndarray, probabilities: Sequence[float], time: float
    ) -> Reading:
        """The reading of one face of a frame.

        crop: gray uint8 [48, 48], what the model saw. probabilities: what it said, in its order.
        time: of the frame, in seconds.
        """
        unsure = doubt(face, crop)
        if self._raw:
            place, shown = probabilities.index(max(probabilities)), probabilities
        else:
            person = self._people.get(track)
            if person is None:
                person = self._people[track] = self._new(time)
            person.seen = time
            if self._pose is not None:
                self._look(track, None if unsure else probabilities, time)
            if person.neutral is None:
                values = logits(probabilities)
            else:
                values = person.neutral(np.array(probabilities)).tolist()
            place, shown = person.smoother(values, time)
        emotion = Emotion(self._labels[place], shown[place], dict(zip(self._labels, shown)))
        if unsure is None and self._bound is not None and shown[place] < self._bound:
            unsure = LOW_CONFIDENCE
        return Reading(track, face, emotion, unsure)

    def calibrate(self, seconds: float, done: Done | None = None) -> None:
        """Take the next face seen for so many seconds as a resting one, and shift its readings.

        Its frames with a doubt are left out. done: called with the track's number and the shift.
        Raises EdgemoodError where the model has no label "neutral".
        """
        neutral_place(self._labels)
        self._pose = _Pose(seconds, done)

    def forget(self) -> None:
        """The next frame shows another scene, with others in it."""
        self._people.clear()
        self._pose = None

    def _new(self, time: float) -> _Person:
        # A camera may run for a month. New faces are rare enough to look for old ones then.
        # Where time runs back, as in a clip that begins again, those who lie ahead are old as well.
        old = [n for n, each in self._people.items() if not 0 <= time - each.seen <= FORGET]
        for track in old:
            del self._people[track]
        return _Person(Smoother(), self._neutral, time)

    def _look(self, track: int, probabilities: Sequence[float] | None, time: float) -> None:
        """One more look at the face that is to rest: the first of its frame, so the largest.

        probabilities: None where there is a doubt about them.
        """
        pose = self._pose
        assert pose is not None
        if pose.track is None or not 0 <= time - pose.seen <= BREAK:
            pose.track, pose.looks = track, []
        if track != pose.track:
            return
        pose.seen = time
        if probabilities is None:
            return
        if not pose.looks or time - pose.last > BREAK:
            pose.start, pose.looks = time, []
        pose.last = time
        pose.looks.append(probabilities)
        if time - pose.start >= pose.seconds:
            neutral = self._people[track].neutral = resting(self._labels, np.array(pose.looks))
            self._pose = None
            if pose.done is not None:
                pose.done(track, neutral)


@dataclass(slots=True)
class _Person:
    """Somebody in view. seen: when last, in seconds."""

    smoother: Smoother
    neutral: Neutral | None
    seen: float


@dataclass(slots=True)
class _Pose:
    """A face that is being looked at while it rests.

    seen, last: when last, and when last without a doubt, in seconds.
    """

    seconds: float
    done: Done | None
    track: int | None = None
    start: float = 0.0
    seen: float = 0.0
    last: float = 0.0
    looks: list[Sequence[float]] = field(default_factory=list)
