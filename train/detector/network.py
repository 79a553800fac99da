"""The detector's network: gray pixels -> what every cell of YuNet's three grids says.

Both its forms take float32 [N, height, width, 1], pixels 0..255, height and width multiples of 32,
and speak of each cell in `edgemood.yunet`'s numbers: cls, obj (as logits), bbox, kps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from edgemood.train.networks import BatchNormalization
from edgemood.yunet import PARTS, STRIDES

NUMBERS = sum(PARTS.values())
# A face is rare: an untrained network should give every cell a probability of 0.01 (Lin et al.
# 2017, arXiv:1708.02002, section 4.1), or the first steps learn nothing else.
PRIOR = -4.6


def detector() -> keras.Model:
    """119,000 parameters; returns float32 [N, cells, 16], the finest grid first.

    Down to a 32nd of the picture and back up to an eighth, so that the fine grid, which must tell a
    face of 13 px from anything else, knows what surrounds it. What is coarse costs little: most of
    the weights are there, most of the time goes before. Chosen by time, untrained, in OpenCV 5's
    FaceDetectorYN on one thread, as shares of YuNet's at 160x128 and 320x256: this shape 0.46 and
    0.46. Its 3x3 convolutions where the fine grid needs them, the second and the last one, cost
    0.03 and 0.06; the middle grid's, which is 1x1 instead, saved 0.06.
    """
    pixels = keras.Input((None, None, 1))
    x = layers.Rescaling(1 / 64)(pixels)
    x = _block(x, 8, size=2, stride=2)
    x = _block(x, 16, stride=2)
    eighth = _block(x, 24, stride=2)
    sixteenth = _block(eighth, 48, stride=2)
    # With three convolutions at this stride, a cell sees the whole of a picture of 160x128.
    coarse = _block(_block(_block(sixteenth, 64, stride=2), 64), 48)
    middle = _block(_joined(sixteenth, coarse), 48, size=1)
    fine = _block(_joined(eighth, _block(middle, 24, size=1)), 24)
    heads = [_head(x) for x in (fine, middle, coarse)]
    return keras.Model(pixels, layers.Concatenate(axis=1)(heads), name="face")


def fold(model: keras.Model, shifts: Sequence[float] = (0.0,) * len(STRIDES)) -> keras.Model:
    """The deployed form of a trained network; returns three maps float32 [N, rows, columns, 16].

    Scaling and batch normalisation go into the convolutions (Jacob et al. 2018, arXiv:1712.05877,
    section 3.2), which leaves convolutions, paddings, ReLUs, enlargements and sums. shifts: added
    to the logits of cls and obj in each grid, the finest first, so that a score of 0.6 means what
    it should.
    """
    pixels = keras.Input((None, None, 1), name="pixels")
    folded: dict[str, Any] = {model.input.name: pixels}  # a trained tensor's name -> its double
    weights: dict[str, list[np.ndarray]] = {}  # a convolution's name -> kernel, bias
    behind: dict[str, str] = {}  # a convolution's output -> the convolution
    maps: list[Any] = []
    scale = 1.0
    for layer in model.layers:
        taken = [folded[tensor.name] for tensor in _listed(layer.input) if tensor.name in folded]
        if isinstance(layer, layers.Rescaling) and layer.offset == 0:
            scale *= layer.scale
            made = taken[0]
        elif isinstance(layer, layers.Conv2D):
            kernel, *bias = (np.array(value, np.float64) for value in layer.get_weights())
            weights[layer.name] = [kernel * scale, bias[0] if bias else np.zeros(kernel.shape[-1])]
            scale = 1.0
            made = layers.Conv2D.from_config(layer.get_config() | {"use_bias": True})(taken[0])
            behind[made.name] = layer.name
            if bias:
                weights[layer.name][1][:2] += shifts[len(maps)]
                maps.append(made)
        elif isinstance(layer, layers.BatchNormalization):
            gamma, beta, mean, variance = (np.array(v, np.float64) for v in layer.get_weights())
            gain = gamma / np.sqrt(variance + layer.epsilon)
            made = taken[0]
            kernel, offset = weights[behind[made.name]]
            weights[behind[made.name]] = [kernel * gain, (offset - mean) * gain + beta]
        elif isinstance(
            layer, layers.ZeroPadding2D | layers.ReLU | layers.UpSampling2D | layers.Add
        ):
            made = type(layer).from_config(layer.get_config())(
                taken if len(taken) > 1 else taken[0]
            )
        elif isinstance(layer, layers.InputLayer | layers.Reshape | layers.Concatenate):
            continue  # the heads' maps are the deployed outputs
        else:
            raise ValueError(f"{layer.name} is not a layer that can be folded")
        folded[layer.output.name] = made
    network = keras.Model(pixels, maps, name=model.name)
    for name, values in weights.items():
        network.get_layer(name).set_weights([value.astype(np.float32) for value in values])
    return network


def rounded(network: keras.Model) -> keras.Model:
    """A folded network, its kernels made whole multiples of 1/127 of each output channel's largest
    weight: so its file needs a byte for a weight.
    """
    for layer in network.layers:
        if isinstance(layer, layers.Conv2D):
            kernel, bias = layer.get_weights()
            step = np.maximum(np.abs(kernel).max(axis=(0, 1, 2)), 1e-12) / 127
            layer.set_weights([np.rint(kernel / step) * step, bias])
    return network


def cells_of(maps: list[np.ndarray]) -> np.ndarray:
    """A folded network's maps as float32 [N, cells, 16], cls and obj as probabilities."""
    cells = np.concatenate([np.reshape(part, (len(part), -1, NUMBERS)) for part in maps], axis=1)
    cells[..., :2] = 1 / (1 + np.exp(-cells[..., :2]))
    return cells


def _block(x: Any, channels: int, size: int = 3, stride: int = 1) -> Any:
    """Convolution, batch normalisation, ReLU; the zeros around a picture lie evenly."""
    if stride > 1 and size > stride:
        # "same" would put all zeros below and to the right, which OpenCV does not run.
        x, padding = layers.ZeroPadding2D(1)(x), "valid"
    else:
        padding = "same"
    x = layers.Conv2D(
        channels, size, stride, padding, use_bias=False, kernel_initializer="he_normal"
    )(x)  # fmt: skip
    return layers.ReLU()(BatchNormalization(momentum=0.95)(x))


def _joined(fine: Any, coarse: Any) -> Any:
    return layers.Add()([fine, layers.UpSampling2D()(coarse)])


def _head(x: Any) -> Any:
    """What each cell says: float32 [N, cells, 16]."""
    prior = np.zeros(NUMBERS, np.float32)
    prior[:2] = PRIOR
    maps = layers.Conv2D(
        NUMBERS, 1, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01)
    )  # fmt: skip
    made = maps(x)
    maps.bias.assign(prior)
    return layers.Reshape((-1, NUMBERS))(made)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
