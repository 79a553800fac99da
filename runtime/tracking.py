"""Faces of one frame after another -> numbers that stay with a face."""

from __future__ import annotations

from collections.abc import Sequence

from edgemood.values import Box, Face

# A face keeps its number while its box overlaps its last one by this much (IoU), and ...
OVERLAP = 0.3
# ... when it has been missing for no more than this many frames: half a second of a webcam's.
MEMORY = 15


class Tracker:
    """Greedy matching by overlap, the best pair first. Numbers start at 1, are never reused."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[Box, int]] = {}  # number -> last box, frames since then
        self._next = 1

    def __call__(self, faces: Sequence[Face]) -> list[int]:
        """The number of each face of the next frame, in their order."""
        pairs = sorted(
            (
                (overlap, number, i)
                for number, (box, _) in self._last.items()
                for i, face in enumerate(faces)
                if (overlap := iou(box, face.box)) >= OVERLAP
            ),
            key=lambda pair: -pair[0],
        )
        numbers: dict[int, int] = {}
        for _, number, i in pairs:
            if i not in numbers and number not in numbers.values():
                numbers[i] = number
        for i in range(len(faces)):
            if i not in numbers:
                numbers[i] = self._next
                self._next += 1
        seen = {number: (faces[i].box, 0) for i, number in numbers.items()}
        missing = {
            number: (box, age + 1)
            for number, (box, age) in self._last.items()
            if number not in seen and age < MEMORY
        }
        self._last = missing | seen
        return [numbers[i] for i in range(len(faces))]

    def forget(self) -> None:
        """Take every face of the next frame for a new one: the scene has changed."""
        self._last = {}


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0..1."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)
