"""Two detectors against each other: whose time is what part of whose, and who finds whose faces."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood.benchmarks import detectors
from edgemood.benchmarks.detectors import main


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As few rounds as there can be, of few looks."""
    monkeypatch.setattr(detectors, "SECONDS", 0)
    monkeypatch.setattr(detectors, "CALLS", 3)
    monkeypatch.setattr(detectors, "FRAMES", 5)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def clip(tmp_path: Path) -> str:
    """Three pictures, each of one white square of 32 pixels, a tenth of the picture's width."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        image = np.zeros((256, 320, 3), np.uint8)
        image[32 * i : 32 * (i + 1), 64:96] = 255
        cv2.imwrite(str(folder / f"{i}.png"), image)
    return str(folder)


def test_what_one_finds_of_the_others_faces_is_counted_by_size_of_input_and_face(
    squares: Callable[[int], Path], clip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In an input of half the size, the squares of 32 pixels are some of 16."""
    assert main([str(squares(16)), str(squares(32)), clip, "--json", "here.json"]) == 0
    out = capsys.readouterr().out
    figures = json.loads(Path("here.json").read_text())
    found = {(each["detector"], *each["size"]): each for each in figures["found"]}
    assert set(found) == {("first", 160, 128), ("first", 320, 256), ("second", 160, 128)}
    half, whole, second = found.values()
    assert half["widths"] == whole["widths"] == pytest.approx([0.1] * 3)
    assert (half["overlaps"], half["distances"], half["extra"]) == ([1] * 3, [0] * 3, 0)
    # Of a square, it finds the four quarters, none of which is the square.
    assert (whole["overlaps"], whole["extra"], whole["frames"]) == ([0.25] * 3, 12, 3)
    assert (second["overlaps"], second["distances"]) == ([0] * 3, [None] * 3)
    rows = [line.split() for line in out.splitlines() if line.startswith("pictures ")]
    assert rows == [
        ["pictures", "100.0%", "-", "-", "3/3", "-", "-", "1.00", "0.0%", "0.0"],
        ["pictures", "0.0%", "-", "-", "0/3", "-", "-", "-", "-", "800.0"],
        ["pictures", "0.0%", "-", "-", "0/3", "-", "-", "-", "-", "0.0"],
    ]
    assert max(map(len, out.splitlines())) <= 100


def test_every_time_and_ratio_can_be_computed_from_the_json(
    squares: Callable[[int], Path], clip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(squares(8)), str(squares(32)), clip, "--json", "here.json"]) == 0
    out = capsys.readouterr().out
    looks = json.loads(Path("here.json").read_text())["looks"]
    times = {
        (each["detector"], each["engine"], "{}x{}".format(*each["size"])): np.array(each["rounds"])
        for each in looks
    }
    assert len(times) == 8
    rows = [line.split() for line in out.splitlines() if line.startswith(("first ", "second "))]
    assert {tuple(row[:3]) for row in rows} == set(times)
    for name, engine, size, p50, _, ratio, low, _, high in rows:
        rounds = times[name, engine, size]
        assert rounds.shape == (6, 3)
        assert p50 == f"{np.median(rounds):.3f}"
        ratios = np.median(rounds, axis=1) / np.median(times["second", "opencv", size], axis=1)
        assert ratio == f"{np.median(ratios):.2f}"
        assert (low, high) == (f"({ratios.min():.2f}", f"{ratios.max():.2f})")


def test_a_real_detector_finds_all_that_it_finds_itself(
    detector: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([detector, detector, "--json", "-"]) == 0
    half, whole, _ = json.loads(capsys.readouterr().out)["found"]
    assert len(whole["widths"]) >= 5
    assert whole["overlaps"] == [1] * len(whole["widths"])
    assert whole["extra"] == 0
    assert 0.7 < np.median(half["overlaps"]) < 1


def test_frames_of_any_shape_are_shown_whole(tmp_path: Path) -> None:
    for name, shape in (("wide", (90, 320)), ("tall", (256, 64))):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "1.png"), np.full((*shape, 3), 255, np.uint8))
        (picture,) = detectors.pictures(str(tmp_path / name))
        assert picture.shape == (256, 320, 3)
        assert (picture[: shape[0], : shape[1]] == 255).all()
        assert picture.sum() == 255 * 3 * shape[0] * shape[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.onnx", "{}"], "none.onnx is not there"),
        (["{}", "text.onnx"], "text.onnx is not a face detector"),
        (["{}", "{}", "none.mp4"], "none.mp4"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_sentence(
    squares: Callable[[int], Path],
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("text.onnx").write_text("no network")
    whole = str(squares(32))
    assert main([word.format(whole) for word in arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
