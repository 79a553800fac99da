"""A frame of any size -> the faces in it: `FaceDetector`, around OpenCV's FaceDetectorYN.

FaceDetectorYN runs any ONNX network with the outputs of YuNet (Wu et al. 2023,
doi:10.1007/s11633-023-1423-y): the one that ships, models/face.onnx, YuNet itself and others. ONNX
Runtime is offered too, with the same faces as the result.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgemood import weights
from edgemood.errors import EdgemoodError
from edgemood.files import read_bytes
from edgemood.modelfile import is_sealed
from edgemood.runtime.engines import onnx_session
from edgemood.values import Box, Face
from edgemood.yunet import OUTPUTS, PARTS, STRIDES, YUNET, YUNET_SHA256, faces_in, joined

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SCORE, OVERLAP, CANDIDATES = 0.6, 0.3, 5000
ENGINES = ("opencv", "onnxruntime")
# A BGR uint8 [h, w, 3] picture, the least score -> box, landmarks, score, float32 [n, 15].
Find = Callable[[np.ndarray, float], np.ndarray]

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
# A region is a face's surroundings, twice its size. With YuNet, and the last frame's face to say
# where, all faces of the clips are found again at 64, 96, 128 and 160 px, in 0.40, 0.73, 1.2 and
# 1.8 ms. The boxes' median IoU with those of the whole frame, clip by clip, is 0.84 to 0.90 at 64,
# 0.87 to 0.91 at 96, and 0.87 to 0.94 above.
REGION_SIDES = (96,)
_NOTHING = np.empty((0, 15), np.float32)


class FaceDetector:
    """Finds faces. Not for two threads at once.

    path: an ONNX face detector; None: the one `find_detector` names.
    sides: longest side of the network's input, in pixels, for each look at a frame.
    engine: one of ENGINES. threads: of ONNX Runtime's; OpenCV's are set by cv2.setNumThreads.
    Raises EdgemoodError where the file can't be read, is not a face detector, or does not run in
    the engine.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        sides: tuple[int, ...] = SIDES,
        engine: str = "opencv",
        threads: int = 1,
    ) -> None:
        self.path = find_detector(path)
        self.sides = sides
        self.engine = engine
        network = read_bytes(
            self.path,
            "an .onnx face detector",
            "Pass one with --detector or EDGEMOOD_DETECTOR.",
        )
        if engine not in ENGINES:
            raise EdgemoodError(
                f"no engine for a face detector is called {engine}: {' or '.join(ENGINES)} was "
                "wanted."
            )
        try:
            session = _tried(self.path, network, threads)
            if engine == "opencv":
                self._find = opencv_find(network)
            else:
                self._find = _onnxruntime(network, threads, session)
            # Any network that parses is accepted until it is asked for faces.
            self._find(np.zeros((32, 32, 3), np.uint8), SCORE)
        except (cv2.error, ValueError) as error:
            found = f": {error}" if isinstance(error, ValueError) else ""
            name = "OpenCV" if engine == "opencv" else "ONNX Runtime"
            raise EdgemoodError(
                f"{self.path} is not a face detector that {name} can run{found}. An ONNX network "
                "with YuNet's outputs was wanted: pass another file with --detector or "
                "EDGEMOOD_DETECTOR."
            ) from error

    def __call__(
        self,
        image: np.ndarray,
        region: Box | None = None,
        *,
        sides: Sequence[int] | None = None,
        least: float = SCORE,
    ) -> list[Face]:
        """Faces in a BGR uint8 [H, W, 3] picture of any size, most certain first.

        region: the only part of the picture to look at, in its pixels; what reaches past its edges
        is cut off. sides: for this call, in place of the detector's own, or of REGION_SIDES.
        least: faces with a lower score are left out. Boxes are in the picture's pixels always.
        Raises ValueError for another kind of array.
        """
        require_frame(image)
        left, top = 0, 0
        if region is not None:
            left, top = max(0, region[0]), max(0, region[1])
            right, bottom = region[0] + region[2], region[1] + region[3]
            image = image[top : max(top, bottom), left : max(left, right)]
            if not image.size:
                return []
        if sides is None:
            sides = self.sides if region is None else REGION_SIDES
        height, width = image.shape[:2]
        longest = max(height, width)
        sides = input_sides(sides, longest)
        faces: list[Face] = []
        for side in sides:
            # A very long, thin picture keeps at least one row.
            size = max(1, round(width * side / longest)), max(1, round(height * side / longest))
            shown = cv2.resize(image, size) if size != (width, height) else image
            found = self._detect(shown, least)
            scale = np.array([width / size[0], height / size[1]], np.float32)
            faces = [face for row in found if (face := _face(row, scale, (left, top)))] or faces
            # Only a larger look can settle a doubt.
            if faces and (side == max(sides) or min(face.score for face in faces) >= DOUBT):
                break
        return faces

    def _detect(self, image: np.ndarray, least: float) -> np.ndarray:
        """Box, landmarks, score of each face in a picture's pixels, float32 [n, 15]."""
        try:
            found = self._find(image, least)
        except (cv2.error, ValueError) as error:
            raise EdgemoodError(
                f"{self.path} cannot look at a picture of {image.shape[1]}x{image.shape[0]}, a "
                "network for any size was wanted. Pass another file with --detector or "
                "EDGEMOOD_DETECTOR.",
                exit_code=1,
            ) from error
        # A damaged network's faces may be larger than memory; none is twice as large as a picture.
        return found[(np.abs(found[:, :4]) < 2 * max(image.shape)).all(axis=1)]


def require_frame(image: np.ndarray) -> None:
    """Raise ValueError where an array is no frame, BGR uint8 [H, W, 3]: a mistake in a program."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(
            f"a frame is BGR uint8 [H, W, 3], this is {image.dtype} {list(image.shape)}"
        )


def input_sides(sides: Sequence[int], longest: int) -> list[int]:
    """Longest side of the network's input for each look at a picture, in pixels.

    sides: as asked for. longest: of the picture. A small picture is enlarged to the smallest side;
    a larger look needs the pixels for it, and is left out where it would repeat another.
    """
    smallest = min(sides)
    return list(dict.fromkeys(max(smallest, min(side, longest)) for side in sides))


def find_detector(path: str | os.PathLike[str] | None = None) -> Path:
    """The detector's file: `path`, else the one that EDGEMOOD_DETECTOR names, else the shipped."""
    named = path or os.environ.get("EDGEMOOD_DETECTOR")
    if named:
        return Path(os.path.expanduser(named))
    return Path(str(files("edgemood.models") / "face.onnx"))


def opencv_find(network: bytes) -> Find:
    """A network that is known to be whole, in OpenCV. Raises cv2.error where it is no detector."""
    size = (SIDES[0], SIDES[0])
    with _quiet_opencv():
        net = cv2.FaceDetectorYN.create(
            "onnx",
            np.frombuffer(network, np.uint8),
            np.empty(0, np.uint8),
            size,
            SCORE,
            OVERLAP,
            CANDIDATES,
        )

    def find(image: np.ndarray, least: float) -> np.ndarray:
        nonlocal size
        if size != (image.shape[1], image.shape[0]):
            size = image.shape[1], image.shape[0]
            net.setInputSize(size)
        net.setScoreThreshold(least)
        found = net.detect(image)[1]  # it pads to multiples of 32 itself
        return _NOTHING if found is None else found

    return find


def _onnxruntime(network: bytes, threads: int, tried: InferenceSession | None) -> Find:
    """Raises ValueError where ONNX Runtime cannot run the network, at any size.

    tried: the session that has run it already, if there is one.
    """
    try:
        session = tried or onnx_session(network, threads)
        (entry,) = session.get_inputs()
        down, across = entry.shape[2:]
    except Exception as error:
        raise ValueError(str(error)) from error
    if isinstance(down, int) or isinstance(across, int):
        raise ValueError(f"its input is fixed to {across}x{down}")

    # Memory that is not given back between two looks: fresh pages take as long as what fills them.
    kept = np.empty(0, np.float32)

    def find(image: np.ndarray, least: float) -> np.ndarray:
        nonlocal kept
        rows, columns = image.shape[:2]
        height, width = rows + -rows % 32, columns + -columns % 32
        if kept.size < 3 * height * width:
            kept = np.empty(3 * height * width, np.float32)
        blob = kept[: 3 * height * width].reshape(1, 3, height, width)
        blob[0, :, :rows, :columns] = image.transpose(2, 0, 1)
        blob[0, :, rows:] = 0
        blob[0, :, :, columns:] = 0
        try:
            answers = session.run(list(OUTPUTS), {entry.name: blob})
        except Exception as error:
            raise ValueError(str(error)) from error
        cells = joined(dict(zip(OUTPUTS, answers)))
        return faces_in(cells, height, width, least, OVERLAP)

    return find


def _face(row: np.ndarray, scale: np.ndarray, corner: tuple[int, int]) -> Face | None:
    """One row (box, five landmarks, score) in the detector's pixels -> Face in the frame's.

    corner: of the detector's picture, in the frame.
    """
    if not np.isfinite(row).all():
        return None
    points = row[:14].reshape(7, 2) * scale
    (x, y), (width, height) = points[:2].tolist()
    left, top = corner
    box = (round(x) + left, round(y) + top, max(1, round(width)), max(1, round(height)))
    return Face(box, float(row[14]), points[2:] + np.array(corner, np.float32))


def _tried(path: Path, network: bytes, threads: int) -> InferenceSession | None:
    """Where ONNX Runtime had to try a network first; raises ValueError for one that is unfit.

    OpenCV 5 crashes on one YuNet in seven that has a bit flipped outside its weights. What carries
    a digest, or is YuNet, is known to be whole. ONNX Runtime tries what else there is, in 50 ms:
    after that, none of 10,500 such networks crashed OpenCV.
    """
    if hashlib.sha256(network).hexdigest() == YUNET_SHA256:
        return None
    if path.name == YUNET:
        raise ValueError("it is damaged, or another YuNet than its name says")
    if is_sealed(network):
        return None
    weights.check(network)
    try:
        session = onnx_session(network, threads)
        (entry,) = session.get_inputs()
        height, width = (side if isinstance(side, int) else SIDES[0] for side in entry.shape[2:])
        if not (0 < height <= 2000 and 0 < width <= 2000):
            raise ValueError(f"a picture of {width}x{height}")
        blank = np.zeros((1, 3, height, width), np.float32)
        answers = session.run(list(OUTPUTS), {entry.name: blank})
    except Exception as error:
        raise ValueError("ONNX Runtime cannot run it as one") from error
    shapes = [
        (1, (height // stride) * (width // stride), numbers)
        for numbers in PARTS.values()
        for stride in STRIDES
    ]
    if [answer.shape for answer in answers] != shapes:
        raise ValueError("its outputs have other shapes than YuNet's")
    return session


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
