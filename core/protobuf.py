"""The bytes of a protobuf message <-> its fields, as far as an ONNX file needs it.

Wire format: https://protobuf.dev/programming-guides/encoding. ONNX's own package is not needed to
read or write what stands beside a network.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def fields(data: memoryview) -> Iterator[tuple[int, int, int, memoryview]]:
    """(number, start, end, body) of each field of a message; body: its value, without its length.

    Raises ValueError or IndexError, in the course of it, where the bytes are no whole message.
    """
    at = 0
    while at < len(data):
        start = at
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        body = at
        if wire == _VARINT:
            _, at = varint(data, at)
        elif wire == _BYTES:
            length, body = varint(data, at)
            at = body + length
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at > len(data) or number == 0:
            raise ValueError("truncated")
        yield number, start, at, data[body:at]


def varint(data: bytes | memoryview, at: int = 0) -> tuple[int, int]:
    """The number that begins at a place, and the place behind it."""
    value = 0
    for shift in range(0, 64, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("varint too long")


def bytes_field(number: int, body: bytes) -> bytes:
    """A field of bytes, text or a message, as it stands in the message around it."""

    def coded(value: int) -> bytes:
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes([*out, value])

    return coded(number << 3 | _BYTES) + coded(len(body)) + body
