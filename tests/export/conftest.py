"""A network trained for some seconds on generated pictures, in a run folder, and its export."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from edgemood.cli import main
from edgemood.crop import SIZE
from edgemood.datasets import Dataset, open_dataset


def learnt_network(dataset: Dataset) -> keras.Model:
    """A folded network of 4,000 parameters: raw pixels -> probabilities of the three patterns."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1)),
            layers.Conv2D(8, 3, 2, padding="same", activation="relu"),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, 2, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(len(dataset.classes), activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.005), keras.losses.SparseCategoricalCrossentropy())
    pixels = dataset.images()[..., None].astype(np.float32) / 255
    model.fit(pixels, dataset.labels, batch_size=16, epochs=14, verbose=0)
    kernel, bias = model.layers[0].get_weights()
    model.layers[0].set_weights([kernel / 255, bias])
    return model


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory, pattern_folder: Path) -> Path:
    """A finished run folder named "tiny"; copy it before changing it (see `run`)."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    folder.mkdir()
    dataset = open_dataset(pattern_folder)
    training = dataset.split("Training")
    held_back = training.rows[::10]
    learnt_network(training.select(~np.isin(training.rows, held_back))).save(folder / "model.keras")
    config = {
        "name": "tiny",
        "classes": list(dataset.classes),
        "data": str(pattern_folder),
        "training_split": "Training",
        "held_back": held_back.tolist(),
        "card": {
            "description": "Bars and discs",
            "license": "Apache-2.0",
            "training_data": "generated pictures",
            "temperature": 1.25,
            "unsure_below": 0.5,
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def run(trained_run: Path, tmp_path: Path) -> Path:
    """A run folder of the test's own."""
    return Path(shutil.copytree(trained_run, tmp_path / "runs" / "tiny"))


@pytest.fixture(scope="session")
def exported(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Ending of each file -> where `edgemood export` wrote it, and ".md" for the page."""
    run = Path(shutil.copytree(trained_run, tmp_path_factory.mktemp("exported") / "tiny"))
    output = run.parent / "models"
    assert main(["export", str(run), "--output", str(output)]) == 0
    files = {path.name.removeprefix("emotion-tiny"): path for path in output.iterdir()}
    return files | {".tflite": run / "emotion-tiny.tflite"}
