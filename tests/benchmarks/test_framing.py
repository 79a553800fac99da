"""Pictures pasted into frames come back as crops, by the framing that fits them."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood.benchmarks import framing
from edgemood.benchmarks.framing import Found, fit, look, main, pasted
from edgemood.crop import Framing, face_crop
from edgemood.datasets import Dataset, open_dataset
from edgemood.runtime import FaceDetector
from edgemood.values import Face

needs_data = pytest.mark.skipif(
    not os.environ.get("EDGEMOOD_DATA"), reason="EDGEMOOD_DATA names no labelled faces"
)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return open_dataset()


@pytest.mark.parametrize("seed", range(5))
def test_the_framing_of_a_found_face_cuts_its_picture_out_again(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = cv2.resize(rng.integers(0, 256, (6, 6), dtype=np.uint8), (48, 48))
    frame, (x, y, side) = pasted(picture, rng)
    box = (x + side // 5, y + side // 7, round(0.6 * side), round(0.7 * side))
    found = Found(frame, (x, y), side, Face(box, 0.9, np.zeros((5, 2), np.float32)))
    assert found.framing is not None
    # What the framing cannot say: faces lie in the middle from left to right.
    level = x + side / 2 - (box[0] + box[2] / 2)
    centred = (round(box[0] + level), *box[1:])
    crop = face_crop(frame, centred, found.framing)
    assert np.abs(crop.astype(int) - picture).mean() < 4


def test_a_fit_is_the_middle_of_the_framings_and_says_how_far_they_lie_apart() -> None:
    wanted, quartiles = fit([Framing(1.0 + 0.1 * i, -0.02 * i) for i in range(5)])
    assert (wanted.scale, wanted.shift) == pytest.approx((1.2, -0.04))
    assert quartiles == pytest.approx(np.array([[1.1, 1.3], [-0.06, -0.02]]))


@needs_data
def test_most_faces_of_the_data_set_are_found_where_they_were_pasted(
    dataset: Dataset,
) -> None:
    pictures = dataset.split().read(np.arange(60))
    detector = FaceDetector()
    found = [
        look(detector, picture, np.random.default_rng(i)) for i, picture in enumerate(pictures)
    ]
    scales = [each.framing.scale for each in found if each.framing]
    assert len(scales) > 45
    assert 1.1 < np.median(scales) < 1.5


@needs_data
def test_the_command_prints_what_the_way_through_a_frame_costs(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(framing, "FITTED", 50)
    judged = np.flatnonzero(dataset.splits == dataset.split().splits[0])[::60]
    training = np.flatnonzero(dataset.splits == "Training")[::600]
    few = dataset.select(np.concatenate([training, judged]))
    monkeypatch.setattr(framing, "open_dataset", lambda path: few)
    assert main([]) == 0
    said = capsys.readouterr().out
    assert "Framing: scale 1." in said
    assert "1.25 (card)" in said
    assert said.count("(card)") == 1
    assert "points lost" in said


def test_data_that_is_not_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    monkeypatch.setenv("EDGEMOOD_DETECTOR", f"{tmp_path}/none.onnx")
    assert main(["--data", f"{tmp_path}/none"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_detector_that_finds_nobody_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    flat = " ".join(["128"] * 48 * 48)
    rows = [f"{code},{flat},{split}" for split in ("Training", "PublicTest") for code in range(7)]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    assert main(["--data", str(tmp_path / "fer2013.csv")]) == 2
    assert "finds none of 7 pictures of faces" in capsys.readouterr().err
