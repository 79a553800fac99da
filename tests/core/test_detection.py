"""Which of the wanted faces were found, how well, and what was found beside."""

from __future__ import annotations

import numpy as np
import pytest

from edgemood.detection import Finding, find, width_classes


def face(x: float, y: float, side: float) -> np.ndarray:
    """A square face whose landmarks are its corners and its middle."""
    points = np.array([(0, 0), (1, 0), (0.5, 0.5), (0, 1), (1, 1)]) * side + (x, y)
    return np.array([x, y, side, side, *points.ravel(), 0.9], np.float32)


def rows(*faces: np.ndarray) -> np.ndarray:
    return np.array(faces, np.float32).reshape(-1, 15)


def test_a_face_found_where_it_was_wanted_overlaps_whole() -> None:
    one = rows(face(10, 20, 40))
    found = find([one], [one], 320)
    assert (found.recall(0), found.overlap, found.distance, found.extra) == (1, 1, 0, 0)
    assert found.widths.tolist() == [0.125]


def test_a_face_beside_is_a_miss_and_an_extra_one() -> None:
    found = find([rows(face(10 + 0.4 * 40, 20, 40))], [rows(face(10, 20, 40))], 320)
    assert (found.hit.tolist(), found.extra) == ([False], 1)
    assert found.overlaps == pytest.approx([0.6 / 1.4])


def test_the_distance_of_landmarks_is_in_box_widths() -> None:
    found = find([rows(face(14, 20, 40))], [rows(face(10, 20, 40))], 320)
    assert found.distance == pytest.approx(0.1)


def test_of_several_boxes_the_best_counts_and_each_frame_is_by_itself() -> None:
    wanted = rows(face(0, 0, 32)), rows(face(0, 0, 32), face(100, 0, 32))
    found = find([rows(face(300, 0, 32), face(1, 0, 32)), rows()], wanted, 320)
    assert found.hit.tolist() == [True, False, False]
    assert (found.frames, found.extra, found.extra_per_200) == (2, 1, 100)
    assert found.recall(0) == pytest.approx(1 / 3)
    assert np.isnan(found.distances[1:]).all()


def test_faces_are_counted_by_their_width() -> None:
    overlaps = np.array([1, 0, 1, 1, 0.4, 1, 1.0])
    widths = np.array([0.02, 0.05, 0.1, 0.125, 0.2, 0.3, 0.9])
    found = Finding(widths, overlaps, np.zeros(7), 1, 0)
    assert dict(zip(width_classes(), zip(found.found.tolist(), found.wanted.tolist()))) == {
        "1/24 to 1/16": (0, 1),
        "1/16 to 1/12": (0, 0),
        "1/12 to 1/8": (1, 1),
        "1/8 to 1/4": (1, 2),
        "1/4 to 1": (2, 2),
    }
    assert found.recall(1 / 8) == pytest.approx(3 / 4)


def test_where_nothing_is_wanted_everything_is_extra() -> None:
    found = find([rows(face(0, 0, 32))], [rows()], 320)
    assert (found.recall(0), found.overlap, found.distance, found.extra) == (0, 0, 1, 1)
