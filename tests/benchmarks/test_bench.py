"""`edgemood bench` measures in turns, leaves warm-up out, and says what it could not measure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgemood.benchmarks.bench import Latency, open_models, take_turns, time_calls, time_each
from edgemood.cli import main
from edgemood.errors import EdgemoodError
from edgemood.modelfile import Card, write_model

LABELS = ("happy", "neutral", "sad")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained ONNX model under the contract: the crop's mean -> three probabilities."""
    onnx = pytest.importorskip("onnx")
    network = onnx.parser.parse_model(
        """
        <ir_version: 8, opset_import: ["": 17]>
        tiny (uint8[N,48,48,1] crops) => (float[N,3] probabilities) {
            weights = Constant<value = float[1,3] {0.01, 0.02, 0.03}>()
            pixels = Cast<to = 1>(crops)
            mean = ReduceMean<axes = [1, 2], keepdims = 0>(pixels)
            logits = MatMul(mean, weights)
            probabilities = Softmax<axis = 1>(logits)
        }
        """
    )
    path = tmp_path_factory.mktemp("models") / "emotion-tiny.onnx"
    card = Card(
        "tiny", LABELS, "0", "float32", accuracy={"PublicTest": 0.684}, parameters=1234, macs=5678
    )
    write_model(path, network.SerializeToString(), card)
    return path


@pytest.fixture
def no_detector(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEMOOD_DETECTOR", str(tmp_path / "nowhere.onnx"))


def test_percentiles_are_those_of_sorted_timings_in_milliseconds() -> None:
    seconds = np.random.default_rng(0).permutation(np.arange(1, 101)) / 1000
    latency = Latency.of(seconds)
    assert latency.p50 == pytest.approx(50.5)
    assert latency.p95 == pytest.approx(95.05)
    assert latency.per_second == pytest.approx(1 / 0.0505)


def test_turns_alternate_and_the_first_round_is_left_out() -> None:
    played: list[str] = []

    def turn(name: str) -> np.ndarray:
        played.append(name)
        return np.full(2, len(played), float)

    a, b = take_turns([lambda: turn("a"), lambda: turn("b")], range(3))
    assert "".join(played) == "ababab"
    assert a.tolist() == [3, 3, 5, 5]
    assert b.tolist() == [4, 4, 6, 6]


def test_a_turn_begins_with_a_call_that_is_not_timed() -> None:
    called: list[int] = []
    assert time_calls(called.append, [1, 2, 3]).shape == (3,)
    assert called == [1, 1, 2, 3]


def test_the_time_of_a_frame_includes_getting_it() -> None:
    def slow_frames() -> Iterator[int]:
        for i in range(3):
            time.sleep(0.01)
            yield i

    assert (time_each(slow_frames(), lambda frame: None) >= 0.01).all()


def test_every_engine_that_reads_a_file_gets_a_row(model: Path) -> None:
    models, notes = open_models([model], threads=1)
    assert [one.engine for one in models] == ["onnxruntime", "opencv"]
    assert notes == []


def test_an_engine_that_is_not_installed_costs_its_row_only(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    models, notes = open_models([model], threads=1)
    assert [one.engine for one in models] == ["opencv"]
    assert len(notes) == 1
    assert notes[0].startswith("emotion-tiny.onnx is not measured in onnxruntime: ")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "emotion-x.onnx").write_text("no model")
    with pytest.raises(EdgemoodError, match=r"emotion-x\.onnx is not a whole"):
        open_models([tmp_path / "emotion-x.onnx"], threads=1)


def test_without_a_detector_faces_are_measured_and_the_reason_is_given(
    model: Path, no_detector: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(model)]) == 0
    out, err = capsys.readouterr()
    row = next(line for line in out.splitlines() if line.startswith("emotion-tiny.onnx")).split()
    assert row[1:3] == ["onnxruntime", "float32"]
    assert row[4:8] == ["1,234", "0.0", "68.4%", "PublicTest"]
    assert [float(cell) > 0 for cell in row[8:10]] == [True, True]
    assert row[10:] == ["-", "-", "-"]
    assert "frames are not measured: " in err
    assert "nowhere.onnx" in err


def test_a_detector_that_was_named_must_be_there(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(model), "--detector", "nowhere.onnx"]) == 2
    assert "nowhere.onnx" in capsys.readouterr().err


def test_json_has_machine_versions_and_the_card_beside_each_latency(
    model: Path, no_detector: None, tmp_path: Path
) -> None:
    assert main(["bench", str(model), "--json", str(tmp_path / "here.json")]) == 0
    figures = json.loads((tmp_path / "here.json").read_text())
    assert figures["threads"] == 1
    assert {"cpu", "cores", "system", "python", "numpy", "opencv", "onnxruntime"} <= set(
        figures["machine"]
    )
    first, second = figures["rows"]
    assert (first["engine"], second["engine"]) == ("onnxruntime", "opencv")
    assert first["size"] == model.stat().st_size
    assert first["card"]["accuracy"] == {"PublicTest": 0.684}
    assert 0 < first["face"]["p50"] <= first["face"]["p95"]
    assert first["frame"] is None


@pytest.mark.skipif(
    "EDGEMOOD_DETECTOR" not in os.environ, reason="EDGEMOOD_DETECTOR names no face detector"
)
def test_with_a_detector_frames_of_the_clip_are_measured(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgemood.benchmarks.bench.CLIP_FRAMES", 5)
    assert main(["bench", str(model), "--json", "-"]) == 0
    for row in json.loads(capsys.readouterr().out)["rows"]:
        frame = row["frame"]
        assert 0 < frame["latency"]["p50"] <= frame["latency"]["p95"]
        assert frame["latency"]["p50"] > row["face"]["p50"]
        parts = [frame[part] for part in ("detect", "track", "crop", "classify", "read")]
        assert min(parts) > 0
        assert sum(parts) == pytest.approx(frame["mean"])


def test_it_runs_where_only_the_lean_packages_are_installed(model: Path, no_detector: None) -> None:
    # Python refuses to import a module that sys.modules holds as None, as if it weren't installed.
    program = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'matplotlib', 'rich', 'onnx', 'ai_edge_litert'):\n"
        "    sys.modules[name] = None\n"
        "from edgemood.cli import main\n"
        f"sys.exit(main(['bench', {str(model)!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "emotion-tiny.onnx" in done.stdout
