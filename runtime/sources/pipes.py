"""Motion JPEG from a pipe: standard input, a named pipe, or `rpicam-vid` for the Pi's camera."""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
from pathlib import Path

from edgemood.errors import EdgemoodError
from edgemood.runtime.sources.intake import Connection, Ended, Lost
from edgemood.runtime.sources.mjpeg import CHUNK, Mjpeg

# The second is its name before Raspberry Pi OS 12.
PROGRAMS = ("rpicam-vid", "libcamera-vid")
# Seconds between two looks at whether it is to end, and that it may take to do so.
GRACE = 0.25


class Pipe(Mjpeg):
    """What another program writes to our standard input, or with a path, to a named pipe.

    All of it: it may well be a film. The writer waits for us, as in any pipe.
    """

    def __init__(self, path: str | None = None) -> None:
        super().__init__(self._some, newest=False)
        try:
            # Of our own, so that it can be closed.
            self._handle = os.dup(0) if path is None else os.open(path, os.O_RDONLY)
        except OSError as error:
            raise Lost(error.strerror or str(error)) from error

    def _some(self) -> bytes:
        try:
            chunk = os.read(self._handle, CHUNK)
        except OSError as error:
            raise Lost(error.strerror or str(error)) from error
        if not chunk:
            raise Ended
        return chunk

    def interrupt(self) -> None:
        """A read of a pipe can't be ended from outside; it ends with what is written next."""

    def close(self) -> None:
        os.close(self._handle)


def find_rpicam() -> str:
    """The path of rpicam-vid; EdgemoodError where it isn't installed."""
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if found is None:
        raise EdgemoodError(
            "rpicam:// needs the program rpicam-vid, which is not installed. On Raspberry Pi OS: "
            "sudo apt install rpicam-apps-lite"
        )
    return found


def open_rpicam(
    program: str,
    number: str,
    width: int | None = None,
    height: int | None = None,
    fps: int | None = None,
) -> Connection:
    """The Pi's camera of this number ("" is the first) at this size and rate."""
    command = [program, "--timeout", "0", "--nopreview", "--codec", "mjpeg", "--flush"]
    for option, value in (
        *(("--camera", number or None), ("--width", width)),
        *(("--height", height), ("--framerate", fps)),
    ):
        if value is not None:
            command += [option, str(value)]
    return Rpicam([*command, "--output", "-"])


class Rpicam(Mjpeg):
    """What a program writes to its standard output."""

    def __init__(self, command: list[str]) -> None:
        super().__init__(self._some)
        try:
            # In a session of its own, a Ctrl-C that is meant for us does not reach it.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise Lost(error.strerror or str(error)) from error
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._name = Path(command[0]).name
        self._left = False
        self._words = b""  # the latest on its standard error, which says why it ends
        self._pipes = selectors.DefaultSelector()
        self._pipes.register(self._process.stdout, selectors.EVENT_READ)
        self._pipes.register(self._process.stderr, selectors.EVENT_READ)

    def _some(self) -> bytes:
        while not self._left:
            for key, _ in self._pipes.select(GRACE):
                chunk = os.read(key.fd, CHUNK)
                if key.fileobj is self._process.stdout and chunk:
                    return chunk
                if chunk:
                    self._words = (self._words + chunk)[-2000:]
                    continue
                self._pipes.unregister(key.fileobj)
            if not self._pipes.get_map():
                break
        said = [line for line in self._words.decode(errors="replace").splitlines() if line.strip()]
        raise Lost(
            f"{self._name} ended{': ' + said[-1].replace('***', '').strip() if said else ''}",
            "Check its ribbon cable, and that no other program uses it",
        )

    def interrupt(self) -> None:
        self._left = True

    def close(self) -> None:
        self._pipes.close()
        # Asked first: killed, it may leave the camera in a state that the next start stumbles on.
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()
