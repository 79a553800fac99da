"""The registry of networks: name -> an untrained Keras model from raw gray pixels to logits.

Every network takes float32 [N, 48, 48, 1], pixels 0..255, and returns logits [N, outputs]; all but
`seed` take other sizes too. It is a plain chain of layers, so that `fold` can merge scaling and
batch normalisation into the convolutions: the deployed network is convolutions, ReLUs and one dense
layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from edgemood.crop import SIZE


class BatchNormalization(layers.BatchNormalization):
    """Keras's layer of this name, but that a training step takes one operation of TensorFlow's.

    Keras's own takes a dozen, each a walk through memory: a step of small takes 1.37 times as long
    with them. As in that operation, the moving variance is of batch variances without bias.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not training:
            return super().call(inputs, training=False, mask=mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(self.momentum * moving + (1 - self.momentum) * now)
        return outputs


def seed(outputs: int) -> keras.Model:
    """The network that the project grew out of, and the first row of every table.

    2.49 M parameters, 86.8 M multiply-accumulates.
    """
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(128, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(256, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dense(outputs),
        ],
        name="seed",
    )


def small(outputs: int) -> keras.Model:
    """0.78 M parameters, 30 M multiply-accumulates: what a laptop or a Raspberry Pi runs."""
    widths = [(16, 2), (32, 1), (64, 2), (64, 1), (64, 1), (112, 2), (112, 1), (112, 1)]
    return _plain("small", [*widths, (160, 2), (160, 1)], outputs)


def nano(outputs: int) -> keras.Model:
    """0.21 M parameters, 5.7 M multiply-accumulates: for the smallest boards."""
    return _plain("nano", [(24, 2), (32, 2), (32, 1), (64, 2), (64, 1), (96, 2), (96, 1)], outputs)


def teacher(outputs: int) -> keras.Model:
    """1.9 M parameters, 73 M multiply-accumulates: not shipped, small and nano learn from it."""
    widths = [(32, 2), (48, 1), (96, 2), (96, 1), (96, 1), (176, 2), (176, 1), (176, 1)]
    return _plain("teacher", [*widths, (256, 2), (256, 1)], outputs)


def _plain(name: str, widths: Sequence[tuple[int, int]], outputs: int) -> keras.Model:
    """3x3 convolutions of (channels, stride) with batch normalisation and ReLU, mean, dense.

    Plain 3x3 convolutions are the fastest per multiply-accumulate in int8 (no depthwise ones, no
    squeeze-and-excite, no additions), multiples of 8 channels fill the vector registers, and the
    mean instead of a flattened dense layer keeps the parameters few.
    """
    # Scaling without an offset can be folded into the first convolution exactly, because the zeros
    # it pads with stay zeros; the batch normalisation behind it takes care of the mean.
    # Any size will do, since the mean is over whatever places are left.
    chain = [keras.Input((None, None, 1)), layers.Rescaling(1 / 64)]
    for channels, stride in widths:
        chain += [
            layers.Conv2D(
                channels, 3, stride, padding="same", use_bias=False, kernel_initializer="he_normal"
            ),
            BatchNormalization(momentum=0.9),
            layers.ReLU(),
        ]
    chain += [layers.GlobalAveragePooling2D(), layers.Dense(outputs)]
    return keras.Sequential(chain, name=name)


NETWORKS: dict[str, Callable[[int], keras.Model]] = {
    "seed": seed,
    "small": small,
    "nano": nano,
    "teacher": teacher,
}


def fold(model: keras.Model, outputs: slice, temperature: float = 1.0) -> keras.Model:
    """The deployed form of a trained network: raw pixels 0..255 -> probabilities [N, outputs].

    Scaling goes into the first convolution's kernel, batch normalisation into kernel and bias of
    the convolution before it (Jacob et al. 2018, arXiv:1712.05877, section 3.2), the temperature
    into the last dense layer, of which only some outputs are kept. Standard layers
    only. Raises ValueError for a layer it cannot place: a batch normalisation has its place right
    behind a convolution or dense layer without an activation, a plain ReLU there or behind it.
    """
    chain: list[keras.layers.Layer] = [keras.Input((SIZE, SIZE, 1))]
    weights: list[list[np.ndarray]] = []
    scale = 1.0
    before: keras.layers.Layer | None = None
    for layer in model.layers:
        is_behind_linear = getattr(before, "activation", None) is keras.activations.linear
        is_normalised = isinstance(before, layers.BatchNormalization)
        if isinstance(layer, layers.Rescaling) and layer.offset == 0:
            scale *= layer.scale
        elif isinstance(layer, layers.Conv2D | layers.Dense):
            kernel, *bias = (np.array(value, np.float64) for value in layer.get_weights())
            weights.append([kernel * scale, bias[0] if bias else np.zeros(kernel.shape[-1])])
            scale = 1.0
            chain.append(type(layer).from_config(layer.get_config() | {"use_bias": True}))
        elif isinstance(layer, layers.BatchNormalization) and is_behind_linear:
            gamma, beta, mean, variance = (np.array(v, np.float64) for v in layer.get_weights())
            gain = gamma / np.sqrt(variance + layer.epsilon)
            kernel, offset = weights[-1]
            weights[-1] = [kernel * gain, (offset - mean) * gain + beta]
        elif _is_plain_relu(layer) and (is_behind_linear or is_normalised):
            chain[-1].activation = keras.activations.relu
        elif isinstance(
            layer, layers.MaxPooling2D | layers.GlobalAveragePooling2D | layers.Flatten
        ):
            chain.append(type(layer).from_config(layer.get_config()))
        elif not isinstance(layer, layers.InputLayer):
            raise ValueError(f"{layer.name} is not a layer that can be folded, or not where it is")
        before = layer
    weights[-1] = [value[..., outputs] / temperature for value in weights[-1]]
    config = chain[-1].get_config() | {"units": len(weights[-1][1]), "activation": "softmax"}
    chain[-1] = layers.Dense.from_config(config)
    folded = keras.Sequential(chain, name=model.name)
    folded.set_weights([value.astype(np.float32) for pair in weights for value in pair])
    return folded


def _is_plain_relu(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, layers.ReLU) and (
        layer.max_value, layer.negative_slope, layer.threshold
    ) == (None, 0, 0)  # fmt: skip


def require_same(folded: keras.Model, model: keras.Model) -> None:
    """Raises ValueError where a deployed network is not of the trained one's shape."""
    kernels = [[layer.kernel.shape[:-1] for layer in _weighted(part)] for part in (folded, model)]
    if kernels[0] != kernels[1]:
        raise ValueError(f"{folded.name} is another network than {model.name}")


def _weighted(model: keras.Model) -> list[keras.Layer]:
    return [layer for layer in model.layers if isinstance(layer, layers.Conv2D | layers.Dense)]


def unfold(folded: keras.Model, model: keras.Model, pixels: np.ndarray, outputs: int) -> None:
    """The opposite of `fold`: give an untrained network the weights of a deployed one.

    Convolutions are taken over, and batch normalisations behind them set so that nothing changes:
    to the statistics that `pixels`, float32 [N, 48, 48, 1], have there. outputs: so many of the
    last layer's are taken over, from the first; the others stay untrained.
    Raises ValueError as `require_same` does.
    """
    require_same(folded, model)
    given, wanted = _weighted(folded), _weighted(model)
    x, scale = pixels, 1.0
    for layer in model.layers:
        if isinstance(layer, layers.Rescaling):
            scale = layer.scale
        elif isinstance(layer, layers.Conv2D):
            kernel, bias = given.pop(0).get_weights()
            weights = [kernel / scale] if not layer.use_bias else [kernel / scale, bias]
            layer.set_weights(weights)
            scale = 1.0
        elif isinstance(layer, layers.Dense):
            taken = given.pop(0).get_weights()
            count = outputs if layer is wanted[-1] else layer.units
            for mine, its in zip((layer.kernel, layer.bias), taken):
                value = np.array(mine)
                value[..., :count] = its[..., :count]
                mine.assign(value)
        elif isinstance(layer, layers.BatchNormalization):
            values = keras.ops.convert_to_numpy(x)
            mean, variance = values.mean(axis=(0, 1, 2)), values.var(axis=(0, 1, 2))
            layer.set_weights([np.sqrt(variance + layer.epsilon), bias + mean, mean, variance])
        x = layer(x)
