"""A string that names a source -> `Source`: its frames, in order, with their times.

Read: a camera, a video file, pictures, a list of such, a stream from the network, the Pi's camera,
Motion JPEG from a pipe, and the demo. Each kind is imported when one is opened.
"""

from __future__ import annotations

import glob
import os
import re
import stat
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgemood.console import say
from edgemood.datasets import PICTURES
from edgemood.errors import EdgemoodError
from edgemood.runtime.sources.base import Source, Status, hide_secrets

if TYPE_CHECKING:
    from edgemood.runtime.sources.intake import Connection

__all__ = ["Source", "Status", "hide_secrets", "open_source"]

# Endings of video files: in a folder, and of addresses that are no streams.
VIDEOS = {".mp4", ".m4v", ".mkv", ".avi", ".mov", ".webm", ".mpg", ".mpeg", ".wmv"}
PI_CAMERAS = ("rpicam", "picamera")


def open_source(
    source: str | int | os.PathLike[str],
    *,
    recursive: bool = False,
    width: int | None = None,
    height: int | None = None,
    fps: int | None = None,
    mirror: bool = False,
    retry: int | None = None,
) -> Source:
    """Open what a string names; docs/sources.md says more of each kind.

    A camera index, `/dev/video*` or `/dev/v4l/*`; `rpicam://`, `picamera://`; `http://`,
    `https://`, `rtsp://`, `rtsps://`; a video, a picture, a folder of pictures, a glob, a text
    file (.txt) that lists sources; `-` for Motion JPEG on standard input; `demo`. A file that is
    called `demo`, `-` or `0` is named `./demo`, `./-`, `./0`.

    recursive: a folder's folders as well. width, height, fps: asked of a camera, which gives what
    comes nearest. mirror: left and right changed, for live sources. retry: how many tries in a row
    may fail when a live source is lost; None: any number, 0: its loss is the end.
    Raises EdgemoodError that says why it can't be opened.
    """
    text = str(source)
    path = Path(os.path.expanduser(text))
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    is_device = text.startswith(("/dev/video", "/dev/v4l/"))
    if re.fullmatch(r"\d+", text) or is_device or scheme in PI_CAMERAS:
        wishes = {"width": width, "height": height, "fps": fps}
        return _open_camera(text, scheme, wishes, mirror, retry)
    _refuse(text, "camera", width=width, height=height, fps=fps)
    if scheme and not (scheme.startswith("http") and _is_video(re.split("[?#]", text)[0])):
        return _open_stream(text, mirror, retry)
    if text == "-":
        file = _input_file()
        if file is None:
            return _open_pipe("standard input", None, mirror)
        text, path = str(file), file
    elif _is_pipe(path):
        return _open_pipe(text, str(path), mirror)
    _refuse(text, "live source", mirror=mirror or None)
    if text == "demo":
        from edgemood.runtime.sources.demo import Demo

        return Demo()
    if scheme:
        from edgemood.runtime.sources.http import fetch_video

        return fetch_video(text)
    return _open_file(text, path, recursive, retry)


def _refuse(text: str, wanted: str, **asked: int | None) -> None:
    """Raise EdgemoodError where something was asked that only another kind of source can do."""
    options = " and ".join(f"--{name}" for name, value in asked.items() if value is not None)
    if options:
        raise EdgemoodError(
            f"{hide_secrets(text)} is no {wanted}, which {options} can be asked of. Leave that "
            f"out, or pass a {wanted}."
        )


def _is_video(path: str | Path) -> bool:
    """Judged by its ending."""
    return os.path.splitext(path)[1].lower() in VIDEOS


def _is_pipe(path: Path) -> bool:
    try:
        return path.is_fifo()
    except OSError:  # no name that a file can have
        return False


def _open_camera(
    text: str, scheme: str, wishes: dict[str, int | None], mirror: bool, retry: int | None
) -> Source:
    from edgemood.runtime.sources.live import LOCAL, Live

    name, number = text, text.partition("://")[2].rstrip("/")
    if scheme and re.fullmatch(r"\d*", number) is None:
        raise EdgemoodError(
            f"{text} is no camera: {scheme}:// with nothing behind it, or a camera's number as in "
            f"{scheme}://1, was wanted. Correct it."
        )
    connect: Callable[[], Connection]
    if scheme == "rpicam":
        from edgemood.runtime.sources.pipes import find_rpicam, open_rpicam

        connect = partial(open_rpicam, find_rpicam(), number, **wishes)
    elif scheme == "picamera":
        from edgemood.runtime.sources.picamera import PiCamera, check_picamera

        check_picamera()
        connect = partial(PiCamera, number, **wishes)
    else:
        from edgemood.runtime.sources.capture import camera_name, open_camera

        name = camera_name(text)
        connect = partial(open_camera, text, **wishes)
    source = Live(name, connect, LOCAL, remedy="Check its cable", retry=retry, mirror=mirror)
    given = {"width": source.size[0], "height": source.size[1]}
    missed = [
        f"--{side} {wishes[side]}" for side in given if wishes[side] not in (None, given[side])
    ]
    if missed:
        say(
            f"edgemood: {name} gives {source.size[0]}x{source.size[1]}, {' and '.join(missed)} was "
            "asked for"
        )
    return source


def _open_stream(address: str, mirror: bool, retry: int | None) -> Source:
    from edgemood.runtime.sources.address import parse
    from edgemood.runtime.sources.live import NETWORK, Live

    connect: Callable[[str], Connection]
    if parse(address).scheme.startswith("http"):
        from edgemood.runtime.sources.http import open_http as connect
    else:
        from edgemood.runtime.sources.stream import open_rtsp as connect
    return Live(
        hide_secrets(address),
        partial(connect, address),
        NETWORK,
        remedy="Check the address and the network",
        retry=retry,
        is_network=True,
        mirror=mirror,
    )


def _input_file() -> Path | None:
    """The file that is standard input, None where it is a pipe."""
    try:
        kind = os.fstat(0).st_mode
    except OSError as error:
        raise EdgemoodError(
            "standard input is closed, Motion JPEG from a pipe was wanted. Pass another source."
        ) from error
    if os.isatty(0):
        raise EdgemoodError(
            "standard input is a terminal, Motion JPEG from a pipe was wanted, for example: "
            "ffmpeg -i clip.mp4 -f mjpeg - | edgemood run -"
        )
    is_named = stat.S_ISREG(kind) and sys.platform == "linux"
    return Path(os.path.realpath("/dev/fd/0")) if is_named else None


def _open_pipe(name: str, path: str | None, mirror: bool) -> Source:
    from edgemood.runtime.sources.live import PIPE, Live
    from edgemood.runtime.sources.pipes import Pipe

    return Live(
        name,
        partial(Pipe, path),
        PIPE,
        remedy="Check what writes to it",
        retry=0,
        every=True,
        mirror=mirror,
    )


def _open_file(text: str, path: Path, recursive: bool, retry: int | None) -> Source:
    from edgemood.runtime.sources.pictures import Pictures, is_picture, pictures_in
    from edgemood.runtime.sources.several import Several, read_list
    from edgemood.runtime.sources.video import Video

    def one_after_the_other(names: list[str]) -> Source:
        if all(is_picture(name) and "://" not in name for name in names):
            return Pictures(text, [Path(os.path.expanduser(name)) for name in names])
        return Several(text, names, lambda name: open_source(name, retry=retry))

    try:
        kind = path.stat()
    except OSError as error:
        found = sorted(glob.glob(str(path), recursive=True)) if glob.has_magic(text) else []
        known = [name for name in found if is_picture(name) or _is_video(name)]
        if known:
            return one_after_the_other(known)
        reason = "no picture or video fits" if glob.has_magic(text) else error.strerror
        raise EdgemoodError(
            f"{hide_secrets(text)} cannot be opened: {reason}. Pass a camera index, a video, a "
            "picture, a folder of pictures, an address, or demo."
        ) from error
    if stat.S_ISDIR(kind.st_mode):
        try:
            pictures = pictures_in(path, recursive)
            videos = sorted(str(file) for file in path.iterdir() if _is_video(file))
        except OSError as error:
            raise EdgemoodError(
                f"{text} cannot be opened: {error.strerror}. Pass another folder."
            ) from error
        if pictures:
            return Pictures(text, pictures, path)
        if videos:
            return one_after_the_other(videos)
        raise EdgemoodError(
            f"{text} has no pictures in it, one of {' '.join(sorted(PICTURES))} was wanted. Pass "
            f"another folder{'' if recursive else ', or --recursive for the folders in it'}."
        )
    if kind.st_size == 0:
        raise EdgemoodError(f"{text} is empty, a video or picture was wanted. Copy it again.")
    if path.suffix.lower() == ".txt":
        names = read_list(path)
        if any(name.lower().endswith(".txt") for name in names):
            raise EdgemoodError(f"{text} lists a list, sources were wanted. Name them in it.")
        return one_after_the_other(names)
    return Pictures(text, [path]) if is_picture(path) else Video(path)
