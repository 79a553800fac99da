"""A detector's run folder -> face.onnx, a network that cv2.FaceDetectorYN runs, and its page.

In: `input`, float32 [1, 3, height, width], BGR, 0..255, height and width multiples of 32. Out: for
each stride s of 8, 16 and 32 `cls_s`, `obj_s`, `bbox_s` and `kps_s`, float32 [1, cells, 1|1|4|10],
YuNet's interface (Wu et al. 2023, doi:10.1007/s11633-023-1423-y).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import onnx
import onnxruntime
from keras import layers
from onnx import TensorProto, helper, numpy_helper

from edgemood.console import say
from edgemood.errors import EdgemoodError
from edgemood.export.card_page import detector_page
from edgemood.export.deploy import models_folder
from edgemood.export.source import CONFIG, MODEL, load_keras
from edgemood.export.to_onnx import OPSET
from edgemood.files import make_folder, write_together
from edgemood.modelfile import seal
from edgemood.noise import quiet
from edgemood.yunet import OUTPUTS, PARTS, STRIDES, faces_in, joined

NAME = "face.onnx"
LARGEST = 150_000  # bytes
# Shares of blue, green and red in gray, ITU-R BT.601, as cv2.cvtColor takes them.
GRAY = np.array([0.114, 0.587, 0.299])
# What a file is tried on before it is written: the usual inputs and an odd one.
SIZES = ((128, 160), (256, 320), (96, 224))
TOLERANCE = 1e-3  # of a number that a cell says


def to_onnx(network: keras.Model, metadata: dict[str, str] | None = None) -> bytes:
    """A folded detector as ONNX. network: float32 [N, h, w, 1], gray 0..255, to three maps.

    Gray goes into the first convolution. Each convolution's channels come first here, and the maps
    are turned back, so that a cell's numbers lie side by side. Raises ValueError for a layer that
    has no counterpart.
    """
    graph = _Graph()
    names = {network.input.name: "input"}
    padded: dict[str, int] = {}  # value -> zeros that the next convolution adds around it
    for layer in network.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        taken = [names[tensor.name] for tensor in inputs]
        made = taken[0]
        if isinstance(layer, layers.ZeroPadding2D):
            padded[made] = layer.padding[0][0]
        elif isinstance(layer, layers.Conv2D):
            made = graph.convolution(layer, made, padded.pop(made, 0))
        elif isinstance(layer, layers.ReLU):
            made = graph.add("Relu", taken)
        elif isinstance(layer, layers.Add):
            made = graph.add("Add", taken)
        elif isinstance(layer, layers.UpSampling2D):
            scales = graph.constant(np.array([1, 1, *layer.size], np.float32))
            made = graph.add(
                "Resize", [made, "", scales], mode="nearest", nearest_mode="floor",
                coordinate_transformation_mode="asymmetric",
            )  # fmt: skip
        else:
            raise ValueError(f"{layer.name} is not a layer that a detector has")
        names[layer.output.name] = made
    for stride, tensor in zip(STRIDES, network.outputs):
        graph.head(stride, names[tensor.name])
    return graph.serialised(metadata or {})


def verify(data: bytes, network: keras.Model) -> None:
    """Raise EdgemoodError where the file is too large, ONNX Runtime says something else than Keras,
    or cv2.FaceDetectorYN finds other faces in ONNX Runtime's answer than `yunet.faces_in` does.
    """
    if len(data) > LARGEST:
        raise EdgemoodError(
            f"{NAME} has {len(data):,} bytes, at most {LARGEST:,} were wanted. Make the network "
            "smaller.",
            exit_code=1,
        )
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for height, width in SIZES:
        coarse = rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        cells = run(session, image)
        expected = _said(network, image)
        difference = float(np.abs(cells - expected).max())
        if difference > TOLERANCE:
            raise EdgemoodError(
                f"{NAME} and the trained network differ by {difference:.2g} at {width}x{height}, "
                f"at most {TOLERANCE} was wanted. Report it.",
                exit_code=1,
            )
        # So low a score that there is something to compare.
        score = float(np.sqrt(np.sort(cells[:, 0] * cells[:, 1])[-20])) * 0.999
        ours = faces_in(cells, height, width, score)
        detector = cv2.FaceDetectorYN.create(
            "onnx",
            np.frombuffer(data, np.uint8),
            np.empty(0, np.uint8),
            (width, height),
            score,
            0.3,
        )
        theirs = detector.detect(image)[1]
        if theirs is None or theirs.shape != ours.shape or np.abs(theirs - ours).max() > 0.05:
            raise EdgemoodError(
                f"cv2.FaceDetectorYN finds other faces than {NAME} names at {width}x{height}. "
                "Report it.",
                exit_code=1,
            )


def run(session: onnxruntime.InferenceSession, image: np.ndarray) -> np.ndarray:
    """What a detector says of a BGR uint8 [h, w, 3] picture, float32 [cells, 16]."""
    pixels = image.transpose(2, 0, 1)[None].astype(np.float32)
    return joined(dict(zip(OUTPUTS, session.run(list(OUTPUTS), {"input": pixels}))))


def deploy(run: Path, output: Path | None = None) -> Path:
    """Write a finished run's detector as face.onnx, with a page face.md; returns the file's path.

    output: folder; None: see `models_folder`.
    Raises EdgemoodError where the run is not one, or the file does not answer as its network.
    """
    network, metadata = read(run)
    data = to_onnx(network, metadata)
    with quiet():
        verify(data, network)
    path = (output or models_folder()) / NAME
    make_folder(path.parent, "--output")
    page = detector_page(metadata, network.count_params(), len(data))
    write_together({path: data, path.with_suffix(".md"): page.encode()})
    say(f"wrote {path} ({len(data) / 1000:.0f} kB)")
    return path


def read(folder: Path) -> tuple[keras.Model, dict[str, str]]:
    """The folded network of a finished run and the metadata that its file should carry."""
    try:
        config = json.loads((folder / CONFIG).read_text())
        card = config["card"]
    except (OSError, ValueError, KeyError) as error:
        raise EdgemoodError(
            f"{folder} is not the folder of a finished run: a {CONFIG} with a card was wanted. "
            "Name one that `edgemood train --recipe face` wrote, or finish it with --resume."
        ) from error
    network = load_keras(folder / MODEL)
    shapes = [(shape[0], shape[3]) for shape in (tensor.shape for tensor in network.outputs)]
    if shapes != [(None, sum(PARTS.values()))] * len(STRIDES):
        raise EdgemoodError(
            f"{folder} holds no detector, a network with three maps of 16 numbers was wanted. "
            "Name a run of `edgemood train --recipe face`."
        )
    texts = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in card.items()
    }
    return network, {"name": config["name"], "version": config["edgemood"], **texts}


class _Graph:
    """Nodes and weights of an ONNX graph in the making; a value is known by its name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def constant(self, value: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def kernel(self, value: np.ndarray) -> str:
        """Float32 [out, in, h, w]: a byte a weight where that loses nothing, or as it is.

        Engines multiply the bytes out once, when they load the file.
        """
        step = np.maximum(np.abs(value).max(axis=(1, 2, 3), keepdims=True), 1e-12) / 127
        levels = np.rint(value / step)
        if value.size < 500 or np.abs(levels * step - value).max() > 1e-6 * np.abs(value).max():
            return self.constant(value)
        whole = self.constant(levels.astype(np.int8))
        floats = self.add("Cast", [whole], to=TensorProto.FLOAT)
        return self.add("Mul", [floats, self.constant(step.astype(np.float32))])

    def add(self, kind: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        """A node; returns the name of its first output, a new one if none is given."""
        name = f"n{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, inputs, list(outputs or [name]), name=name, **attributes)
        )
        return self.nodes[-1].output[0]

    def convolution(self, layer: layers.Conv2D, value: str, zeros: int) -> str:
        kernel, bias = (np.asarray(weight, np.float64) for weight in layer.get_weights())
        if value == "input":
            kernel = kernel * GRAY[:, None]
        (size, _), (dilation, _) = layer.kernel_size, layer.dilation_rate
        if layer.padding == "same":
            if size > 1 and layer.strides != (1, 1) and layer.strides != layer.kernel_size:
                raise ValueError(f"{layer.name} pads unevenly, which OpenCV does not run")
            zeros = dilation * (size - 1) // 2 if layer.strides == (1, 1) else 0
        weights = [
            self.kernel(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1), np.float32)),
            self.constant(bias.astype(np.float32)),
        ]
        return self.add(
            "Conv", [value, *weights], kernel_shape=list(layer.kernel_size),
            strides=list(layer.strides), dilations=[dilation] * 2, pads=[zeros] * 4,
        )  # fmt: skip

    def head(self, stride: int, maps: str) -> None:
        """A map [1, 16, rows, columns] as the four outputs of its stride."""
        rows = self.add("Transpose", [maps], perm=[0, 2, 3, 1])
        shape = self.constant(np.array([1, -1, sum(PARTS.values())], np.int64))
        cells = self.add("Reshape", [rows, shape])
        parts = self.constant(np.array(list(PARTS.values()), np.int64))
        names = [f"{part}_{stride}" for part in PARTS]
        logits = [f"{name}_logit" for name in names[:2]]
        self.add("Split", [cells, parts], *logits, *names[2:], axis=2)
        for logit, name in zip(logits, names):
            self.add("Sigmoid", [logit], name)

    def serialised(self, metadata: dict[str, str]) -> bytes:
        def value(name: str, shape: list[Any]) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        outputs = [
            value(f"{part}_{stride}", [1, f"cells_{stride}", numbers])
            for part, numbers in PARTS.items()
            for stride in STRIDES
        ]
        graph = helper.make_graph(
            self.nodes, "face", [value("input", [1, 3, "height", "width"])], outputs, self.weights
        )
        # IR version 8 is what came with opset 17; OpenCV and older engines refuse later ones.
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8,
            producer_name="edgemood",
        )  # fmt: skip
        onnx.checker.check_model(model, full_check=True)
        # Sealed, it need not be tried elsewhere before OpenCV, which crashes on damaged networks.
        return seal(model.SerializeToString(), json.dumps(metadata), metadata)


def _said(network: keras.Model, image: np.ndarray) -> np.ndarray:
    """What the Keras network says of the same picture, float32 [cells, 16]."""
    gray = image.astype(np.float32) @ GRAY.astype(np.float32)
    maps = network(gray[None, ..., None], training=False)
    cells = np.concatenate(
        [keras.ops.convert_to_numpy(part).reshape(-1, sum(PARTS.values())) for part in maps]
    )
    cells[:, :2] = 1 / (1 + np.exp(-cells[:, :2]))
    return cells
