"""`make soak`: a camera that misbehaves -> whether `edgemood run` outlives it and grows.

The command runs as a user would run it, with every sink, on a Motion JPEG stream of which one frame
in a hundred goes wrong; what it needs is read from /proc. Then it is started again and again and
ended by a signal at a random moment. Nothing here knows the inside of the runtime.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np

from edgemood.console import say, table
from edgemood.errors import EdgemoodError
from edgemood.runtime import open_source

RUN = (sys.executable, "-m", "edgemood.cli", "run")
FPS = 25.0
PICTURES = 100  # of the clip, encoded beforehand in each size, so that the camera costs little
SIZES = ((640, 480), (320, 240), (1280, 720))
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# The clip is shown for so many seconds before the start is measured: at most, and of the whole.
SETTLED, SETTLING = 60.0, 0.3
# Start and end are this share of the whole.
PART = 0.2
# What may be gained between start and end: bytes, threads, files, seconds of latency. Allocators
# and a lost connection's thread come and go within it; what leaks every frame does not. A machine
# that was busier for a while adds a tenth of a second, a queue soon more than half a second.
ALLOWED = {"memory": 10e6, "threads": 1, "files": 2, "latency": 0.5}
# The whole promise is two; a busy machine may take a little to start the clock.
GRACE = 2.5


def main(argv: Sequence[str] | None = None) -> int:
    """0: nothing grew and every signal was obeyed; 1: something did not hold."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=3600.0)
    parser.add_argument("--clip", default="demo", help="what the camera shows (default: demo)")
    parser.add_argument("--faults", type=float, default=0.01, help="share of frames that go wrong")
    parser.add_argument("--signals", type=int, default=100, help="how often to end it by a signal")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    # A job in a shell script's background ignores the one, nohup's the other; so would their own.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        if not Path("/proc/self/status").exists():
            raise EdgemoodError("There is no /proc here, which memory and files are read from: "
                                "soak on Linux.")  # fmt: skip
        pictures = encode(args.clip)
        with tempfile.TemporaryDirectory(prefix="edgemood-soak-") as folder:
            complaints = soak(pictures, args.seconds, args.faults, args.seed, Path(folder))
            complaints += signals(pictures, args.signals, args.seed, Path(folder))
    except EdgemoodError as error:
        say(f"edgemood: {error}")
        return error.exit_code
    for complaint in complaints:
        print(f"FAILED: {complaint}")
    if not complaints:
        print("held: nothing grew, every signal was obeyed, what was written is whole")
    return 1 if complaints else 0


# --- the camera ---------------------------------------------------------------------------------


def encode(clip: str) -> list[list[bytes]]:
    """The clip's first pictures as JPEG, once in each of SIZES."""
    encoded: list[list[bytes]] = [[] for _ in SIZES]
    with open_source(clip) as source:
        for frame, _ in zip(source, range(PICTURES)):
            for size, pictures in zip(SIZES, encoded):
                data = cv2.imencode(".jpg", cv2.resize(frame.image, size))[1]
                pictures.append(data.tobytes())
    return encoded


class Camera:
    """A Motion JPEG server at `address` for one client at a time, of which a share goes wrong.

    pictures: as of `encode`. `faults` counts what went wrong, by name.
    """

    def __init__(self, pictures: list[list[bytes]], faults: float, seed: int) -> None:
        self._pictures = pictures
        self._share = faults
        self._random = random.Random(seed)
        # Each size once, some frames long, so that what the largest needs is there at the start.
        self._sizes = [size for size in range(len(pictures)) for _ in range(8)]
        self._size = 0
        self._over = threading.Event()
        self._listener = self._listen(0)
        self._port: int = self._listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}/stream"
        self.faults: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @staticmethod
    def _listen(port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        listener.settimeout(0.2)
        return listener

    def _serve(self) -> None:
        while not self._over.is_set():
            with suppress(OSError):  # nobody came, or whoever came has gone
                connection = self._listener.accept()[0]
                connection.settimeout(5)
                with connection:
                    connection.recv(4096)
                    connection.sendall(
                        b"HTTP/1.1 200 OK\r\n"
                        b"Content-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
                    )
                    self._stream(connection)

    def _stream(self, connection: socket.socket) -> None:
        due = time.monotonic()
        for index in cycle(range(len(self._pictures[0]))):
            if self._over.is_set():
                return
            if self._sizes:
                self._size = self._sizes.pop()
            data = self._pictures[self._size][index]
            if self._random.random() < self._share:
                (fault,) = self._random.choices(list(FAULTS), list(FAULTS.values()))
                self.faults[fault] += 1
                if fault == "connection lost in mid-picture":
                    connection.sendall(_part(data)[: len(data) // 2])
                    return
                if fault == "server restarted":
                    self._listener.close()
                    connection.close()
                    self._over.wait(self._random.uniform(0.1, 2))
                    self._listener = self._listen(self._port)
                    return
                if fault == "size changed":
                    self._size = self._random.randrange(len(self._pictures))
                    data = self._pictures[self._size][index]
                elif fault == "stalled":
                    self._over.wait(min(12, self._random.expovariate(0.5)))
                    due = time.monotonic()
                elif fault == "broken picture":
                    data = data[: self._random.randrange(len(data))]
                else:
                    data = self._random.randbytes(self._random.randrange(20_000))
            connection.sendall(_part(data))
            due += 1 / FPS
            self._over.wait(max(0, due - time.monotonic()))

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._listener.close()


# Name -> how many of a hundred. One in ten loses the connection: it would be tried again ever more
# seldom if it never lasted.
FAULTS = {
    "broken picture": 40,
    "noise for a picture": 20,
    "size changed": 15,
    "stalled": 15,
    "server restarted": 5,
    "connection lost in mid-picture": 5,
}


def _part(data: bytes) -> bytes:
    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data + b"\r\n"


# --- an hour ------------------------------------------------------------------------------------


@dataclass
class Figures:
    """What was measured in one part of the time; one number a second, and one a frame."""

    memory: list[float] = field(default_factory=list)
    threads: list[float] = field(default_factory=list)
    files: list[float] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)

    def median(self, name: str) -> float:
        values = getattr(self, name)
        return float(np.median(values)) if values else float("nan")


def soak(
    pictures: list[list[bytes]],
    seconds: float,
    faults: float,
    seed: int,
    folder: Path,
    command: Sequence[str] = RUN,
) -> list[str]:
    """Run a command on a camera for so long, print what it needed, return what did not hold."""
    video, lines = folder / "soak.mkv", Lines()
    sinks = ["--save", video, "--csv", folder / "soak.csv", "--timeline", folder / "soak.png"]
    settled = min(SETTLED, SETTLING * seconds)
    start, end = Figures(), Figures()
    with Camera(pictures, faults, seed) as camera:
        options = ["--headless", "--blur-faces", "--jsonl", "-", *map(str, sinks)]
        with running([*command, camera.address, *options]) as process:
            lines.follow(process)
            began = time.monotonic()
            while (gone := time.monotonic() - began) < seconds and process.poll() is None:
                part = _part_of(gone, seconds, settled, start, end)
                if part is not None:
                    sample(process.pid, part)
                time.sleep(min(1.0, seconds / 50))
            status = process.poll()
            complaints = [] if status is None else [f"it ended by itself, with {status}"]
            complaints += stop(process, signal.SIGINT)
            lines.join()
        # The two clocks have different beginnings: the quickest frame tells the difference.
        quickest = min((arrived - moment for arrived, moment in lines.times), default=0.0)
        for arrived, moment in lines.times:
            part = _part_of(arrived - began, seconds, settled, start, end)
            if part is not None:
                part.latency.append(arrived - moment - quickest)
    _report(start, end)
    print(f"{len(lines.times):,} frames read in {seconds:,.0f} s; the camera's faults: "
          + (", ".join(f"{count} x {name}" for name, count in camera.faults.most_common())
             or "none"))  # fmt: skip
    print(lines.closing)
    for name, allowed in ALLOWED.items():
        before, after = start.median(name), end.median(name)
        if not after - before <= allowed:
            complaints.append(f"{name} went from {before:,.6g} to {after:,.6g}")
    return complaints + lines.complaints + _unreadable(video)


def _part_of(
    gone: float, seconds: float, settled: float, start: Figures, end: Figures
) -> Figures | None:
    if settled <= gone < settled + PART * seconds:
        return start
    return end if (1 - PART) * seconds <= gone < seconds else None


def _report(start: Figures, end: Figures) -> None:
    def row(name: str, values: str, scale: float, digits: int) -> list[str]:
        return [name, *(f"{part.median(values) * scale:,.{digits}f}" for part in (start, end))]

    def late(part: Figures) -> str:
        return f"{np.percentile(part.latency, 95) * 1000:,.0f}" if part.latency else "nan"

    table(
        ["median of", "start", "end"],
        [
            row("memory, MB", "memory", 1e-6, 1),
            row("threads", "threads", 1, 0),
            row("open files", "files", 1, 0),
            row("latency p50, ms*", "latency", 1000, 0),
            ["latency p95, ms*", late(start), late(end)],
        ],
    )
    print("* from the camera to the line of JSON, above the quickest frame's")


class Lines:
    """Reads a command's lines of JSON as they come, and in the end what it says on stderr."""

    def __init__(self) -> None:
        # Of each frame: when its line came, and the frame's own time, in seconds.
        self.times: list[tuple[float, float]] = []
        self.complaints: list[str] = []
        self.closing = ""
        self._threads: list[threading.Thread] = []

    def follow(self, process: subprocess.Popen[str]) -> None:
        for work in (self._read, self._hear):
            self._threads.append(threading.Thread(target=work, args=[process], daemon=True))
            self._threads[-1].start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                self.times.append((time.monotonic(), json.loads(line)["time"]))
            except (ValueError, KeyError):
                self.complaints.append(f"a line is no line of JSON: {line[:80]!r}")

    def _hear(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.closing = line.strip()
            if "Traceback" in line:
                self.complaints.append("it printed a traceback")

    def join(self) -> None:
        for thread in self._threads:
            thread.join()


def sample(pid: int, figures: Figures) -> None:
    """Add what a process needs now; nothing where it has just ended."""
    with suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        files = len(os.listdir(f"/proc/{pid}/fd"))
        lines = dict(line.split(":", 1) for line in status.splitlines())
        figures.memory.append(int(lines["VmRSS"].split()[0]) * 1024)
        figures.threads.append(int(lines["Threads"]))
        figures.files.append(files)


# --- a hundred ends -----------------------------------------------------------------------------


def signals(pictures: list[list[bytes]], count: int, seed: int, folder: Path) -> list[str]:
    """End the command so often, each time at another moment; return what did not hold."""
    dice = random.Random(seed)
    complaints: list[str] = []
    with Camera(pictures, 0.05, seed) as camera:
        for i in range(count):
            lines, video = folder / f"{i}.jsonl", folder / f"{i}.mp4"
            number = dice.choice(SIGNALS)
            options = ["--headless", "--save", str(video), "--jsonl", str(lines)]
            with running([*RUN, camera.address, *options]) as process:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(dice.uniform(0, 3))
                wrong = stop(process, number)
                errors = process.communicate()[1]
                complaints += [f"{each}; it said: {errors.strip()[-300:]}" for each in wrong]
            # Before the command has begun, Python itself is interrupted and says so.
            if "Traceback" in errors and lines.exists():
                complaints.append(f"{number.name}: it printed a traceback")
            complaints += _torn(lines)
            if lines.exists() and lines.stat().st_size:
                complaints += _unreadable(video)
            for path in (lines, video):
                path.unlink(missing_ok=True)
    print(f"{count} signals: {', '.join(each.name for each in SIGNALS)}, at random moments")
    return complaints


def stop(process: subprocess.Popen[str], number: signal.Signals) -> list[str]:
    """Send a signal; return what is wrong with how the process ends."""
    if process.poll() is not None:
        return [f"it had ended before {number.name}, with {process.returncode}"]
    began = time.monotonic()
    process.send_signal(number)
    try:
        status = process.wait(2 * GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        return [f"{number.name} did not end it"]
    took = time.monotonic() - began
    complaints = []
    # The second is how a process ends that the signal met before its handler was set.
    if status not in (128 + number, -number):
        complaints.append(f"{number.name} ended it with {status}")
    if took > GRACE:
        complaints.append(f"{number.name} took {took:.1f} s to end it")
    return complaints


@contextmanager
def running(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A program with a pipe for what it says; killed if it is still there in the end."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _torn(lines: Path) -> list[str]:
    text = lines.read_text() if lines.exists() else ""
    try:
        for line in text.splitlines():
            json.loads(line)
    except ValueError:
        return [f"{lines.name} has a torn line"]
    return [] if not text or text.endswith("\n") else [f"{lines.name} ends in mid-line"]


def _unreadable(video: Path) -> list[str]:
    capture = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG)
    readable = capture.read()[0]
    capture.release()
    return [] if readable else [f"{video.name} cannot be read"]


if __name__ == "__main__":
    sys.exit(main())
