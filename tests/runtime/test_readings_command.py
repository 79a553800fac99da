"""`edgemood run`'s options for readings: raw ones, resting faces, timelines."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import pytest

from edgemood import cli
from edgemood.runtime.sources import open_source
from edgemood.runtime.sources.demo import Demo

Run = Callable[..., int]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo while neutral becomes happy, 1.2 s."""
    path = tmp_path_factory.mktemp("clip") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, Demo.SIZE)
    for frame in islice(open_source("demo"), 30, 60):
        writer.write(frame.image)
    writer.release()
    return path


@pytest.fixture
def run(tiny_model: Path) -> Run:
    return lambda *args: cli.main(
        ["run", "--headless", "--model", str(tiny_model), *map(str, args)]
    )


def faces(path: Path) -> list[dict[str, Any]]:
    return [face for line in path.read_text().splitlines() for face in json.loads(line)["faces"]]


def test_raw_readings_begin_like_smoothed_ones_and_are_ahead_of_them_later(
    run: Run, clip: Path, tmp_path: Path
) -> None:
    raw, smooth = tmp_path / "raw.jsonl", tmp_path / "smooth.jsonl"
    assert run(clip, "--raw", "--jsonl", raw) == run(clip, "--jsonl", smooth) == 0
    ahead, behind = faces(raw), faces(smooth)
    assert len(ahead) == len(behind) == 30
    assert ahead[0]["probabilities"] == pytest.approx(behind[0]["probabilities"], abs=0.01)

    def moved(face: dict[str, Any], start: dict[str, Any]) -> float:
        names = start["probabilities"]
        return sum(abs(face["probabilities"][name] - names[name]) for name in names)

    assert moved(ahead[12], ahead[0]) > 1.2 * moved(behind[12], behind[0]) > 0
    for face in ahead:
        assert face["confidence"] == max(face["probabilities"].values())
        assert face["probabilities"][face["emotion"]] == face["confidence"]


def test_a_resting_face_is_taken_kept_and_used_again(
    run: Run,
    make_model: Callable[..., Path],
    clip: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    me = tmp_path / "me.json"
    # The tiny model reads this face as its fifth label.
    model = make_model(labels=("angry", "disgust", "fear", "happy", "sad", "neutral", "surprise"))

    def read(*args: object) -> int:
        return run(clip, *args, "--model", model)

    assert read("--calibrate", "0.2", "--save-neutral", me) == 0
    assert "edgemood: the resting face of face 1 " in capfd.readouterr().err
    assert sum(json.loads(me.read_text())["rest"].values()) == pytest.approx(1, abs=1e-4)
    assert read("--jsonl", tmp_path / "plain.jsonl") == 0
    assert read("--neutral", me, "--jsonl", tmp_path / "shifted.jsonl") == 0
    plain, shifted = (faces(tmp_path / f"{name}.jsonl")[0] for name in ("plain", "shifted"))
    assert plain["emotion"] == "sad"
    assert shifted["probabilities"]["neutral"] > 2 * plain["probabilities"]["neutral"]


def test_a_resting_face_that_was_not_seen_for_long_enough_is_told(
    run: Run, clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    me = tmp_path / "me.json"
    assert run(clip, "--calibrate", "60", "--save-neutral", me) == 0
    assert "no resting face was taken" in capfd.readouterr().err
    assert not me.exists()


def test_the_timeline_of_a_run_is_that_of_its_lines(run: Run, clip: Path, tmp_path: Path) -> None:
    lines, one, other = tmp_path / "a.jsonl", tmp_path / "a.png", tmp_path / "b.png"
    assert run(clip, "--timeline", one, "--jsonl", lines) == 0
    assert cli.main(["timeline", str(lines), str(other)]) == 0
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--raw", "--calibrate", "3"], "leave out --raw"),
        (["--raw", "--neutral", "me.json"], "leave out --raw"),
        (["--raw", "--save-neutral", "me.json"], "leave out --raw"),
        (["--save-neutral", "me.json"], "goes with --calibrate"),
        (["--calibrate", "1", "--save-neutral", "nowhere/me.json"], "cannot be written"),
        (["--neutral", "nobody.json"], "is not there: a resting face was wanted"),
        (["--timeline", "out.txt"], "does not end as a picture"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(
    run: Run, clip: Path, capfd: pytest.CaptureFixture[str], options: list[str], found: str
) -> None:
    assert run(clip, *options) == 2
    error = capfd.readouterr().err
    assert error.startswith("edgemood: ")
    assert found in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("option", ["--timeline=out.png", "--calibrate=1"])
def test_pictures_have_no_time(
    run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str], option: str
) -> None:
    (frame,) = islice(open_source("demo"), 1)
    cv2.imwrite(str(tmp_path / "face.png"), frame.image)
    assert run(tmp_path / "face.png", option) == 2
    assert f"which have no time: {option.partition('=')[0]} wants" in capfd.readouterr().err


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon"])
def test_seconds_are_seconds(run: Run, capfd: pytest.CaptureFixture[str], seconds: str) -> None:
    with pytest.raises(SystemExit) as stop:
        run("demo", f"--calibrate={seconds}")
    assert stop.value.code == 2
    assert "is not a number of seconds" in capfd.readouterr().err
