"""The command: what a person can mend ends in one sentence and an exit code, not in a traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood import cli

WORD = """
HELP, EXAMPLES = "Try.", ["edgemood try"]

def add_arguments(parser):
    pass

def main(args):
    {body}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest):
    """Runs a word whose `main` has this body; returns the exit code."""
    monkeypatch.syspath_prepend(tmp_path)
    name = re.sub(r"\W", "_", request.node.name)  # a module of its own: Python keeps them
    monkeypatch.setitem(cli.WORDS, "try", (name, "try"))

    def run(body: str, *options: str) -> int:
        (tmp_path / f"{name}.py").write_text(WORD.format(body=body))
        return cli.main(["try", *options])

    return run


@pytest.mark.parametrize("code", [2, 1])
def test_an_error_that_can_be_mended_is_one_line(run, code: int, capsys) -> None:
    body = f"from edgemood.errors import EdgemoodError; raise EdgemoodError('x is bad.', {code})"
    assert run(body) == code
    assert capsys.readouterr().err == "edgemood: x is bad.\n"


def test_debug_shows_the_traceback_too(run, capsys) -> None:
    body = "from edgemood.errors import EdgemoodError; raise EdgemoodError('x is bad.')"
    assert run(body, "--debug") == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_package_of_an_extra_that_is_missing_is_named_with_its_extra(run, capsys) -> None:
    assert run("raise ModuleNotFoundError(name='keras')") == 2
    assert "needs keras, which is not installed" in (error := capsys.readouterr().err)
    assert "'.[train]'" in error


def test_a_library_of_the_system_that_is_missing_is_named_with_its_remedy(run, capsys) -> None:
    assert run("raise ImportError('libGL.so.1: cannot open shared object file')") == 2
    assert "libGL.so.1" in (error := capsys.readouterr().err)
    assert "sudo apt install libgl1 libglib2.0-0" in error


def test_a_fault_of_our_own_is_not_hidden(run) -> None:
    with pytest.raises(ModuleNotFoundError):
        run("raise ModuleNotFoundError(name='no_such_module')")


def test_names_that_a_terminal_has_no_letters_for_are_printed(tmp_path: Path) -> None:
    """Linux takes any bytes for a name; desktops' terminals are strict UTF-8."""
    code = "import sys; from edgemood import cli; sys.exit(cli.main(sys.argv[1:]))"
    folder = os.fsencode(tmp_path / "caf") + b"\xe9"
    picture = cv2.imencode(".png", np.zeros((48, 48), np.uint8))[1].tobytes()
    for label in (b"/happy", b"/sad"):
        os.makedirs(folder + label)
        Path(os.fsdecode(folder + label + b"/1.png")).write_bytes(picture)
    done = subprocess.run(
        [sys.executable, "-c", code, "data", folder],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},
    )
    assert b"Traceback" not in done.stderr
    assert rb"caf\udce9" in done.stdout


def test_an_interrupt_is_quiet(run, capsys) -> None:
    assert run("raise KeyboardInterrupt") == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
@pytest.mark.parametrize("word", ["", "--help"])
def test_a_reader_that_leaves_before_the_end_is_no_complaint(word: str) -> None:
    """What is short waits in Python's buffer until the program ends."""
    reader, writer = os.pipe()
    os.close(reader)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "edgemood.cli", *word.split()]
    done = subprocess.run(command, env=buffered, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is full")
@pytest.mark.parametrize("buffering", ["", "1"])
def test_a_full_disk_under_what_it_prints_is_one_line(buffering: str, tmp_path: Path) -> None:
    """Said while it prints, or at the end of what waits in Python's buffer."""
    for kind in ("happy", "sad"):
        (tmp_path / kind).mkdir()
        cv2.imwrite(str(tmp_path / kind / "1.png"), np.zeros((48, 48), np.uint8))
    environment = os.environ | {"PYTHONUNBUFFERED": buffering}
    command = [sys.executable, "-m", "edgemood.cli", "data", str(tmp_path)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith("edgemood: what it says cannot be written: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such descriptors")
@pytest.mark.parametrize("closed", ["1", "2"])
def test_where_an_output_is_closed_the_other_has_what_is_its_own(closed: str, tmp_path) -> None:
    command = f"'{sys.executable}' -m edgemood.cli data '{tmp_path}/none' {closed}>&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert ("is not there" in done.stderr) == (closed == "1")
    assert "Traceback" not in done.stderr


def test_no_word_at_all_shows_the_words(capsys) -> None:
    assert cli.main([]) == 0
    assert "evaluate" in capsys.readouterr().out
