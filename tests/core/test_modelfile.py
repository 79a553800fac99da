"""Model files: what is written comes back, and what is not whole is refused in a sentence."""

from __future__ import annotations

import contextlib
import io
import json
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgemood import files, modelfile
from edgemood.crop import Framing
from edgemood.errors import EdgemoodError
from edgemood.modelfile import Card, is_sealed, pack_model, read_model, seal, write_model
from edgemood.runtime.engines import EmotionModel

CARD = Card(
    name="tiny",
    labels=("fröhlich", "sad"),
    version="0.1.0",
    precision="float32",
    description="A test",
    license="Apache-2.0",
    training_data="none",
    framing=Framing(1.4, 0.1),
    temperature=1.5,
    unsure_below=0.4,
    accuracy={"PublicTest": 0.6},
    parity={"agreement": 1.0},
    parameters=4608,
    macs=4608,
)
KINDS = ("onnx", "tflite")
CROPS = np.random.default_rng(0).integers(0, 256, (4, 48, 48), np.uint8)


@pytest.fixture(scope="session")
def networks() -> dict[str, bytes]:
    """kind -> a dense layer and a softmax on raw pixels, in that format, with the same weights."""
    weights = np.random.default_rng(0).normal(0, 1e-4, (48 * 48, 2)).astype(np.float32)
    return {"onnx": _onnx(weights), "tflite": _tflite(weights)}


def _onnx(weights: np.ndarray) -> bytes:
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["pixels"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["N", 48, 48, 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 2])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def _tflite(weights: np.ndarray) -> bytes:
    keras = pytest.importorskip("keras", reason="the extra export is not installed")
    from edgemood.export.to_tflite import to_tflite

    model = keras.Sequential(
        [
            keras.Input((48, 48, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="softmax", use_bias=False),
        ]
    )
    model.set_weights([weights])
    return to_tflite(model)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def file(kind: str, networks: dict[str, bytes], tmp_path: Path) -> Path:
    """A whole model file of the kind, with CARD inside."""
    path = tmp_path / f"model.{kind}"
    write_model(path, networks[kind], CARD)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(EdgemoodError) as caught:
        read_model(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_network_and_card_come_back_as_they_were_written(
    file: Path, kind: str, networks: dict[str, bytes]
) -> None:
    model = read_model(file)
    assert model.kind == kind
    assert model.card == CARD
    if kind == "tflite":
        assert model.network == networks[kind]
    else:
        bare = onnx.load_from_string(model.network)
        del bare.metadata_props[:]
        assert bare == onnx.load_from_string(networks[kind])


def test_both_formats_of_a_network_give_the_same_answers(
    networks: dict[str, bytes], tmp_path: Path
) -> None:
    answers = []
    for kind in KINDS:
        write_model(tmp_path / f"model.{kind}", networks[kind], CARD)
        answers.append(EmotionModel(tmp_path / f"model.{kind}").predict(CROPS))
    np.testing.assert_allclose(*answers, atol=1e-5)


def test_same_network_and_card_give_the_same_bytes(kind: str, networks: dict[str, bytes]) -> None:
    assert pack_model(networks[kind], CARD) == pack_model(networks[kind], CARD)


def test_a_card_written_again_replaces_the_first(file: Path) -> None:
    write_model(file, read_model(file).network, replace(CARD, name="second"))
    assert read_model(file).card.name == "second"


def test_other_tools_find_labels_in_the_onnx_file(networks: dict[str, bytes]) -> None:
    packed = onnx.load_from_string(pack_model(networks["onnx"], CARD))
    props = {prop.key: prop.value for prop in packed.metadata_props}
    assert props["names"] == "{0: 'fröhlich', 1: 'sad'}"
    assert (props["task"], props["imgsz"], props["license"]) == (
        "classify", "[48, 48]", "Apache-2.0",
    )  # fmt: skip


def test_other_tools_find_labels_in_the_tflite_file(networks: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(pack_model(networks["tflite"], CARD))) as archive:
        assert archive.read("labels.txt").decode().split() == list(CARD.labels)
        assert json.loads(archive.read("metadata.json"))["name"] == "tiny"


def test_a_changed_weight_is_noticed_before_an_engine_sees_it(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 1
    file.write_bytes(data)
    assert "does not match the digest" in refusal(file)


def test_a_changed_card_is_noticed(file: Path, kind: str, networks: dict[str, bytes]) -> None:
    """A digest that covered the network alone would let labels be swapped."""
    other = pack_model(networks[kind], replace(CARD, labels=("sad", "fröhlich")))
    if kind == "onnx":
        whole = file.read_bytes()
        swapped = whole.replace(b'"fr\xc3\xb6hlich",\n  "sad"', b'"sad",\n  "fr\xc3\xb6hlich"')
        assert swapped != whole
        file.write_bytes(swapped)
    else:
        ours, theirs = (zipfile.ZipFile(io.BytesIO(d)) for d in (file.read_bytes(), other))
        with io.BytesIO() as buffer:
            with zipfile.ZipFile(buffer, "w") as mixed:
                mixed.writestr("metadata.json", theirs.read("metadata.json"))
                mixed.writestr("sha256", ours.read("sha256"))
            file.write_bytes(networks[kind] + buffer.getvalue())
    assert "does not match the digest" in refusal(file)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.98, 0.9999])
def test_a_file_that_was_cut_off_is_refused(file: Path, kept: float) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: int(kept * len(data))])
    refusal(file)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "is empty", id="an empty file"),
        pytest.param(
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
            "git lfs pull",
            id="a Git LFS pointer",
        ),
        pytest.param(b"hello " * 100, "not a whole .onnx or .tflite model", id="text"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(500), "not a whole", id="a picture"),
        pytest.param(bytes(500), "not a whole", id="zeros"),
        pytest.param(b"\x00\x00\x00\x00TFL3", "no labels and card", id="the head of a TFLite file"),
        pytest.param(b"PK\x05\x06" + bytes(18), "not a whole", id="an empty zip"),
    ],
)
def test_what_is_no_model_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    for kind in KINDS:
        path = tmp_path / f"model.{kind}"
        path.write_bytes(content)
        assert words in refusal(path)


def test_what_is_not_there_or_a_folder_is_named(tmp_path: Path) -> None:
    assert "is not there" in refusal(tmp_path / "model.onnx")
    assert "is a folder" in refusal(tmp_path)


def test_a_file_too_large_for_an_emotion_model_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "model.onnx", "wb") as file:
        file.truncate(files.LARGEST + 1)
    assert "of at most 200 MB" in refusal(tmp_path / "model.onnx")


def test_a_bare_network_is_refused_with_how_to_add_a_card(
    tmp_path: Path, kind: str, networks: dict[str, bytes]
) -> None:
    path = tmp_path / f"model.{kind}"
    path.write_bytes(networks[kind])
    assert "write_model" in refusal(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"labels": None}, "no 'labels'", id="no labels"),
        pytest.param({"labels": ["a", "a"]}, "different names", id="the same label twice"),
        pytest.param({"labels": ["a"]}, "two or more", id="one label"),
        pytest.param({"labels": "ab"}, "not a list of names", id="labels that are no list"),
        pytest.param({"labels": [1, 2]}, "not a list of names", id="labels that are no names"),
        pytest.param({"schema": 99}, "schema is not 1", id="a card of the future"),
        pytest.param({"name": ""}, "no 'name'", id="no name"),
        pytest.param({"framing": None}, "framing has no scale", id="no framing"),
        pytest.param({"framing": {"scale": "x", "shift": 0}}, "framing", id="a framing of words"),
        pytest.param({"framing": {"scale": 1e6, "shift": 0}}, "0.1 to 10", id="a vast framing"),
        pytest.param({"framing": {"scale": np.nan, "shift": 0}}, "0.1 to 10", id="no scale"),
        pytest.param({"labels": ["a", " "]}, "can be shown", id="a label of blanks"),
        pytest.param({"labels": ["a", "\x1b[2J"]}, "can be shown", id="a label for a terminal"),
        pytest.param({"license": ["MIT"]}, "license is not", id="a list where text was wanted"),
        pytest.param({"unsure_below": "0.4"}, "unsure_below is not", id="text for a number"),
        pytest.param({"temperature": np.inf}, "temperature is not", id="no finite number"),
        pytest.param({"macs": 10**400}, "macs is not", id="a number beyond numbers"),
        pytest.param({"accuracy": {"test": "good"}}, "accuracy is not", id="words for figures"),
    ],
)
def test_a_card_that_cannot_be_used_is_refused_with_its_fault(
    tmp_path: Path,
    kind: str,
    networks: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, object],
    words: str,
) -> None:
    text = json.dumps(json.loads(CARD.to_json()) | change)
    monkeypatch.setattr(Card, "to_json", lambda card: text)
    write_model(tmp_path / f"model.{kind}", networks[kind], CARD)
    assert words in refusal(tmp_path / f"model.{kind}")


def test_a_card_with_more_than_is_known_is_read(tmp_path: Path) -> None:
    text = json.dumps(json.loads(CARD.to_json()) | {"mood": "sunny"})
    assert Card.from_json(text) == CARD


def test_a_card_nested_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="no card"):
        Card.from_json('{"schema": ' + "[" * 100_000)


def test_bytes_that_look_like_millions_of_fields_are_given_up(tmp_path: Path) -> None:
    """To read these to their end takes 20 seconds."""
    (tmp_path / "model.onnx").write_bytes(b"\x08\x00" * 10_000_000)
    began = time.monotonic()
    assert "not a whole" in refusal(tmp_path / "model.onnx")
    assert time.monotonic() - began < 5


def test_a_network_of_any_kind_can_carry_a_digest(networks: dict[str, bytes]) -> None:
    bare = networks["onnx"]
    sealed = seal(bare, "about it", {"license": "MIT"})
    assert (is_sealed(bare), is_sealed(sealed)) == (False, True)
    metadata = {each.key: each.value for each in onnx.load_from_string(sealed).metadata_props}
    assert (metadata["edgemood"], metadata["license"]) == ("about it", "MIT")
    with pytest.raises(ValueError, match="does not match"):
        is_sealed(flipped(sealed, len(bare) // 2, 0))
    with pytest.raises(ValueError, match="not a whole"):
        is_sealed(sealed[:100])


def test_a_zip_that_unpacks_to_a_giant_card_is_not_unpacked(
    tmp_path: Path, networks: dict[str, bytes]
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", b" " * (modelfile.LARGEST_CARD + 1))
        archive.writestr("sha256", "")
    (tmp_path / "model.tflite").write_bytes(networks["tflite"] + buffer.getvalue())
    assert "no labels and card" in refusal(tmp_path / "model.tflite")


def test_labels_that_do_not_fit_the_output_are_refused(
    tmp_path: Path, kind: str, networks: dict[str, bytes]
) -> None:
    path = tmp_path / f"model.{kind}"
    write_model(path, networks[kind], replace(CARD, labels=("a", "b", "c")))
    with pytest.raises(EdgemoodError, match="for its labels was wanted"):
        EmotionModel(path)


def test_a_flipped_bit_anywhere_gives_a_sentence_or_a_working_model(file: Path) -> None:
    whole = file.read_bytes()
    expected = EmotionModel(file).predict(CROPS)
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.integers(0, len(whole), 300):
        file.write_bytes(flipped(whole, place, rng.integers(8)))
        try:
            model = EmotionModel(file)
        except EdgemoodError:
            refused += 1
        else:
            assert model.labels == CARD.labels
            np.testing.assert_array_equal(model.predict(CROPS), expected)
    assert refused > 200


def test_no_flipped_bit_of_the_card_breaks_the_reader(file: Path) -> None:
    """Bit 3 of every byte behind the network: among others it makes "stored" into "deflated"."""
    whole = file.read_bytes()
    for place in range(len(whole) - 1500, len(whole)):
        file.write_bytes(flipped(whole, place, 3))
        with contextlib.suppress(EdgemoodError):
            assert read_model(file).card == CARD


def flipped(data: bytes, place: int, bit: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
