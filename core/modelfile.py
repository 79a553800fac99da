"""A model file that explains itself: network bytes + card <-> one .onnx or .tflite file.

The contract: input uint8 [N, 48, 48, 1], raw gray pixels; output float32 [N, classes],
probabilities. Everything else that a user of the file must know is the `Card`, which travels in
the file: in an ONNX file as `metadata_props`, in a TFLite file as a zip appended to it, holding
`metadata.json` and `labels.txt`. Both formats can be read without the engine that runs them, and
carry a digest of network and card, which is checked before an engine sees the network.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from edgemood.crop import FER2013, SIZE, Framing
from edgemood.errors import EdgemoodError
from edgemood.files import replace_file

SCHEMA = 1
KEY = "edgemood"  # the metadata_props key that holds the card as JSON
# A zip may claim to unpack to anything; a card is a few kB.
LARGEST_CARD = 1_000_000
LARGEST_MODEL = 200_000_000


@dataclass(frozen=True)
class Card:
    """What a model file says about itself.

    labels: class names in the order of the output. framing: see `crop.Framing`.
    precision: "float32" or "int8". temperature: what the logits were divided by, inside the graph.
    unsure_below: confidence under which a label should not be relied on; None if never measured.
    accuracy: split -> share right, 0..1. parity: figures of the deploy gate, name -> value.
    macs: multiply-accumulates for one face.
    """

    name: str
    labels: tuple[str, ...]
    version: str
    precision: str
    description: str = ""
    license: str = ""
    training_data: str = ""
    framing: Framing = FER2013
    temperature: float = 1.0
    unsure_below: float | None = None
    accuracy: dict[str, float] = field(default_factory=dict)
    parity: dict[str, float] = field(default_factory=dict)
    parameters: int | None = None
    macs: int | None = None

    def to_json(self) -> str:
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Raises ValueError, whose text says what is missing or wrong."""
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("the card is not a JSON object")
        if values.pop("schema", None) != SCHEMA:
            raise ValueError(f"the card's schema is not {SCHEMA}")
        for name in ("name", "labels", "version", "precision"):
            if not values.get(name):
                raise ValueError(f"the card has no '{name}'")
        labels = values["labels"]
        if not isinstance(labels, list) or not all(isinstance(name, str) for name in labels):
            raise ValueError("the card's labels are not a list of names")
        if len(set(labels)) != len(labels) or len(labels) < 2:
            raise ValueError("the card's labels are not two or more different names")
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        known["labels"] = tuple(labels)
        framing = values.get("framing", {})
        try:
            known["framing"] = Framing(float(framing["scale"]), float(framing["shift"]))
        except (TypeError, KeyError, ValueError):
            raise ValueError("the card's crop framing has no scale and shift") from None
        return cls(**known)


@dataclass(frozen=True)
class ModelFile:
    """A checked model file. kind: "onnx" or "tflite". network: bytes for the engine."""

    path: Path
    kind: str
    network: bytes
    card: Card


def read_model(path: str | os.PathLike[str]) -> ModelFile:
    """Read and check a model file; raises EdgemoodError that says what is wrong with it."""
    path = Path(path)
    if path.is_dir():
        raise EdgemoodError(f"{path} is a folder, an .onnx or .tflite file was wanted.")
    try:
        size = path.stat().st_size
        if size > LARGEST_MODEL:
            raise EdgemoodError(
                f"{path} has {size / 1e6:.0f} MB, an emotion model of at most "
                f"{LARGEST_MODEL / 1e6:.0f} MB was wanted. Pass a file from models/."
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise EdgemoodError(
            f"{path} is not there: an .onnx or .tflite model was wanted. `make export` writes "
            "one to models/."
        ) from None
    except OSError as error:
        raise EdgemoodError(f"{path} cannot be read: {error.strerror}.") from error
    refuse_pointer(path, data)
    if data[4:8] == b"TFL3":
        kind, network, text, digest = "tflite", *_read_tflite(path, data)
    else:
        kind, network, text, digest = "onnx", *_read_onnx(path, data)
    if text is None:
        raise EdgemoodError(
            f"{path} has no labels and card inside: a model file that explains itself was wanted. "
            "Make one with `edgemood export`, or add a card with edgemood.modelfile.write_model."
        )
    if _digest(network, text) != digest:
        raise EdgemoodError(
            f"{path} is damaged: its content does not match the digest it carries. Copy or export "
            "it again."
        )
    try:
        return ModelFile(path, kind, data if kind == "onnx" else network, Card.from_json(text))
    except ValueError as error:
        raise EdgemoodError(f"{path} cannot be used: {error}. Export it again.") from error


def pack_model(network: bytes, card: Card) -> bytes:
    """Network and card as the bytes of one file, in the network's own format.

    network: a serialised ONNX model or a TFLite flatbuffer. A card that an ONNX network already
    has is replaced.
    """
    if network[4:8] == b"TFL3":
        return network + _card_zip(network, card)
    bare = b"".join(
        network[start:end] for number, start, end, _ in _fields(network) if number != _PROPS
    )
    return bare + _card_props(bare, card)


def write_model(path: str | os.PathLike[str], network: bytes, card: Card) -> None:
    """Write network and card (see `pack_model`) as one file, moved into place when it is whole."""
    data = pack_model(network, card)
    with replace_file(path) as file:
        file.write(data)


def refuse_pointer(path: Path, data: bytes) -> None:
    """Raise EdgemoodError where a file is empty or a Git LFS pointer instead of a model."""
    if data.startswith(b"version https://git-lfs"):
        raise EdgemoodError(
            f"{path} is a Git LFS pointer, not the model itself. Run `git lfs pull`, or copy the "
            "real file."
        )
    if not data:
        raise EdgemoodError(f"{path} is empty, a model was wanted. Copy or export it again.")


def _digest(network: bytes, card: str) -> str:
    return hashlib.sha256(network + card.encode()).hexdigest()


# --- TFLite: a zip behind the flatbuffer --------------------------------------------------------


def _card_zip(network: bytes, card: Card) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (
            ("metadata.json", card.to_json()),
            ("labels.txt", "\n".join(card.labels) + "\n"),
            ("sha256", _digest(network, card.to_json())),
        ):
            # A fixed date, so that the same network and card give the same bytes.
            archive.writestr(zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()


def _read_tflite(path: Path, data: bytes) -> tuple[bytes, str | None, str]:
    """Network bytes, card as JSON or None, digest."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # The zip begins where its first local header lies: all before that is the network.
            start = min((info.header_offset for info in archive.infolist()), default=len(data))
            members = [archive.getinfo(name) for name in ("metadata.json", "sha256")]
            if any(member.file_size > LARGEST_CARD for member in members):
                return data, None, ""
            text, digest = (archive.read(member).decode() for member in members)
        return data[:start], text, digest
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, OSError, EOFError,
            NotImplementedError, RuntimeError):  # fmt: skip
        return data, None, ""


# --- ONNX: protobuf fields ----------------------------------------------------------------------

# Field numbers of onnx.proto3's ModelProto and StringStringEntryProto.
_GRAPH, _PROPS, _KEY, _VALUE = 7, 14, 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def _card_props(network: bytes, card: Card) -> bytes:
    """metadata_props to append: protobuf merges a repeated field wherever it stands."""
    props = {
        KEY: card.to_json(),
        f"{KEY}.sha256": _digest(network, card.to_json()),
        # The keys that Ultralytics' tools and viewers look for.
        "names": str(dict(enumerate(card.labels))),
        "task": "classify",
        "imgsz": str([SIZE, SIZE]),
        "version": card.version,
        "license": card.license,
        "description": card.description,
    }
    return b"".join(
        _bytes_field(
            _PROPS, _bytes_field(_KEY, key.encode()) + _bytes_field(_VALUE, value.encode())
        )
        for key, value in props.items()
    )


def _read_onnx(path: Path, data: bytes) -> tuple[bytes, str | None, str]:
    """Network bytes (all but metadata_props), card as JSON or None, digest."""
    bare: list[bytes] = []
    props: dict[str, str] = {}
    graph = False
    try:
        for number, start, end, body in _fields(data):
            graph |= number == _GRAPH
            if number != _PROPS:
                bare.append(data[start:end])
                continue
            entry = {inner: value for inner, _, _, value in _fields(body)}
            props[entry.get(_KEY, b"").decode()] = entry.get(_VALUE, b"").decode()
    except (ValueError, IndexError):
        graph = False
    if not graph:
        raise EdgemoodError(
            f"{path} is not a whole .onnx or .tflite model. Copy or export it again."
        )
    return b"".join(bare), props.get(KEY), props.get(f"{KEY}.sha256", "")


def _fields(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(number, start, end, body) of each field of a protobuf message; ValueError if not one."""
    at = 0
    while at < len(data):
        start = at
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        body = b""
        if wire == _VARINT:
            _, at = _varint(data, at)
        elif wire == _BYTES:
            length, at = _varint(data, at)
            body = data[at : at + length]
            at += length
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at > len(data) or number == 0:
            raise ValueError("truncated")
        yield number, start, at, body


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("varint too long")


def _bytes_field(number: int, body: bytes) -> bytes:
    def varint(value: int) -> bytes:
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes([*out, value])

    return varint(number << 3 | _BYTES) + varint(len(body)) + body
