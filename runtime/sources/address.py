"""A network address -> what it consists of, and why nothing answers there."""

from __future__ import annotations

import socket
from urllib.parse import SplitResult, urlsplit, urlunsplit

from edgemood.errors import EdgemoodError
from edgemood.runtime.sources.base import hide_secrets
from edgemood.runtime.sources.intake import Lost

# Seconds that a server may take to answer, or be silent.
TIMEOUT = 10.0
PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}


def parse(address: str) -> SplitResult:
    """The parts of an address; EdgemoodError where it is none that can be opened."""
    scheme = address.partition("://")[0].lower()
    if scheme not in PORTS:
        raise EdgemoodError(
            f"{hide_secrets(address)} begins with {scheme}://, one of "
            f"{' '.join(f'{name}://' for name in PORTS)} rpicam:// picamera:// was wanted. Pass "
            "such an address, or save the stream to a file."
        )
    try:
        parts = urlsplit(address)
        if parts.hostname and parts.port != 0 and address.isprintable():
            return parts
    except ValueError:
        pass
    raise EdgemoodError(
        f"{hide_secrets(address)} is no complete address, {scheme}://host:port/path was wanted. "
        "Correct it; in a user name or password, write /, @, : and # as %2F, %40, %3A and %23."
    )


def without_login(parts: SplitResult) -> str:
    """The address without user and password."""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def refused(code: int, reason: str, parts: SplitResult) -> Lost:
    """For a status of HTTP or RTSP that says no."""
    if code == 401 and parts.username is None:
        return Lost(
            "it asks for a user and password",
            f"Put them into the address, {parts.scheme}://user:password@host/path",
        )
    if code in (401, 403) and parts.username is not None:
        return Lost("it refuses this user and password", "Correct them")
    return Lost(f"the server answers {code} {reason}", "Check the address")


def unreachable(error: BaseException) -> Lost:
    """For what a socket raises."""
    if isinstance(error, TimeoutError):
        return Lost(f"it did not answer for {TIMEOUT:g} s")
    if isinstance(error, socket.gaierror):
        return Lost("its name is unknown to the network", "Check the address")
    if isinstance(error, OSError) and error.strerror:
        return Lost(error.strerror[0].lower() + error.strerror[1:])
    return Lost("its answer is not understood", "Check the address")
