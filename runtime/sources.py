"""A string that names a source -> `Source`: its frames, every one once, in order, with their times.

Read: a camera, a video file, a picture, a folder of pictures, and the demo.
"""

from __future__ import annotations

import math
import os
import re
import sys
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

from edgemood.console import say
from edgemood.datasets import PICTURES
from edgemood.errors import EdgemoodError
from edgemood.values import Frame

# A camera's read may fail once and work the next time: one broken JPEG, one lost USB packet.
PATIENCE = 10


class Source:
    """Iterate over it for its frames, once; close it, or use it in a `with` block.

    Opening reads the first frame, so that what can't be read fails there, with exit code 2; a
    fault after that raises EdgemoodError with exit code 1 out of the iteration.

    name: for messages. size: (width, height) of the first frame in pixels. fps: frames a second
    as declared; None for pictures, and where a camera does not say. count: frames as declared;
    None where it never ends. is_live: frames come when they come, and wait for nobody.
    """

    name: str
    size: tuple[int, int]
    fps: float | None = None
    count: int | None = None
    is_live = False

    @property
    def is_pictures(self) -> bool:
        """Frames have no time and nothing to do with one another."""
        return not self.is_live and self.fps is None

    def frame_name(self, frame: Frame) -> str:
        """A file name for this frame: the picture's own, or one that sorts."""
        return f"frame-{frame.index:06d}.jpg"

    def __iter__(self) -> Iterator[Frame]:
        raise NotImplementedError

    def close(self) -> None:
        """Let go of device or file; may be called twice."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def open_source(source: str | int) -> Source:
    """Open a camera index, `/dev/video*`, a video or picture file, a folder of pictures, or `demo`.

    A file that is called `demo` or `0` is named `./demo` or `./0`.
    Raises EdgemoodError that says why it can't be opened.
    """
    text = str(source)
    if text == "demo":
        return Demo()
    if re.fullmatch(r"\d+", text) or text.startswith("/dev/video"):
        return Camera(text)
    if "://" in text:
        raise EdgemoodError(
            f"{text.partition('://')[0]}:// names a network stream, a camera, file or folder was "
            "wanted. Save it to a file first."
        )
    path = Path(text).expanduser()
    try:
        if path.is_dir():
            return Pictures(path)
        empty = path.stat().st_size == 0
    except OSError as error:
        raise EdgemoodError(
            f"{text} cannot be opened: {error.strerror}. Pass a camera index, a video, a picture, "
            "a folder of pictures, or demo."
        ) from error
    if empty:
        raise EdgemoodError(f"{text} is empty, a video or picture was wanted. Copy it again.")
    return Pictures(path) if path.suffix.lower() in PICTURES else Video(path)


class Camera(Source):
    """A camera by index or device path; times by the clock."""

    is_live = True

    def __init__(self, device: str) -> None:
        linux = sys.platform == "linux"
        path = device if device.startswith("/dev/") else f"/dev/video{device}"
        self.name = path if linux else f"camera {device}"
        if linux and not os.path.exists(path):
            raise _no_camera(self.name, "there is no such device", "Plug one in")
        if linux and not os.access(path, os.R_OK | os.W_OK):
            raise _no_camera(
                self.name, "permission denied", "Run `sudo usermod -aG video $USER`, log in again"
            )
        # V4L2 numbers cameras as the device paths do; other back ends may count otherwise.
        self._capture = cv2.VideoCapture(
            path if linux else int(device), cv2.CAP_V4L2 if linux else cv2.CAP_ANY
        )
        # Uncompressed, most webcams reach their frame rate only at small sizes.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        first = self._read() if self._capture.isOpened() else None
        if first is None:
            self.close()
            raise _no_camera(
                self.name, "it gives no picture, or another program holds it", "Close that program"
            )
        self._first = first
        self.size = (first.shape[1], first.shape[0])
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 1 <= fps <= 240 else None

    def __iter__(self) -> Iterator[Frame]:
        image: np.ndarray | None = self._first
        start = time.monotonic()
        index = 0
        while image is not None:
            yield Frame(image, index, time.monotonic() - start if index else 0.0)
            index += 1
            image = self._read()
        raise EdgemoodError(
            f"{self.name} stopped giving pictures after {index} frames. Check its cable and start "
            "again.",
            exit_code=1,
        )

    def _read(self) -> np.ndarray | None:
        for _ in range(PATIENCE):
            done, image = self._capture.read()
            if done:
                return image
        return None

    def close(self) -> None:
        self._capture.release()


def _no_camera(name: str, found: str, remedy: str) -> EdgemoodError:
    return EdgemoodError(
        f"{name} cannot be opened: {found}. {remedy}, or pass another source, for example: "
        "edgemood run demo"
    )


class Video(Source):
    """A video file; times are the file's own where it has sane ones."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        # An absolute path, so that FFmpeg can't take a colon in a name for a protocol.
        self._capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
        first = self._capture.read()[1] if self._capture.isOpened() else None
        if first is None:
            self.close()
            raise EdgemoodError(
                f"{path} cannot be read as a video: {_ailment(path)}. Copy it again, or pass "
                "another file."
            )
        self._first = first
        self._start = self._milliseconds()
        self.size = (first.shape[1], first.shape[0])
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if math.isfinite(fps) and 0 < fps <= 1000 else 25.0
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.count = int(count) if math.isfinite(count) and count >= 1 else None

    def __iter__(self) -> Iterator[Frame]:
        assert self.fps is not None
        yield Frame(self._first, 0, 0.0)
        index, last = 0, 0.0
        while True:
            done, image = self._capture.read()
            if not done:
                break
            index += 1
            stamp = (self._milliseconds() - self._start) / 1000
            # A file without stamps repeats one; then time goes on at the declared rate.
            last = stamp if stamp > last else last + 1 / self.fps
            yield Frame(image, index, last)
        # A count may be an estimate from the duration, so an end is early only if both say so.
        if self.count and index + 1 < self.count and last < self.count / self.fps - 1:
            raise EdgemoodError(
                f"{self.name} ended early: {index + 1} of {self.count} frames could be read. Copy "
                "it again.",
                exit_code=1,
            )

    def _milliseconds(self) -> float:
        stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        return stamp if math.isfinite(stamp) else 0.0

    def close(self) -> None:
        self._capture.release()


def _ailment(path: Path) -> str:
    """Why a video can't be read, as far as its bytes tell."""
    try:
        with open(path, "rb") as file:
            head = file.read(512)
            # An mp4 is a chain of boxes; the one called moov is the index, often the last.
            if head[4:8] == b"ftyp":
                file.seek(0)
                size = os.fstat(file.fileno()).st_size
                at, kinds = 0, set()
                while at + 8 <= size:
                    file.seek(at)
                    header = file.read(16)
                    length = int.from_bytes(header[:4], "big")
                    if length == 1:  # a 64-bit length follows the name
                        length = int.from_bytes(header[8:16], "big")
                    kinds.add(header[4:8])
                    at = at + length if length >= 8 else size
                if b"moov" not in kinds:
                    return "its index is missing, it was cut off or never finished"
    except OSError as error:
        return error.strerror or str(error)
    if head.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, not the file itself"
    if not head.strip(b"\x00"):
        return "it holds nothing but zeros"
    if all(byte >= 32 or byte in b"\t\n\r\f" for byte in head):
        return "it is a text file"
    return "it is damaged, or in a format that OpenCV does not know (ffmpeg -i IN OUT.mp4 may help)"


class Pictures(Source):
    """One picture, or a folder's in the order of their names; they have no time."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._paths = [path]
        if path.is_dir():
            self._paths = sorted(
                file
                for file in path.iterdir()
                if file.suffix.lower() in PICTURES and not file.name.startswith(".")
            )
            if not self._paths:
                raise EdgemoodError(
                    f"{path} has no pictures in it, one of {' '.join(sorted(PICTURES))} was "
                    "wanted. Pass another folder."
                )
        self.count = len(self._paths)
        self._broken: list[Path] = []
        self._ready = self._decoded()
        first = next(self._ready, None)
        if first is None:
            raise EdgemoodError(
                f"{path} cannot be used: none of the {self.count} pictures in it can be decoded. "
                "Copy them again."
                if path.is_dir()
                else f"{path} cannot be decoded as a picture. Copy it again."
            )
        self._first = first
        self.size = (first.image.shape[1], first.image.shape[0])

    def __iter__(self) -> Iterator[Frame]:
        """A picture that can't be decoded is named and left out: its index is missing."""
        yield self._first
        yield from self._ready
        if self._broken:
            raise EdgemoodError(
                f"{len(self._broken)} of {self.count} pictures in {self.name} could not be "
                f"decoded, the first is {self._broken[0].name}. Copy them again.",
                exit_code=1,
            )

    def _decoded(self) -> Iterator[Frame]:
        for index, path in enumerate(self._paths):
            image = read_picture(path)
            if image is not None:
                yield Frame(image, index, 0.0)
                continue
            self._broken.append(path)
            if len(self._paths) > 1:
                say(f"{path} cannot be decoded, it is left out")

    def frame_name(self, frame: Frame) -> str:
        return self._paths[frame.index].name


def read_picture(path: Path) -> np.ndarray | None:
    """BGR uint8 [H, W, 3], turned as its EXIF says; None where it can't be read or decoded."""
    try:
        # Not imread: on Windows it can't open every path that Python can.
        return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None


class Demo(Source):
    """The mean face of each FER-2013 class, morphing from one to the next for 14 seconds.

    Drawn 640x480 at 25 frames a second: nobody's face, and no camera needed.
    """

    SIZE = (640, 480)
    FPS = 25.0
    # Each expression is held, then fades into the next; the last fades into the first.
    ORDER = ("neutral", "happy", "surprise", "fear", "sad", "angry", "disgust")
    HOLD, FADE = 1.2, 0.8
    # Side of the drawn picture; a detector's box is 1/1.3 of it, 200 px.
    FACE = 260
    GROUND = (92, 84, 78)  # BGR, the gray of a picture's edges

    def __init__(self) -> None:
        self.name = "demo"
        self.size = self.SIZE
        self.fps = self.FPS
        self.count = round(len(self.ORDER) * (self.HOLD + self.FADE) * self.FPS)
        self._ground = np.full((self.SIZE[1], self.SIZE[0], 3), self.GROUND, np.uint8)
        mask = _vignette(self.FACE)
        # What does not change from frame to frame is blended once; half more rounds to the nearest.
        self._around = (1 - mask)[:, :, None] * np.array(self.GROUND, np.float32) + 0.5
        self._faces = [mask * self._enlarged(label) for label in self.ORDER]

    def _enlarged(self, label: str) -> np.ndarray:
        data = (files("edgemood.runtime") / "demo" / f"{label}.png").read_bytes()
        face = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert face is not None
        return cv2.resize(face, (self.FACE, self.FACE), interpolation=cv2.INTER_CUBIC)

    def __iter__(self) -> Iterator[Frame]:
        assert self.count is not None
        for index in range(self.count):
            seconds = index / self.FPS
            yield Frame(self._draw(seconds), index, seconds)

    def _draw(self, seconds: float) -> np.ndarray:
        turn, inside = divmod(seconds, self.HOLD + self.FADE)
        fade = max(0.0, inside - self.HOLD) / self.FADE
        fade = fade * fade * (3 - 2 * fade)  # eases in and out
        this, following = int(turn), (int(turn) + 1) % len(self._faces)
        face = self._faces[this] * (1 - fade) + self._faces[following] * fade
        # A slow sway, so that there is something to follow.
        phase = 2 * math.pi * seconds / 7
        x = (self.SIZE[0] - self.FACE) // 2 + round(24 * math.sin(phase))
        y = (self.SIZE[1] - self.FACE) // 2 + round(8 * math.sin(2 * phase))
        image = self._ground.copy()
        image[y : y + self.FACE, x : x + self.FACE] = self._around + face[:, :, None]
        return image


def _vignette(side: int) -> np.ndarray:
    """float32 [side, side]: 1 over the face, fading to 0 at the edges of a rounded square."""
    axis = np.linspace(-1, 1, side, dtype=np.float32) ** 4
    radius = (axis[:, None] + axis[None, :]) ** 0.25
    fade = np.clip((1 - radius) / 0.35, 0, 1)
    return fade * fade * (3 - 2 * fade)
