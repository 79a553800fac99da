"""Progress on a terminal and in a pipe, in an install with rich and in one without."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

PROGRAM = """
import sys, time
if sys.argv[1] == "lean":
    sys.modules["rich"] = None
from edgemood import console
console.QUIET = 0.1
for _ in console.track(range(5), "counting"):
    time.sleep(0.12)
console.say("done")
"""


def run_on_terminal(install: str) -> str:
    """What the program writes to a terminal of its own."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", PROGRAM, install], stderr=theirs) as process:
        os.close(theirs)
        written = b""
        try:
            while part := os.read(ours, 4096):
                written += part
        except OSError:  # how Linux says that the other side has closed
            pass
        assert process.wait() == 0
    os.close(ours)
    return written.decode()


@pytest.mark.parametrize("install", ["lean", "full"])
def test_a_terminal_shows_a_bar_that_is_gone_at_the_end(install: str) -> None:
    if install == "full":
        pytest.importorskip("rich")
    written = run_on_terminal(install)
    assert "counting" in written
    assert "\r" in written
    assert written.rstrip().endswith("done")


def test_the_lean_bar_fills_and_counts() -> None:
    written = run_on_terminal("lean")
    assert "####................ counting: 1 of 5" in written
    assert "#################### counting: 5 of 5" in written


@pytest.mark.parametrize("install", ["lean", "full"])
def test_a_pipe_gets_plain_lines(install: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, install], capture_output=True, text=True, check=True
    )
    lines = done.stderr.splitlines()
    assert lines[0].startswith("counting: 1 of 5, ")
    assert lines[-1] == "done"
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stderr
