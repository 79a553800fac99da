"""What sinks leave behind when a program is killed or a disk is full, with real ones of both."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood.errors import EdgemoodError
from edgemood.runtime.sinks import CsvRows, JsonLines, Result, Sink, save_sink
from edgemood.runtime.sources import Source, open_source
from edgemood.values import Emotion, Face, Frame, Reading

if sys.platform == "win32":
    pytest.skip("Windows has neither these signals nor these limits", allow_module_level=True)

import resource

EDGEMOOD = [sys.executable, "-m", "edgemood.cli"]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tiny_model: Path, clips: list[Path], tmp_path: Path) -> Iterator[Start]:
    """Starts `edgemood run` on a real clip; largest: of a file it may write, in bytes."""
    started: list[subprocess.Popen[str]] = []
    # Looping would need a player: the longest of them gives the most time.
    clip = max(clips, key=lambda path: path.stat().st_size)

    def start(*args: str, largest: int = resource.RLIM_INFINITY) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*EDGEMOOD, "run", str(clip), "--headless", *args, "--model", str(tiny_model)],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest)),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for_lines(path: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_bytes().count(b"\n") >= count):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def frames(path: Path) -> int:
    """How many frames of a video can be read, whatever it says of itself."""
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    count = 0
    while video.read()[0]:
        count += 1
    video.release()
    return count


# --- killed -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["mkv", "avi"])
def test_a_killed_program_leaves_its_video_lines_and_rows(
    start: Start, tmp_path: Path, ending: str
) -> None:
    lines, rows, video = (tmp_path / f"out.{kind}" for kind in ("jsonl", "csv", ending))
    process = start("--save", video.name, "--jsonl", lines.name, "--csv", rows.name)
    wait_for_lines(lines, 100)
    process.kill()
    process.wait()
    whole = lines.read_text().splitlines(keepends=True)
    if not whole[-1].endswith("\n"):
        del whole[-1]
    assert [json.loads(line)["frame"] for line in whole] == list(range(len(whole)))
    assert len(list(csv.DictReader(rows.open()))) >= len(whole) - 1
    # What FFmpeg had not yet written: 256 kB.
    assert frames(video) >= len(whole) - 30


def test_a_killed_programs_mp4_is_said_to_be_unfinished(start: Start, tmp_path: Path) -> None:
    process = start("--save", "out.mp4", "--jsonl", "out.jsonl")
    wait_for_lines(tmp_path / "out.jsonl", 5)
    process.kill()
    process.wait()
    with pytest.raises(EdgemoodError, match="it was cut off or never finished"):
        open_source(str(tmp_path / "out.mp4"))


def test_what_is_appended_after_a_kill_makes_whole_lines(start: Start, tmp_path: Path) -> None:
    lines = tmp_path / "out.jsonl"
    process = start("--jsonl", lines.name)
    wait_for_lines(lines, 5)
    process.kill()
    process.wait()
    before = lines.read_bytes()
    before = before[: before.rindex(b"\n") + 1]
    lines.write_bytes(before + b'{"schema": 1, "fra')  # as a kill may leave it
    process = start("--jsonl", lines.name, "--append")
    wait_for_lines(lines, before.count(b"\n") + 5)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert lines.read_bytes().startswith(before)
    numbers = [json.loads(line)["frame"] for line in lines.read_text().splitlines()]
    count = before.count(b"\n")
    assert numbers == [*range(count), *range(len(numbers) - count)]


@pytest.mark.parametrize("name", ["SIGQUIT", "SIGUSR1", "SIGALRM"])
def test_an_mp4_is_finished_on_other_signals_too(start: Start, tmp_path: Path, name: str) -> None:
    process = start("--save", "out.mp4", "--jsonl", "out.jsonl")
    wait_for_lines(tmp_path / "out.jsonl", 5)
    number = getattr(signal, name)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "Traceback" not in said
    count = (tmp_path / "out.jsonl").read_bytes().count(b"\n")
    assert frames(tmp_path / "out.mp4") == count


# --- no room ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi"])
def test_a_video_that_finds_no_more_room_is_one_sentence_and_1(
    start: Start, tmp_path: Path, ending: str
) -> None:
    process = start("--save", f"out.{ending}", largest=1_000_000)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    closing, fault = said.splitlines()
    assert " frames, " in closing
    said_of = "is unfinished and cannot be played" if ending == "mp4" else "ends early"
    match = re.fullmatch(rf"edgemood: out\.{ending} {said_of}: .* after (\d+) frames\. .*", fault)
    assert match is not None, fault
    if ending != "mp4":
        assert frames(tmp_path / f"out.{ending}") >= int(match[1]) - 30 > 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for 200 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a file system cannot be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


class Still(Source):
    """A source of noise, which fills a disk soon."""

    name, size, fps = "still", (320, 240), 25.0


def noise(index: int) -> Result:
    rng = np.random.default_rng(index)
    face = Face((10, 20, 30, 40), 0.9, np.zeros((5, 2), np.float32))
    image = rng.integers(0, 256, (240, 320, 3), np.uint8)
    reading = Reading(1, face, Emotion("happy", 0.9, {"happy": 0.9, "sad": 0.1}))
    return Result(Frame(image, index, index / 25), [reading] * 50)


def csv_sink(path: str, source: Source) -> Sink:
    return CsvRows(path, ("happy", "sad"), source)


def fill(sink: Sink) -> None:
    try:
        for index in range(200):
            sink.write(noise(index))
    finally:
        sink.close()


@pytest.mark.parametrize(
    ("opens", "name", "says"),
    [
        (save_sink, "out.mp4", "unfinished and cannot be played: the disk is full"),
        (save_sink, "out.mkv", "ends early: the disk is full"),
        (save_sink, "out.avi", "ends early: the disk is full"),
        (save_sink, "folder/", "cannot be written: No space left"),
        (JsonLines, "out.jsonl", "cannot be written any further: No space left"),
        (csv_sink, "out.csv", "cannot be written any further: No space left"),
    ],
)
def test_a_full_disk_is_one_sentence_whatever_is_written(
    small_disk: Path, opens: Callable[[str, Source], Sink], name: str, says: str
) -> None:
    with pytest.raises(EdgemoodError, match=says):
        fill(opens(f"{small_disk}/{name}", Still()))


@pytest.mark.parametrize("opens", [JsonLines, csv_sink], ids=["--jsonl", "--csv"])
def test_a_full_disk_holds_whole_lines(
    small_disk: Path, opens: Callable[[str, Source], Sink]
) -> None:
    path = small_disk / "out"
    with pytest.raises(EdgemoodError):
        fill(opens(str(path), Still()))
    last = path.read_text().splitlines(keepends=True)[-1]
    assert last.endswith("\n")
    if opens is JsonLines:
        assert len(json.loads(last)["faces"]) == 50
    else:
        assert last.count(",") == 13
    assert path.stat().st_size > 150_000


def test_a_full_disk_leaves_no_half_a_picture(small_disk: Path) -> None:
    with pytest.raises(EdgemoodError):
        fill(save_sink(f"{small_disk}/", Still()))
    pictures = list(small_disk.iterdir())
    assert pictures
    assert all(cv2.imread(str(path)) is not None for path in pictures)


def test_a_video_that_only_its_end_finds_no_room_for_is_reported(small_disk: Path) -> None:
    """FFmpeg's buffer takes the frames; what `release` can't write, OpenCV does not say."""
    (small_disk / "ballast").write_bytes(bytes(195_000))
    sink = save_sink(f"{small_disk}/out.mkv", Still())
    sink.write(noise(0))
    with pytest.raises(EdgemoodError, match="ends early"):
        sink.close()
