"""Files that are read whole, and files that appear whole or not at all."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from edgemood.errors import EdgemoodError

# Bytes of the largest file that is read whole: no model for a small computer is as large.
LARGEST = 200_000_000


def read_bytes(path: Path, wanted: str, remedy: str) -> bytes:
    """The bytes of a model, or of another file that is read whole.

    wanted, remedy: for the message, what it should be and what to do. Raises EdgemoodError where
    the file is not there, cannot be read, is empty, too large, or a Git LFS pointer.
    """
    try:
        # Other things than files may never end, or never begin.
        if path.exists() and not path.is_file():
            raise EdgemoodError(
                f"{path} is {'a folder' if path.is_dir() else 'no file'}, {wanted} was wanted. "
                f"{remedy}"
            )
        too_large = path.stat().st_size > LARGEST
        data = b"" if too_large else path.read_bytes()
    except FileNotFoundError:
        raise EdgemoodError(f"{path} is not there: {wanted} was wanted. {remedy}") from None
    except OSError as error:
        raise EdgemoodError(
            f"{path} cannot be read: {error.strerror}; {wanted} was wanted. {remedy}"
        ) from error
    if too_large:
        raise EdgemoodError(
            f"{path} is too large: {wanted} of at most {LARGEST / 1e6:.0f} MB was wanted. {remedy}"
        )
    if data.startswith(b"version https://git-lfs"):
        raise EdgemoodError(
            f"{path} is a Git LFS pointer, not the file itself. Run `git lfs pull`, or copy the "
            "real file."
        )
    if not data:
        raise EdgemoodError(f"{path} is empty, {wanted} was wanted. {remedy}")
    return data


@contextmanager
def replace_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file written beside `path` and moved onto it when the block ends without an error.

    A device or a pipe is written to as it is. Raises EdgemoodError where the folder or the file
    cannot be written; then nothing is left.
    """
    path = Path(path)
    temporary: str | None = None
    try:
        if path.exists() and not path.is_file():
            with open(path, "wb") as file:
                yield file
            return
        # A name may be as long as the file system takes: not all of it can be one's beginning.
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
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


def require_place(path: str | os.PathLike[str] | None, option: str = "") -> None:
    """Raise EdgemoodError where no file can be written there: before the work that it will hold.

    path: None and "-", the standard output, need no place. option: the one that names another
    place, for the message.
    """
    if path in (None, "-"):
        return
    target = Path(path).absolute()
    if target.exists() and not target.is_file() and not target.is_dir():
        return  # a device or a pipe
    folder = target.parent
    if folder.is_dir() and os.access(folder, os.W_OK) and not target.is_dir():
        return
    found = "it is a folder" if target.is_dir() else f"{folder} is no folder that can"
    raise EdgemoodError(
        f"{path} cannot be written: {found}. Name another place{option and f' with {option}'}."
    )


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


def write_together(files: dict[Path, bytes]) -> None:
    """Write every file beside its destination, then move all into place; an error moves none."""
    with ExitStack() as stack:
        for path, data in files.items():
            file = stack.enter_context(replace_file(path))
            file.write(data)
            file.flush()  # a full disk shows now, not when the first are in place
