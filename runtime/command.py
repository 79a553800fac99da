"""`edgemood run`: a source -> readings -> window, page, video, pictures, lines of JSON, CSV."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import TYPE_CHECKING, Any

from edgemood.errors import EdgemoodError

if TYPE_CHECKING:
    from edgemood.runtime.blur import Blur
    from edgemood.runtime.following import Every
    from edgemood.runtime.neutral import Neutral
    from edgemood.runtime.pipeline import Pipeline
    from edgemood.runtime.sinks import Keys, Sink
    from edgemood.runtime.sources import Source, Status
    from edgemood.values import Frame

HELP = """Find the faces in a camera's, a video's or a picture's frames and read their expressions.

Keys in the window: q or Esc quits, space pauses or goes to the next picture, s saves what is shown,
h lists them all."""
EXAMPLES = [
    "edgemood run                                 # camera 0; the demo where there is none",
    "edgemood run demo                            # no camera needed",
    "edgemood run clip.mp4 --headless --save out.mp4",
    "edgemood run photos/ --headless --save marked/ --jsonl faces.jsonl",
    "edgemood run 1 --headless --jsonl - | head",
    "edgemood run clip.mp4 --headless --timeline emotions.png",
    "edgemood run rtsp://user:password@192.168.1.20/stream1",
    "edgemood run rpicam:// --width 1280 --height 720",
    "edgemood run 0 --serve 0.0.0.0:8765          # a page for other machines, see docs/page.md",
]
# Where the demo's video goes when nobody asked for one and there is no display to show it on.
DEMO_VIDEO = Path("runs") / "demo.mp4"
# What ends a program unless it is caught: first what people and systems send.
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGXCPU")
# Where the page is, unless told otherwise.
PAGE = ("127.0.0.1", 8765)
HOST = r"[A-Za-z0-9.-]+|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*"
# More threads than these have nothing to share in a frame that comes every 33 ms.
LIVE_THREADS = 2
# Seconds without a frame after which window, page and signals are looked at.
TICK = 0.1
# Options that name a file, or a folder, to write.
WRITTEN = ("save", "jsonl", "csv", "timeline", "save_neutral")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        nargs="?",
        metavar="SOURCE",
        help="camera index, /dev/video*, video, picture, folder, glob, .txt list, http:// or "
        "rtsp:// address, rpicam://, picamera://, - for Motion JPEG on standard input, or demo "
        "(default: 0)",
    )
    for option, of in (("width", "pixels"), ("height", "pixels"), ("fps", "frames a second")):
        parser.add_argument(
            f"--{option}",
            metavar="N",
            type=_number_of(of),
            help=f"{of} to ask a camera for; it gives what comes nearest",
        )
    parser.add_argument(
        "--mirror", action="store_true", help="change left and right of a camera or stream"
    )
    parser.add_argument(
        "--retry",
        metavar="N",
        type=_number_of("tries", 0),
        help="end after N failed tries in a row to reach a lost camera or stream; 0: end with its "
        "loss (default: go on trying)",
    )
    parser.add_argument(
        "--recursive", action="store_true", help="pictures in the folders of a folder as well"
    )
    parser.add_argument(
        "--save",
        metavar="PATH",
        help="annotated frames: a video (.mp4 .mkv .avi), a picture (the last frame), or a folder",
    )
    parser.add_argument(
        "--jsonl", metavar="FILE", help="one line of JSON a frame; - is standard output"
    )
    parser.add_argument(
        "--csv", metavar="FILE", help="one row a face and frame; - is standard output"
    )
    parser.add_argument(
        "--append", action="store_true", help="--jsonl and --csv go on in a file that is there"
    )
    parser.add_argument(
        "--blur-faces",
        action="store_true",
        help="make every head unrecognisable in window, video and pictures",
    )
    parser.add_argument(
        "--serve",
        metavar="HOST:PORT",
        nargs="?",
        type=_host_and_port,
        const=PAGE,
        help="show it all in a web page, files again and again (default: 127.0.0.1:8765, for this "
        "machine alone; 0.0.0.0:8765 for others, by a link with a token)",
    )
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        type=_host,
        default=[],
        help="a further name that the page may be called by, for example of a proxy",
    )
    parser.add_argument("--certfile", metavar="PEM", help="encrypt the page with this certificate")
    parser.add_argument("--keyfile", metavar="PEM", help="its key, where that is another file")
    parser.add_argument(
        "--headless", action="store_true", help="no window: files run as fast as they can"
    )
    parser.add_argument(
        "--model", metavar="PATH", help="an .onnx or .tflite emotion model (default: shipped)"
    )
    parser.add_argument(
        "--engine",
        metavar="NAME",
        help="onnxruntime or opencv for .onnx, litert for .tflite (default: the first that fits)",
    )
    parser.add_argument(
        "--detector",
        metavar="PATH",
        help="an .onnx face detector (default: EDGEMOOD_DETECTOR, or the shipped one)",
    )
    parser.add_argument(
        "--detector-engine",
        metavar="NAME",
        help="what runs the face detector: opencv (default) or onnxruntime",
    )
    parser.add_argument(
        "--detect-every",
        metavar="N",
        type=_every,
        help="look for faces in every n-th frame and follow them in between (default: auto, as "
        "seldom as still notices a new face within 0.3 s)",
    )
    parser.add_argument(
        "--raw",
        action="store_true",
        help="what the model says of each frame by itself, neither smoothed nor shifted",
    )
    parser.add_argument(
        "--calibrate",
        metavar="SECONDS",
        type=_seconds,
        help="take the largest face, for so long from the start, as one at rest, and shift its "
        "readings after that; key c does so for 3 seconds",
    )
    parser.add_argument(
        "--save-neutral", metavar="FILE", help="keep the resting face that was taken"
    )
    parser.add_argument(
        "--neutral", metavar="FILE", help="shift every face's readings by a kept resting face"
    )
    parser.add_argument(
        "--timeline", metavar="PICTURE", help="each face's emotions over time, in one picture"
    )
    parser.add_argument(
        "--threads",
        metavar="N",
        type=_number_of("threads"),
        help=f"threads for the networks (default: 1; of a live source at most {LIVE_THREADS})",
    )
    parser.add_argument(
        "--profile",
        metavar="FILE",
        help="model, engine, detector, threads and looks as `edgemood bench --target` planned them "
        "for this machine; what is named here goes before",
    )


def _number_of(things: str, least: int = 1) -> Callable[[str], int]:
    """For argparse: a whole number of them."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is not a number of {things}, {least} or more")
        return int(text)

    return number


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds, over 0 up to 3600")
    return seconds


def _every(text: str) -> Every:
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of frames, 1 or more, or auto")
    return int(text)


def _host(text: str) -> str:
    if not re.fullmatch(HOST, text):
        raise argparse.ArgumentTypeError(f"{text} is no host's name or address")
    return text


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    is_bare = ":" in host and "[" not in text
    is_port = re.fullmatch(r"\d{1,5}", port) is not None and int(port) < 2**16
    if is_bare or not re.fullmatch(HOST, host) or not is_port:
        raise argparse.ArgumentTypeError(
            f"{text} is not HOST:PORT, for example 0.0.0.0:8765; SOURCE goes before --serve"
        )
    return host, int(port)


def main(args: argparse.Namespace) -> int:
    _quiet(args.debug)
    import cv2

    from edgemood.console import say
    from edgemood.files import make_folder
    from edgemood.machine import unload_code
    from edgemood.runtime.blur import Blur
    from edgemood.runtime.engines import EmotionModel
    from edgemood.runtime.faces import STILL_SIDES, FaceDetector
    from edgemood.runtime.pipeline import Pipeline, default_model
    from edgemood.runtime.profile import MOST_THREADS, Profile, read_profile
    from edgemood.runtime.sinks import CsvRows, JsonLines, Window, no_display, save_sink
    from edgemood.runtime.timeline import Timeline

    if args.raw and (args.calibrate or args.neutral or args.save_neutral):
        raise EdgemoodError(
            "--raw shows what the model says, and a resting face shifts it: leave out --raw, or "
            "--calibrate, --neutral and --save-neutral."
        )
    if (args.allow_host or args.certfile or args.keyfile) and not args.serve:
        raise EdgemoodError(
            "--allow-host, --certfile and --keyfile go with --serve: add it, or leave them out."
        )
    if args.keyfile and not args.certfile:
        raise EdgemoodError("--keyfile goes with --certfile: name the certificate as well.")
    if args.serve:
        from edgemood.runtime.page import Address, Certificate, Page
    if args.append and not (args.jsonl or args.csv):
        raise EdgemoodError("--append goes with --jsonl or --csv: name a file, or leave it out.")
    _keep_apart(args)
    if (args.threads or 1) > MOST_THREADS:
        raise EdgemoodError(
            f"--threads is {args.threads}, at most {MOST_THREADS} were wanted: write fewer."
        )
    profile = read_profile(args.profile) if args.profile else Profile()
    tally = Tally()
    save: str | None = args.save
    try:
        with Stop() as stop, ExitStack() as stack:
            source, stands_in = _source(args)
            stack.enter_context(source)
            for option in ("timeline", "calibrate", "save_neutral"):
                if source.is_pictures and getattr(args, option):
                    raise EdgemoodError(
                        f"{source.name} is of pictures, which have no time: "
                        f"--{option.replace('_', '-')} wants a camera or a video. Leave it out."
                    )
            # A profile's number was measured, and stands.
            threads = args.threads or profile.threads
            if args.threads and source.is_live:
                threads = min(threads, LIVE_THREADS)
            cv2.setNumThreads(threads)
            engine = args.engine or (None if args.model else profile.engine)
            model = EmotionModel(args.model or profile.model or default_model(), engine, threads)
            # The profile's engine was chosen for the profile's detector, which it may alone run.
            chosen = Profile() if args.detector else profile
            looks_in = args.detector_engine or chosen.detector_engine
            sides = STILL_SIDES if source.is_pictures else profile.sides
            every = 1 if source.is_pictures else args.detect_every or profile.detect_every
            pipeline = stack.enter_context(
                Pipeline(
                    model,
                    FaceDetector(args.detector or profile.detector, sides, looks_in, threads),
                    detect_every=every,
                    raw=args.raw,
                    neutral=args.neutral,
                )
            )
            missing = None if args.headless else no_display()
            headless = args.headless or missing is not None
            writes = save or args.jsonl or args.csv or args.serve
            if stands_in and headless and not writes:
                make_folder(DEMO_VIDEO.parent, "--save")
                save = str(DEMO_VIDEO)
            if missing:
                hint = "" if writes or save else "; --save, --jsonl or --csv keep what is read"
                say(f"edgemood: {missing}, running headless{hint}")
            sinks: list[Sink] = []
            if save:
                sinks.append(stack.enter_context(save_sink(save, source)))
            if args.jsonl:
                sinks.append(stack.enter_context(JsonLines(args.jsonl, source, args.append)))
            if args.csv:
                rows = CsvRows(args.csv, model.labels, source, args.append)
                sinks.append(stack.enter_context(rows))
            if args.timeline:
                sinks.append(stack.enter_context(Timeline(args.timeline, source)))
            if args.save_neutral and headless and not args.calibrate:
                raise EdgemoodError(
                    "--save-neutral goes with --calibrate, or with key c in a window: add "
                    "--calibrate SECONDS, or leave it out."
                )
            rest = RestingFace(pipeline, args.save_neutral, source)
            if args.calibrate:
                rest.take(args.calibrate)
            if args.serve:
                page = Page(
                    Address(*args.serve),
                    source,
                    model.labels,
                    lambda: pipeline.timings.total,
                    args.allow_host,
                    Certificate(args.certfile, args.keyfile) if args.certfile else None,
                )
                sinks.append(stack.enter_context(page))
                page.announce()
            # The window comes last: while it is paused, the others have what it shows.
            if not headless:
                keys: Keys = {}
                if "neutral" in model.labels and not args.raw and not source.is_pictures:
                    keys = {"c": ("take the face for one at rest, for 3 s", rest.take)}
                window = Window(source, lambda: stop.signal is not None, keys)
                sinks.append(stack.enter_context(window))
            blur = Blur(pipeline.detector) if args.blur_faces else None
            # A bar would be torn up by lines of text on the same terminal; the page shows more.
            torn = "-" in (args.jsonl, args.csv) and sys.stdout.isatty()
            bar = headless and not args.serve and not torn
            stop.gently = True
            unload_code()
            _loop(source, pipeline, blur, sinks, stop, tally, bar)
            if rest.is_wanted:
                say("edgemood: no resting face was taken: none was seen for long enough")
    except EdgemoodError as error:
        if tally.frames:
            error.exit_code = 1
        raise
    finally:
        if tally.frames or tally.status:
            say(tally.line())
    if stands_in and save:
        say(f"edgemood: the annotated video is {save}")
    return 128 + stop.signal if stop.signal is not None else 0


def _keep_apart(args: argparse.Namespace) -> None:
    """Raise EdgemoodError where two options name one place to write to."""
    taken: dict[str, str] = {}
    for name in WRITTEN:
        option = f"--{name.replace('_', '-')}"
        if path := getattr(args, name):
            other = taken.setdefault(os.path.realpath(os.path.expanduser(path)), option)
            if other != option:
                raise EdgemoodError(
                    f"{path} cannot hold both what {other} and what {option} write: name another "
                    f"place with {option}."
                )


def _quiet(debug: bool) -> None:
    """Keep the libraries' own chatter from stderr; it works only before they are loaded."""
    if not debug:
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        os.environ.setdefault("QT_LOGGING_RULES", "*=false")


def _source(args: argparse.Namespace) -> tuple[Source, bool]:
    """The source, and whether it is the demo standing in for a camera that isn't there."""
    from edgemood.console import say
    from edgemood.runtime.sources import open_source
    from edgemood.runtime.sources.looped import Looped

    named: str | None = args.source
    opens = partial(
        open_source,
        "0" if named is None else named,
        recursive=args.recursive,
        width=args.width,
        height=args.height,
        fps=args.fps,
        mirror=args.mirror,
        retry=args.retry,
    )
    stands_in = False
    try:
        source = opens()
    except EdgemoodError as error:
        if named is not None:
            raise
        say(f"edgemood: {error}")
        say("edgemood: no source was named, so this is the demo instead")
        opens, stands_in = partial(open_source, "demo"), True
        source = opens()
    # The page has no end of its own: it would be lost with what it showed.
    return (Looped(source, opens) if args.serve and not source.is_live else source), stands_in


def _loop(
    source: Source,
    pipeline: Pipeline,
    blur: Blur | None,
    sinks: list[Sink],
    stop: Stop,
    tally: Tally,
    bar: bool,
) -> None:
    from edgemood.console import track
    from edgemood.runtime.sinks import Result

    frames: Iterable[Frame | None] = source.frames(TICK)
    if bar and not source.is_live and source.count != 1:
        frames = track(frames, Path(source.name).name, source.count)
    news = News(source.name)
    try:
        for frame in frames:
            status = source.status if source.is_live else None
            if status is not None:
                news(status)
            if frame is not None:
                if source.is_cut(frame):
                    pipeline.forget()
                    if blur:
                        blur.forget()
                readings = pipeline(frame.image, frame.time)
                tally.add(len(readings), pipeline.timings.total)
                if blur:
                    # In the frame itself, once it was read: no sink ever has the face.
                    blur(frame.image, frame.time, [reading.face.box for reading in readings])
                fps = None if source.is_pictures else tally.fps
                result = Result(frame, readings, fps, status)
                for sink in sinks:
                    sink.write(result)
                # Kept until the next one is there, it would be one more in memory.
                del frame, result
            elif status is not None:
                for sink in sinks:
                    sink.idle(status)
            if stop.signal is not None or not all(sink.is_open for sink in sinks):
                break
    finally:
        tally.status = source.status if source.is_live else None


class RestingFace:
    """Takes a resting face when asked, says what it found, keeps it in a file if one is named."""

    SECONDS = 3.0  # for a key: long enough to average over a blink

    def __init__(self, pipeline: Pipeline, path: str | None, source: Source) -> None:
        from edgemood.files import require_place
        from edgemood.runtime.sinks.base import spare

        if path:
            spare(path, source)
            require_place(path, "--save-neutral")
        self._pipeline, self._path = pipeline, path
        self.is_wanted = False  # it was asked for, and not seen for long enough yet

    def take(self, seconds: float = SECONDS) -> None:
        self._pipeline.calibrate(seconds, self._done)
        self.is_wanted = True

    def _done(self, track: int, neutral: Neutral) -> None:
        from edgemood.console import say

        self.is_wanted = False
        moved = [
            f"{label} by {less:.1f}" for label, less in zip(neutral.labels, neutral.shift) if less
        ]
        found = f"lowers {', '.join(moved)} nats" if moved else "is read as neutral already"
        say(f"edgemood: the resting face of face {track} {found}")
        if self._path:
            neutral.save(self._path)


class News:
    """Says on stderr when a live source is lost, and when it is back; nothing twice."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told: str | None = None
        self._since = perf_counter()

    def __call__(self, status: Status) -> None:
        from edgemood.console import say

        if status.state == "online":
            if self._told is not None:
                say(f"edgemood: {self._name} is online after {perf_counter() - self._since:.0f} s")
                self._told = None
            self._since = perf_counter()
        elif status.state == "offline" and status.reason not in ("", self._told):
            say(f"edgemood: {self._name} is offline: {status.reason}; it is tried again")
            self._told = status.reason
        elif status.state == "connecting" and self._told is None:
            say(f"edgemood: {self._name} gives no picture yet; waiting for it")
            self._told = ""


class Tally:
    """Counts what the closing line says."""

    def __init__(self) -> None:
        self.frames = 0
        self.faces = 0
        self.fps: float | None = None  # of late, for the picture
        self.status: Status | None = None  # of a live source, at its end
        self._began = self._last = perf_counter()
        # Only the latest, so that a camera may run for a month: five minutes at 30 FPS.
        self._seconds: deque[float] = deque(maxlen=9000)

    def add(self, faces: int, seconds: float) -> None:
        """One more frame, with so many faces, that took the pipeline so long."""
        now = perf_counter()
        if self.frames == 0:
            self._began = now - seconds
        else:
            interval = max(now - self._last, 1e-6)
            # A moving mean over about a second, else the number could not be read.
            share = min(1.0, interval) if self.fps else 1.0
            smooth = 1 / self.fps if self.fps else interval
            self.fps = 1 / (smooth + share * (interval - smooth))
        self._last = now
        self.frames += 1
        self.faces += faces
        self._seconds.append(seconds)

    def line(self) -> str:
        import numpy as np

        parts = [_count(self.frames, "frame"), _count(self.faces, "face")]
        if self.frames:
            p50, p95 = np.percentile(np.array(self._seconds) * 1000, (50, 95))
            elapsed = max(perf_counter() - self._began, 1e-6)
            parts.append(f"{self.frames / elapsed:.1f} FPS")
            parts.append(f"{p50:.1f} ms a frame (p50), {p95:.1f} ms (p95)")
        if self.status:
            if self.status.state != "offline" or self.status.reason:  # else it came to its end
                parts.append(f"{self.status.state} at the end")
            parts += [
                _count(number, thing)
                for number, thing in (
                    (self.status.dropped, "dropped frame"),
                    (self.status.decode_errors, "decode error"),
                    (self.status.reconnects, "reconnect"),
                    (self.status.stalls, "stall"),
                )
                if number
            ]
        return ", ".join(parts)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


class Stop:
    """While entered, a signal to end ends the program cleanly; a second one ends it at once.

    Before `gently` is set it raises SystemExit, wherever start-up may be waiting. After that it is
    kept in `signal`, so that a frame is finished and its line of JSON written whole.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.gently = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        # Python lets only the main thread set handlers; elsewhere, the caller handles signals.
        if threading.current_thread() is threading.main_thread():
            for name in SIGNALS:
                number = getattr(signal, name, None)
                # nohup, for example, has asked for a signal to be ignored.
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # Kept in any case: raised out of a callback, it might be swallowed.
        self.signal = number
        if not self.gently:
            raise SystemExit(128 + number)
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        # A library that it was raised in may have made an error of its own of it.
        if self.signal is not None and not self.gently and error is not None:
            raise SystemExit(128 + self.signal) from None
