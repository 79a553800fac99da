"""OpenCV's captures -> connections: a camera, a stream or a video file, read frame by frame."""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from edgemood.runtime.sources.decode import MAX_PIXELS
from edgemood.runtime.sources.intake import Lost, Shot

# A read may fail once and work the next time: one broken JPEG, one lost USB packet.
ATTEMPTS = 10
# One that takes longer before it fails was no broken picture but a silence.
SILENCE = 1.0
# FFmpeg's limits for opening and for one read, else half a minute. Its threads would each hold back
# a frame, which is latency, and keep more (4 MB for two of them at 720p); the thread that reads
# them is beside ours already.
FFMPEG = [
    *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 10_000),
    *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, 10_000),
    *(cv2.CAP_PROP_N_THREADS, 1),
]


class Capture:
    """Frames of an open `cv2.VideoCapture`; see `Connection`. count: as declared, or None."""

    skipped = 0

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self._failures = 0  # in a row
        self.broken = 0
        fps = capture.get(cv2.CAP_PROP_FPS)
        # What takes a picture a minute is a video too; beyond that, or 90,000, nobody knew.
        self.fps = fps if math.isfinite(fps) and 0.01 <= fps <= 1000 else None
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.count = int(count) if math.isfinite(count) and count >= 1 else None

    def wait(self) -> None:
        start = time.monotonic()
        while not self._grab():
            self._failures += 1
            if self._failures >= ATTEMPTS or time.monotonic() - start > SILENCE:
                raise Lost("it gives no more pictures")

    def _grab(self) -> bool:
        try:
            return self._capture.grab()
        except cv2.error:
            return False

    def decode(self) -> Shot | None:
        image = self._decoded()
        return None if image is None else (image, time.monotonic())

    def _decoded(self) -> np.ndarray | None:
        try:
            done, image = self._capture.retrieve()
        except cv2.error:
            done = False
        self._failures += 1
        if not done:
            return None
        # What failed before it was broken; what fails at an end is not.
        self.broken += self._failures - 1
        self._failures = 0
        return image

    def interrupt(self) -> None:
        """A read in OpenCV can't be ended from outside."""

    def close(self) -> None:
        self._capture.release()


class Stamped(Capture):
    """Frames of a video file with its own times, in seconds."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        super().__init__(capture)
        self._interval = 1 / (self.fps or 25.0)
        self._start: float | None = None
        self._last = -self._interval

    def decode(self) -> Shot | None:
        """A file without times repeats one; then time goes on at the declared rate."""
        image = self._decoded()
        if image is None:
            return None
        stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if not math.isfinite(stamp):
            stamp = 0.0
        if self._start is None:
            self._start = stamp
        stamp -= self._start
        self._last = stamp if stamp > self._last else self._last + self._interval
        return image, self._last


def is_utf8(name: str) -> bool:
    """Whether OpenCV can be given a name: one of other bytes ends the program."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def open_file(path: Path) -> Stamped:
    """A video file; raises Lost."""
    # An absolute path, so that FFmpeg can't take a colon in a name for a protocol.
    place = str(path.absolute())
    if not is_utf8(place):
        raise Lost("its name is no UTF-8, which OpenCV wants", "Rename it")
    capture = cv2.VideoCapture(place, cv2.CAP_FFMPEG, FFMPEG)
    if not capture.isOpened():
        raise Lost("OpenCV cannot open it")
    width, height = (
        int(capture.get(which)) for which in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    if width * height > MAX_PIXELS:
        capture.release()
        raise Lost(
            f"its frames have {width}x{height} pixels, no more than {MAX_PIXELS // 10**6} million "
            "are read",
            "Make it smaller",
        )
    return Stamped(capture)


def camera_name(device: str) -> str:
    """What a camera index or device path is called here."""
    if device.startswith("/dev/"):
        return device
    return f"/dev/video{device}" if sys.platform == "linux" else f"camera {device}"


def open_camera(
    device: str, width: int | None = None, height: int | None = None, fps: int | None = None
) -> Capture:
    """A camera by index or device path, at the size and rate nearest to those; raises Lost."""
    linux = sys.platform == "linux"
    name = camera_name(device)
    if linux and not os.path.exists(name):
        raise Lost("there is no such device", "Plug one in")
    if linux and not os.access(name, os.R_OK | os.W_OK):
        raise Lost("permission denied", "Run `sudo usermod -aG video $USER`, log in again")
    # V4L2 numbers cameras as the device paths do; other back ends may count otherwise.
    capture = cv2.VideoCapture(
        name if linux else int(device), cv2.CAP_V4L2 if linux else cv2.CAP_ANY
    )
    if capture.isOpened():
        # Uncompressed, most webcams reach their frame rate only at small sizes.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        sides = (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        wished = in_shape((width, height), sides)
        for which, value in (
            (cv2.CAP_PROP_FRAME_WIDTH, wished[0]),
            (cv2.CAP_PROP_FRAME_HEIGHT, wished[1]),
            (cv2.CAP_PROP_FPS, fps),
        ):
            if value is not None:
                capture.set(which, value)
        connection = Camera(capture)
        if connection.is_giving():
            return connection
    capture.release()
    holder = user_of(name) if linux else None
    if holder:
        raise Lost(f"another program holds it: {holder}", "Close that program")
    raise Lost("it gives no picture, or another program holds it", "Close that program")


def in_shape(
    wished: tuple[int | None, int | None], now: tuple[float, float]
) -> tuple[int | None, int | None]:
    """(width, height) to ask of a camera that gives pictures of the size `now`, in pixels.

    Where one alone is wished for, the other goes with it: OpenCV's V4L2 back end asks the camera
    for nothing until it was told both (icvSetFrameSize in its cap_v4l.cpp).
    """
    width, height = wished
    if (width is None) == (height is None) or not all(now):
        return wished
    if width is None:
        return round((height or 0) * now[0] / now[1]), height
    return width, round(width * now[1] / now[0])


class Camera(Capture):
    """A camera, which may be open and give nothing."""

    _has_come = False

    def is_giving(self) -> bool:
        """Wait for the first picture, which then has come."""
        try:
            super().wait()
        except Lost:
            return False
        self._has_come = True
        return True

    def wait(self) -> None:
        if self._has_come:
            self._has_come = False
        else:
            super().wait()


def user_of(device: str) -> str | None:
    """Another process that has this file open, as "name (pid)"; None where none can be seen."""
    try:
        wanted = os.stat(device)
        for process in Path("/proc").iterdir():
            if not process.name.isdecimal() or int(process.name) == os.getpid():
                continue
            try:
                for handle in (process / "fd").iterdir():
                    if os.path.samestat(handle.stat(), wanted):
                        return f"{(process / 'comm').read_text().strip()} ({process.name})"
            except OSError:  # another user's, or gone already
                continue
    except OSError:
        pass
    return None
