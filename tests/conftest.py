"""For every station's tests: signals that work, pictures that a net can learn, the detector."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

# A job in a shell script's background ignores the first two, nohup's the third; the programs that
# tests start and end by a signal would ignore them too.
for _name in ("SIGINT", "SIGQUIT", "SIGHUP"):
    _number = getattr(signal, _name, None)  # Windows has only the first
    if _number is not None and signal.getsignal(_number) is signal.SIG_IGN:
        _usual = signal.default_int_handler if _name == "SIGINT" else signal.SIG_DFL
        signal.signal(_number, _usual)

# CI names YuNet here, the teacher and the reference. What is to be tested is the shipped detector.
YUNET = os.environ.pop("EDGEMOOD_DETECTOR", None)
SHIPPED = Path(__file__).parents[1] / "models" / "face.onnx"
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


@pytest.fixture(scope="session")
def detector() -> str:
    """The path of the shipped face detector."""
    return str(SHIPPED)


@pytest.fixture(scope="session")
def yunet() -> str:
    """The path of YuNet's own file."""
    if not YUNET:
        pytest.skip("EDGEMOOD_DETECTOR does not name YuNet's file")
    return YUNET


@pytest.fixture
def fixed_detector(detector: str, tmp_path: Path) -> Path:
    """A detector whose input is fixed to 640x640, so that OpenCV alone runs it at other sizes."""
    onnx = pytest.importorskip("onnx")
    network = onnx.load(detector)
    del network.metadata_props[:]  # its digest among them
    for side in network.graph.input[0].type.tensor_type.shape.dim[2:]:
        side.dim_value = 640
    onnx.save(network, tmp_path / "fixed.onnx")
    return tmp_path / "fixed.onnx"
