"""A frame of any size -> the faces in it: `FaceDetector`, around OpenCV's FaceDetectorYN.

FaceDetectorYN runs YuNet (Wu et al. 2023, doi:10.1007/s11633-023-1423-y) and any other ONNX network
with YuNet's outputs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

from edgemood.errors import EdgemoodError
from edgemood.fetch import cached
from edgemood.modelfile import refuse_pointer
from edgemood.values import Face

SCORE, OVERLAP, CANDIDATES = 0.6, 0.3, 5000

# The detector sees the frame with its longest side at the first of these, and where it finds no
# face, or one it doubts, once more at the second. Measured, with YuNet at full resolution as the
# reference:
# - all 1,980 frames of the four clips at hand (480x480 to 1280x720, faces of 74 to 250 px): 320
#   finds every face, but also two extra ones in 103 frames of one clip, scores 0.67; looking
#   again where a score is under 0.7 leaves none there and costs 2 second looks in 103 frames.
# - faces of 80 people pasted into 1280x720 backgrounds: faces 96 px wide are found in 78 of 80
#   frames at 320, 80 px in 77, 64 px in 71, 48 px in 49, 40 px in 26; with the second look in
#   80, 79, 80, 78 and 77. Area interpolation, twice as dear, finds no more than linear.
# - faces that fill a picture of 48 px, as in FER-2013: 149 of 200 are found as they are, 199 when
#   the picture is enlarged to 320. Enlarged to 640, a quarter of such faces is lost again.
# 320 costs a quarter of 640. A person at a desk costs the first look alone, nobody both.
SIDES = (320, 640)
DOUBT = 0.7
# Single pictures have the time for small faces beside large ones: the larger look comes first.
STILL_SIDES = (640, 320)
_NOTHING = np.empty((0, 15), np.float32)

YUNET = "face_detection_yunet_2023mar.onnx"
YUNET_ADDRESS = (
    "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/"
    f"face_detection_yunet/{YUNET}"
)
YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
YUNET_SIZE = 232_589


class FaceDetector:
    """Finds faces. Not for two threads at once.

    path: an ONNX face detector; None: the one `find_detector` names.
    sides: longest side of the network's input, in pixels, for each look at a frame.
    Raises EdgemoodError where the file can't be had or is not a face detector.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, sides: tuple[int, ...] = SIDES
    ) -> None:
        self.path = find_detector(path)
        self.sides = sides
        try:
            network = self.path.read_bytes()
        except OSError as error:
            raise EdgemoodError(
                f"{self.path} cannot be read as a face detector: {error.strerror}. Pass an .onnx "
                "file with --detector or EDGEMOOD_DETECTOR."
            ) from error
        refuse_pointer(self.path, network)
        self._size = (sides[0], sides[0])
        try:
            with _quiet_opencv():
                self._net = cv2.FaceDetectorYN.create(
                    "onnx",
                    np.frombuffer(network, np.uint8),
                    np.empty(0, np.uint8),
                    self._size,
                    SCORE,
                    OVERLAP,
                    CANDIDATES,
                )
                # Any network that parses is accepted until it is asked for faces.
                self._net.detect(np.zeros((sides[0], sides[0], 3), np.uint8))
        except cv2.error as error:
            raise EdgemoodError(
                f"{self.path} is not a face detector that OpenCV can run, an ONNX network with "
                "YuNet's outputs was wanted. Pass another file with --detector or "
                "EDGEMOOD_DETECTOR."
            ) from error

    def __call__(self, image: np.ndarray) -> list[Face]:
        """Faces in a BGR uint8 [H, W, 3] picture of any size, most certain first."""
        height, width = image.shape[:2]
        longest = max(height, width)
        # A small picture is enlarged to the smallest side; a larger look needs the pixels for it.
        smallest = min(self.sides)
        sides = list(dict.fromkeys(max(smallest, min(side, longest)) for side in self.sides))
        faces: list[Face] = []
        for side in sides:
            # A very long, thin picture keeps at least one row.
            size = max(1, round(width * side / longest)), max(1, round(height * side / longest))
            found = self._detect(cv2.resize(image, size) if size != (width, height) else image)
            scale = np.array([width / size[0], height / size[1]], np.float32)
            faces = [face for row in found if (face := _face(row, scale))] or faces
            # Only a larger look can settle a doubt.
            if faces and (side == max(sides) or min(face.score for face in faces) >= DOUBT):
                break
        return faces

    def _detect(self, image: np.ndarray) -> np.ndarray:
        """FaceDetectorYN's rows, float32 [n, 15]; it pads to multiples of 32 itself."""
        size = (image.shape[1], image.shape[0])
        if size != self._size:
            self._net.setInputSize(size)
            self._size = size
        found = self._net.detect(image)[1]
        return _NOTHING if found is None else found


def find_detector(path: str | os.PathLike[str] | None = None) -> Path:
    """The detector's file: `path`, else EDGEMOOD_DETECTOR, else the shipped one, else YuNet.

    YuNet is fetched once into the user's cache. Raises EdgemoodError where that fails.
    """
    named = path or os.environ.get("EDGEMOOD_DETECTOR")
    if named:
        return Path(named).expanduser()
    shipped = Path(str(files("edgemood.models") / "face.onnx"))
    return shipped if shipped.exists() else fetch_yunet()


def fetch_yunet(address: str = YUNET_ADDRESS) -> Path:
    """YuNet in the user's cache, fetched if it isn't there."""
    return cached(
        YUNET,
        address,
        YUNET_SHA256,
        YUNET_SIZE,
        f"Bring {YUNET} from another machine and pass it with --detector or EDGEMOOD_DETECTOR.",
    )


def _face(row: np.ndarray, scale: np.ndarray) -> Face | None:
    """One row (box, five landmarks, score) in the detector's pixels -> Face in the frame's."""
    if not np.isfinite(row).all():
        return None
    points = row[:14].reshape(7, 2) * scale
    (x, y), (width, height) = points[:2].tolist()
    box = (round(x), round(y), max(1, round(width)), max(1, round(height)))
    return Face(box, float(row[14]), points[2:])


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Without the warning about targets that OpenCV 5 prints for every detector it creates."""
    # OpenCV 5 moved the two functions into a module of their own.
    log = getattr(cv2.utils, "logging", cv2)
    level = log.getLogLevel()
    log.setLogLevel(0)
    try:
        yield
    finally:
        log.setLogLevel(level)
