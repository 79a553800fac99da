"""`edgemood bench` measures what it says, and says what it could not measure."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgemood.benchmarks import bench
from edgemood.benchmarks.bench import STAGES, open_models, unlike_the_last
from edgemood.benchmarks.fresh import fresh_start
from edgemood.cli import main
from edgemood.datasets import FERPLUS_COLUMNS, FERPLUS_EMOTIONS, open_dataset
from edgemood.errors import EdgemoodError
from edgemood.modelfile import Card, write_model
from edgemood.runtime import EmotionModel

LABELS = ("columns", "disc", "rows")


def write_tiny(path: Path, labels: tuple[str, ...], **card: Any) -> Path:
    """An untrained ONNX model under the contract: the crop's mean -> probabilities, the last most
    of all.
    """
    onnx = pytest.importorskip("onnx")
    count = len(labels)
    weights = ", ".join(f"{0.01 * i}" for i in range(count))
    network = onnx.parser.parse_model(
        f"""
        <ir_version: 8, opset_import: ["": 17]>
        tiny (uint8[N,48,48,1] crops) => (float[N,{count}] probabilities) {{
            weights = Constant<value = float[1,{count}] {{{weights}}}>()
            pixels = Cast<to = 1>(crops)
            mean = ReduceMean<axes = [1, 2], keepdims = 0>(pixels)
            logits = MatMul(mean, weights)
            probabilities = Softmax<axis = 1>(logits)
        }}
        """
    )
    card |= {"accuracy": {"PublicTest": 0.684}, "parameters": 1234, "macs": 5678}
    write_model(path, network.SerializeToString(), Card("tiny", labels, "0", "float32", **card))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "emotion-tiny.onnx", LABELS)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As few rounds as there can be; and no data but what a test names."""
    for name in ("FACE_SECONDS", "BATCH_SECONDS", "CLIP_SECONDS"):
        monkeypatch.setattr(bench, name, 0)
    monkeypatch.setattr(bench, "STARTS", 1)
    monkeypatch.setattr(bench, "CLIP_FRAMES", 12)
    monkeypatch.delenv("EDGEMOOD_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def no_detector(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEMOOD_DETECTOR", str(tmp_path / "nowhere.onnx"))


def cells(text: str, title: str) -> dict[tuple[str, str], dict[str, str]]:
    """(model, engine) -> column -> cell, of the printed table with this title."""
    lines = text[text.index(title) :].splitlines()[1:]
    columns = re.split(r" {2,}", lines[0].strip())
    found = {}
    for line in lines[1:]:
        if not line.startswith("emotion-"):
            break
        values = re.split(r" {2,}", line.strip())
        found[values[0], values[1]] = dict(zip(columns, values))
    return found


# --- which rows there are -----------------------------------------------------------------------


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


def test_each_number_of_threads_gets_a_row(
    model: Path, no_detector: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(model), "--threads", "1,2", "--json", "-"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["engine"], row["threads"]) for row in rows] == [
        ("onnxruntime", 1),
        ("opencv", 1),
        ("onnxruntime", 2),
        ("opencv", 2),
    ]


def test_opencv_computes_with_the_threads_of_its_row(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [EmotionModel(model, "opencv", threads) for threads in (1, 2)]
    seen: dict[int, set[int]] = {}
    for one in models:

        def predict(crops: np.ndarray, one: EmotionModel = one) -> np.ndarray:
            seen.setdefault(one.threads, set()).add(cv2.getNumThreads())
            return EmotionModel.predict(one, crops)

        monkeypatch.setattr(one, "predict", predict)
    bench.face_latency(models)
    assert seen == {1: {1}, 2: {2}}


# --- what is measured ---------------------------------------------------------------------------


def test_a_start_is_that_of_a_process_of_its_own(model: Path) -> None:
    """Its peak of memory is not that of the program which starts it."""
    ballast = np.ones(400_000_000, np.uint8)
    start = fresh_start(EmotionModel(model, "opencv"))
    assert start.library > 0
    assert start.load > start.first > 0
    if sys.platform != "win32":
        assert start.peak is not None
        assert 20e6 < start.peak < len(ballast)


def test_a_model_that_is_gone_meanwhile_gets_a_sentence(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "emotion-brief.onnx"
    path.write_bytes(model.read_bytes())
    opened = EmotionModel(path, "opencv")
    path.unlink()
    with pytest.raises(EdgemoodError, match=r"emotion-brief\.onnx could not be started in opencv"):
        fresh_start(opened)


def test_accuracy_is_measured_where_there_is_data_and_else_the_cards(
    model: Path,
    no_detector: None,
    pattern_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    part = open_dataset(pattern_folder).split()
    predicted = EmotionModel(model).predict(part.images()).argmax(axis=1)
    right = int((predicted == part.labels).sum())
    assert main(["bench", str(model), "--data", str(pattern_folder)]) == 0
    measured = capsys.readouterr().out
    assert main(["bench", str(model)]) == 0
    by_card = capsys.readouterr().out
    row = "emotion-tiny.onnx", "onnxruntime"
    assert cells(measured, "One face at a time")[row]["accuracy"] == f"{right / len(part):.1%}"
    assert "measured here on test, 60 pictures" in measured
    assert cells(by_card, "One face at a time")[row]["accuracy"] == "68.4% *"
    assert "by the file's own card" in by_card


def test_a_model_of_other_labels_than_the_data_keeps_its_cards_accuracy(
    model: Path,
    no_detector: None,
    pattern_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("up", "down"):
        (tmp_path / "other" / "test" / name).mkdir(parents=True)
        picture = next((pattern_folder / "test" / "rows").iterdir()).read_bytes()
        (tmp_path / "other" / "test" / name / "1.png").write_bytes(picture)
    monkeypatch.setenv("EDGEMOOD_DATA", str(tmp_path / "other"))
    assert main(["bench", str(model)]) == 0
    out, err = capsys.readouterr()
    assert "accuracy is not measured: " in err
    assert "68.4% *" in out


def test_a_folder_called_data_that_nobody_named_may_hold_anything(
    model: Path,
    no_detector: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("EDGEMOOD_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.txt").write_text("no picture")
    assert main(["bench", str(model)]) == 0
    out, err = capsys.readouterr()
    assert "accuracy is not measured: " in err
    assert "68.4% *" in out


def test_a_model_with_the_labels_of_ferplus_is_judged_by_its_votes_and_marked(
    no_detector: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model says contempt: of four pictures three have a majority, two of them for that."""
    votes = [{"contempt": 10}, {"contempt": 6, "neutral": 4}, {"fear": 9}, {"fear": 5, "anger": 5}]
    rows = [f"3,{' '.join(['90'] * 48 * 48)},PublicTest"] * len(votes)
    Path("fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    lines = [",".join(["Usage", *FERPLUS_COLUMNS])]
    for each in votes:
        lines.append(",".join(["PublicTest", *(str(each.get(c, 0)) for c in FERPLUS_COLUMNS)]))
    Path("fer2013new.csv").write_text("\n".join(lines) + "\n")
    model = write_tiny(tmp_path / "emotion-votes.onnx", FERPLUS_EMOTIONS)
    assert main(["bench", str(model), "--data", "fer2013.csv", "--json", "here.json"]) == 0
    out = capsys.readouterr().out
    row = "emotion-votes.onnx", "onnxruntime"
    assert cells(out, "One face at a time")[row]["accuracy"] == "66.7% +"
    assert "+: by FER+'s labels, on the 3 pictures of PublicTest that most" in " ".join(out.split())
    accuracy = json.loads(Path("here.json").read_text())["rows"][0]["accuracy"]
    assert (accuracy["right"], accuracy["total"], accuracy["ferplus"]) == (2, 3, True)
    assert main(["bench", "--compare", "here.json"]) == 0
    assert "66.7% +" in capsys.readouterr().out
    assert main(["bench", str(model)]) == 0
    assert "68.4% +*" in capsys.readouterr().out


def test_frames_are_measured_from_decoding_to_drawing(
    model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["bench", str(model), "--json", "here.json"]) == 0
    out = capsys.readouterr().out
    for row in json.loads((tmp_path / "here.json").read_text())["rows"]:
        frames, key = row["frames"], (row["file"], row["engine"])
        assert np.shape(frames["latency"]["rounds"]) == (6, 12)
        assert np.shape(frames["pipeline_cpu"]["rounds"]) == (6, 12)
        stages = {name: np.array(frames["stages_cpu"][name]) for name in STAGES}
        assert all((each > 0).all() for each in stages.values())
        # The pipeline's stages are the pipeline, round by round.
        within = sum(stages[name] for name in STAGES if name not in ("decode", "draw"))
        pipeline = np.mean(frames["pipeline_cpu"]["rounds"], axis=1)
        assert within == pytest.approx(pipeline, abs=0.001)
        printed = cells(out, "Frames of the clip")[key]
        whole = sum(each.mean() for each in stages.values())
        assert float(printed["CPU ms"]) == pytest.approx(whole, abs=0.005)
        parts = cells(out, "Milliseconds of CPU time a frame")[key]
        assert float(parts["detect"]) == pytest.approx(stages["detect"].mean(), abs=0.006)
    assert re.search(r"Followed faces: IoU .* \d\.\d\d \(p50\)", out)


def test_a_camera_sets_the_pace_itself_and_is_refused(
    model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("pipes with a name are Unix's")
    pipe = tmp_path / "camera"
    os.mkfifo(pipe)
    picture = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    writer = subprocess.Popen(
        [sys.executable, "-c", f"open({str(pipe)!r}, 'wb').write({picture!r} * 9)"]
    )
    assert main(["bench", str(model), "--clip", str(pipe)]) == 2
    writer.kill()
    writer.wait()
    assert "is a camera, which sets the pace itself" in capsys.readouterr().err


def test_a_clip_that_stands_still_is_not_taken_for_a_fast_one() -> None:
    still = np.zeros((4, 4, 3), np.uint8)
    shown = [still.copy() for _ in range(3)]
    for number, image in enumerate(shown):
        unlike_the_last(image, number)
    assert not np.array_equal(shown[1], shown[0])
    assert not np.array_equal(shown[2], shown[1])


# --- what is said -------------------------------------------------------------------------------


def test_without_a_detector_faces_are_measured_and_the_reason_is_given(
    model: Path, no_detector: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(model)]) == 0
    out, err = capsys.readouterr()
    assert cells(out, "Faces a second").keys() == cells(out, "One face at a time").keys()
    assert "Frames of the clip" not in out
    assert "1,234" in out
    assert "frames are not measured: " in err
    assert "nowhere.onnx" in err


def test_a_detector_that_was_named_must_be_there(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(model), "--detector", "nowhere.onnx"]) == 2
    assert "nowhere.onnx" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--threads", "0"], "--threads is '0', whole numbers from 1 to 64 were wanted"),
        (["--threads", "1,,2"], "write --threads 1 or --threads 1,2,4"),
        (["--json", "-", "--markdown", "-"], "would both be on the standard output"),
        (["--json", "nowhere/here.json"], "nowhere is no folder that can"),
        (["--markdown", "nowhere/here.md"], "with --markdown"),
        (["--plots", "taken"], "taken cannot be made a folder"),
        (["model.onnx", "--compare", "a.json"], "--compare measures nothing"),
        (["--compare", "a.json", "--json", "b.json"], "--compare writes no JSON"),
        (["--compare", "a.json", "b.json", "--plots", "plots"], "one file's figures"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_work_is_refused_before_anything_is_measured(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("taken").write_text("a file")
    assert main(["bench", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert words in err


def test_it_runs_where_only_the_lean_packages_are_installed(model: Path, no_detector: None) -> None:
    # Python refuses to import a module that sys.modules holds as None, as if it weren't installed.
    program = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'matplotlib', 'rich', 'onnx', 'ai_edge_litert'):\n"
        "    sys.modules[name] = None\n"
        "from edgemood.benchmarks import bench\n"
        "from edgemood.cli import main\n"
        "bench.FACE_SECONDS = bench.BATCH_SECONDS = 0\n"
        "assert main(['bench', sys.argv[1], '--plots', 'plots']) == 2\n"
        "sys.exit(main(['bench', sys.argv[1], '--json', 'here.json']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(model)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "`edgemood bench` needs matplotlib, which is not installed" in done.stderr
    assert "emotion-tiny.onnx" in done.stdout
    assert json.loads(Path("here.json").read_text())["schema"] == 2


# --- figures can be computed again --------------------------------------------------------------


@pytest.fixture
def run(
    model: Path, no_detector: None, capsys: pytest.CaptureFixture[str]
) -> tuple[dict[str, Any], str]:
    """The JSON of a run, in here.json, and what it printed."""
    assert main(["bench", str(model), "--json", "here.json"]) == 0
    return json.loads(Path("here.json").read_text()), capsys.readouterr().out


def test_every_printed_figure_can_be_computed_from_the_json(
    run: tuple[dict[str, Any], str], model: Path
) -> None:
    figures, out = run
    assert {
        "cpu",
        "cores",
        "system",
        "edgemood",
        "python",
        "numpy",
        "opencv",
        "onnxruntime",
    } <= set(figures["machine"])
    for row in figures["rows"]:
        key = row["file"], row["engine"]
        times = np.array(row["face"]["rounds"])
        assert times.shape == (6, bench.FACE_CALLS)
        alone, fast = cells(out, "One face at a time")[key], cells(out, "Faces a second")[key]
        for share in (50, 90, 95, 99):
            assert alone[f"p{share}"] == f"{np.percentile(times, share):.3f}"
        medians = np.sort(np.median(times, axis=1))
        p50 = np.median(times)
        half = (max(medians[-1], p50) - min(medians[0], p50)) / 2
        assert alone["±"] == f"{half / p50:.1%}"
        assert fast["faces/s"] == f"{1000 / times.mean():,.0f}"
        assert fast["of 8"] == f"{8000 / np.mean(row['batch8']['rounds']):,.0f}"
        (start,) = row["starts"]
        assert fast["load"] == f"{start['load']:.0f}"
        if start["peak"]:
            assert fast["peak MB"] == f"{start['peak'] / 1e6:.0f}"
        assert row["size"] == model.stat().st_size
        assert row["card"]["macs"] == 5678


def test_results_are_printed_again_as_they_were(
    run: tuple[dict[str, Any], str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--compare", "here.json"]) == 0
    assert capsys.readouterr().out == f"Benchmark\n{run[1]}"


def test_markdown_has_the_same_tables_and_the_plots(
    run: tuple[dict[str, Any], str], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    Path("pages").mkdir()
    arguments = ["--plots", "plots", "--markdown", "pages/here.md"]
    assert main(["bench", "--compare", "here.json", *arguments]) == 0
    page = Path("pages/here.md").read_text()
    p50 = run[0]["rows"][0]["face"]["p50"]
    assert f"| 68.4% * | {p50:.3f} |" in page
    linked = re.findall(r"!\[.*?\]\((.*?)\)", page)
    assert linked == ["../plots/accuracy-latency.png", "../plots/latency.png"]
    for name in linked:
        assert cv2.imread(str(Path("pages", name))) is not None
    assert main(["bench", "--compare", "here.json", "--markdown", "-"]) == 0
    assert capsys.readouterr().out.endswith("    edgemood bench --compare here.json\n")
