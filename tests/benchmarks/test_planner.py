"""A budget -> the profile: what is read, measured, printed, written and refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood.benchmarks import planner
from edgemood.benchmarks.bench import shipped_models
from edgemood.benchmarks.planner import narrowest, parse_fps, parse_share, quickest
from edgemood.cli import main
from edgemood.errors import EdgemoodError
from edgemood.runtime import FaceDetector
from edgemood.runtime.faces import SIDES
from edgemood.runtime.profile import read_profile
from edgemood.runtime.sources.demo import Demo

# --- budgets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fps"), [("15fps", 15), ("15", 15), ("7.5 FPS", 7.5), (None, None)]
)
def test_frames_a_second_are_read(text: str | None, fps: float | None) -> None:
    assert parse_fps(text) == fps


@pytest.mark.parametrize(
    "text", ["", "fast", "0", "-5", "1e3", "nan", "15 Hz", "20%", "1001", "١٥"]
)
def test_other_targets_get_one_sentence(text: str) -> None:
    with pytest.raises(EdgemoodError, match="write --target 15fps") as error:
        parse_fps(text)
    assert repr(text) in str(error.value)


def test_shares_are_read() -> None:
    assert parse_share("20%") == pytest.approx(0.2)
    assert parse_share("7.5 %") == pytest.approx(0.075)
    assert parse_share(None) is None


@pytest.mark.parametrize("text", ["", "20", "0%", "-5%", "0.2", "20percent", "99999%"])
def test_other_shares_get_one_sentence(text: str) -> None:
    with pytest.raises(EdgemoodError, match="write --cpu 20%"):
        parse_share(text)


def test_a_profile_without_a_budget_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--profile", "x.json"]) == 2
    assert "add --target 15fps or --cpu 20%" in capsys.readouterr().err


@pytest.mark.parametrize("option", planner.UNPLANNED)
def test_what_a_plan_has_no_use_for_is_refused(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--cpu", "20%", f"--{option}", "1"]) == 2
    assert f"--{option} cannot go with --target and --cpu: a plan" in capsys.readouterr().err


# --- measuring ----------------------------------------------------------------------------------


def test_the_narrowest_face_is_found_and_half_of_it_is_not(yunet: str) -> None:
    assert 12 <= narrowest(FaceDetector(yunet)) <= 24


@pytest.mark.usefixtures("short")
def test_of_the_engines_that_run_a_detector_the_quicker_one_is_taken(
    squares: Callable[[int], Path],
) -> None:
    detector, looks = quickest(str(squares(8)))
    assert set(looks) == {"opencv", "onnxruntime"}
    assert looks[detector.engine].cpu == min(cost.cpu for cost in looks.values())


def test_an_engine_that_does_not_run_the_detector_is_no_choice(
    fixed_detector: Path, short: None
) -> None:
    found, looks = quickest(str(fixed_detector))
    assert (found.engine, list(looks)) == ("opencv", ["opencv"])


@pytest.mark.usefixtures("short")
def test_models_with_other_labels_than_the_firsts_are_left_out() -> None:
    names = ("emotion-nano.int8.onnx", "emotion-small-ferplus.int8.onnx")
    ours, theirs = (path for path in shipped_models() if path.name in names)
    parts, notes = planner.measure([ours, theirs], FaceDetector(), "demo")
    assert {model.path for model in parts.models} == {ours}
    (note,) = (note for note in notes if note.startswith("left out, "))
    assert note.endswith(theirs.name)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are timed less often, and the demo is short."""
    monkeypatch.setattr(Demo, "HOLD", 0.08)
    monkeypatch.setattr(Demo, "FADE", 0.04)
    for name, value in (("PART", 0.02), ("RUN", 0.5), ("FRAMES", 24), ("THREADS", 1)):
        monkeypatch.setattr(planner, name, value)


@pytest.mark.usefixtures("short")
def test_a_plan_is_printed_run_and_written_for_run_to_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "profile.json"
    assert main(["bench", "--target", "1fps", "--profile", str(path)]) == 0
    out = capsys.readouterr().out
    chosen = [row for row in out.splitlines() if row.startswith(">")]
    assert len(chosen) == 1
    assert "320+640" in chosen[0]
    assert "ms of CPU time a look at 320 pixels: " in out
    assert "Run on the clip for " in out
    assert f"Use it: edgemood run 0 --profile {path}" in out
    profile = read_profile(path)
    assert profile.sides == SIDES
    assert f" in {profile.detector_engine} (ms of CPU" in out
    assert profile.model is not None
    assert profile.model.name in chosen[0]
    assert profile.about.startswith("Planned on ")
    lines = tmp_path / "lines.jsonl"
    run = ["run", "demo", "--headless", "--profile", str(path), "--jsonl", str(lines)]
    assert main(run) == 0
    assert len(lines.read_text().splitlines()) == 21


@pytest.mark.usefixtures("short")
def test_what_nothing_comes_to_ends_with_1_and_no_profile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "profile.json"
    assert main(["bench", "--cpu", "0.01%", "--profile", str(path)]) == 1
    assert not path.exists()
    out, err = capsys.readouterr()
    assert ">" not in out
    assert "nothing here comes to at most 0.01% of a core at 25 FPS: the nearest, emotion-" in err
    assert "is the largest part" in err


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("clip", "says"), [("blank.avi", "shows no face"), ("one.png", "is no video")]
)
def test_a_clip_to_plan_with_is_a_video_with_a_face(
    tmp_path: Path, clip: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    blank = np.full((120, 160, 3), 90, np.uint8)
    cv2.imwrite(str(tmp_path / "one.png"), blank)
    size = (160, 120)
    writer = cv2.VideoWriter(str(tmp_path / "blank.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, size)
    for _ in range(30):
        writer.write(blank)
    writer.release()
    assert main(["bench", "--target", "5", "--clip", str(tmp_path / clip)]) == 2
    assert says in capsys.readouterr().err
