"""Files are written whole or not at all, and what is no file is left as it is."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from edgemood.errors import EdgemoodError
from edgemood.files import replace_file, require_place, write_text


def test_a_block_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    write_text(path, "old")

    def fail_half_way() -> None:
        with replace_file(path) as file:
            file.write(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("report.md", "old")]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "report.md"):
        with pytest.raises(EdgemoodError, match="cannot be written"):
            write_text(path, "text")
    assert list(tmp_path.iterdir()) == []


def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    path = tmp_path / f"{'n' * 251}.png"
    write_text(path, "text")
    assert path.read_text() == "text"


def test_a_place_is_refused_before_the_work_as_after_it(tmp_path: Path) -> None:
    require_place(tmp_path / "new.json")
    require_place(os.devnull)
    for path, says in (
        (tmp_path, "it is a folder"),
        (tmp_path / "none" / "x", "none is no folder"),
    ):
        with pytest.raises(EdgemoodError, match=says) as error:
            require_place(path, "--json")
        assert str(error.value).endswith("Name another place with --json.")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """As a device is: `--json /dev/null` takes nothing away."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(path.read_bytes()), daemon=True)
    reader.start()
    write_text(path, "text")
    reader.join(10)
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert heard == [b"text"]
    assert [each.name for each in tmp_path.iterdir()] == ["pipe"]
