"""The word `evaluate` from its arguments to files, on real model files in their engines."""

import json
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood.cli import main
from edgemood.modelfile import Card, write_model

DOCS = Path(__file__).parents[2] / "docs/evaluate.md"
PATTERNS = ("columns", "disc", "rows")


def write_onnx(path: Path, weights: np.ndarray, labels=PATTERNS) -> Path:
    """uint8 faces -> mean gray of 16 squares -> weights [16, classes] -> softmax."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    steps = [
        helper.make_node("Cast", ["faces"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "AveragePool", ["planes"], ["squares"], kernel_shape=[12, 12], strides=[12, 12]
        ),
        helper.make_node("Flatten", ["squares"], ["means"]),
        helper.make_node("MatMul", ["means", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        steps,
        "tiny",
        [helper.make_tensor_value_info("faces", TensorProto.UINT8, ["N", 48, 48, 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(labels)])],
        [numpy_helper.from_array(weights.astype(np.float32), "weights")],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(network)
    card = Card(name="tiny", labels=labels, version="0", precision="float32")
    write_model(path, network.SerializeToString(), card)
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> list[Path]:
    """Two untrained networks, one a little off the other."""
    folder = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 0.02, (16, 3))
    return [
        write_onnx(folder / "one.onnx", weights),
        write_onnx(folder / "two.onnx", weights + rng.normal(0, 0.002, (16, 3))),
    ]


def test_it_writes_a_report_plots_and_json(models, pattern_folder, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    words = ["evaluate", *map(str, models), "--data", str(pattern_folder), "--by", "2"]
    words += ["--output", str(tmp_path / "out"), "--json", str(tmp_path / "figures.json")]
    assert main(words) == 0
    report = (tmp_path / "out/report.md").read_text()
    linked = re.findall(r"!\[.*?\]\((.*?)\)", report)
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert len(linked) == len(set(linked)) == 7  # three for both models, two for each
    assert written == {*linked, "report.md"}
    for name in linked:
        image = cv2.imread(str(tmp_path / "out" / name))
        assert min(image.shape[:2]) > 300
        assert image.std() > 5
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["pictures"] == 60
    assert [model["model"] for model in figures["models"]] == ["one.onnx", "two.onnx"]
    shown = capsys.readouterr().out
    for model in figures["models"]:
        accuracy = model["accuracy"]
        assert accuracy["value"] == accuracy["right"] / 60
        assert np.trace(model["confusion"]) == accuracy["right"]
        cell = f"{100 * accuracy['value']:.1f} ("
        assert cell in shown
        assert cell in report
    assert "edgemood evaluate " in report
    assert "folder level 2" in report


def test_json_on_stdout_comes_alone(models, pattern_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", str(models[0]), "--data", str(pattern_folder), "--json", "-"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["schema"] == 1
    assert (tmp_path / "reports/one/report.md").exists()


def test_opencv_judges_like_onnx_runtime(models, pattern_folder, tmp_path):
    found = []
    for engine in ("onnxruntime", "opencv"):
        path = tmp_path / f"{engine}.json"
        words = ["evaluate", str(models[0]), "--data", str(pattern_folder), "--engine", engine]
        assert main([*words, "--json", str(path), "--output", str(tmp_path / engine)]) == 0
        model = json.loads(path.read_text())["models"][0]
        assert model["engine"] == engine
        found.append(model)
    assert found[0]["robustness"] == found[1]["robustness"]
    one, other = (model["calibration"]["nll"] for model in found)
    assert one == pytest.approx(other, rel=1e-4)


def test_the_lean_install_has_tables_report_and_json(models, pattern_folder, tmp_path):
    script = (
        "import sys\n"
        "for name in ('matplotlib', 'rich', 'tensorflow', 'onnx'):\n"
        "    sys.modules[name] = None\n"
        "from edgemood.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    words = ["evaluate", str(models[0]), "--data", str(pattern_folder), "--json", "figures.json"]
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "matplotlib is not installed, so the report has no plots" in done.stderr
    assert "Confusion matrix: one.onnx" in done.stdout
    assert json.loads((tmp_path / "figures.json").read_text())["pictures"] == 60
    report = (tmp_path / "reports/one/report.md").read_text()
    assert "Confusion matrix" in report
    assert "![" not in report


# --- adapters -----------------------------------------------------------------------------------


def documented() -> str:
    """The adapter of docs/evaluate.md."""
    return re.findall(r"^```python\n(.*?)^```", DOCS.read_text(), re.DOTALL | re.MULTILINE)[0]


@pytest.fixture
def theirs(tmp_path, monkeypatch) -> Path:
    """A folder with `theirs.onnx`, a network of another make, and faces in `my-faces`."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(1).normal(0, 1, (64 * 64, 8)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["pixels"]),
            helper.make_node("MatMul", ["pixels", "weights"], ["logits"]),
        ],
        "theirs",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 64, 64])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 8])],
        [numpy_helper.from_array(weights, "weights")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "theirs.onnx")
    rng = np.random.default_rng(2)
    for name in ("happy", "sad"):
        (tmp_path / "my-faces" / name).mkdir(parents=True)
        for i in range(5):
            image = rng.integers(0, 256, (48, 48), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "my-faces" / name / f"{i}.png"), image)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_documented_adapter_is_judged(theirs, capsys):
    (theirs / "theirs.py").write_text(documented())
    assert main(["evaluate", "theirs.py", "--data", "my-faces", "--json", "-"]) == 0
    model = json.loads(capsys.readouterr().out)["models"][0]
    assert (model["model"], model["engine"]) == ("theirs.py", "own code")
    assert model["accuracy"]["total"] == 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("labels = 'happy'", "defines no `labels` and `predict`", id="no predict"),
        pytest.param("import no_such_package", "ModuleNotFoundError", id="a missing package"),
        pytest.param("labels = (", "SyntaxError", id="not Python"),
        pytest.param("open('gone.onnx')", "gone.onnx is not there", id="its network is missing"),
        pytest.param(None, "odd.py is not there", id="the file is missing"),
    ],
)
def test_an_adapter_that_does_not_load_says_why(theirs, capsys, text, message):
    if text is not None:
        (theirs / "odd.py").write_text(text)
    assert main(["evaluate", "odd.py", "--data", "my-faces"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("edgemood: odd.py cannot be loaded: " if text != "labels = 'happy'" else
                            "edgemood: odd.py defines")  # fmt: skip
    assert message in error
    assert "Traceback" not in error


# --- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["gone.onnx"], "gone.onnx is not there", id="no model"),
        pytest.param(["one.onnx", "--data", "gone"], "gone is not there", id="no data"),
        pytest.param(
            ["one.onnx", "--split", "exam"], "no pictures in the split 'exam'", id="split"
        ),
        pytest.param(["one.onnx", "--by", "age"], "cannot be sliced by 'age'", id="no column"),
        pytest.param(["one.onnx", "--engine", "litert"], "which litert does not read", id="engine"),
        pytest.param(
            ["one.onnx", "--output", "one.onnx/x"], "one.onnx/x cannot be made", id="no folder"
        ),
        pytest.param(["one.onnx", "--json", "none/x"], "x cannot be written", id="no place"),
        pytest.param(["bare.onnx"], "has no labels and card inside", id="outside the contract"),
    ],
)
def test_one_sentence_says_what_is_wrong(
    models, pattern_folder, tmp_path, monkeypatch, capsys, words, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.onnx").write_bytes(models[0].read_bytes())
    (tmp_path / "bare.onnx").write_bytes(b"\x3a\x00")  # ModelProto with an empty graph
    data = [] if "--data" in words else ["--data", str(pattern_folder)]
    assert main(["evaluate", *words, *data]) == 2
    error = capsys.readouterr().err
    assert error.startswith("edgemood: ")
    assert message in error
    assert "Traceback" not in error


# --- the shipped networks on FER-2013 -----------------------------------------------------------


@pytest.mark.skipif(not os.environ.get("EDGEMOOD_DATA"), reason="EDGEMOOD_DATA is not set")
def test_a_shipped_int8_file_is_judged_in_litert(tmp_path, capsys):
    pytest.importorskip("ai_edge_litert")
    model = str(files("edgemood.models") / "emotion-nano.int8.tflite")
    assert main(["evaluate", model, "--output", str(tmp_path), "--json", "-"]) == 0
    figures = json.loads(capsys.readouterr().out)
    found = figures["models"][0]
    assert figures["split"] == "PublicTest"
    assert found["engine"] == "litert"
    assert found["accuracy"]["value"] > 0.5
    assert found["robustness"]["clean"] == found["accuracy"]
