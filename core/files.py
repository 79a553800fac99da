"""Files that appear whole or not at all."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from edgemood.errors import EdgemoodError


@contextmanager
def replace_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file written beside `path` and moved onto it when the block ends without an error.

    Raises EdgemoodError where the folder or the file cannot be written; then nothing is left.
    """
    path = Path(path)
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            yield file
        # mkstemp makes a private file; what replaces it should be as readable as any other.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise EdgemoodError(
            f"{path} cannot be written: {error.strerror or error}. Name a place that can."
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def make_folder(path: Path, option: str) -> None:
    """Make a folder and those above it, if it isn't there; EdgemoodError where that fails.

    option: the one that names another place, for the message.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgemoodError(
            f"{path} cannot be made a folder: {error.strerror}. Name another with {option}."
        ) from error


def new_file(ending: str) -> Path:
    """Make an empty file in the current folder, named after the time and like none that is there.

    Raises OSError where none can be made.
    """
    stem = time.strftime("edgemood-%Y%m%d-%H%M%S")
    for number in itertools.count(1):
        path = Path(f"{stem}{'' if number == 1 else f'-{number}'}{ending}").absolute()
        try:
            path.touch(exist_ok=False)
            return path
        except FileExistsError:
            continue
    raise AssertionError


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with replace_file(path) as file:
        file.write(text.encode())
