"""Which pictures deceive a detector, and how its scores are shifted so that few do."""

from __future__ import annotations

import cv2
import keras
import numpy as np
import pytest

from edgemood.train.detector import judge
from edgemood.train.detector.network import detector, fold
from edgemood.train.detector.pictures import SURE, Picture

NOBODY = np.empty((0, 15), np.float32)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(3)
    return fold(detector())


@pytest.fixture(scope="module")
def negatives() -> list[Picture]:
    """From flat gray to wild noise, which cells of random weights are sure of to varied degrees."""
    rng = np.random.default_rng(0)
    images = [
        np.clip(rng.normal(128, 8 * i, (128, 160)), 0, 255).astype(np.uint8) for i in range(12)
    ]
    return [Picture((image,), NOBODY) for image in images]


def highest(
    network: keras.Model, picture: Picture, size: tuple[int, int], shift: float = 0.0
) -> list[float]:
    """The picture's highest score in each grid, the finest first."""
    height, width = size
    image = cv2.resize(picture.levels[0], (width, height), interpolation=cv2.INTER_AREA)
    maps = network(image[None, ..., None].astype(np.float32))
    logits = [np.reshape(part, (-1, 16))[:, :2] for part in maps]
    return [float(np.sqrt((1 / (1 + np.exp(-grid - shift))).prod(axis=1)).max()) for grid in logits]


def test_the_quarter_that_comes_nearest_to_a_face_deceives(
    network: keras.Model, negatives: list[Picture]
) -> None:
    scores = [
        max(max(highest(network, picture, size)) for size in judge.SIZES) for picture in negatives
    ]
    worst = [negatives[i] for i in np.argsort(scores)[::-1][:3]]
    assert list(map(id, judge.deceptive(network, negatives))) == list(map(id, worst))


def test_scores_of_each_grid_are_shifted_until_so_many_pictures_show_a_face(
    network: keras.Model, negatives: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = (3, 2, 4)  # of 12 pictures
    monkeypatch.setattr(judge, "ALLOWED", tuple(count / 12 for count in allowed))
    monkeypatch.setattr(judge, "CALIBRATED", judge.SIZES[:1])
    wild = fold_wider(network)
    shifts = judge.calibrate(wild, negatives)
    assert len(set(shifts)) == 3
    for grid, (shift, count) in enumerate(zip(shifts, allowed)):
        assert -3 < shift < 3
        shown = [
            sum(
                highest(wild, picture, judge.SIZES[0], shift + step)[grid] >= SURE
                for picture in negatives
            )
            for step in (-1e-5, 1e-5)  # pictures may have nearly the same score
        ]
        assert shown[0] == count < shown[1]
    monkeypatch.setattr(judge, "ALLOWED", (3 / 12, 0, 4 / 12))
    assert judge.calibrate(wild, negatives) == (shifts[0], judge.SHUT, shifts[2])
    assert (
        max(highest(wild, picture, judge.SIZES[0], judge.SHUT)[1] for picture in negatives) < SURE
    )


def fold_wider(network: keras.Model) -> keras.Model:
    """The network with scores of about a half, as a trained one has them where it is in doubt."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    for head in copy.layers:
        if isinstance(head, keras.layers.Conv2D) and (head.filters, head.kernel_size) == (
            16,
            (1, 1),
        ):
            kernel, bias = head.get_weights()
            bias[:2] = 0
            head.set_weights([kernel, bias])
    return copy
