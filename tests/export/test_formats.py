"""The exported files, each opened in every engine that reads its format."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from tensorflow.lite.tools.flatbuffer_utils import read_model_from_bytearray

import edgemood
from edgemood.datasets import open_dataset
from edgemood.modelfile import read_model
from edgemood.runtime.engines import EmotionModel

FILES = [".onnx", ".int8.onnx", ".tflite", ".int8.tflite"]
# Largest difference of a probability from the source's.
CLOSE = {".onnx": 1e-5, ".tflite": 1e-5, ".int8.onnx": 0.06, ".int8.tflite": 0.06}
READERS = [
    pytest.param(".onnx", "onnxruntime", id="float ONNX in ONNX Runtime"),
    pytest.param(".onnx", "opencv", id="float ONNX in OpenCV"),
    pytest.param(".int8.onnx", "onnxruntime", id="int8 ONNX in ONNX Runtime"),
    pytest.param(".int8.onnx", "opencv", id="int8 ONNX in OpenCV"),
    pytest.param(".tflite", "litert", id="float TFLite in LiteRT"),
    pytest.param(".int8.tflite", "litert", id="int8 TFLite in LiteRT"),
]


@pytest.fixture(scope="module")
def crops(pattern_folder: Path) -> np.ndarray:
    """64 pictures, uint8, of every class."""
    images = open_dataset(pattern_folder).split("Training").images()
    return images[:: len(images) // 64][:64]


@pytest.fixture(scope="module")
def wanted(trained_run: Path, crops: np.ndarray) -> np.ndarray:
    """The source's probabilities for the crops."""
    model = keras.models.load_model(trained_run / "model.keras")
    return np.asarray(model(crops[..., None].astype(np.float32)))


@pytest.mark.parametrize("count", [1, 8, 64])
@pytest.mark.parametrize(("ending", "engine"), READERS)
def test_file_answers_as_its_source_does(
    exported: dict[str, Path],
    crops: np.ndarray,
    wanted: np.ndarray,
    ending: str,
    engine: str,
    count: int,
) -> None:
    given = EmotionModel(exported[ending], engine).predict(crops[:count])
    assert given.dtype == np.float32
    np.testing.assert_allclose(given, wanted[:count], atol=CLOSE[ending])
    np.testing.assert_allclose(given.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("count", [1, 8, 64])
@pytest.mark.parametrize("ending", [".tflite", ".int8.tflite"])
def test_tflite_takes_a_whole_batch_when_its_input_is_resized(
    exported: dict[str, Path], crops: np.ndarray, wanted: np.ndarray, ending: str, count: int
) -> None:
    interpreter = Interpreter(model_content=read_model(exported[ending]).network)
    entry = interpreter.get_input_details()[0]
    interpreter.resize_tensor_input(entry["index"], [count, 48, 48, 1], strict=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], crops[:count, ..., None])
    interpreter.invoke()
    given = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(given, wanted[:count], atol=CLOSE[ending])


@pytest.mark.parametrize("ending", [".onnx", ".int8.onnx"])
def test_onnx_declares_the_contract(exported: dict[str, Path], ending: str) -> None:
    model = onnx.load(exported[ending])
    onnx.checker.check_model(model, full_check=True)
    shapes = {
        value.name: (
            value.type.tensor_type.elem_type,
            [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
        )
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        "crops": (onnx.TensorProto.UINT8, ["N", 48, 48, 1]),
        "probabilities": (onnx.TensorProto.FLOAT, ["N", 3]),
    }
    assert [entry.domain for entry in model.opset_import] == [""], "standard operators only"


@pytest.mark.parametrize(
    ("ending", "quantisation"),
    [
        pytest.param(".tflite", (0.0, 0), id="a float file takes bytes and casts them"),
        pytest.param(".int8.tflite", (1.0, 0), id="an int8 file's bytes are its quantised input"),
    ],
)
def test_tflite_declares_the_contract(
    exported: dict[str, Path], ending: str, quantisation: tuple[float, int]
) -> None:
    interpreter = Interpreter(model_content=read_model(exported[ending]).network)
    [entry], [result] = interpreter.get_input_details(), interpreter.get_output_details()
    assert entry["dtype"] == np.uint8
    assert entry["shape_signature"].tolist() == [-1, 48, 48, 1]
    assert entry["quantization"] == quantisation
    assert result["dtype"] == np.float32
    assert result["shape_signature"].tolist() == [-1, 3]


@pytest.mark.parametrize("ending", [".tflite", ".int8.tflite"])
def test_tflite_needs_no_operator_of_tensorflow(exported: dict[str, Path], ending: str) -> None:
    model = read_model_from_bytearray(bytearray(read_model(exported[ending]).network))
    assert all(code.customCode is None for code in model.operatorCodes)


def test_int8_onnx_keeps_int8_weights_of_all_but_the_first_and_last_layer(
    exported: dict[str, Path],
) -> None:
    weights = onnx.load(exported[".int8.onnx"]).graph.initializer
    kernels = {tuple(w.dims): w.data_type for w in weights if len(w.dims) == 4}
    assert kernels == {
        (8, 1, 3, 3): onnx.TensorProto.FLOAT,
        (16, 8, 3, 3): onnx.TensorProto.INT8,
        (16, 16, 3, 3): onnx.TensorProto.INT8,
    }


def test_int8_onnx_weights_leave_a_bit_free_so_that_no_processor_overflows(
    exported: dict[str, Path],
) -> None:
    for weight in onnx.load(exported[".int8.onnx"]).graph.initializer:
        if weight.data_type == onnx.TensorProto.INT8 and len(weight.dims) == 4:
            assert np.abs(onnx.numpy_helper.to_array(weight).astype(int)).max() <= 64


@pytest.mark.parametrize("ending", FILES)
def test_file_explains_itself(exported: dict[str, Path], ending: str) -> None:
    card = read_model(exported[ending]).card
    assert card.name == "tiny"
    assert card.labels == ("columns", "disc", "rows")
    assert card.version == edgemood.__version__
    assert card.precision == ("int8" if "int8" in ending else "float32")
    assert (card.temperature, card.unsure_below) == (1.25, 0.5)
    assert card.accuracy["test"] > 0.9
    assert card.parity["pictures"] == 60
    assert card.parity["agreement"] > 0.9
    # 9 * 8 + 9 * 8 * 16 + 9 * 16 * 16 + 16 * 3 weights and a bias for each output
    assert card.parameters == 72 + 1152 + 2304 + 48 + (8 + 16 + 16 + 3)
    assert card.macs == 24 * 24 * (72 + 1152) + 6 * 6 * 2304 + 48
