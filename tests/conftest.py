"""Data for every station's tests: generated pictures of three classes that a net can learn."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

PATTERNS = ("columns", "disc", "rows")


def pattern(kind: str, rng: np.random.Generator) -> np.ndarray:
    """A noisy gray uint8 [48, 48] picture of upright bars, a disc, or level bars."""
    image = rng.normal(100, 25, (48, 48))
    bars = (np.arange(48) + rng.integers(8)) % 8 < 4
    if kind == "columns":
        image[:, bars] += 80
    elif kind == "rows":
        image[bars] += 80
    else:
        cv2.circle(image, (24, 24), int(rng.integers(10, 20)), 200.0, -1)
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def pattern_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of class folders: train/ with 64 and test/ with 20 pictures of each pattern."""
    root = tmp_path_factory.mktemp("patterns")
    rng = np.random.default_rng(0)
    for split, count in (("train", 64), ("test", 20)):
        for kind in PATTERNS:
            folder = root / split / kind
            folder.mkdir(parents=True)
            for i in range(count):
                cv2.imwrite(str(folder / f"{i}.png"), pattern(kind, rng))
    return root
