"""The demo's faces are the mean of each class, symmetric, and of one brightness."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood.train.demo_faces import LEVEL, SPREAD, main


def test_each_class_becomes_one_symmetric_picture(pattern_folder: Path, tmp_path: Path) -> None:
    assert main(["--data", str(pattern_folder), "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "columns.png",
        "disc.png",
        "rows.png",
    ]
    for path in tmp_path.iterdir():
        face = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert face.shape == (48, 48)
        assert face.dtype == np.uint8
        assert (face == face[:, ::-1]).all()
        assert face.mean() == pytest.approx(LEVEL, abs=3)
        assert face.std() == pytest.approx(SPREAD, abs=5)
    disc = cv2.imread(str(tmp_path / "disc.png"), cv2.IMREAD_GRAYSCALE)
    assert disc[20:28, 20:28].mean() > disc[:8, :8].mean() + 50


def test_no_data_set_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path / "none"), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("edgemood: ")
