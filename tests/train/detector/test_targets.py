"""Every face has cells that answer for it, and saying what is wanted costs least."""

from __future__ import annotations

import numpy as np
import pytest

from edgemood.train.detector.targets import box_loss, loss, targets
from edgemood.yunet import decode, grid

HEIGHT, WIDTH = 128, 160


def face(width: float, x: float = 80, y: float = 64, sure: float = 1) -> np.ndarray:
    """One face of this width around (x, y), float32 [1, 15]."""
    w, h = width, 1.25 * width
    points = np.array([[-0.2, -0.1], [0.2, -0.1], [0, 0.1], [-0.15, 0.3], [0.15, 0.3]]) * w
    return np.array(
        [[x - w / 2, y - h / 2, w, h, *(points + np.array([x, y])).ravel(), sure]], np.float32
    )  # fmt: skip


@pytest.mark.parametrize("width", [10, 16, 24, 29, 32, 48, 60, 64, 100, 150])
@pytest.mark.parametrize("place", [(80, 64), (83.9, 67.9), (71.5, 40.2)])
def test_the_cells_that_answer_say_the_face(width: float, place: tuple[float, float]) -> None:
    wanted = targets(face(width, *place), HEIGHT, WIDTH)
    places, strides = grid(HEIGHT, WIDTH)
    here = wanted[:, 1] == 1
    assert 1 <= here.sum() <= 12
    cells = np.concatenate([np.ones((here.sum(), 2)), wanted[here, 2:]], axis=1)
    said = decode(cells, places[here], strides[here])
    assert np.allclose(said[:, :14], face(width, *place)[:, :14], atol=1e-3)
    assert np.allclose(said[:, 14], 1)


def test_around_a_face_that_is_left_open_nothing_is_wanted() -> None:
    places, strides = grid(HEIGHT, WIDTH)
    open_, sure = targets(face(40, sure=0), HEIGHT, WIDTH), targets(face(40), HEIGHT, WIDTH)
    inside = np.abs(places * strides - [80, 64]).max(axis=1) < 16
    assert not open_[inside, 0].any()
    assert not open_[:, 1].any()
    assert sure[sure[:, 1] == 1, 0].all()
    far = np.abs(places * strides - [80, 64]).max(axis=1) > 60
    assert open_[far, 0].all()
    assert sure[far, 0].all()


def test_of_two_faces_in_one_place_the_smaller_answers() -> None:
    wanted = targets(np.concatenate([face(20), face(30)]), HEIGHT, WIDTH)
    finest = wanted[: HEIGHT // 8 * WIDTH // 8]
    assert np.allclose(np.exp(finest[finest[:, 1] == 1, 4]) * 8, 20, atol=1e-3)


def logits(wanted: np.ndarray, sureness: float = 8.0) -> np.ndarray:
    """What a network would say that has learnt everything."""
    scores = sureness * (2 * wanted[:, 1:2] - 1)
    return np.concatenate([scores, scores, wanted[:, 2:]], axis=1)[None]


def test_saying_what_is_wanted_costs_nothing_and_anything_else_something() -> None:
    wanted = targets(np.concatenate([face(20, 40, 40), face(70, 110, 70)]), HEIGHT, WIDTH)
    right = logits(wanted)
    assert float(loss(wanted[None], right)) < 0.01
    for column, error in ((0, -10), (1, -10), (2, 0.5), (4, 0.4), (7, 0.5)):
        wrong = right.copy()
        wrong[:, wanted[:, 1] == 1, column] += error
        assert float(loss(wanted[None], wrong)) > 0.05, column


def test_of_two_answers_with_the_same_box_that_with_the_nearer_landmarks_scores_higher() -> None:
    wanted = targets(face(40), HEIGHT, WIDTH)
    here = wanted[:, 1] == 1
    doubtful, sure = logits(wanted), logits(wanted)
    doubtful[:, here, 0] = 0
    assert float(loss(wanted[None], sure)) < float(loss(wanted[None], doubtful))
    for said in (doubtful, sure):
        said[:, here, 6:] += 0.25 * np.exp(wanted[here, 4:5])  # a quarter of the width off
    assert float(loss(wanted[None], sure)) > float(loss(wanted[None], doubtful))


def test_a_false_face_costs_except_where_a_face_is_left_open() -> None:
    wanted = targets(face(40, sure=0), HEIGHT, WIDTH)
    said = logits(wanted)
    inside = int(np.flatnonzero(wanted[:, 0] == 0)[0])
    said[0, inside, :2] = 8
    assert float(loss(wanted[None], said)) < 0.01
    outside = int(np.flatnonzero(wanted[:, 0] == 1)[0])
    said[0, outside, :2] = 8
    assert float(loss(wanted[None], said)) > 1


def test_overlap_of_boxes_is_intersection_over_union() -> None:
    # 2x2 strides each, one stride apart: a third of their union is shared.
    box, other = np.array([0, 0, *np.log([2, 2])]), np.array([1, 0, *np.log([2, 2])])
    lost, overlap = box_loss(box.astype(np.float32), other.astype(np.float32))
    assert float(overlap) == pytest.approx(1 / 3)
    # Centres 1 apart in a box of 3x2 around both.
    assert float(lost) == pytest.approx(2 / 3 + 1 / 13)
