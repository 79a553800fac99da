"""The window as its user meets it: a real one, in a virtual display, with keys really pressed."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood.runtime.draw import INK
from edgemood.runtime.sources import open_source

if not (shutil.which("Xvfb") and shutil.which("xdotool")):
    pytest.skip("Xvfb or xdotool is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    # -r: a key counts once, however long a busy machine leaves it pressed. -noreset: it does not
    # begin anew, deaf meanwhile, whenever a client was the last to leave.
    name = f":{5000 + os.getpid() % 1000}"
    with subprocess.Popen(
        ["Xvfb", name, "-r", "-noreset", "-screen", "0", "1024x768x24"], stderr=subprocess.DEVNULL
    ) as server:
        until(Path(f"/tmp/.X11-unix/X{name[1:]}").exists)
        yield name
        server.terminate()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Session:
    """`edgemood run` with a window, in a folder of its own."""

    def __init__(self, display: str, folder: Path, *args: str) -> None:
        self.folder = folder
        self.lines = folder / "out.jsonl"
        self._said = folder.with_suffix(".err")
        self._environment = os.environ | {"DISPLAY": display}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edgemood.cli", "run", *args, "--jsonl", self.lines.name],
            cwd=folder,
            env=self._environment,
            stderr=self._said.open("w"),
        )

    def do(self, *command: str) -> bool:
        done = subprocess.run(
            ["xdotool", "search", "--name", "^edgemood: ", *command],
            env=self._environment,
            capture_output=True,
        )
        return done.returncode == 0

    def send(self, key: str) -> None:
        """Unless it is over: one that is about to end has no window any more."""
        until(lambda: self.is_over() or self.do("windowfocus"))
        self.do("key", "--clearmodifiers", key)

    def press(self, key: str, done: Callable[[], object]) -> None:
        """Press a key until it has done its work.

        Of the keys that come between two looks at them, OpenCV keeps the last: one may be lost.
        """

        def pressed() -> bool:
            self.send(key)
            end = time.monotonic() + 1
            while not done():
                if time.monotonic() > end:
                    return False
                time.sleep(0.02)
            return True

        until(pressed)

    def press_close_button(self) -> None:
        """Send what a window manager sends for it (ICCCM 4.2.8.1), of which there is none here."""
        found = subprocess.run(
            ["xdotool", "search", "--name", "^edgemood: "],
            env=self._environment,
            capture_output=True,
            text=True,
        )
        x = ctypes.CDLL("libX11.so.6")
        x.XOpenDisplay.restype = ctypes.c_void_p
        x.XInternAtom.restype = ctypes.c_ulong
        display = ctypes.c_void_p(x.XOpenDisplay(self._environment["DISPLAY"].encode()))
        window = ctypes.c_ulong(int(found.stdout.split()[0]))
        protocols, delete = (
            x.XInternAtom(display, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")
        )
        # XClientMessageEvent: type, serial, sent, display, window, kind, format, five numbers.
        event = (ctypes.c_long * 24)(33, 0, 1, 0, window.value, protocols, 32, delete)
        assert x.XSendEvent(display, window, 0, 0, event)
        x.XCloseDisplay(display)

    def frame(self) -> int:
        """The number of the frame that was written last; -1 before the first."""
        text = self.lines.read_text() if self.lines.exists() else ""
        return text.count("\n") - 1

    def snapshots(self) -> list[Path]:
        return sorted(self.folder.glob("edgemood-*.png"))

    def snapshot(self) -> np.ndarray:
        """What is shown, by the key for it."""
        before = self.snapshots()
        self.press("s", lambda: len(self.snapshots()) > len(before))
        path = self.snapshots()[-1]
        until(lambda: path.read_bytes()[-8:-4] == b"IEND")  # it is whole
        return cv2.imread(str(path))

    def is_paused(self) -> bool:
        return np.array_equal(self.snapshot(), self.snapshot())

    def is_over(self) -> bool:
        return self.process.poll() is not None

    def end(self) -> str:
        """What it said; it ended by itself and without a fault."""
        assert self.process.wait(timeout=30) == 0, self._said.read_text()
        return self.said()

    def said(self) -> str:
        return self._said.read_text()


Open = Callable[..., Session]


@pytest.fixture
def open_window(display: str, tiny_model: Path, tmp_path: Path) -> Iterator[Open]:
    sessions: list[Session] = []

    def open_window(*args: str) -> Session:
        sessions.append(Session(display, tmp_path, *args, "--model", str(tiny_model)))
        return sessions[-1]

    yield open_window
    for session in sessions:
        session.process.kill()
        session.process.communicate()


def test_keys_pause_help_snapshot_and_quit(open_window: Open) -> None:
    session = open_window("demo")
    until(lambda: session.frame() >= 2)
    session.press("space", session.is_paused)
    frame, shown = session.frame(), session.snapshot()
    assert shown.shape == (480, 640, 3)
    session.press("h", lambda: (session.snapshot()[2, 2] == INK).all())
    assert np.array_equal(session.snapshot()[300:], shown[300:])
    session.press("h", lambda: np.array_equal(session.snapshot(), shown))
    for key in ("Left", "Right", "F1", "x"):  # they mean nothing, though Left's code ends in a Q
        session.send(key)
    assert np.array_equal(session.snapshot(), shown)
    assert session.frame() == frame
    session.press("space", lambda: session.frame() > frame + 2)
    session.press("q", session.is_over)
    assert session.end().count("shows what the window did") == len(session.snapshots())
    assert session.frame() < 349, "it was quit"


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(lambda session: session.press("Escape", session.is_over), id="Esc"),
        pytest.param(lambda session: session.press("Q", session.is_over), id="a capital Q"),
        pytest.param(lambda session: session.press_close_button(), id="its close button"),
    ],
)
def test_it_can_be_left_while_it_is_paused(
    open_window: Open, leave: Callable[[Session], object]
) -> None:
    session = open_window("demo", "--save", "out.mp4")
    until(lambda: session.frame() >= 2)
    session.press("space", session.is_paused)
    leave(session)
    session.end()
    with open_source(str(session.folder / "out.mp4")) as saved:
        assert len(list(saved)) == session.frame() + 1


def test_a_picture_stays_until_space_is_pressed(open_window: Open, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / "in" / name), next(iter(open_source("demo"))).image)
    session = open_window("in")
    until(lambda: session.frame() == 0)
    assert session.is_paused()
    assert session.frame() == 0
    session.press("space", lambda: session.frame() == 1)
    session.press("space", session.is_over)
    session.end()
    assert [json.loads(line)["name"] for line in session.lines.open()] == ["a.png", "b.png"]


def test_a_source_that_gives_nothing_is_shown_as_such_and_can_be_quit(open_window: Open) -> None:
    """A server that takes a connection and then is silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        session = open_window(f"http://127.0.0.1:{server.getsockname()[1]}/")
        picture = session.snapshot()
        assert (picture[-1] == INK).all(), "a banner"
        assert (picture[picture.shape[0] // 2] == 64).all(), "over a picture of nothing"
        session.press("q", session.is_over)
        session.end()


def test_a_snapshot_that_cannot_be_written_is_said_and_no_end(
    open_window: Open, tmp_path: Path
) -> None:
    session = open_window("demo")
    until(lambda: session.frame() >= 2)
    shutil.rmtree(tmp_path)
    session.press("s", lambda: "cannot be written: No such file" in session.said())
    session.press("q", session.is_over)
    session.end()
