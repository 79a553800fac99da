"""`edgemood run` with several sinks at once, and what it refuses to write."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from edgemood import cli
from edgemood.runtime.pipeline import DEFAULT_MODEL
from edgemood.runtime.sources import open_source

Run = Callable[..., int]
FRAMES = 10


@pytest.fixture
def run(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command on the demo's first frames, in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    writer = cv2.VideoWriter("short.avi", cv2.VideoWriter.fourcc(*"MJPG"), 25, (640, 480))
    for frame in open_source("demo"):
        if frame.index == FRAMES:
            break
        writer.write(frame.image)
    writer.release()
    model = ["--model", str(tiny_model)]
    return lambda *args: cli.main(["run", "short.avi", "--headless", *args, *model])


def read(name: str) -> list[str]:
    return Path(name).read_text().splitlines()


def test_everything_can_be_written_at_once(run: Run) -> None:
    everything = ["--save", "out.mkv", "--jsonl", "out.jsonl", "--csv", "out.csv", "--blur-faces"]
    assert run(*everything, "--timeline", "out.png") == 0
    lines = [json.loads(line) for line in read("out.jsonl")]
    rows = list(csv.DictReader(read("out.csv")))
    assert [line["frame"] for line in lines] == list(range(FRAMES))
    assert len(rows) == FRAMES
    for line, row in zip(lines, rows):
        (face,) = line["faces"]
        box = [int(row[name]) for name in ("x", "y", "width", "height")]
        assert (line["frame"], face["track"]) == (int(row["frame"]), int(row["track"]))
        assert (face["box"], face["emotion"]) == (box, row["emotion"])
        assert face["unsure"] == (row["unsure"] or None)
        assert face["probabilities"] == {
            label: float(row[label]) for label in face["probabilities"]
        }
    with open_source("out.mkv") as saved:
        assert len(list(saved)) == FRAMES
    assert cv2.imread("out.png") is not None


def test_a_second_run_can_go_on_where_the_first_ended(run: Run) -> None:
    to = ["--jsonl", "out.jsonl", "--csv", "out.csv", "--append"]
    assert run(*to) == run(*to) == 0
    assert [json.loads(line)["frame"] for line in read("out.jsonl")] == [*range(FRAMES)] * 2
    rows = list(csv.DictReader(read("out.csv")))
    assert [int(row["frame"]) for row in rows] == [*range(FRAMES)] * 2


def test_rows_can_go_to_standard_output(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("--csv", "-", "--jsonl", "out.jsonl") == 0
    assert len(list(csv.DictReader(capfd.readouterr().out.splitlines()))) == FRAMES


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(["--append"], "goes with --jsonl or --csv", id="nothing to append to"),
        pytest.param(["--csv", "-", "--jsonl", "-"], "cannot hold both", id="both on stdout"),
        pytest.param(["--csv", "x", "--jsonl", "./x"], "cannot hold both", id="both in a file"),
        pytest.param(["--csv", "old", "--append"], "other columns", id="another header"),
        pytest.param(["--save", "t.png", "--timeline", "t.png"], "cannot hold both", id="pictures"),
        *(
            pytest.param([*words, "short.avi"], "the source itself", id=words[-1][2:])
            for words in (
                ["--csv"],
                ["--save"],
                ["--timeline"],
                ["--calibrate", "0.1", "--save-neutral"],
            )
        ),
        pytest.param(["--csv", "none/x"], "No such file", id="a folder that isn't there"),
    ],
)
def test_what_cannot_be_written_ends_with_one_message_and_2(
    run: Run, capfd: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    Path("old").write_text("time,mood\n1,2\n")
    before = {path: path.read_bytes() for path in Path().iterdir()}
    assert run(*options) == 2
    said = capfd.readouterr().err.splitlines()
    assert says in said[-1]
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_the_pages_example_runs_and_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (Path(__file__).parents[2] / "models" / DEFAULT_MODEL).exists():
        pytest.skip(f"models/{DEFAULT_MODEL} is not there yet")
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[2] / "docs" / "output.md"
    code, prints = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", page.read_text(), re.S)[
        0
    ]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, str(page), "exec"), {})
    assert said.getvalue() == prints
    assert [json.loads(line)["frame"] for line in read("faces.jsonl")] == list(range(10))
    with open_source("faces.mkv") as saved:
        assert len(list(saved)) == 10


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_the_others_are_finished_when_a_reader_leaves(tiny_model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgemood.cli", "run", "demo", "--headless", "--csv", "-"]
    others = ["--save", "out.mp4", "--jsonl", "out.jsonl", "--model", str(tiny_model)]
    with subprocess.Popen(
        [*command, *others],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=30) == 141
    count = (tmp_path / "out.jsonl").read_bytes().count(b"\n")
    with open_source(str(tmp_path / "out.mp4")) as saved:
        assert len(list(saved)) == count < 350
