"""The folded detector says what the trained one does, is small, and needs none of this code."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from edgemood.export.face_detector import LARGEST, to_onnx
from edgemood.train.detector.network import cells_of, detector, fold, rounded


@pytest.fixture(scope="module")
def lived_in() -> keras.Model:
    """A network whose batch normalisation is far from its initial state."""
    keras.utils.set_random_seed(3)
    model = detector()
    rng = np.random.default_rng(3)
    for variable in model.variables:
        if variable.path.split("/")[-1] in ("gamma", "beta", "moving_mean", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


@pytest.mark.parametrize("shifts", [(0.0, 0.0, 0.0), (-1.2, 0.3, -0.5)])
def test_the_folded_network_says_the_same_with_shifted_scores(
    lived_in: keras.Model, shifts: tuple[float, ...]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 128, 1)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(lived_in(pixels, training=False)).copy()
    added = np.repeat(shifts, [12 * 16, 6 * 8, 3 * 4])[:, None]
    expected[..., :2] = 1 / (1 + np.exp(-expected[..., :2] - added))
    maps = fold(lived_in, shifts)(pixels)
    cells = cells_of([keras.ops.convert_to_numpy(part) for part in maps])
    assert cells.shape == (2, 12 * 16 + 6 * 8 + 3 * 4, 16)
    assert np.abs(cells - expected).max() < 1e-4


def test_the_folded_network_stays_under_its_size(lived_in: keras.Model) -> None:
    assert len(to_onnx(rounded(fold(lived_in)))) < LARGEST - 3000  # left for the card


def test_a_rounded_network_says_about_the_same(lived_in: keras.Model) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 128, 160, 1)).astype(np.float32)
    before = [keras.ops.convert_to_numpy(part) for part in fold(lived_in)(pixels)]
    after = [keras.ops.convert_to_numpy(part) for part in rounded(fold(lived_in))(pixels)]
    for ours, theirs in zip(after, before):
        assert 0 < np.abs(ours - theirs).max() < 0.05 * np.abs(theirs).max()


def test_the_folded_network_is_a_file_of_keras_layers_that_needs_no_code_of_ours(
    lived_in: keras.Model, tmp_path: Path
) -> None:
    path = tmp_path / "model.keras"
    fold(lived_in).save(path)
    needed = re.findall(r'"module": "(\w+)', zipfile.ZipFile(path).read("config.json").decode())
    assert set(needed) == {"keras"}
    assert {type(layer).__name__ for layer in keras.models.load_model(path).layers} == {
        "InputLayer", "Conv2D", "ZeroPadding2D", "ReLU", "UpSampling2D", "Add",
    }  # fmt: skip
