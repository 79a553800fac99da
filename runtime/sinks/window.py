"""Results -> a window on the screen."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgemood.console import say
from edgemood.errors import EdgemoodError
from edgemood.files import new_file
from edgemood.runtime.draw import banner, menu
from edgemood.runtime.sinks.base import Result, Sink
from edgemood.runtime.sources import Source, Status

# Milliseconds between two looks at keys, the close button and signals.
POLL = 50
# Esc as Windows and macOS number it, and as X11 does.
ESCAPE = {27, 0xFF1B}

# A key -> what it does, in words, and what is called when it is pressed.
Keys = Mapping[str, tuple[str, Callable[[], None]]]


def no_display() -> str | None:
    """Why no window can be shown here, or None. Asked beforehand: Qt would end the process."""
    if sys.platform != "linux":
        return None
    if os.environ.get("WAYLAND_DISPLAY"):
        return None
    display = os.environ.get("DISPLAY")
    if not display:
        return "there is no display"
    match = re.fullmatch(r"(?:unix)?(?P<host>[^:]*):(?P<number>\d+)(?:\.\d+)?", display)
    if match is None:
        return None  # a form that we don't know, and Qt may
    number = int(match["number"])
    addresses: list[tuple[int, Any]] = [(socket.AF_INET, (match["host"], 6000 + number))]
    if not match["host"]:
        path = f"/tmp/.X11-unix/X{number}"
        addresses = [(socket.AF_UNIX, path), (socket.AF_UNIX, "\0" + path)]
    for family, address in addresses:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(2)
            try:
                probe.connect(address)
                return None
            except OSError:
                continue
    return f"the display {display} does not answer"


class Window(Sink):
    """Shows results, at a file's own speed; a picture stays until space is pressed.

    stopped: asked while waiting, whether the program is to end. keys: further ones to serve.
    """

    def __init__(
        self, source: Source, stopped: Callable[[], bool], keys: Keys | None = None
    ) -> None:
        # A name that is no UTF-8 would end the program in OpenCV.
        name = Path(source.name).name.encode(errors="replace").decode()
        self._title = f"edgemood: {name}"
        self._live, self._pictures = source.is_live, source.is_pictures
        self._stopped = stopped
        self._keys: Keys = {
            "q": ("quit, as Esc does", self._quit),
            " ": ("next picture" if source.is_pictures else "pause, go on", self._pause),
            "s": ("save what is shown as a picture", self._snapshot),
            **(keys or {}),
            "h": ("show or hide this help", self._help),
        }
        self._start: float | None = None  # when a file's frame of time 0 was due
        self._paused: float | None = None  # since when
        self._helps = False
        self._words = ""  # about a source that gives nothing
        self._picture = np.full((source.size[1], source.size[0], 3), 64, np.uint8)
        self._shown = self._picture
        try:
            cv2.namedWindow(
                self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
            )
            # No larger than fits on a small screen, no smaller than a face that can be seen.
            width, height = source.size
            scale = min(1280 / width, 720 / height, max(1.0, 480 / height))
            cv2.resizeWindow(self._title, round(width * scale), round(height * scale))
        except cv2.error as error:
            raise EdgemoodError(
                "this OpenCV cannot show a window (opencv-python-headless?). Pass --headless."
            ) from error

    def write(self, result: Result) -> None:
        self._picture, self._words = result.picture, ""
        self._show()
        due = 0.0
        if self._pictures:
            self._pause()
        elif not self._live:
            if self._start is None:
                self._start = time.monotonic() - result.frame.time
            due = self._start + result.frame.time
        self._serve(due)

    def idle(self, status: Status) -> None:
        words = _words(status)
        if words != self._words:
            self._words = words
            self._show()
        self._serve(0.0)

    def _show(self) -> None:
        """Show the picture; what is only for who looks is drawn on a copy, others have it too."""
        self._shown = self._picture
        if self._helps or self._words:
            self._shown = self._picture.copy()
        if self._words:
            banner(self._shown, self._words)
        if self._helps:
            names = {" ": "space"}
            rows = [f"{names.get(key, key)}: {words}" for key, (words, _) in self._keys.items()]
            menu(self._shown, rows)
        cv2.imshow(self._title, self._shown)

    def _serve(self, due: float) -> None:
        """Serve keys and close button until then, and while paused; at least once."""
        while True:
            left = (due - time.monotonic()) * 1000
            if self._paused is not None:
                left = POLL
            code = cv2.waitKeyEx(min(POLL, max(1, round(left))))
            self._press(code)
            if not self._visible():
                self.is_open = False
            if not self.is_open or self._stopped():
                return
            if self._paused is None and time.monotonic() >= due:
                return

    def _press(self, code: int) -> None:
        # The high bits say which of Shift, Ctrl and the like are held; arrows have codes of their
        # own, whose low byte is a letter's.
        code &= 0xFFFF
        key = "q" if code in ESCAPE else chr(code).lower() if code < 128 else ""
        if key in self._keys:
            self._keys[key][1]()

    def _quit(self) -> None:
        self.is_open = False

    def _pause(self) -> None:
        now = time.monotonic()
        if self._paused is None:
            self._paused = now
        else:
            if self._start is not None:
                self._start += now - self._paused
            self._paused = None

    def _help(self) -> None:
        self._helps = not self._helps
        self._show()

    def _snapshot(self) -> None:
        """What is shown as a PNG in the current folder, under a name that is free."""
        path: Path | None = None
        try:
            path = new_file(".png")
            path.write_bytes(cv2.imencode(".png", self._shown)[1].tobytes())
        except OSError as error:
            say(f"edgemood: what is shown cannot be written: {error.strerror}")
            with suppress(OSError):
                if path is not None:
                    path.unlink()
        else:
            say(f"edgemood: {path} shows what the window did")

    def _visible(self) -> bool:
        """False once the close button was pressed, which Qt tells by an error."""
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:
            return False

    def close(self) -> None:
        with suppress(cv2.error):  # the user may have closed it
            cv2.destroyWindow(self._title)


def _words(status: Status) -> str:
    """How a source is doing that gives nothing; empty while that is only for a moment."""
    if status.state == "online":
        return ""
    age = "" if status.age is None else f" {status.age:.0f} s"
    reason = f": {status.reason}" if status.state == "offline" and status.reason else ""
    return f"{status.state}{age}{reason}"
