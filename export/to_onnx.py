"""A trained Keras network -> a float ONNX network under the model contract."""

from __future__ import annotations

import keras
import onnx
import tensorflow as tf
import tf2onnx

from edgemood.crop import SIZE

# 13 is the first with per-channel QuantizeLinear; 17 was tried in ONNX Runtime 1.32 and OpenCV 5.
OPSET = 17


def to_onnx(model: keras.Model) -> bytes:
    """The network as ONNX: uint8 [N, 48, 48, 1] "crops" -> float32 [N, classes] "probabilities".

    model: takes float32 [N, 48, 48, 1], raw pixels, and returns probabilities.
    """
    crops = tf.TensorSpec([None, SIZE, SIZE, 1], tf.uint8, name="crops")

    @tf.function(input_signature=[crops])
    def network(crops: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": model(tf.cast(crops, tf.float32), training=False)}

    # Not tf2onnx.convert.from_keras: it was written for Keras 2.
    converted, _ = tf2onnx.convert.from_function(network, [crops], opset=OPSET)
    return tidy(converted).SerializeToString()


def tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its free dimension called N and without operator sets that it does not use."""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    used = {node.domain for node in model.graph.node}
    for unused in [entry for entry in model.opset_import if entry.domain not in used]:
        model.opset_import.remove(unused)
    onnx.checker.check_model(model, full_check=True)
    return model
