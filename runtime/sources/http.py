"""What an HTTP server sends -> a connection to a stream, or a copy of a video file."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import urllib.error
import urllib.request
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from urllib.parse import quote, unquote

from edgemood.console import track
from edgemood.errors import EdgemoodError
from edgemood.runtime.sources.address import TIMEOUT, parse, refused, unreachable, without_login
from edgemood.runtime.sources.base import hide_secrets
from edgemood.runtime.sources.intake import Connection, Lost
from edgemood.runtime.sources.mjpeg import CHUNK, START, Mjpeg
from edgemood.runtime.sources.stream import open_ffmpeg
from edgemood.runtime.sources.video import Video

# What is a live stream though it is no Motion JPEG and may have a length: lists of HTTP Live
# Streaming (RFC 8216, section 4).
PLAYLISTS = {"application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl"}


def open_http(address: str) -> Connection:
    """Motion JPEG over HTTP, or what FFmpeg can read there; raises Lost."""
    response = request(address)
    kind = response.headers.get_content_type()
    is_file = response.length is not None and kind not in PLAYLISTS
    if kind.startswith("multipart/"):
        boundary = response.headers.get_param("boundary")
        return HttpMjpeg(response, boundary.encode() if isinstance(boundary, str) else None)
    try:
        if not is_file and response.peek(len(START)).startswith(START):
            return HttpMjpeg(response, None)
    except (OSError, http.client.HTTPException) as error:
        raise _unanswered(error) from error
    response.close()
    if is_file:
        raise EdgemoodError(
            f"{hide_secrets(address)} is a file of type {kind}, a stream was wanted, or an address "
            "that ends as videos do, in .mp4 for example. Save it, and pass the file."
        )
    return open_ffmpeg(address)


def request(address: str) -> http.client.HTTPResponse:
    """The answer to a GET; raises Lost. Users and passwords in the address are sent as asked for,
    plainly or as a digest (RFC 7616)."""
    parts = parse(address)
    # Browsers show and copy spaces and letters as such, and send them quoted.
    path, query = (quote(part, safe="!$%&'()*+,/:;=?@[]~") for part in (parts.path, parts.query))
    plain = without_login(parts._replace(path=path, query=query))
    handlers: list[urllib.request.BaseHandler] = []
    if parts.username is not None:
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        user, password = unquote(parts.username), unquote(parts.password or "")
        passwords.add_password(None, plain, user, password)
        handlers.append(urllib.request.HTTPBasicAuthHandler(passwords))
        handlers.append(urllib.request.HTTPDigestAuthHandler(passwords))
    opener = urllib.request.build_opener(*handlers)
    opener.addheaders = [("User-Agent", "edgemood")]
    try:
        response = opener.open(plain, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        raise refused(error.code, error.reason, parts) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _unanswered(error) from error
    assert isinstance(response, http.client.HTTPResponse)
    return response


def _unanswered(error: BaseException) -> Lost:
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, BaseException):
        error = error.reason
    if isinstance(error, ssl.SSLCertVerificationError):
        return Lost(f"its certificate cannot be trusted ({error.verify_message})")
    return unreachable(error)


def fetch_video(address: str) -> Video:
    """A video file by its address: copied first, since its index may be at its end.

    Raises EdgemoodError where it can't be had whole or read.
    """
    name = hide_secrets(address)
    try:
        response = request(address)
        length = response.length or 0
        # Once it is open it needs no name, and goes with the program, however that ends.
        with TemporaryDirectory(prefix="edgemood-", ignore_cleanup_errors=True) as folder:
            copy = Path(folder) / "video"
            with response, open(copy, "wb") as file:
                parts = iter(partial(_read, response), b"")
                for part in track(parts, f"fetching {name}, MB", -(-length // CHUNK) or None):
                    file.write(part)
            size = copy.stat().st_size
            if size < length:
                raise Lost(f"the server ended it after {size} of {length} bytes")
            if not size:
                raise Lost("it is empty", "Check the address")
            return Video(copy, name)
    except Lost as lost:
        raise EdgemoodError(
            f"{name} cannot be fetched: {lost.found}. "
            f"{lost.remedy or 'Check the address and the network'}, or pass another source."
        ) from lost
    except OSError as error:
        raise EdgemoodError(
            f"{name} cannot be copied to {gettempdir()}: {error.strerror}. Make room, or name "
            "another place with TMPDIR."
        ) from error


def _read(response: http.client.HTTPResponse) -> bytes:
    """Some bytes of the body, at most CHUNK; none at its end. Raises Lost."""
    try:
        return response.read(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _unanswered(error) from error


class HttpMjpeg(Mjpeg):
    """Motion JPEG in the body of a response."""

    def __init__(self, response: http.client.HTTPResponse, boundary: bytes | None) -> None:
        super().__init__(self._some, boundary)
        self._response = response

    def _some(self) -> bytes:
        try:
            chunk = self._response.read1(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _unanswered(error) from error
        if not chunk:
            raise Lost("the server ended the stream")
        return chunk

    def interrupt(self) -> None:
        # The socket belongs to the response, and whoever reads it holds a lock: shut the
        # connection itself, by another handle.
        with suppress(OSError, ValueError, AttributeError):
            handle = os.dup(self._response.fileno())
            with socket.socket(fileno=handle) as connection:
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._response.close()
