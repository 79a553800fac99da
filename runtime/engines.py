"""A model file -> `EmotionModel`: uint8 crops in, float32 probabilities out, in any engine.

Three engines behind one `predict`: ONNX Runtime and OpenCV DNN for .onnx, LiteRT for .tflite.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from edgemood.crop import SIZE
from edgemood.errors import EdgemoodError
from edgemood.modelfile import Card, ModelFile, read_model
from edgemood.noise import silent_stderr

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Predict = Callable[[np.ndarray], np.ndarray]
# Probabilities further apart than this mean that two engines compute different things. Kernels that
# round int8 differently stay below a tenth.
SAME = 0.2


class EmotionModel:
    """A loaded emotion model.

    path: an .onnx or .tflite file under the model contract (see `edgemood.modelfile`).
    engine: "onnxruntime", "opencv" or "litert"; None: the first that reads the file's format.
    threads: how many threads one call may use. OpenCV has one number of threads for everything in
    the program, which a library leaves alone: there, call cv2.setNumThreads. Not for two threads at
    once, but in ONNX Runtime.
    Raises EdgemoodError where the file, its card, its shapes or the engine do not fit.
    """

    def __init__(
        self, path: str | os.PathLike[str], engine: str | None = None, threads: int = 1
    ) -> None:
        model = read_model(path)
        self.path = model.path
        self.threads = threads
        self.card: Card = model.card
        self.labels = model.card.labels
        self.engine = engine or FORMATS[model.kind][0]
        if self.engine not in FORMATS[model.kind]:
            raise EdgemoodError(
                f"{path} is a .{model.kind} file, which {self.engine} does not read: "
                f"{' or '.join(FORMATS[model.kind])} was wanted."
            )
        self._predict = ENGINES[self.engine](model, threads)
        # A first call settles what an engine allocates lazily, and shows that the shapes fit.
        trial = np.zeros((2, SIZE, SIZE), np.uint8)
        trial[1] = 255
        try:
            out = self.predict(trial)
        except EdgemoodError:
            raise
        except Exception as error:
            raise _unfit(model, f"{self.engine} cannot run it: {error}") from error
        if out.shape != (2, len(self.labels)) or out.dtype != np.float32:
            raise _unfit(
                model,
                f"it returns {out.dtype} {list(out.shape)} for two faces, float32 "
                f"[2, {len(self.labels)}] for its labels was wanted",
            )
        if not (np.isfinite(out).all() and (np.abs(out.sum(axis=1) - 1) < 0.02).all()):
            raise _unfit(model, "its output is not probabilities that sum to 1")

    def predict(self, crops: np.ndarray) -> np.ndarray:
        """Gray uint8 [N, 48, 48] -> probabilities float32 [N, classes]; N may be 0.

        Raises ValueError for another kind of array.
        """
        if not len(crops):
            return np.empty((0, len(self.labels)), np.float32)
        if crops.shape[1:] != (SIZE, SIZE) or crops.dtype != np.uint8:
            raise ValueError(
                f"crops are gray uint8 [N, {SIZE}, {SIZE}], these are {crops.dtype} "
                f"{list(crops.shape)}"
            )
        return self._predict(crops.reshape(-1, SIZE, SIZE, 1))


def onnx_session(network: bytes, threads: int = 1) -> InferenceSession:
    """An ONNX network of any kind in ONNX Runtime; whose exceptions share no base class."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads keep a core busy between frames: 94 % of it at 15 frames a second.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # An arena keeps more than these networks need: 4 MB of a run's 160, for no speed.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4  # it raises what it logs
    # The fallback is to the same provider, and announced on stdout.
    return onnxruntime.InferenceSession(
        network, options, providers=["CPUExecutionProvider"], enable_fallback=0
    )


def _onnxruntime(model: ModelFile, threads: int) -> Predict:
    try:
        session = onnx_session(model.network, threads)
    except Exception as error:
        raise _unfit(model, f"ONNX Runtime cannot load it: {error}") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise _unfit(model, f"it has {len(inputs)} inputs and {len(outputs)} outputs, not 1 and 1")
    if inputs[0].type != "tensor(uint8)" or list(inputs[0].shape[1:]) != [SIZE, SIZE, 1]:
        raise _unfit(
            model,
            f"its input is {inputs[0].type} {inputs[0].shape}, "
            f"uint8 [N, {SIZE}, {SIZE}, 1] was wanted",
        )
    name, wanted = inputs[0].name, [outputs[0].name]
    return lambda crops: session.run(wanted, {name: crops})[0]


def _litert(model: ModelFile, threads: int) -> Predict:
    from ai_edge_litert.interpreter import Interpreter

    try:
        with silent_stderr():  # it announces its delegate
            interpreter = Interpreter(model_content=model.network, num_threads=threads)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise _unfit(model, f"LiteRT cannot load it: {error}") from error
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(inputs) != 1 or len(outputs) != 1:
        raise _unfit(model, f"it has {len(inputs)} inputs and {len(outputs)} outputs, not 1 and 1")
    shape, dtype = list(inputs[0]["shape"]), inputs[0]["dtype"]
    if dtype != np.uint8 or shape != [1, SIZE, SIZE, 1]:
        raise _unfit(
            model,
            f"its input is {np.dtype(dtype).name} {shape}, uint8 [1, {SIZE}, {SIZE}, 1] was wanted",
        )
    entry, result = inputs[0]["index"], outputs[0]["index"]

    def predict(crops: np.ndarray) -> np.ndarray:
        # One face a call: resizing the input re-plans the graph, which costs more than it saves.
        rows = []
        for i in range(len(crops)):
            interpreter.set_tensor(entry, crops[i : i + 1])
            interpreter.invoke()
            rows.append(interpreter.get_tensor(result))
        return np.concatenate(rows)

    return predict


def _opencv(model: ModelFile, threads: int) -> Predict:
    import cv2

    try:
        net = cv2.dnn.readNetFromONNX(np.frombuffer(model.network, np.uint8))
    except cv2.error as error:
        raise _unfit(model, f"OpenCV DNN cannot load it: {error.err}") from error

    def predict(crops: np.ndarray) -> np.ndarray:
        net.setInput(crops)
        return np.asarray(net.forward(), np.float32).reshape(len(crops), -1)

    return predict


FORMATS = {"onnx": ("onnxruntime", "opencv"), "tflite": ("litert",)}
ENGINES: dict[str, Callable[[ModelFile, int], Predict]] = {
    "onnxruntime": _onnxruntime,
    "opencv": _opencv,
    "litert": _litert,
}


def _unfit(model: ModelFile, found: str) -> EdgemoodError:
    return EdgemoodError(
        f"{model.path} cannot be used: {' '.join(found.split())}. Pass a file that "
        "`edgemood export` wrote."
    )
