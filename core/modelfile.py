"""A model file that explains itself: network bytes + card <-> one .onnx or .tflite file.

The contract: input uint8 [N, 48, 48, 1], raw gray pixels; output float32 [N, classes],
probabilities. Everything else that a user of the file must know is the `Card`, which travels in
the file: in an ONNX file as `metadata_props`, in a TFLite file as a zip appended to it, holding
`metadata.json` and `labels.txt`. Both formats can be read without the engine that runs them, and
carry a digest of network and card, which is checked before an engine sees the network: engines
crash on damaged networks. It guards against damage, not against malice: who changes a file on
purpose can write a digest that fits.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from edgemood import weights
from edgemood.crop import FER2013, SIZE, Framing
from edgemood.errors import EdgemoodError
from edgemood.files import read_bytes, replace_file
from edgemood.protobuf import bytes_field, fields

SCHEMA = 1
KEY = "edgemood"  # the metadata_props key that holds the card as JSON
# A zip may claim to unpack to anything; a card is a few kB.
LARGEST_CARD = 1_000_000
# An ONNX file has some twenty fields at its outermost level. Other bytes may look like millions.
MOST_FIELDS = 10_000


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
        try:
            values = json.loads(text)
        except RecursionError:
            raise ValueError("the card is no card") from None
        if not isinstance(values, dict):
            raise ValueError("the card is not a JSON object")
        if values.pop("schema", None) != SCHEMA:
            raise ValueError(f"the card's schema is not {SCHEMA}")
        for name in ("name", "labels", "version", "precision"):
            if not values.get(name):
                raise ValueError(f"the card has no '{name}'")
        labels = values.pop("labels")
        if not isinstance(labels, list) or not all(isinstance(name, str) for name in labels):
            raise ValueError("the card's labels are not a list of names")
        if len(set(labels)) != len(labels) or len(labels) < 2:
            raise ValueError("the card's labels are not two or more different names")
        if not all(name.strip() and _JOINERS.sub("", name).isprintable() for name in labels):
            raise ValueError("the card's labels are not names that can be shown")
        known: dict[str, Any] = {
            "labels": tuple(labels),
            "framing": _framing(values.pop("framing", None)),
        }
        for name, member in cls.__dataclass_fields__.items():
            if name in values:
                if not _FITS[str(member.type)](values[name]):
                    raise ValueError(f"the card's {name} is not of type {member.type}")
                known[name] = values[name]
        return cls(**known)


def _is_number(value: object) -> bool:
    # Python's JSON reads NaN, Infinity, and integers beyond any float.
    return isinstance(value, (int, float)) and abs(value) < 1e300


# What stands between the letters of ordinary words in some scripts, and shows nothing itself: a
# non-joiner, a joiner, spaces without a break.
_JOINERS = re.compile("[\u200c\u200d\u00a0\u202f]")
_FITS: Mapping[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "float": _is_number,
    "float | None": lambda value: value is None or _is_number(value),
    "int | None": lambda value: value is None or (_is_number(value) and value == int(value)),
    "dict[str, float]": lambda value: (
        isinstance(value, dict) and all(map(_is_number, value.values()))
    ),
}


def _framing(value: Any) -> Framing:
    try:
        framing = Framing(float(value["scale"]), float(value["shift"]))
    except (TypeError, KeyError, ValueError, OverflowError):
        raise ValueError("the card's crop framing has no scale and shift") from None
    # A square of a thousand box widths would be larger than memory.
    if not (0.1 <= framing.scale <= 10 and abs(framing.shift) <= 10):
        raise ValueError("the card's crop framing is not within 0.1 to 10 box widths")
    return framing


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
    data = read_bytes(path, "an .onnx or .tflite model", "`make export` writes one to models/.")
    kind = "tflite" if data[4:8] == b"TFL3" else "onnx"
    try:
        network, text, digest = _read_tflite(data) if kind == "tflite" else _read_onnx(data)
    except ValueError:
        raise EdgemoodError(
            f"{path} is not a whole .onnx or .tflite model. Copy or export it again."
        ) from None
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
        card = Card.from_json(text)
        weights.check(network)
    except ValueError as error:
        raise EdgemoodError(f"{path} cannot be used: {error}. Export it again.") from error
    return ModelFile(path, kind, data if kind == "onnx" else network, card)


def pack_model(network: bytes, card: Card) -> bytes:
    """Network and card as the bytes of one file, in the network's own format.

    network: a serialised ONNX model or a TFLite flatbuffer. A card that an ONNX network already
    has is replaced.
    """
    if network[4:8] == b"TFL3":
        return network + _card_zip(network, card)
    text = card.to_json()
    # The other keys are those that Ultralytics' tools and viewers look for.
    return seal(
        network,
        text,
        {
            "names": str(dict(enumerate(card.labels))),
            "task": "classify",
            "imgsz": str([SIZE, SIZE]),
            "version": card.version,
            "license": card.license,
            "description": card.description,
        },
    )


def seal(network: bytes, text: str, more: Mapping[str, str]) -> bytes:
    """An ONNX network of any kind with a text about it, a digest of both, and more metadata.

    Metadata that it already has is replaced.
    """
    view = memoryview(network)
    bare = b"".join(view[start:end] for number, start, end, _ in fields(view) if number != _PROPS)
    # protobuf merges a repeated field wherever it stands.
    return bare + b"".join(
        bytes_field(_PROPS, bytes_field(_KEY, key.encode()) + bytes_field(_VALUE, value.encode()))
        for key, value in {KEY: text, f"{KEY}.sha256": _digest(bare, text), **more}.items()
    )


def is_sealed(network: bytes) -> bool:
    """Whether an ONNX network of any kind carries a digest (see `seal`).

    Raises ValueError where its content does not match the digest, or is no whole ONNX model.
    """
    bare, text, digest = _read_onnx(network)
    if text is not None and _digest(bare, text) != digest:
        raise ValueError("its content does not match the digest it carries")
    return text is not None


def write_model(path: str | os.PathLike[str], network: bytes, card: Card) -> None:
    """Write network and card (see `pack_model`) as one file, moved into place when it is whole."""
    data = pack_model(network, card)
    with replace_file(path) as file:
        file.write(data)


def _digest(network: bytes, card: str) -> str:
    digest = hashlib.sha256(network)
    digest.update(card.encode())
    return digest.hexdigest()


# --- TFLite: a zip behind the flatbuffer --------------------------------------------------------


_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others raise errors of their own


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


def _read_tflite(data: bytes) -> tuple[bytes, str | None, str]:
    """Network bytes, card as JSON or None, digest."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # The zip begins where its first local header lies: all before that is the network.
            start = min((info.header_offset for info in archive.infolist()), default=len(data))
            members = [archive.getinfo(name) for name in ("metadata.json", "sha256")]
            if any(
                member.file_size > LARGEST_CARD or member.compress_type not in _PACKED
                for member in members
            ):
                return data, None, ""
            text, digest = (archive.read(member).decode() for member in members)
        return data[:start], text, digest
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, OSError, EOFError,
            NotImplementedError, RuntimeError):  # fmt: skip
        return data, None, ""


# --- ONNX: protobuf fields ----------------------------------------------------------------------

# Field numbers of onnx.proto3's ModelProto and StringStringEntryProto.
_GRAPH, _PROPS, _KEY, _VALUE = 7, 14, 1, 2


def _read_onnx(data: bytes) -> tuple[bytes, str | None, str]:
    """Network bytes (all but metadata_props), card as JSON or None, digest.

    Raises ValueError where it is no whole ONNX model.
    """
    view = memoryview(data)  # whose slices are no copies
    bare: list[memoryview] = []
    props: dict[str, str] = {}
    graph = False
    try:
        for number, start, end, body in islice(fields(view), MOST_FIELDS):
            graph |= number == _GRAPH
            if number != _PROPS:
                bare.append(view[start:end])
                continue
            entry = {inner: bytes(value) for inner, _, _, value in fields(body)}
            props[entry.get(_KEY, b"").decode()] = entry.get(_VALUE, b"").decode()
    except (ValueError, IndexError):
        graph = False
    if not graph:
        raise ValueError("it is not a whole ONNX model")
    return b"".join(bare), props.get(KEY), props.get(f"{KEY}.sha256", "")
