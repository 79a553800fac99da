"""Face detectors of which it is known what they find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgemood.yunet import PARTS, STRIDES


@pytest.fixture
def squares(tmp_path: Path) -> Callable[[int], Path]:
    """squares(8), squares(16) or squares(32): a detector of white squares of so many pixels.

    They must lie on its grid. It has YuNet's interface, and runs in both engines.
    """
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    def write(side: int) -> Path:
        nodes, weights = [], []
        for stride in STRIDES:
            # The two scores' logits hang on a cell's mean; the box is the cell, points lie in it.
            kernel = np.zeros((16, 3, 1, 1), np.float32)
            bias = np.full(16, 0.5, np.float32)
            bias[4:6] = 0
            bias[:2] = -40
            if stride == side:
                kernel[:2] = 0.2 / 3
            names = [f"{part}_{stride}" for part in PARTS]
            logits = [f"{name}_logit" for name in names[:2]]
            weights += [
                numpy_helper.from_array(kernel, f"kernel_{stride}"),
                numpy_helper.from_array(bias, f"bias_{stride}"),
                numpy_helper.from_array(np.array([1, -1, 16]), f"shape_{stride}"),
                numpy_helper.from_array(np.array(list(PARTS.values())), f"parts_{stride}"),
            ]
            a, b, c, d = (f"{letter}_{stride}" for letter in "abcd")
            make = helper.make_node
            nodes += [
                make(
                    "AveragePool", ["input"], [a], kernel_shape=[stride] * 2, strides=[stride] * 2
                ),
                make("Conv", [a, f"kernel_{stride}", f"bias_{stride}"], [b], kernel_shape=[1, 1]),
                make("Transpose", [b], [c], perm=[0, 2, 3, 1]),
                make("Reshape", [c, f"shape_{stride}"], [d]),
                make("Split", [d, f"parts_{stride}"], [*logits, *names[2:]], axis=2),
                *(make("Sigmoid", [logit], [name]) for logit, name in zip(logits, names)),
            ]
        pixels = helper.make_tensor_value_info(
            "input", TensorProto.FLOAT, [1, 3, "height", "width"]
        )
        outputs = [
            helper.make_tensor_value_info(
                f"{part}_{stride}", TensorProto.FLOAT, [1, f"cells_{stride}", numbers]
            )
            for part, numbers in PARTS.items()
            for stride in STRIDES
        ]
        graph = helper.make_graph(nodes, "squares", [pixels], outputs, weights)
        opset = [helper.make_opsetid("", 17)]
        path = tmp_path / f"squares-{side}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
        return path

    return write
