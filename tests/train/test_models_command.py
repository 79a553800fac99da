"""`edgemood models`: what is done is left alone, what was stopped goes on, the rest is trained."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from edgemood.cli import main
from edgemood.train import models_command


def test_the_list_is_of_commands_that_parse_and_is_what_is_still_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, files in {
        "teacher": ("config.json", "model.keras"),
        "small-first": ("config.json", "model.keras"),
        "small": ("config.json",),
    }.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
    (tmp_path / "small" / "ferplus").mkdir()
    (tmp_path / "my faces").mkdir()
    words = ["models", "--list", "--runs", str(tmp_path), "--data", str(tmp_path / "my faces")]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "face" not in out.replace("my faces", "")
    assert "no faces.zip lies beside the data, so the face detector is left as it is" in err
    (tmp_path / "my faces" / "faces.zip").touch()
    assert main(words) == 0
    # shlex quotes the folder with a blank in its name
    assert capsys.readouterr().out.replace(f"{tmp_path}/my", "my").replace(
        str(tmp_path), "R"
    ).splitlines() == [
        "edgemood train --resume R/small",
        "edgemood export R/small --data 'my faces'",
        "edgemood export R/small/ferplus --data 'my faces'",
        "edgemood train --recipe nano --teacher R/small --run R/nano --data 'my faces'",
        "edgemood export R/nano --data 'my faces'",
        "edgemood train --recipe face --run R/face --data 'my faces'",
        "edgemood export R/face",
    ]


def test_without_votes_there_is_no_network_of_them_to_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my runs" / "small").mkdir(parents=True)
    for file in ("config.json", "model.keras"):
        (tmp_path / "my runs" / "small" / file).touch()
    words = ["models", "--list", "--runs", str(tmp_path / "my runs"), "--only"]
    assert main([*words, "small"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("my runs/small'")
    (tmp_path / "my runs" / "small" / "ferplus").mkdir()
    (tmp_path / "my runs" / "small" / "ferplus" / "config.json").touch()
    assert main([*words, "small", "nano"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith("my runs/small/ferplus'")
    taught = shlex.split(lines[2])
    assert taught[taught.index("--teacher") + 1] == str(tmp_path / "my runs" / "small")


def test_every_rung_is_trained_and_its_files_stay_with_its_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["models", "--ladder", "--list", "--runs", "R"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "edgemood train --recipe ladder-1-plain --seed 0 --run R/ladder-1-plain",
        "edgemood export R/ladder-1-plain --output R/ladder-1-plain",
    ]
    assert [line for line in lines if "--teacher" in line] == [
        "edgemood train --recipe ladder-7-taught --seed 0 --teacher R/small --run R/ladder-7-taught"
    ]
    assert len(lines) == 14


def test_rungs_are_trained_once_with_each_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--list", "--runs", "R", "--ladder", "0", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 28
    assert "edgemood train --recipe ladder-1-plain --seed 2 --run R/ladder-1-plain-2" in lines
    assert "edgemood export R/ladder-1-plain-2 --output R/ladder-1-plain-2" in lines


def test_a_step_is_trained_once_and_its_hours_are_told(
    pattern_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(models_command, "TRAININGS", {"nano": "--recipe nano --epochs 1"})
    monkeypatch.setattr(models_command, "EXPORTED", {})
    words = ["models", "--data", str(pattern_folder), "--runs", str(tmp_path)]
    assert main(words) == 0
    written = (tmp_path / "nano" / "model.keras").stat().st_mtime_ns
    assert main(words) == 0
    assert (tmp_path / "nano" / "model.keras").stat().st_mtime_ns == written
    assert capsys.readouterr().out.count("hours of training") == 2


def test_a_step_that_fails_ends_it_with_that_steps_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(models_command, "TRAININGS", {"nano": "--epochs many", "small": ""})
    assert main(["models", "--runs", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "ended with 2" in said
    assert said.count("$ edgemood") == 1, "what comes after it is not begun"
