"""A network's bytes, ONNX or TFLite -> what is wrong with its weights that no engine says.

Engines load weights that are no numbers, and an int8 network then answers with probabilities all
the same; of a quantisation scale that is none, LiteRT 2.3 dies. OpenCV reads weights from any file
that an ONNX network names, ONNX Runtime from those in the folder where the program was started.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from edgemood.protobuf import fields, varint


def check(network: bytes) -> None:
    """Raise ValueError, whose text says what is wrong with the weights, unless they can be used.

    network: an ONNX or a TFLite model.
    """
    try:
        if network[4:8] == b"TFL3":
            numbers = _tflite_numbers(network)
        else:
            tensors = [
                {number: body for number, _, _, body in fields(tensor)}
                for tensor in _onnx_tensors(memoryview(network))
            ]
            if any(_EXTERNAL in tensor for tensor in tensors):
                raise ValueError("its weights lie in another file, one file with all was wanted")
            numbers = (_floats(tensor) for tensor in tensors)
        if not all(np.isfinite(each).all() for each in numbers):
            raise ValueError("it has weights that are not finite numbers")
    except (IndexError, struct.error, RecursionError) as error:
        raise ValueError("it is not a whole model") from error


# --- ONNX ---------------------------------------------------------------------------------------

# Where onnx.proto3 has tensors: message -> number of a field -> the message in it.
_INSIDE = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
# Of a TensorProto: numbers of fields, and the types in which numbers may not be finite.
_TYPE, _FLOATS, _RAW, _DOUBLES, _EXTERNAL = 2, 4, 9, 10, 13
_FLOAT_TYPES = {1: "<f4", 10: "<f2", 11: "<f8"}


def _onnx_tensors(message: memoryview, kind: str = "model") -> Iterator[memoryview]:
    """Every TensorProto, wherever in the message."""
    for number, _, _, body in fields(message):
        inner = _INSIDE[kind].get(number)
        if inner == "tensor":
            yield body
        elif inner:
            yield from _onnx_tensors(body, inner)


def _floats(tensor: dict[int, memoryview]) -> np.ndarray:
    """Its floating-point numbers; none where it holds others."""
    kind = _FLOAT_TYPES.get(varint(tensor.get(_TYPE, b"\0"))[0])
    body = tensor.get(_RAW) or tensor.get(_FLOATS) or tensor.get(_DOUBLES)
    if kind is None or body is None:
        return np.empty(0, np.float32)
    return np.frombuffer(body, kind)


# --- TFLite -------------------------------------------------------------------------------------


class _Table:
    """A table of a flatbuffer: https://flatbuffers.dev/internals."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._slots = at - struct.unpack_from("<i", data, at)[0]

    def slot(self, number: int) -> int:
        """Where a field's value lies; 0: it has none."""
        if self._slots < 0 or 4 + 2 * number >= self._word("<H", self._slots):
            return 0
        offset = self._word("<H", self._slots + 4 + 2 * number)
        return offset and self._at + offset

    def number(self, number: int, kind: str) -> int:
        at = self.slot(number)
        return self._word(kind, at) if at else 0

    def array(self, number: int, kind: str) -> np.ndarray:
        """A vector of numbers."""
        at, count = self._vector(number)
        size = np.dtype(kind).itemsize
        return np.frombuffer(self._data[at : at + count * size], kind)

    def tables(self, number: int) -> list[_Table]:
        at, count = self._vector(number)
        places = range(at, min(at + 4 * count, len(self._data)), 4)
        return [_Table(self._data, place + self._word("<I", place)) for place in places]

    def table(self, number: int) -> _Table | None:
        at = self.slot(number)
        return _Table(self._data, at + self._word("<I", at)) if at else None

    def _vector(self, number: int) -> tuple[int, int]:
        at = self.slot(number)
        if not at:
            return 0, 0
        at += self._word("<I", at)
        return at + 4, self._word("<I", at)

    def _word(self, kind: str, at: int) -> int:
        value: int = struct.unpack_from(kind, self._data, at)[0]
        return value


def _tflite_numbers(network: bytes) -> Iterator[np.ndarray]:
    """Every float32 weight, and every quantisation scale.

    Numbers of fields are those of TensorFlow's schema.fbs: Model has subgraphs (2) and buffers (4),
    a SubGraph tensors (0), a Tensor type (1), buffer (2) and quantization (4), that a scale (2),
    a Buffer data (0).
    """
    model = _Table(network, struct.unpack_from("<I", network)[0])
    buffers = model.tables(4)
    for graph in model.tables(2):
        for tensor in graph.tables(0):
            if tensor.number(1, "<b") == 0:  # FLOAT32
                yield buffers[tensor.number(2, "<I")].array(0, "<u1").view("<f4")
            quantization = tensor.table(4)
            if quantization:
                yield quantization.array(2, "<f4")
