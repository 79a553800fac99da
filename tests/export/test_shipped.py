"""The files in models/ on real faces: needs EDGEMOOD_DATA, the data set of the cards."""

from __future__ import annotations

import importlib.resources
import os
from pathlib import Path

import numpy as np
import pytest

from edgemood import metrics
from edgemood.datasets import Dataset, by_ferplus, open_dataset
from edgemood.export.parity import BOUNDS, compare
from edgemood.runtime.engines import EmotionModel

MODELS = Path(str(importlib.resources.files("edgemood.models")))
QUANTISED = sorted(MODELS.glob("emotion-*.int8.*"))
PICTURES = 2000


@pytest.fixture(scope="module")
def faces() -> list[Dataset]:
    """The same pictures with FER-2013's labels, and those with a majority with FER+'s."""
    if "EDGEMOOD_DATA" not in os.environ:
        pytest.skip("EDGEMOOD_DATA names no data set of real faces")
    judged = open_dataset().split(None)
    places = np.random.default_rng(0).permutation(len(judged))[:PICTURES]
    chosen = judged.select(np.sort(places))
    return [chosen, by_ferplus(chosen)]


@pytest.mark.skipif(not QUANTISED, reason="models/ holds no exported file yet")
@pytest.mark.parametrize("path", QUANTISED, ids=lambda path: path.name)
def test_shipped_int8_file_agrees_with_its_float_file_on_real_faces(
    faces: list[Dataset], path: Path
) -> None:
    model = EmotionModel(path)
    (judged,) = (each for each in faces if each.classes == model.labels)
    crops = judged.images()
    exact = EmotionModel(path.with_name(path.name.split(".")[0] + ".onnx")).predict(crops)
    given = model.predict(crops)
    assert compare(judged.labels, exact, given).breaches(model.labels, BOUNDS["int8"]) == []
    right = int((given.argmax(axis=1) == judged.labels).sum())
    low, high = metrics.wilson_interval(right, len(judged))
    assert low <= model.card.accuracy[str(judged.splits[0])] <= high, "the card tells the truth"
