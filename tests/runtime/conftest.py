"""A throw-away emotion model, and the clips, where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgemood.modelfile import Card, write_model

LABELS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def write_tiny_model(path: Path, labels: tuple[str, ...] = LABELS, **card: Any) -> Path:
    """An untrained ONNX model under the contract: brightness of 16 squares -> softmax."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(7).normal(0, 0.02, (16, len(labels))).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
            helper.make_node(
                "AveragePool", ["planes"], ["squares"], kernel_shape=[12, 12], strides=[12, 12]
            ),
            helper.make_node("Flatten", ["squares"], ["features"]),
            helper.make_node("MatMul", ["features", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "tiny",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["N", 48, 48, 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(labels)])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    card = {"name": "tiny", "version": "0", "precision": "float32"} | card
    write_model(path, model.SerializeToString(), Card(labels=labels, **card))
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Path]:
    """Writes such a model with a card of one's own: make_model(labels=..., unsure_below=...)."""
    return lambda **card: write_tiny_model(tmp_path / "model.onnx", **card)


@pytest.fixture(scope="session")
def clips() -> list[Path]:
    """Real videos that show one face, from beside EDGEMOOD_DATA."""
    data = os.environ.get("EDGEMOOD_DATA")
    found = []
    if data:
        near = Path(data).resolve()
        found = [clip for up in (near, *near.parents[:2]) for clip in (up / "clips").glob("*.mp4")]
    if not found:
        pytest.skip("EDGEMOOD_DATA is not set, or there is no folder `clips` with videos beside it")
    return sorted(found)
