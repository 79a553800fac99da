"""A stream that FFmpeg reads, by RTSP or another way -> a connection."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import cv2

from edgemood.runtime.sources.address import PORTS, TIMEOUT, refused, unreachable, without_login
from edgemood.runtime.sources.capture import FFMPEG, Capture
from edgemood.runtime.sources.intake import Connection, Lost


def open_rtsp(address: str) -> Connection:
    """A stream by RTSP; raises Lost with the reason, which OpenCV would not tell.

    OpenCV's own wait for an answer can't be left: it is asked only where there is one.
    """
    if address.lower().startswith("rtsps:"):
        return open_ffmpeg(address)
    _ask("OPTIONS", address)
    try:
        return open_ffmpeg(address)
    except Lost:
        _ask("DESCRIBE", address)
        raise


def _ask(method: str, address: str) -> None:
    """Raises Lost where an RTSP server does not answer, or says no (RFC 2326, section 10)."""
    parts = urlsplit(address)
    place = (parts.hostname or "", parts.port or PORTS["rtsp"])
    try:
        with socket.create_connection(place, TIMEOUT) as server:
            server.sendall(f"{method} {without_login(parts)} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
            answer = server.makefile("rb").readline(1024).split(None, 2)
    except (OSError, ValueError) as error:  # ValueError: a name that none can have
        raise unreachable(error) from error
    if not answer:
        raise Lost("it closed the connection")
    if len(answer) < 2 or not answer[0].startswith(b"RTSP/") or not answer[1].isdigit():
        raise Lost("it does not speak RTSP", "Check the address")
    code = int(answer[1])
    # A user and password are sent when they are asked for.
    if code >= 400 and not (code == 401 and parts.username is not None):
        reason = answer[2].decode(errors="replace").strip() if len(answer) > 2 else ""
        raise refused(code, reason, parts)


def open_ffmpeg(address: str) -> Connection:
    capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, FFMPEG)
    if not capture.isOpened():
        raise Lost("it answers, but with no stream that can be read", "Check the address")
    return Capture(capture)
