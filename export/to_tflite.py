"""A trained Keras network -> a float TFLite network under the model contract."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf

from edgemood.crop import SIZE


def to_tflite(model: keras.Model) -> bytes:
    """The network as TFLite: uint8 [N, 48, 48, 1] -> probabilities float32 [N, classes].

    model: takes float32 [N, 48, 48, 1], raw pixels, and returns probabilities.
    """

    def network(crops: tf.Tensor) -> tf.Tensor:
        return model(tf.cast(crops, tf.float32), training=False)

    with converter(model, network, tf.uint8) as made:
        return made.convert()


@contextmanager
def converter(
    model: keras.Model, network: Callable[[tf.Tensor], tf.Tensor], dtype: tf.DType
) -> Iterator[tf.lite.TFLiteConverter]:
    """A converter of `network`, a function of crops [N, 48, 48, 1] of this dtype around `model`.

    Only built-in operators are allowed, so that the file runs without TensorFlow.
    """
    archive = keras.export.ExportArchive()
    # Untracked, weights would stay variables that nobody fills: the file loads and answers nan.
    archive.track(model)
    crops = tf.TensorSpec([None, SIZE, SIZE, 1], dtype, name="crops")
    archive.add_endpoint("serve", network, input_signature=[crops])
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        # from_concrete_functions would need no folder; its files were wrong without an error.
        made = tf.lite.TFLiteConverter.from_saved_model(folder)
        made.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        yield made
