"""A file with a known digest, from a public address or the user's cache -> its path.

What is fetched is checked before it is written, and written whole or not at all.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from edgemood.console import say
from edgemood.errors import EdgemoodError
from edgemood.files import replace_file

# Seconds until a server that is silent, and a transfer that crawls, are given up.
SILENCE, PATIENCE = 10.0, 120.0


def cache_dir() -> Path:
    """Where this system keeps what a program can fetch again; it may not exist yet."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "edgemood"


def cached(name: str, address: str, sha256: str, size: int, instead: str) -> Path:
    """The file `name` in the user's cache, fetched now if it isn't there whole.

    sha256, size: digest in hex and length in bytes of the right file. instead: what the user can
    do where it can't be had, a sentence for the end of the message.
    Raises EdgemoodError: no network, an answer that is not the file, a cache that can't be written.
    """
    path = cache_dir() / name
    with suppress(OSError):
        if hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return path
    say(f"fetching {name} ({size / 1e6:.1f} MB), once, from {address}")
    data = _download(address, size, instead)
    digest = hashlib.sha256(data).hexdigest()
    if data.startswith(b"version https://git-lfs"):
        raise EdgemoodError(
            f"{address} answered with a Git LFS pointer, not with {name} itself. {instead}"
        )
    if digest != sha256:
        raise EdgemoodError(
            f"{address} answered with {len(data)} bytes of sha256 {digest[:12]}…, {name} has "
            f"{size} bytes of sha256 {sha256[:12]}…: nothing was kept. {instead}"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgemoodError(
            f"{path.parent} cannot be made to keep {name} in: {error.strerror}. {instead}"
        ) from error
    with replace_file(path) as file:
        file.write(data)
    return path


def _download(address: str, size: int, instead: str) -> bytes:
    """The answer's bytes, at most one more than `size`."""
    deadline = time.monotonic() + PATIENCE
    data = bytearray()
    try:
        request = urllib.request.Request(address, headers={"User-Agent": "edgemood"})
        with urllib.request.urlopen(request, timeout=SILENCE) as answer:
            # read1 returns what has come, so that a server that drips can't outwait the deadline.
            while len(data) <= size and (part := answer.read1(size + 1 - len(data))):
                data += part
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not whole after {PATIENCE:.0f} s")
    except (OSError, http.client.HTTPException) as error:
        # urllib wraps the cause of a failed connection, and a refused one has no text of its own.
        reason = getattr(error, "reason", None) or error
        text = " ".join(str(getattr(reason, "strerror", None) or reason).split())
        if isinstance(error, urllib.error.HTTPError):
            text = f"it answered {error.code} {error.reason}"
        raise EdgemoodError(
            f"{address} cannot be fetched: {text or type(reason).__name__}. {instead}"
        ) from error
    return bytes(data)
