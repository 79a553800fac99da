"""`edgemood run`: a source -> readings -> window, video, pictures, lines of JSON."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import TYPE_CHECKING, Any

from edgemood.errors import EdgemoodError

if TYPE_CHECKING:
    from edgemood.runtime.pipeline import Pipeline
    from edgemood.runtime.sinks import Sink, Window
    from edgemood.runtime.sources import Source
    from edgemood.values import Frame

HELP = """Find the faces in a camera's, a video's or a picture's frames and read their expressions.

Keys in the window: q or Esc quits, space pauses or goes to the next picture."""
EXAMPLES = [
    "edgemood run                                 # camera 0; the demo where there is none",
    "edgemood run demo                            # no camera needed",
    "edgemood run clip.mp4 --headless --save out.mp4",
    "edgemood run photos/ --headless --save marked/ --jsonl faces.jsonl",
    "edgemood run 1 --headless --jsonl - | head",
]
# Where the demo's video goes when nobody asked for one and there is no display to show it on.
DEMO_VIDEO = Path("runs") / "demo.mp4"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        nargs="?",
        metavar="SOURCE",
        help="camera index, /dev/video*, video, picture, folder of pictures, or demo (default: 0)",
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
        help="an .onnx face detector (default: EDGEMOOD_DETECTOR, the shipped one, or YuNet)",
    )
    parser.add_argument(
        "--threads",
        metavar="N",
        type=_positive,
        default=1,
        help="threads for the networks (default: 1)",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of threads, 1 or more")
    return int(text)


def main(args: argparse.Namespace) -> int:
    _quiet(args.debug)
    import cv2

    from edgemood.console import say
    from edgemood.files import make_folder
    from edgemood.runtime.engines import EmotionModel
    from edgemood.runtime.faces import SIDES, STILL_SIDES, FaceDetector
    from edgemood.runtime.pipeline import Pipeline, default_model
    from edgemood.runtime.sinks import JsonLines, Window, no_display, save_sink

    tally = Tally()
    save: str | None = args.save
    try:
        with Stop() as stop, ExitStack() as stack:
            source, stands_in = _source(args.source)
            stack.enter_context(source)
            cv2.setNumThreads(args.threads)
            model = EmotionModel(args.model or default_model(), args.engine, args.threads)
            sides = STILL_SIDES if source.is_pictures else SIDES
            pipeline = stack.enter_context(Pipeline(model, FaceDetector(args.detector, sides)))
            missing = None if args.headless else no_display()
            headless = args.headless or missing is not None
            if stands_in and headless and not save and not args.jsonl:
                make_folder(DEMO_VIDEO.parent, "--save")
                save = str(DEMO_VIDEO)
            if missing:
                hint = "" if save or args.jsonl else "; --save or --jsonl keep what is read"
                say(f"edgemood: {missing}, running headless{hint}")
            sinks: list[Sink] = []
            if save:
                sinks.append(save_sink(save, source))
                stack.callback(sinks[-1].close)
            if args.jsonl:
                sinks.append(JsonLines(args.jsonl, source))
                stack.callback(sinks[-1].close)
            window = None if headless else Window(source, lambda: stop.signal is not None)
            if window:
                sinks.append(window)
                stack.callback(window.close)
            # A bar would be torn up by lines of JSON on the same terminal.
            bar = headless and not (args.jsonl == "-" and sys.stdout.isatty())
            stop.gently = True
            _loop(source, pipeline, sinks, window, stop, tally, bar)
    except EdgemoodError as error:
        if tally.frames:
            error.exit_code = 1
        raise
    finally:
        if tally.frames:
            say(tally.line())
    if stands_in and save:
        say(f"edgemood: the annotated video is {save}")
    return 128 + stop.signal if stop.signal is not None else 0


def _quiet(debug: bool) -> None:
    """Keep the libraries' own chatter from stderr; it works only before they are loaded."""
    if not debug:
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        os.environ.setdefault("QT_LOGGING_RULES", "*=false")


def _source(named: str | None) -> tuple[Source, bool]:
    """The source, and whether it is the demo standing in for a camera that isn't there."""
    from edgemood.console import say
    from edgemood.runtime.sources import open_source

    if named is not None:
        return open_source(named), False
    try:
        return open_source(0), False
    except EdgemoodError as error:
        say(f"edgemood: {error}")
        say("edgemood: no source was named, so this is the demo instead")
        return open_source("demo"), True


def _loop(
    source: Source,
    pipeline: Pipeline,
    sinks: list[Sink],
    window: Window | None,
    stop: Stop,
    tally: Tally,
    bar: bool,
) -> None:
    from edgemood.console import track
    from edgemood.runtime.sinks import Result

    frames: Iterable[Frame] = source
    if bar and not source.is_live and source.count != 1:
        frames = track(source, Path(source.name).name, source.count)
    for frame in frames:
        if source.is_pictures:
            pipeline.forget()
        readings = pipeline(frame.image)
        tally.add(len(readings), pipeline.timings.total)
        result = Result(frame, readings, None if source.is_pictures else tally.fps)
        for sink in sinks:
            sink.write(result)
        if stop.signal is not None or (window is not None and not window.is_open):
            break


class Tally:
    """Counts what the closing line says."""

    def __init__(self) -> None:
        self.frames = 0
        self.faces = 0
        self.fps: float | None = None  # of late, for the picture
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

        p50, p95 = np.percentile(np.array(self._seconds) * 1000, (50, 95))
        elapsed = max(perf_counter() - self._began, 1e-6)
        return (
            f"{_count(self.frames, 'frame')}, {_count(self.faces, 'face')}, "
            f"{self.frames / elapsed:.1f} FPS, {p50:.1f} ms a frame (p50), {p95:.1f} ms (p95)"
        )


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
            for name in ("SIGINT", "SIGTERM", "SIGHUP"):
                number = getattr(signal, name, None)
                # nohup, for example, has asked for a signal to be ignored.
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.gently:
            raise SystemExit(128 + number)
        self.signal = number
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
