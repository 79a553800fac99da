"""A float network + calibration pictures -> its int8 form, as ONNX and as TFLite.

Weights are quantised per channel, activations per tensor over the range that the calibration
pictures show (MinMax: with it, int8 lost no accuracy that other methods could bring back). The last
dense layer and the softmax stay in float: they are 0.004 % of the work, but with them in int8 the
probabilities summed to between 0.992 and 1.016, and 0.8 % more of the labels changed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.tools.flatbuffer_utils import read_model_from_bytearray

from edgemood.crop import SIZE
from edgemood.datasets import Dataset
from edgemood.export.to_onnx import tidy
from edgemood.export.to_tflite import converter

PICTURES = 1000
BATCH = 50


def calibration_sample(dataset: Dataset, seed: int = 0) -> np.ndarray:
    """About PICTURES of the data set, the same share of every class, uint8 [n, 48, 48]."""
    share = min(1.0, PICTURES / len(dataset))
    rng = np.random.default_rng(seed)
    chosen = []
    for label in np.unique(dataset.labels):
        places = np.flatnonzero(dataset.labels == label)
        chosen.append(rng.choice(places, int(np.ceil(share * len(places))), replace=False))
    return dataset.read(np.sort(np.concatenate(chosen)))


def quantize_onnx(network: bytes, crops: np.ndarray) -> bytes:
    """A float ONNX network under the model contract -> the same in int8 (QDQ, U8S8).

    crops: calibration pictures, uint8 [n, 48, 48].

    x86 processors without VNNI add products in pairs in 16 bits, which overflow where bytes near
    255 meet weights near 127 (ONNX Runtime's documentation, "Quantize ONNX models", on U8S8 and
    saturation). Measured on one, with 3,589 FER-2013 pictures: quantised in the usual way, a
    network lost 6.0 points of accuracy there, and none in exact arithmetic. So weights keep 7 bits,
    whose pairs always fit; and the first convolution, on whose raw pixels alone 7 bits show, stays
    in float: 0.3 % of the work, and no slower. Then 99.1 % of the labels are the source's in both
    arithmetics. `parity` would notice, but only on such a processor.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, done = (str(Path(folder, f"{name}.onnx")) for name in ("a", "b", "c"))
        # A path, not a model: given a model, it writes the weights to a file it cannot find again.
        Path(plain).write_bytes(network)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        nodes = onnx.load(prepared).graph.node
        weighted = [i for i, node in enumerate(nodes) if node.op_type in ("Conv", "Gemm", "MatMul")]
        # A network of a single layer with weights, or none, stays in float as a whole.
        in_float = nodes if len(weighted) < 2 else [*nodes[: weighted[1]], *nodes[weighted[-1] :]]
        quantize_static(
            prepared,
            done,
            _Batches(crops),
            quant_format=QuantFormat.QDQ,
            calibrate_method=CalibrationMethod.MinMax,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            nodes_to_exclude=[node.name for node in in_float],
        )
        return tidy(onnx.load(done)).SerializeToString()


class _Batches(CalibrationDataReader):
    def __init__(self, crops: np.ndarray) -> None:
        self._feeds: Iterator[np.ndarray] = _batches(crops)

    def get_next(self) -> dict[str, np.ndarray] | None:
        crops = next(self._feeds, None)
        return None if crops is None else {"crops": crops}


def quantize_tflite(model: keras.Model, crops: np.ndarray) -> bytes:
    """The network as int8 TFLite: uint8 [N, 48, 48, 1] -> probabilities float32 [N, classes].

    model: takes float32 [N, 48, 48, 1], raw pixels. crops: calibration pictures, uint8 [n, 48, 48].
    """

    def network(crops: tf.Tensor) -> tf.Tensor:
        # States the input's range, 0..255, which no sample need show: scale 1, zero point 0.
        pixels = tf.quantization.fake_quant_with_min_max_args(crops, 0.0, 255.0)
        return model(pixels, training=False)

    with converter(model, network, tf.float32) as made:
        made.optimizations = [tf.lite.Optimize.DEFAULT]
        made.representative_dataset = lambda: (
            [part.astype(np.float32)] for part in _batches(crops)
        )
        # convert() has no way to leave a layer in float. These are the two steps it takes itself,
        # and that tf.lite.experimental.QuantizationDebugger takes to leave some out.
        made._experimental_calibrate_only = True
        calibrated = made.convert()
    return mlir_quantize(
        calibrated,
        input_data_type=tf.uint8,
        output_data_type=tf.float32,
        denylisted_nodes=_last_tensors(calibrated, 2),
    )


def _last_tensors(network: bytes, count: int) -> list[str]:
    """Names of what the last operators of a TFLite network compute."""
    graph = read_model_from_bytearray(bytearray(network)).subgraphs[0]
    return [graph.tensors[node.outputs[0]].name.decode() for node in graph.operators[-count:]]


def _batches(crops: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(crops), BATCH):
        yield crops[start : start + BATCH].reshape(-1, SIZE, SIZE, 1)
