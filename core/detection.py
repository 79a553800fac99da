"""Faces found and faces wanted, in the same frames -> how well they were found: `Finding`.

Faces are rows as `edgemood.yunet.decode` gives them: box, five landmarks, score; float32 [n, 15].
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Borders of the classes of width, as shares of the frame's width.
WIDTHS = (1 / 24, 1 / 16, 1 / 12, 1 / 8, 1 / 4, 1.0)
# Intersection over union from which two boxes are of one face (Everingham et al. 2010,
# doi:10.1007/s11263-009-0275-4, section 4.2).
OVERLAP = 0.5


@dataclass(frozen=True, eq=False)
class Finding:
    """What became of each face that was wanted, and what was found beside.

    widths: of those faces, as shares of the frame's; overlaps: intersection over union with the
    best box found, 0 where there is none; distances: of that face's landmarks, mean of the five, in
    box widths, nan where there is none; each float64 [n]. frames: how many. extra: faces found in
    them that no wanted one overlaps by OVERLAP.
    """

    widths: np.ndarray
    overlaps: np.ndarray
    distances: np.ndarray
    frames: int
    extra: int

    @property
    def hit(self) -> np.ndarray:
        """Which of the faces were found, bool [n]."""
        return self.overlaps >= OVERLAP

    @property
    def wanted(self) -> np.ndarray:
        """Faces of each class of WIDTHS, int64 [classes]."""
        return _by_width(self.widths)

    @property
    def found(self) -> np.ndarray:
        """Those of them that were found, int64 [classes]."""
        return _by_width(self.widths[self.hit])

    @property
    def overlap(self) -> float:
        """Median of the faces found; 0 where none was."""
        return float(np.median(self.overlaps[self.hit])) if self.hit.any() else 0.0

    @property
    def distance(self) -> float:
        """Median of the faces found; 1 where none was."""
        return float(np.median(self.distances[self.hit])) if self.hit.any() else 1.0

    @property
    def extra_per_200(self) -> float:
        """Extra faces in 200 frames."""
        return 200 * self.extra / max(1, self.frames)

    def recall(self, least: float) -> float:
        """Share found of the faces at least this share of the frame wide; 0 where none is."""
        large = self.widths >= least
        return float(self.hit[large].mean()) if large.any() else 0.0


def find(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray], width: int) -> Finding:
    """The faces found and wanted in each frame, in pixels of frames that are this wide."""
    widths, overlaps, distances = [], [], []
    extra = 0
    for ours, theirs in zip(found, wanted, strict=True):
        overlap = overlaps_of(ours, theirs)
        extra += int((overlap.max(axis=1, initial=0) < OVERLAP).sum())
        for i, face in enumerate(theirs):
            best = int(overlap[:, i].argmax()) if len(ours) else -1
            at = ours[best] if best >= 0 and overlap[best, i] > 0 else np.full(15, np.nan)
            apart = (at[4:14] - face[4:14]).reshape(5, 2)
            widths.append(face[2] / width)
            overlaps.append(overlap[best, i] if best >= 0 else 0.0)
            distances.append(np.linalg.norm(apart, axis=1).mean() / face[2])
    return Finding(
        np.array(widths, np.float64),
        np.array(overlaps, np.float64),
        np.array(distances, np.float64),
        len(found),
        extra,
    )


def overlaps_of(faces: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of each box with each other, float [len(faces), len(others)]."""
    low, high = faces[:, None, :2], faces[:, None, :2] + faces[:, None, 2:4]
    other_low, other_high = others[None, :, :2], others[None, :, :2] + others[None, :, 2:4]
    shared = np.clip(np.minimum(high, other_high) - np.maximum(low, other_low), 0, None).prod(2)
    area, other = faces[:, 2:4].prod(1)[:, None], others[:, 2:4].prod(1)[None]
    return shared / (area + other - shared)


def width_classes() -> list[str]:
    """WIDTHS as words: 1/24 to 1/16, ..."""
    ends = [f"1/{round(1 / width)}" if width < 1 else "1" for width in WIDTHS]
    return [f"{low} to {high}" for low, high in itertools.pairwise(ends)]


def _by_width(widths: np.ndarray) -> np.ndarray:
    kind = np.digitize(widths, WIDTHS) - 1
    return np.array([(kind == i).sum() for i in range(len(WIDTHS) - 1)])
