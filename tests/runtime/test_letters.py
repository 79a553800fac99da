"""Words become masks: ASCII without OpenCV's fonts, as OpenCV would draw it; all else by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgemood.runtime import letters
from edgemood.runtime.letters import baseline, written


@pytest.mark.parametrize("height", [11, 15, 34, 67])
def test_ascii_looks_as_opencv_draws_it(height: int) -> None:
    if not cv2.__version__.startswith("5"):
        pytest.skip("the sheet was drawn by OpenCV 5, whose letters are others")
    for word in ("happy", "surprise? 87%", "Quick |jgp|"):
        mine, its = written(word, height), letters._drawn(word, height)
        assert mine.shape[0] == its.shape[0]
        # It rounds every letter's width to pixels, and moves pairs such as AV together.
        assert mine.shape[1] == pytest.approx(its.shape[1], abs=len(word) * max(1, height / 30))
        rows = [np.flatnonzero(mask.max(axis=1) > 100)[[0, -1]] for mask in (mine, its)]
        assert rows[0] == pytest.approx(rows[1], abs=1)
        assert mine.mean() == pytest.approx(its.mean(), rel=0.2)


@pytest.mark.parametrize("height", [15, 60])
def test_a_capital_stands_on_the_baseline_in_the_middle(height: int) -> None:
    rows = np.flatnonzero(written("HEX", height).max(axis=1) > 127)
    assert rows[-1] + 1 == pytest.approx(baseline(height), abs=1)
    assert (rows[0] + rows[-1] + 1) / 2 == pytest.approx(0.65 * height, abs=0.08 * height)
    assert len(rows) == pytest.approx(0.55 * height, rel=0.15)


def test_ascii_waits_for_no_fonts_and_other_writing_gets_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written.cache_clear()
    drawn = []
    put = cv2.putText
    monkeypatch.setattr(cv2, "putText", lambda *args: (drawn.append(args[1]), put(*args)))
    for words in (letters.ASCII, "", "müde", "счастье"):
        assert written(words, 20).shape[0] == 26
    assert drawn == ["", "müde", "счастье"]
    assert written("müde", 20).any()
