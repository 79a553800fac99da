"""The exported detector says what the Keras network says, in each engine that runs it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers

from edgemood import cli
from edgemood.errors import EdgemoodError
from edgemood.export import face_detector
from edgemood.modelfile import is_sealed
from edgemood.yunet import OUTPUTS, faces_in


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """A small folded detector with every kind of layer, and random weights."""
    keras.utils.set_random_seed(1)
    pixels = keras.Input((None, None, 1))

    def block(x, channels, size, stride, dilation=1):
        if (size, stride) == (3, 2):
            x = layers.ZeroPadding2D(1)(x)
        padding = "valid" if (size, stride) == (3, 2) else "same"
        convolution = layers.Conv2D(
            channels, size, stride, padding, dilation_rate=dilation,
            bias_initializer="random_normal",
        )  # fmt: skip
        return layers.ReLU()(convolution(x))

    eighth = block(block(block(pixels, 8, 2, 2), 8, 3, 2), 8, 3, 2)
    sixteenth = block(eighth, 8, 3, 2)
    coarse = block(block(sixteenth, 8, 3, 2), 8, 3, 1, dilation=2)
    middle = layers.Add()([sixteenth, layers.UpSampling2D()(coarse)])
    heads = [layers.Conv2D(16, 1)(x) for x in (eighth, middle, coarse)]
    model = keras.Model(pixels, heads)
    model.layers[1].set_weights([w / 255 for w in model.layers[1].get_weights()])
    return model


@pytest.fixture(scope="module")
def data(network: keras.Model) -> bytes:
    return face_detector.to_onnx(network, {"license": "Apache-2.0"})


def test_both_engines_agree_with_keras_at_several_sizes(data: bytes, network: keras.Model) -> None:
    face_detector.verify(data, network)


def test_a_file_of_another_network_is_refused(data: bytes, network: keras.Model) -> None:
    other = keras.models.clone_model(network)
    with pytest.raises(EdgemoodError, match="differ by"):
        face_detector.verify(data, other)


def test_the_file_has_the_interface_and_carries_its_card(data: bytes) -> None:
    session = onnxruntime.InferenceSession(data)
    assert [(value.name, value.shape) for value in session.get_inputs()] == [
        ("input", [1, 3, "height", "width"])
    ]
    assert tuple(value.name for value in session.get_outputs()) == OUTPUTS
    assert session.get_modelmeta().custom_metadata_map["license"] == "Apache-2.0"
    assert is_sealed(data)
    assert onnx.load_from_string(data).opset_import[0].version == 17


@pytest.mark.parametrize("size", [(128, 160), (64, 320)], ids=["128x160", "64x320"])
def test_opencv_finds_what_the_decoded_answer_says(data: bytes, size: tuple[int, int]) -> None:
    height, width = size
    image = np.random.default_rng(2).integers(0, 256, (height, width, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(data)
    cells = face_detector.run(session, image)
    score = float(np.sqrt(np.sort(cells[:, 0] * cells[:, 1])[-30])) * 0.999
    ours = faces_in(cells, height, width, score)
    buffers = np.frombuffer(data, np.uint8), np.empty(0, np.uint8)
    theirs = cv2.FaceDetectorYN.create("onnx", *buffers, (width, height), score, 0.3).detect(image)
    assert len(ours) > 1
    assert np.abs(ours - theirs[1]).max() < 0.01


def test_the_command_writes_a_file_with_the_runs_card(
    network: keras.Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr(face_detector, "models_folder", lambda: tmp_path / "models")
    network.save(tmp_path / "model.keras")
    config = {"name": "face", "edgemood": "1.2", "card": {"license": "MIT", "figures": {"a": 1}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert cli.main(["export", str(tmp_path)]) == 0
    assert "| a | 1 |" in (tmp_path / "models" / "face.md").read_text()
    assert cli.main(["export", str(tmp_path), "--output", str(tmp_path / "new" / "models")]) == 0
    assert (tmp_path / "new" / "models" / "face.onnx").exists()
    session = onnxruntime.InferenceSession(str(tmp_path / "models" / "face.onnx"))
    metadata = session.get_modelmeta().custom_metadata_map
    told = {"name": "face", "version": "1.2", "license": "MIT", "figures": '{"a": 1}'}
    assert {name: metadata[name] for name in told} == told
    (tmp_path / "model.keras").write_bytes(b"half a network")
    assert cli.main(["export", str(tmp_path)]) == 2
    assert "cannot be loaded as a Keras network" in capsys.readouterr().err
    config.pop("card")
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert cli.main(["export", str(tmp_path)]) == 2
    assert "is not the folder of a finished run" in capsys.readouterr().err


def test_a_layer_without_a_counterpart_is_refused() -> None:
    pixels = keras.Input((None, None, 1))
    model = keras.Model(pixels, layers.MaxPooling2D()(pixels))
    with pytest.raises(ValueError, match="max_pooling2d"):
        face_detector.to_onnx(model)
