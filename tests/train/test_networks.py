"""Networks have the size they promise, and their folded form computes the same."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from edgemood.train.networks import NETWORKS, fold, unfold

TEMPERATURE = 1.4


def lived_in(name: str) -> keras.Model:
    """A network with ten outputs whose batch normalisation is far from its initial state."""
    keras.utils.set_random_seed(3)
    model = NETWORKS[name](10)
    rng = np.random.default_rng(3)
    for variable in model.variables:
        if variable.path.split("/")[-1] in ("gamma", "beta", "moving_mean", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_folded_network_gives_the_softmax_of_the_first_logits(name: str) -> None:
    model = lived_in(name)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 48, 48, 1)).astype(np.float32)
    logits = keras.ops.convert_to_numpy(model(pixels, training=False))[:, :7] / TEMPERATURE
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    folded = fold(model, slice(7), TEMPERATURE)
    assert np.abs(keras.ops.convert_to_numpy(folded(pixels)) - expected).max() < 1e-5


@pytest.mark.parametrize(
    ("name", "parameters"), [("seed", 2_490_000), ("small", 800_000), ("nano", 220_000)]
)
def test_folded_network_stays_under_its_size(name: str, parameters: int) -> None:
    assert fold(NETWORKS[name](7), slice(7)).count_params() <= parameters


def test_folded_network_is_a_file_of_keras_layers_that_needs_no_code_of_ours(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.keras"
    fold(lived_in("nano"), slice(7)).save(path)
    needed = re.findall(r'"module": "(\w+)', zipfile.ZipFile(path).read("config.json").decode())
    assert set(needed) == {"keras"}
    assert keras.models.load_model(path).output_shape == (None, 7)


@pytest.mark.parametrize("name", ["seed", "nano"])
def test_an_untrained_network_takes_over_a_folded_one(name: str) -> None:
    folded = fold(lived_in(name), slice(7))
    pixels = np.random.default_rng(0).integers(0, 256, (16, 48, 48, 1)).astype(np.float32)
    model = NETWORKS[name](10)
    unfold(folded, model, pixels, 7)
    expected = keras.ops.convert_to_numpy(folded(pixels))
    # In training, batch normalisation takes its statistics from the pictures: here, the same ones.
    for training in (False, True):
        said = model(pixels, training=training)[:, :7]
        said = keras.ops.convert_to_numpy(keras.ops.softmax(said))
        assert np.abs(said - expected).max() < 1e-3


def test_a_network_of_another_shape_is_not_taken_over() -> None:
    folded = fold(NETWORKS["seed"](7), slice(7))
    with pytest.raises(ValueError, match="another network"):
        unfold(folded, NETWORKS["nano"](7), np.zeros((2, 48, 48, 1), np.float32), 7)


L = keras.layers


@pytest.mark.parametrize(
    "layers",
    [
        [L.Rescaling(1, offset=-0.5)],
        [L.BatchNormalization(), L.Conv2D(4, 3)],
        [L.Conv2D(4, 3, activation="relu"), L.BatchNormalization()],
        [L.Conv2D(4, 3), L.ReLU(), L.BatchNormalization()],
        [L.Conv2D(4, 3), L.MaxPooling2D(2), L.ReLU()],
        [L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(max_value=6)],
        [L.Conv2D(4, 3, activation="tanh"), L.ReLU()],
        [L.Conv2D(4, 3), L.AveragePooling2D(2)],
    ],
    ids=lambda layers: "-".join(layer.name for layer in layers),
)
def test_a_layer_that_cannot_be_folded_where_it_is_is_refused(layers: list[keras.Layer]) -> None:
    """Folded all the same, it would be another network."""
    head = [L.GlobalAveragePooling2D(), L.Dense(7)]
    model = keras.Sequential([keras.Input((48, 48, 1)), *layers, *head])
    with pytest.raises(ValueError, match="can be folded"):
        fold(model, slice(7))
