"""`edgemood run` as a user meets it: what it writes, what it says, how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood import cli
from edgemood.runtime.command import DEMO_VIDEO, Tally
from edgemood.runtime.pipeline import DEFAULT_MODEL
from edgemood.runtime.sources import open_source
from edgemood.runtime.sources.demo import Demo

Run = Callable[..., int]
EDGEMOOD = [sys.executable, "-m", "edgemood.cli"]


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """The demo's first second as a lossless-enough video, so that tests are quick."""
    writer = cv2.VideoWriter(
        str(tmp_path / "short.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (640, 480)
    )
    for frame in open_source("demo"):
        if frame.index == 25:
            break
        writer.write(frame.image)
    writer.release()
    return tmp_path / "short.avi"


@pytest.fixture
def run(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command without a display; returns the exit code."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return lambda *args: cli.main(["run", *map(str, args), "--model", str(tiny_model)])


def one_message(error: str) -> str:
    """What stderr holds, which must be a single line that is no traceback."""
    assert error.startswith("edgemood: ")
    assert error.count("\n") == 1
    return error


def test_a_video_gives_a_line_for_every_frame_and_one_closing_line(
    run: Run, short: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(short, "--headless", "--jsonl", tmp_path / "out.jsonl") == 0
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(25))
    assert [line["time"] for line in lines] == pytest.approx([i / 25 for i in range(25)], abs=2e-3)
    assert {len(line["faces"]) for line in lines} == {1}
    assert {line["faces"][0]["track"] for line in lines} == {1}
    out, error = capfd.readouterr()
    assert out == ""
    assert error.startswith("25 frames, 25 faces, ")
    assert "FPS" in error
    assert "(p50)" in error
    assert "(p95)" in error
    assert error.count("\n") == 1


def test_faces_are_detected_in_every_nth_frame_and_followed_in_between(
    run: Run, short: Path, tmp_path: Path
) -> None:
    """A followed face keeps the size and the score that the detector gave it."""

    def scores(every: str) -> list[float]:
        path = tmp_path / f"{every}.jsonl"
        assert run(short, "--headless", "--jsonl", path, "--detect-every", every) == 0
        lines = map(json.loads, path.read_text().splitlines())
        return [line["faces"][0]["score"] for line in lines]

    changes = np.flatnonzero(np.diff(scores("5"), prepend=0))
    assert len(changes) >= 3
    assert np.diff(changes).min() >= 5
    assert len(set(scores("auto"))) <= 5
    assert len(set(scores("1"))) > 10


@pytest.mark.parametrize("every", ["0", "-1", "2.5", "often"])
def test_detect_every_takes_a_number_of_frames_or_auto(
    run: Run, every: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run("demo", f"--detect-every={every}")
    assert ended.value.code == 2
    assert f"{every} is not a number of frames" in capfd.readouterr().err


def test_standard_output_holds_lines_of_json_and_nothing_else(
    run: Run, short: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(short, "--jsonl", "-", "--save", tmp_path / "out.mp4") == 0
    lines = capfd.readouterr().out.splitlines()
    assert [json.loads(line)["frame"] for line in lines] == list(range(25))
    with open_source(str(tmp_path / "out.mp4")) as saved:
        assert len(list(saved)) == 25


def test_without_a_display_it_says_so_and_runs_headless(
    run: Run, short: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(short) == 0
    assert "there is no display, running headless; --save" in capfd.readouterr().err


def test_two_runs_write_the_same_lines(run: Run, short: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run(short, "--headless", "--jsonl", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_picture_becomes_an_annotated_picture(run: Run, tmp_path: Path) -> None:
    frame = next(iter(open_source("demo"))).image
    cv2.imwrite(str(tmp_path / "in.png"), frame)
    assert run(tmp_path / "in.png", "--headless", "--save", tmp_path / "out.png") == 0
    assert (cv2.imread(str(tmp_path / "out.png")) != frame).any()


def test_a_folder_is_read_and_its_broken_picture_named(
    run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "c.png"):
        cv2.imwrite(str(folder / name), next(iter(open_source("demo"))).image)
    (folder / "b.png").write_bytes(b"broken")
    code = run(folder, "--headless", "--jsonl", tmp_path / "x.jsonl", "--save", tmp_path / "out")
    assert code == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [(line["frame"], line["faces"][0]["track"]) for line in lines] == [(0, 1), (2, 2)]
    error = capfd.readouterr().err
    assert "2 frames, 2 faces" in error
    assert "edgemood: 1 of 3 pictures" in error


@pytest.fixture
def no_camera() -> None:
    if Path("/dev/video0").exists():
        pytest.skip("there is a camera 0 here")


@pytest.mark.usefixtures("no_camera")
def test_where_there_is_no_camera_the_demo_is_run_and_saved(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Demo, "HOLD", 0.04)
    monkeypatch.setattr(Demo, "FADE", 0.04)
    assert run() == 0
    error = capfd.readouterr().err
    assert "/dev/video0 cannot be opened" in error
    assert "this is the demo instead" in error
    assert f"the annotated video is {DEMO_VIDEO}" in error
    with open_source(str(DEMO_VIDEO)) as saved:
        assert saved.count == 14


@pytest.mark.usefixtures("no_camera")
def test_a_camera_that_was_asked_for_is_not_replaced_by_the_demo(
    run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("0", "--headless") == 2
    assert "no such device" in one_message(capfd.readouterr().err)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(["99"], "/dev/video99", id="a camera that isn't there"),
        pytest.param(["bad.mp4"], "it is a text file", id="a text file called a video"),
        pytest.param(["bad.jpg"], "cannot be decoded", id="a picture that can't be decoded"),
        pytest.param(["bare"], "has no pictures", id="a folder without pictures"),
        pytest.param(["demo", "--model", "bad.onnx"], "not a whole", id="a model that is none"),
        pytest.param(["demo", "--model", "none.onnx"], "is not there", id="no such model"),
        pytest.param(["demo", "--detector", "bad.onnx"], "detector", id="a detector that is none"),
        pytest.param(["demo", "--engine", "litert"], "does not read", id="an engine that can't"),
        pytest.param(["demo", "--threads", "65"], "at most 64", id="more threads than any use"),
        pytest.param(
            ["demo", "--detector", "~no-such-user/x.onnx"], "is not there", id="nobody's home"
        ),
        pytest.param(
            ["demo", "--save", "~no-such-user/x.mp4"], "cannot be written", id="nor to save in"
        ),
        pytest.param(["demo", "--save", "no/out.mp4"], "cannot be written", id="no place to save"),
        pytest.param(["demo", "--jsonl", "no/out.jsonl"], "cannot be written", id="nor for lines"),
    ],
)
def test_what_cannot_be_opened_ends_with_one_message_and_2(
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    options: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("bad.mp4", "bad.jpg", "bad.onnx"):
        Path(name).write_text("words and words\n" * 20)
    Path("bare").mkdir()
    before = sorted(tmp_path.iterdir())
    model = [] if "--model" in options else ["--model", str(tiny_model)]
    assert cli.main(["run", *options, *model, "--headless"]) == 2
    # OpenCV was loaded by other tests, and may chatter before the last line.
    message = capfd.readouterr().err.splitlines()[-1]
    assert message.startswith("edgemood: ")
    assert says in message
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_fault_after_the_first_frame_ends_with_1(
    run: Run, short: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(short, "--headless", "--jsonl", "/dev/full", "--save", tmp_path / "out.mp4") == 1
    assert "No space left on device" in capfd.readouterr().err
    with open_source(str(tmp_path / "out.mp4")) as saved:
        assert len(list(saved)) == 1, "the video was finished all the same"


# --- in a process of its own --------------------------------------------------------------------


@pytest.fixture
def start(tiny_model: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*args: str, display: str = "") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*EDGEMOOD, "run", *args, "--model", str(tiny_model)],
            cwd=tmp_path,
            env=os.environ | {"DISPLAY": display},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_it_cleanly(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, name: str
) -> None:
    process = start("demo", "--headless", "--save", "out.mp4", "--jsonl", "out.jsonl")
    lines = tmp_path / "out.jsonl"
    deadline = time.monotonic() + 60
    while not (lines.exists() and lines.read_bytes().count(b"\n") >= 5):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    number = getattr(signal, name)
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert " frames, " in error
    assert "Traceback" not in error
    text = lines.read_text()
    assert text.endswith("\n")
    with open_source(str(tmp_path / "out.mp4")) as saved:
        assert len(list(saved)) == text.count("\n") < 350


def test_a_reader_that_leaves_ends_it_quietly(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    process = start("demo", "--headless", "--jsonl", "-")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["frame"] == 0
    process.stdout.close()
    assert process.stderr is not None
    error = process.stderr.read()
    assert process.wait(timeout=30) == 141
    assert " frames, " in error
    assert "Error" not in error


@pytest.mark.parametrize("args", [["bad.mp4"], ["demo", "--detector", "bad.mp4"]], ids=str)
def test_the_libraries_add_nothing_to_the_message(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, args: list[str]
) -> None:
    (tmp_path / "bad.mp4").write_bytes(np.random.default_rng(0).bytes(9999))
    out, error = start(*args, "--headless").communicate(timeout=60)
    assert out == ""
    one_message(error)


@pytest.mark.skipif(not shutil.which("Xvfb"), reason="Xvfb is not installed")
def test_a_window_shows_a_file_at_its_own_speed(
    start: Callable[..., subprocess.Popen[str]], short: Path
) -> None:
    display = f":{4000 + os.getpid() % 1000}"
    with subprocess.Popen(
        ["Xvfb", display, "-screen", "0", "800x600x24"], stderr=subprocess.DEVNULL
    ) as server:
        try:
            deadline = time.monotonic() + 20
            while not Path(f"/tmp/.X11-unix/X{display[1:]}").exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process = start(short.name, "--jsonl", "-", display=display)
            assert process.stdout is not None
            shown = [time.monotonic() for _ in process.stdout]
            assert process.wait(timeout=30) == 0
        finally:
            server.terminate()
    assert len(shown) == 25
    assert shown[-1] - shown[0] > 0.8, "24 frames at 25 a second take 0.96 s"


def test_the_default_model_runs(short: Path, tmp_path: Path) -> None:
    if not (Path(__file__).parents[2] / "models" / DEFAULT_MODEL).exists():
        pytest.skip(f"models/{DEFAULT_MODEL} is not there yet")
    assert cli.main(["run", str(short), "--headless", "--jsonl", str(tmp_path / "x")]) == 0
    assert len((tmp_path / "x").read_text().splitlines()) == 25


def test_the_closing_line_counts_in_words() -> None:
    tally = Tally()
    tally.add(1, 0.004)
    assert tally.line().startswith("1 frame, 1 face, ")
    tally.add(2, 0.006)
    assert tally.line().startswith("2 frames, 3 faces, ")
    assert "5.0 ms a frame (p50)" in tally.line()
