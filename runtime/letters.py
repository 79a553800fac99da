"""Words -> a mask to paint them with.

OpenCV 5 draws any writing, and unpacks 8 MB of fonts for the first letter. Words in ASCII are put
together from a sheet of letters that it drew once, `letters.npz`, which
`python -m edgemood.runtime.letters` makes; only other words wait for the fonts.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

SHEET = "letters.npz"
FONT = cv2.FONT_HERSHEY_DUPLEX
CAPITAL = 20.5  # height of a capital letter in OpenCV's scale of 1, in pixels
ASCII = "".join(map(chr, range(32, 127)))
SHARP = 60  # height of the sheet's letters, what 4K video wants


# Making words costs more than all else on a frame, and the same few come each time.
@lru_cache(maxsize=128)
def written(words: str, height: int) -> np.ndarray:
    """The words as a mask uint8 [1.3 * height, n], 255 where a letter is.

    A capital letter is 0.55 * height high and stands in the middle, on row `baseline(height)`.
    """
    if not (words and words.isascii() and words.isprintable()):
        return _drawn(words, height)
    sheet, edges = _sheet()
    places = [ASCII.index(letter) for letter in words]
    line = np.concatenate([sheet[:, edges[place] : edges[place + 1]] for place in places], axis=1)
    size = max(1, round(line.shape[1] * height / SHARP)), round(1.3 * height)
    method = cv2.INTER_AREA if height < SHARP else cv2.INTER_LINEAR
    return cv2.resize(line, size, interpolation=method)


def baseline(height: int) -> int:
    return round((0.65 + 0.275) * height)


@lru_cache(maxsize=1)
def _sheet() -> tuple[np.ndarray, list[int]]:
    """(all of ASCII in a row, uint8 [rows, n]; the column where each letter begins, and the end)"""
    with (files("edgemood.runtime") / SHEET).open("rb") as file, np.load(file) as saved:
        return saved["sheet"], saved["edges"].tolist()


def _drawn(words: str, height: int) -> np.ndarray:
    """As `written`, by OpenCV."""
    scale = 0.55 * height / CAPITAL
    width = cv2.getTextSize(words, FONT, scale, 1)[0][0]
    mask = np.zeros((round(1.3 * height), max(1, width)), np.uint8)
    cv2.putText(mask, words, (0, baseline(height)), FONT, scale, 255, 1, cv2.LINE_AA)
    return mask


if __name__ == "__main__":
    letters = [_drawn(letter, SHARP) for letter in ASCII]
    edges = np.cumsum([0, *(letter.shape[1] for letter in letters)])
    np.savez_compressed(
        Path(__file__).with_name(SHEET), sheet=np.concatenate(letters, axis=1), edges=edges
    )
