"""Faults of sources, made to happen: servers that die, stall and send rubbish, damaged files."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from edgemood.errors import EdgemoodError
from edgemood.runtime.sources import Source, Status, open_source
from edgemood.runtime.sources.live import Patience
from edgemood.values import Frame

EDGEMOOD = [sys.executable, "-m", "edgemood.cli", "run"]
QUICK = Patience(opening=1.0, reopen=0.6, stalled=0.2, waits=(0.05, 0.1), stable=5.0)
Behaviour = Callable[["Visitor"], None]


def jpeg(level: int, size: tuple[int, int] = (64, 48)) -> bytes:
    return cv2.imencode(".jpg", np.full((size[1], size[0]), level, np.uint8))[1].tobytes()


def multipart(picture: bytes) -> bytes:
    return (
        b"--edge\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture)
        + picture
        + b"\r\n"
    )


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=edge\r\n\r\n"


class Visitor:
    """One request to a server. number: from 0. request: its head. send: fails once it is over."""

    def __init__(self, connection: socket.socket, number: int, is_over: threading.Event) -> None:
        self.number = number
        self._connection, self._is_over = connection, is_over
        self.request = b""
        while b"\r\n\r\n" not in self.request:
            part = connection.recv(4096)
            if not part:
                raise ConnectionError
            self.request += part

    def send(self, data: bytes, pause: float = 0.01) -> None:
        self._connection.sendall(data)
        self.wait(pause)

    def wait(self, seconds: float) -> None:
        if self._is_over.wait(seconds):
            raise ConnectionError


def serve_forever(visitor: Visitor) -> None:
    visitor.send(STREAM)
    while True:
        visitor.send(multipart(jpeg(100)))


@contextmanager
def serving(behaviour: Behaviour, port: int = 0) -> Iterator[tuple[str, list[Visitor]]]:
    """An HTTP server that behaves so; its address, and who has come. It dies with its block."""
    is_over = threading.Event()
    visitors: list[Visitor] = []
    threads = []

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            visitors.append(Visitor(connection, len(visitors), is_over))
            behaviour(visitors[-1])

    def accept() -> None:
        with suppress(OSError):
            while True:
                threads.append(threading.Thread(target=answer, args=(server.accept()[0],)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", port)) as server:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/", visitors
        finally:
            is_over.set()
            server.shutdown(socket.SHUT_RDWR)
            for thread in [accepting, *threads]:
                thread.join(5)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams are given up and tried again 20 times sooner."""
    monkeypatch.setattr("edgemood.runtime.sources.live.NETWORK", QUICK)


def until(source: Source, frames: Iterator[Frame | None], wanted: Callable[[Status], bool]) -> None:
    """Take frames until the source's status is as wanted."""
    deadline = time.monotonic() + 20
    while not wanted(source.status):
        assert time.monotonic() < deadline, source.status
        next(frames)


def some(frames: Iterator[Frame | None], count: int) -> list[Frame]:
    return [frame for frame, _ in zip(filter(None, frames), range(count))]


# --- HTTP ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_a_server_that_is_killed_and_started_again_is_found_again() -> None:
    with serving(serve_forever) as (address, _):
        source = open_source(address)
        frames = source.frames(0.02)
        assert some(frames, 3)[-1].index == 2
    port = int(address.split(":")[2].rstrip("/"))
    until(source, frames, lambda status: status.reason == "connection refused")
    with source, serving(serve_forever, port):
        until(source, frames, lambda status: status.reconnects == 1)
        assert some(frames, 1)[0].index >= 3
        assert source.status.state == "online"


@pytest.mark.usefixtures("quick")
def test_a_server_that_flaps_gives_frames_whenever_it_is_there() -> None:
    def flap(visitor: Visitor) -> None:
        visitor.send(STREAM)
        for _ in range(5):
            visitor.send(multipart(jpeg(100)))

    with serving(flap) as (address, _), open_source(address) as source:
        frames = source.frames(0.02)
        until(source, frames, lambda status: status.reconnects >= 4)
        assert source.status.reason == "the server ended the stream"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "head",
    [b"", STREAM, STREAM + multipart(jpeg(5))[:80]],
    ids=["before its headers", "before its first picture", "in the middle of it"],
)
def test_a_server_that_stalls_is_left_for_a_new_connection(head: bytes) -> None:
    def stall(visitor: Visitor) -> None:
        if visitor.number == 0:
            visitor.send(head)
            visitor.wait(60)
        serve_forever(visitor)

    with serving(stall) as (address, visitors), open_source(address) as source:
        frames = source.frames(0.02)
        assert next(frames) is None
        assert source.status.state == "connecting"
        until(source, frames, lambda status: status.state == "online")
        assert len(visitors) == 2


@pytest.mark.usefixtures("quick")
def test_a_stream_that_stalls_and_goes_on_is_not_left() -> None:
    def stall(visitor: Visitor) -> None:
        visitor.send(STREAM + multipart(jpeg(100)), 0.4)
        serve_forever(visitor)

    with serving(stall) as (address, visitors), open_source(address) as source:
        frames = source.frames(0.02)
        until(source, frames, lambda status: status.state == "stalled")
        until(source, frames, lambda status: status.captured > 5)
        assert (source.status.stalls, len(visitors)) == (1, 1)


def test_every_third_jpeg_broken_is_a_counted_error_and_no_end() -> None:
    whole = jpeg(100)
    broken = [whole[: len(whole) // 2], b"rubbish", b""]

    def third(visitor: Visitor) -> None:
        visitor.send(STREAM)
        for i in range(60):
            visitor.send(multipart(broken[i // 3 % 3] if i % 3 == 2 else whole), 0.005)
        serve_forever(visitor)

    with serving(third) as (address, visitors), open_source(address) as source:
        frames = source.frames(0.02)
        until(source, frames, lambda status: status.decode_errors == 20)
        assert all(frame.image.mean() == pytest.approx(100, abs=2) for frame in some(frames, 9))
        assert (source.status.reconnects, len(visitors)) == (0, 1)


def test_a_stream_may_change_its_size_and_its_colours() -> None:
    sizes = [(64, 48), (1280, 720), (31, 17)]
    colour = cv2.imencode(".jpg", np.full((90, 120, 3), (9, 99, 199), np.uint8))[1].tobytes()

    def change(visitor: Visitor) -> None:
        visitor.send(STREAM)
        while True:
            for picture in [*(jpeg(50, size) for size in sizes), colour]:
                for _ in range(3):
                    visitor.send(multipart(picture), 0.03)

    with serving(change) as (address, _), open_source(address) as source:
        shapes = {frame.image.shape for frame in some(source.frames(0.1), 60)}
    assert shapes == {*((height, width, 3) for width, height in sizes), (90, 120, 3)}


def test_a_stream_without_boundaries_is_read_too() -> None:
    def bare(visitor: Visitor) -> None:
        visitor.send(b"HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n")
        while True:
            visitor.send(jpeg(100))

    with serving(bare) as (address, _), open_source(address) as source:
        assert len(some(source.frames(0.1), 5)) == 5


def asks_for_a_password(visitor: Visitor) -> None:
    expected = base64.b64encode(b"me:se cret")
    if b"Authorization: Basic " + expected in visitor.request:
        serve_forever(visitor)
    visitor.send(
        b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="cam"\r\n'
        b"Content-Length: 0\r\nConnection: close\r\n\r\n"
    )


def asks_for_a_digest(visitor: Visitor) -> None:
    """RFC 7616, section 3.4, with MD5 as cameras have it."""
    found = dict(re.findall(r'(\w+)="?([^",\r]*)', visitor.request.decode()))
    if "response" in found:
        parts = [f"me:cam:{'se cret'}", f"GET:{found['uri']}"]
        first, second = (hashlib.md5(part.encode()).hexdigest() for part in parts)
        middle = f"{first}:{found['nonce']}:{found['nc']}:{found['cnonce']}:auth:{second}"
        if hashlib.md5(middle.encode()).hexdigest() == found["response"]:
            serve_forever(visitor)
    visitor.send(
        b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm="cam", nonce="7", '
        b'qop="auth"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
    )


@pytest.mark.parametrize("asks", [asks_for_a_password, asks_for_a_digest])
def test_a_user_and_password_are_sent_when_they_are_asked_for(asks: Behaviour) -> None:
    with serving(asks) as (address, _):
        with open_source(address.replace("//", "//me:se%20cret@"), retry=0) as source:
            assert len(some(source.frames(0.1), 3)) == 3
            assert source.name == address
        with pytest.raises(EdgemoodError, match="asks for a user and password") as error:
            open_source(address, retry=0)
        assert error.value.exit_code == 2
        with pytest.raises(EdgemoodError, match="refuses this user and password") as error:
            open_source(address.replace("//", "//me:wrong@"), retry=0)
        assert "wrong" not in str(error.value)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answers 404 Not Found"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "its answer is not understood"),
        (b"", "its answer is not understood"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello",
            "is a file of type text/html",
        ),
    ],
    ids=["an address that isn't there", "another kind of server", "silence", "a page"],
)
def test_an_answer_that_is_no_stream_is_explained(answer: bytes, says: str) -> None:
    with (
        serving(lambda visitor: visitor.send(answer)) as (address, _),
        pytest.raises(EdgemoodError, match=says) as error,
    ):
        open_source(address, retry=0)
    assert error.value.exit_code == 2


def test_a_video_by_http_is_read_in_full_and_one_that_breaks_off_is_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (64, 48))
    for i in range(50):
        writer.write(np.full((48, 64, 3), 5 * i, np.uint8))
    writer.release()
    data = path.read_bytes()

    def send(visitor: Visitor) -> None:
        part = data if visitor.number == 0 else data[:-100]
        visitor.send(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + part)

    with serving(send) as (address, visitors):
        with open_source(address + "a clip.mp4?of=Jörg&token=secret") as source:
            assert visitors[0].request.startswith(b"GET /a%20clip.mp4?of=J%C3%B6rg&token=secret ")
            assert source.name == address + "a clip.mp4?of=Jörg&token=***"
            assert not source.is_live
            assert [frame.time for frame in source] == pytest.approx(np.arange(50) / 25)
        with pytest.raises(EdgemoodError, match=r"ended it after \d+ of \d+ bytes") as error:
            open_source(address + "clip.mp4")
        assert error.value.exit_code == 2


def test_streams_opened_and_closed_leave_neither_threads_nor_files() -> None:
    files = Path("/proc/self/fd")
    if not files.exists():
        pytest.skip("there is no /proc here")
    with serving(serve_forever) as (address, _):
        for i in range(100):
            with open_source(address) as source:
                next(iter(source))
            if i == 10:
                before = len(list(files.iterdir()))
        assert [t for t in threading.enumerate() if t.name.startswith("edgemood")] == []
        # The server's ends of the last few may still be open: they are in this process as well.
        assert len(list(files.iterdir())) <= before + 10


# --- pipes and programs -------------------------------------------------------------------------


@pytest.fixture
def run(tiny_model: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts the command without a display."""
    started = []

    def run(*args: object, **options: object) -> subprocess.Popen[bytes]:
        environment = os.environ | {"DISPLAY": "", "PATH": PATH}
        started.append(
            subprocess.Popen(
                [*EDGEMOOD, *map(str, args), "--model", str(tiny_model), "--headless"],
                cwd=tmp_path,
                env=environment,
                stderr=subprocess.PIPE,
                **options,  # type: ignore[call-overload]
            )
        )
        return started[-1]

    PATH = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    yield run
    for process in started:
        process.kill()
        process.communicate()


Run = Callable[..., "subprocess.Popen[bytes]"]


def test_a_film_on_standard_input_is_read_in_full(run: Run, tmp_path: Path) -> None:
    process = run("-", "--jsonl", "out.jsonl", stdin=subprocess.PIPE)
    _, error = process.communicate(b"".join(jpeg(i) for i in range(0, 200, 2)), timeout=60)
    assert process.returncode == 0, error
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == list(range(100))


@pytest.mark.skipif(sys.platform != "linux", reason="such a file has a name on Linux alone")
def test_a_file_on_standard_input_is_that_file(run: Run, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((48, 64, 3), np.uint8))
    with open(tmp_path / "a.png", "rb") as file:
        process = run("-", "--jsonl", "out.jsonl", stdin=file)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert (tmp_path / "out.jsonl").read_text().count("\n") == 1


@pytest.mark.parametrize("data", [b"", b"words\n"], ids=["empty", "no pictures"])
def test_standard_input_without_a_picture_is_one_message(run: Run, data: bytes) -> None:
    process = run("-", stdin=subprocess.PIPE)
    _, error = process.communicate(data, timeout=60)
    assert process.returncode == 2
    assert error.startswith(b"edgemood: standard input cannot be opened: it ended without a pic")
    assert error.count(b"\n") == 1


RPICAM = """\
#!{python}
# Speaks as rpicam-vid does: its options, Motion JPEG on standard output, words on standard error.
import pathlib, sys, time
pathlib.Path("options").write_text(" ".join(sys.argv[1:]))
sys.stderr.write("Mode selection\\n" * 100)
for _ in range({frames}):
    sys.stdout.buffer.write(pathlib.Path("picture.jpg").read_bytes())
    sys.stdout.flush()
    print("#0 (30.00 fps) exp 33239.00", file=sys.stderr)
    time.sleep(0.02)
sys.exit("ERROR: *** the camera was unplugged ***")
"""


def write_program(path: Path, frames: int) -> None:
    path.write_text(RPICAM.format(python=sys.executable, frames=frames))
    path.chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such scripts")
def test_the_pis_camera_is_read_through_its_program(run: Run, tmp_path: Path) -> None:
    (tmp_path / "picture.jpg").write_bytes(jpeg(100, (320, 240)))
    write_program(tmp_path / "rpicam-vid", 30)
    process = run("rpicam://1", "--width", 320, "--height", 240, "--fps", 30, "--retry", 0)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b" frames, 0 faces" in error
    assert b"rpicam-vid ended: ERROR:  the camera was unplugged" in error
    options = (tmp_path / "options").read_text()
    assert "--codec mjpeg" in options
    assert "--camera 1 --width 320 --height 240 --framerate 30" in options
    assert options.endswith("--output -")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such scripts")
def test_the_pis_camera_that_is_not_there_is_explained(run: Run, tmp_path: Path) -> None:
    write_program(tmp_path / "rpicam-vid", 0)
    process = run("rpicam://")
    _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert b"rpicam:// cannot be opened: rpicam-vid ended: ERROR" in error


class Picamera2:
    """Has the names of the Pi's own, which can be had from its apt alone."""

    def __init__(self, number: int) -> None:
        if number:
            raise IndexError("list index out of range")

    def create_video_configuration(
        self, main: dict[str, Any], controls: dict[str, float]
    ) -> tuple[int, int]:
        assert main["format"] == "RGB888", "its name for B, G, R in memory"
        assert controls == {"FrameRate": 15.0}
        return main["size"]  # type: ignore[no-any-return]

    def configure(self, size: tuple[int, int]) -> None:
        self._image = np.full((size[1], size[0], 3), (10, 20, 30), np.uint8)

    def capture_array(self, name: str) -> np.ndarray:
        return self._image.copy()

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


def test_picamera2_is_asked_for_blue_green_and_red(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("picamera2")
    module.Picamera2 = Picamera2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    with open_source("picamera://", width=64, height=48, fps=15) as source:
        assert (source.size, source.fps, source.is_live) == ((64, 48), 15, True)
        frame = next(iter(source))
    assert frame.image[0, 0].tolist() == [10, 20, 30]
    with pytest.raises(EdgemoodError, match="picamera://1 cannot be opened: list index"):
        open_source("picamera://1", fps=15)


# --- signals ------------------------------------------------------------------------------------


def wait_for(visitors: list[Visitor]) -> None:
    deadline = time.monotonic() + 60
    while not visitors:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(
    ("head", "name"),
    [(b"", "SIGTERM"), (STREAM, "SIGINT"), (STREAM + multipart(jpeg(9)), "SIGTERM")],
    ids=["before its headers", "before its first picture", "after it"],
)
def test_a_signal_ends_the_wait_for_a_silent_server_within_2_s(
    run: Run, head: bytes, name: str
) -> None:
    def stall(visitor: Visitor) -> None:
        visitor.send(head)
        visitor.wait(60)

    with serving(stall) as (address, visitors):
        process = run(address)
        wait_for(visitors)
        time.sleep(random.uniform(0, 1))
        sent = time.monotonic()
        process.send_signal(getattr(signal, name))
        _, error = process.communicate(timeout=30)
        assert time.monotonic() - sent < 2
    assert process.returncode == 128 + getattr(signal, name), error
    assert b"Traceback" not in error


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_signals_at_random_moments_leave_whole_lines_and_no_traceback(
    run: Run, tmp_path: Path
) -> None:
    def flap(visitor: Visitor) -> None:
        visitor.send(STREAM)
        for _ in range(random.randrange(20)):
            visitor.send(multipart(jpeg(100, (320, 240))), 0.02)

    # Two at a time, as there may be two cores.
    for pair in range(5):
        with serving(flap) as (address, visitors):
            runs = [run(address, "--jsonl", f"{pair}{i}.jsonl") for i in range(2)]
            wait_for(visitors)
            chosen = [random.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]) for _ in runs]
            for process, number in zip(runs, chosen):
                time.sleep(random.uniform(0, 0.7))
                process.send_signal(number)
            for process, number in zip(runs, chosen):
                _, error = process.communicate(timeout=30)
                # Before Python has begun, a signal does what it does to any program.
                assert process.returncode in (128 + number, -number), error
                assert b"Traceback" not in error
    for path in tmp_path.glob("*.jsonl"):
        text = path.read_text()
        assert text == "" or text.endswith("}\n")
        assert all(json.loads(line)["schema"] == 1 for line in text.splitlines())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_second_signal_ends_at_once() -> None:
    code = """\
import time
from edgemood.runtime.command import Stop
with Stop() as stop:
    stop.gently = True
    print(flush=True)
    while stop.signal is None:
        time.sleep(0.01)
    print(flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(2):
            process.stdout.readline()
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == -signal.SIGTERM


def test_a_stream_of_720p_takes_less_than_150_mb_and_does_not_grow(
    run: Run, tmp_path: Path, clips: list[Path]
) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("there is no /proc here")
    capture = cv2.VideoCapture(str(clips[0]), cv2.CAP_FFMPEG)
    frames = [
        cv2.imencode(".jpg", cv2.resize(capture.read()[1], (1280, 720)))[1].tobytes()
        for _ in range(30)
    ]

    def stream(visitor: Visitor) -> None:
        visitor.send(STREAM)
        while True:
            for frame in frames:
                visitor.send(multipart(frame), 0.03)

    with serving(stream) as (address, _):
        process = run(address, "--jsonl", "out.jsonl")
        peaks = []
        for lines in (30, 60, 90):
            deadline = time.monotonic() + 60
            while not (
                (tmp_path / "out.jsonl").exists()
                and (tmp_path / "out.jsonl").read_bytes().count(b"\n") >= lines
            ):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            status = Path(f"/proc/{process.pid}/status").read_text()
            peaks.append(int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1000)  # type: ignore[index]
        process.terminate()
        assert b"online at the end" in process.communicate(timeout=30)[1]
    assert peaks[-1] < 150
    assert peaks[-1] - peaks[0] <= 5


def test_a_file_of_720p_takes_less_than_150_mb_while_it_is_read_and_written(
    run: Run, tmp_path: Path, clips: list[Path]
) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("there is no /proc here")
    [clip] = [clip for clip in clips if "720p" in clip.name]
    process = run(str(clip), "--jsonl", "out.jsonl", "--save", "out.mkv", "--timeline", "out.png")
    peak = 0
    while process.poll() is None:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        peak = max(peak, int(found[1]) * 1024 if found else 0)
        time.sleep(0.05)
    assert process.returncode == 0, process.communicate()[1]
    assert (tmp_path / "out.jsonl").read_bytes().count(b"\n") > 200
    assert 50e6 < peak < 150e6


# --- RTSP ---------------------------------------------------------------------------------------

RTSP_SERVER = """\
import sys, gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
pays = {"x264enc": "x264enc tune=zerolatency key-int-max=15 ! rtph264pay", "vp8enc":
        "vp8enc deadline=1 keyframe-max-dist=15 ! rtpvp8pay"}
pay = next((pay for name, pay in pays.items() if Gst.ElementFactory.find(name)), None)
if pay is None or not Gst.ElementFactory.find("videotestsrc"):
    sys.exit("neither x264enc nor vp8enc")
server = GstRtspServer.RTSPServer()
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch("( videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=15/1"
                   f" ! {pay} name=pay0 )")
server.get_mount_points().add_factory("/1", factory)
server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
"""


@contextmanager
def rtsp_server(port: int) -> Iterator[subprocess.Popen[str]]:
    """Debian's gst-rtsp-server in the system's Python, or a skip that says what is missing."""
    python = shutil.which("python3", path="/usr/bin:/bin")
    if python is None:
        pytest.skip("there is no python3 in /usr/bin")
    server = subprocess.Popen(
        [python, "-c", RTSP_SERVER, str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        if server.stdout.readline() != "ready\n":
            reason = server.communicate()[1].strip().splitlines()[-1:]
            pytest.skip(f"gst-rtsp-server (gir1.2-gst-rtsp-server-1.0) can't be used: {reason}")
        yield server
    finally:
        server.kill()
        server.communicate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_an_rtsp_server_that_is_killed_and_started_again_is_found_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    patience = Patience(opening=15.0, reopen=2.0, stalled=0.5, waits=(0.2,))
    monkeypatch.setattr("edgemood.runtime.sources.live.NETWORK", patience)
    port = free_port()
    with rtsp_server(port) as server:
        with pytest.raises(EdgemoodError, match="answers 404 Not Found") as error:
            open_source(f"rtsp://me:secret@127.0.0.1:{port}/2", retry=0)
        assert "secret" not in str(error.value)
        source = open_source(f"rtsp://127.0.0.1:{port}/1")
        frames = source.frames(0.05)
        assert {frame.image.shape for frame in some(frames, 5)} == {(240, 320, 3)}
        server.send_signal(signal.SIGSTOP)
        until(source, frames, lambda status: status.state == "stalled")
        server.send_signal(signal.SIGCONT)
        until(source, frames, lambda status: status.state == "online")
        assert source.status.reconnects == 0
    until(source, frames, lambda status: status.reason == "connection refused")
    with source, rtsp_server(port):
        until(source, frames, lambda status: status.reconnects == 1)
        assert len(some(frames, 3)) == 3


def test_an_rtsp_server_that_is_silent_does_not_keep_the_program(
    run: Run,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = run(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/1")
        silent.accept()
        sent = time.monotonic()
        process.terminate()
        process.communicate(timeout=30)
        assert time.monotonic() - sent < 2
    assert process.returncode == 128 + signal.SIGTERM


# --- damaged videos -----------------------------------------------------------------------------


def test_damaged_videos_end_with_a_message_or_with_what_they_have(tmp_path: Path) -> None:
    """Cut off, with flipped bits, with rubbish in them: in a process, which a crash would end."""
    rng = np.random.default_rng(0)
    for ending, code in (("mp4", "mp4v"), ("avi", "MJPG"), ("mkv", "mp4v")):
        path = tmp_path / f"whole.{ending}"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 25, (160, 120))
        for i in range(12):
            image = np.full((120, 160, 3), 20 * i, np.uint8)
            writer.write(cv2.circle(image, (80, 60), 4 * i, (0, 0, 255), -1))
        writer.release()
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for i in range(20):
            damaged = whole.copy()
            places = rng.integers(len(whole), size=1 + i)
            damaged[places] ^= (1 << rng.integers(8, size=len(places))).astype(np.uint8)
            if i % 4 == 1:
                damaged = damaged[: rng.integers(len(whole))]
            if i % 4 == 2:
                start = rng.integers(len(whole) - 200)
                damaged[start : start + 200] = rng.integers(256, size=200)
            (tmp_path / f"{i}.{ending}").write_bytes(damaged.tobytes())
    code = """\
import sys
from edgemood.errors import EdgemoodError
from edgemood.runtime.sources import open_source
for path in sys.argv[1:]:
    try:
        with open_source(path) as source:
            print(sum(1 for _ in source))
    except EdgemoodError as error:
        print(error)
"""
    paths = sorted(str(path) for path in tmp_path.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", code, *paths],
        env=os.environ | {"OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(paths) == 63
    assert done.stderr == ""
    assert done.stdout.splitlines().count("12") >= 3, "the whole ones"
