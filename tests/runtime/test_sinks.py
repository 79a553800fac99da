"""Sinks: what is written can be read again, and what can't be written is one message."""

from __future__ import annotations

import csv
import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood.errors import EdgemoodError
from edgemood.runtime.sinks import (
    Callback,
    CsvRows,
    JsonLines,
    Result,
    Sink,
    VideoFile,
    csv_rows,
    json_line,
    no_display,
    save_sink,
)
from edgemood.runtime.sources import Source, open_source
from edgemood.values import Emotion, Face, Frame, Reading

LABELS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


class Still(Source):
    """A source of plain frames of this size; live or not."""

    def __init__(self, size: tuple[int, int], fps: float | None = 25.0, live: bool = False) -> None:
        self.name, self.size, self.fps, self.is_live = "still", size, fps, live


def results(count: int, size: tuple[int, int] = (64, 48), fps: float = 25.0) -> list[Result]:
    return [
        Result(Frame(np.full((size[1], size[0], 3), min(10 * i, 250), np.uint8), i, i / fps), [])
        for i in range(count)
    ]


def reading(confidence: float = 0.93119, unsure: str | None = None) -> Reading:
    probabilities = dict(zip(LABELS, [0.01012, 0.02, 0.00333333, confidence, 0.0, 0.01, 0.0253]))
    face = Face((10, -2, 30, 40), 0.98001, np.zeros((5, 2), np.float32))
    return Reading(1, face, Emotion("happy", confidence, probabilities), unsure)


def video_frames(path: Path) -> list[np.ndarray]:
    with open_source(str(path)) as source:
        return [frame.image for frame in source]


# --- lines of JSON ------------------------------------------------------------------------------


def test_a_line_is_exactly_that_of_schema_1() -> None:
    assert json_line(Frame(np.zeros((1, 1, 3), np.uint8), 12, 0.4), [reading()]) == (
        '{"schema": 1, "frame": 12, "time": 0.4, "faces": [{"track": 1, "box": [10, -2, 30, 40], '
        '"score": 0.98, "emotion": "happy", "confidence": 0.9312, "unsure": null, '
        '"probabilities": {"angry": 0.0101, "disgust": 0.02, "fear": 0.0033, "happy": 0.9312, '
        '"neutral": 0.0, "sad": 0.01, "surprise": 0.0253}}]}'
    )


def test_a_line_about_a_picture_has_its_name(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), np.zeros((20, 30, 3), np.uint8))
    with (
        open_source(str(tmp_path)) as source,
        JsonLines(str(tmp_path / "out.jsonl"), source) as lines,
        CsvRows(str(tmp_path / "out.csv"), LABELS, source) as rows,
    ):
        for frame in source:
            lines.write(Result(frame, [reading()]))
            rows.write(Result(frame, [reading()]))
    assert json.loads((tmp_path / "out.jsonl").read_text())["name"] == "photo.png"
    (row,) = csv.DictReader((tmp_path / "out.csv").open())
    assert row["name"] == "photo.png"


def test_each_line_can_be_read_as_soon_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("an earlier run\n")
    sink = JsonLines(str(path), Still((64, 48)))
    for result in results(3):
        sink.write(result)
        lines = path.read_text().splitlines()
        assert json.loads(lines[-1])["frame"] == result.frame.index
    sink.close()
    assert len(lines) == 3


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk_is_one_message() -> None:
    sink = JsonLines("/dev/full", Still((64, 48)))
    with pytest.raises(EdgemoodError, match="No space left"):
        sink.write(results(1)[0])
    sink.close()


def test_a_reader_that_has_gone_is_a_broken_pipe() -> None:
    reader, writer = os.pipe()
    sink = JsonLines(f"/dev/fd/{writer}", Still((64, 48)))
    os.close(writer)
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        sink.write(results(1)[0])
    sink.close()


# --- rows of CSV, and both kinds of text --------------------------------------------------------


def test_a_face_is_a_row_of_numbers_that_can_be_told_when_cut_off() -> None:
    frame = Frame(np.zeros((1, 1, 3), np.uint8), 12, 0.4)
    assert csv_rows(frame, [reading(), reading(0.5, "too dark")]) == (
        "12,0.4000,,1,10,-2,30,40,0.9800,happy,0.9312,,"
        "0.0101,0.0200,0.0033,0.9312,0.0000,0.0100,0.0253\n"
        "12,0.4000,,1,10,-2,30,40,0.9800,happy,0.5000,too dark,"
        "0.0101,0.0200,0.0033,0.5000,0.0000,0.0100,0.0253\n"
    )
    assert csv_rows(frame, []) == ""


def test_columns_are_named_by_the_models_labels(tmp_path: Path) -> None:
    with CsvRows(str(tmp_path / "out.csv"), ("müde", "wach, sehr")) as sink:
        sink.write(results(1)[0])
    (header,) = csv.reader((tmp_path / "out.csv").open(encoding="utf-8"))
    assert header[-3:] == ["unsure", "müde", "wach, sehr"]


def rows(path: str, source: Source, append: bool = False) -> Sink:
    return CsvRows(path, LABELS, source, append)


OPENS = pytest.mark.parametrize("opens", [JsonLines, rows], ids=["--jsonl", "--csv"])
Opens = Callable[..., Sink]


def written(path: Path, opens: Opens, append: bool) -> list[str]:
    """The lines of a file after another run of one frame."""
    with opens(str(path), Still((64, 48)), append) as sink:
        sink.write(Result(results(1)[0].frame, [reading()]))
    return path.read_text().splitlines()


@OPENS
def test_a_file_is_replaced_unless_it_is_appended_to(tmp_path: Path, opens: Opens) -> None:
    path = tmp_path / "out"
    once = written(path, opens, append=True)
    assert written(path, opens, append=False) == once
    assert written(path, opens, append=True) == [*once, once[-1]]


@OPENS
def test_half_a_line_is_never_continued(tmp_path: Path, opens: Opens) -> None:
    """What a kill may leave of a line is taken away, wherever it was cut."""
    path = tmp_path / "out"
    once = written(path, opens, append=False)
    whole = path.read_bytes()
    for length in range(1, len(once[-1])):
        path.write_bytes(whole + once[-1][:length].encode())
        assert written(path, opens, append=True) == [*once, once[-1]]


@OPENS
def test_a_line_that_lacks_its_newline_alone_is_given_one(tmp_path: Path, opens: Opens) -> None:
    path = tmp_path / "out"
    once = written(path, opens, append=False)
    path.write_bytes(path.read_bytes()[:-1])
    assert written(path, opens, append=True) == [*once, once[-1]]


@pytest.mark.parametrize("foreign", [b"notes", b"m\xfcde \xff", b"x" * 200_000], ids=len)
def test_what_is_none_of_ours_is_never_taken_away(tmp_path: Path, foreign: bytes) -> None:
    path = tmp_path / "out"
    path.write_bytes(foreign)
    with JsonLines(str(path), append=True) as sink:
        sink.write(results(1)[0])
    assert path.read_bytes().startswith(foreign + b'\n{"schema"')


def test_rows_are_not_appended_to_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    CsvRows(str(path), LABELS).close()
    before = path.read_bytes()
    with pytest.raises(EdgemoodError, match="begins with other columns"):
        CsvRows(str(path), LABELS[:3], append=True)
    assert path.read_bytes() == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_header_that_finds_no_room_is_one_message() -> None:
    with pytest.raises(EdgemoodError, match="No space left"):
        CsvRows("/dev/full", LABELS)


def test_a_function_can_take_results() -> None:
    seen: list[int] = []
    with Callback(lambda result: seen.append(result.frame.index)) as sink:
        for result in results(3):
            sink.write(result)
    assert seen == [0, 1, 2]


# --- video and pictures -------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi"])
@pytest.mark.parametrize("size", [(64, 48), (65, 49)], ids=["even", "odd"])
def test_a_video_has_every_frame_at_the_sources_rate(
    tmp_path: Path, ending: str, size: tuple[int, int]
) -> None:
    path = tmp_path / f"out.{ending}"
    sink = save_sink(str(path), Still(size, fps=12.5))
    for result in results(10, size):
        sink.write(result)
    sink.close()
    with open_source(str(path)) as source:
        assert source.fps == pytest.approx(12.5)
    frames = video_frames(path)
    assert len(frames) == 10
    assert [frame.mean() for frame in frames] == pytest.approx(range(0, 100, 10), abs=4)


def test_a_live_video_keeps_its_time_when_frames_come_late(tmp_path: Path) -> None:
    sink = VideoFile(tmp_path / "out.avi", Still((64, 48), fps=20.0, live=True))
    for result in results(5, fps=5.0):  # a second of frames at a quarter of the declared rate
        sink.write(result)
    sink.close()
    levels = [round(frame.mean(), -1) for frame in video_frames(tmp_path / "out.avi")]
    assert levels == [0] + [10] * 4 + [20] * 4 + [30] * 4 + [40] * 4


def test_a_live_video_leaves_out_the_time_a_source_was_away(tmp_path: Path) -> None:
    sink = VideoFile(tmp_path / "out.avi", Still((64, 48), fps=20.0, live=True))
    image = np.zeros((48, 64, 3), np.uint8)
    for index, time in enumerate([0.0, 0.05, 86400.0, 86400.05]):
        sink.write(Result(Frame(image, index, time), []))
    sink.close()
    assert len(video_frames(tmp_path / "out.avi")) == 2 + 40 + 1, "two seconds of it stay"


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi"])
@pytest.mark.parametrize("fps", [0.5, 17.348291, 29.97, 1000 / 3])
@pytest.mark.parametrize("count", [1, 2, 61])
def test_a_whole_video_is_not_taken_for_an_unfinished_one(
    tmp_path: Path, ending: str, fps: float, count: int
) -> None:
    with VideoFile(tmp_path / f"out.{ending}", Still((64, 48), fps)) as sink:
        for result in results(count):
            sink.write(result)
    assert len(video_frames(tmp_path / f"out.{ending}")) == count


def test_frames_of_other_sizes_are_fitted_into_the_video(tmp_path: Path) -> None:
    sink = VideoFile(tmp_path / "out.avi", Still((64, 48)))
    sink.write(results(1)[0])
    image = np.full((100, 50, 3), 200, np.uint8)
    sink.write(Result(Frame(image, 1, 0.04), []))
    sink.close()
    _, frame = video_frames(tmp_path / "out.avi")
    assert frame[:, 24:40].mean() == pytest.approx(200, abs=4)
    assert frame[:, :16].mean() == pytest.approx(0, abs=4)


def test_a_video_without_a_frame_is_not_left_behind(tmp_path: Path) -> None:
    VideoFile(tmp_path / "out.mp4", Still((64, 48))).close()
    assert list(tmp_path.iterdir()) == []


def save_all(named: Path, to: Path, recursive: bool = False) -> None:
    """What `edgemood run NAMED --save TO` does, without reading faces."""
    with (
        open_source(str(named), recursive=recursive) as source,
        save_sink(str(to), source) as sink,
    ):
        for frame in source:
            sink.write(Result(frame, []))


def test_a_folder_gets_pictures_by_the_names_of_the_sources(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "b.png", "c.pgm"):
        cv2.imwrite(str(tmp_path / "in" / name), np.full((20, 30), 77, np.uint8))
    save_all(tmp_path / "in", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "b.png", "c.pgm"]
    for frame in open_source(str(tmp_path / "out")):
        assert frame.image.mean() == pytest.approx(77, abs=2)


def test_pictures_of_the_same_name_do_not_replace_one_another(tmp_path: Path) -> None:
    for i, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "x.png"), np.full((20, 30), 77 * i, np.uint8))
    save_all(tmp_path / "*" / "x.png", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["x-1.png", "x.png"]


def test_nor_does_a_name_that_was_made_for_one_of_them(tmp_path: Path) -> None:
    for name in ("a/x.png", "a/x-2.png", "b/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.full((20, 30), len(name), np.uint8))
    (tmp_path / "list.txt").write_text("a/x.png\na/x-2.png\nb/x.png\n")
    save_all(tmp_path / "list.txt", tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_picture_too_large_for_its_kind_of_file_is_one_message(tmp_path: Path) -> None:
    sink = save_sink(str(tmp_path / "out.jpg"), Still((70_000, 2)))
    sink.write(Result(Frame(np.zeros((2, 70_000, 3), np.uint8), 0, 0.0), []))
    with pytest.raises(EdgemoodError, match=r"no \.jpg holds 70000x2 pixels"):
        sink.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_others_have_filled_stays(tmp_path: Path) -> None:
    sink = save_sink(str(tmp_path / "new"), Still((64, 48)))
    (tmp_path / "new" / "other.txt").write_text("mine")
    sink.close()
    assert (tmp_path / "new" / "other.txt").exists()


def test_the_folders_of_a_folder_are_made_again(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "in" / "deep" / "x.png"), np.zeros((20, 30), np.uint8))
    save_all(tmp_path / "in", tmp_path / "out", recursive=True)
    assert (tmp_path / "out" / "deep" / "x.png").exists()


def test_a_videos_pictures_sort_in_its_order(tmp_path: Path) -> None:
    sink = save_sink(f"{tmp_path}/new/", Still((64, 48)))
    for result in results(12):
        sink.write(result)
    sink.close()
    levels = [frame.image.mean() for frame in open_source(str(tmp_path / "new"))]
    assert levels == pytest.approx(range(0, 120, 10), abs=2)


def test_a_picture_holds_the_last_frame(tmp_path: Path) -> None:
    sink = save_sink(str(tmp_path / "out.png"), Still((64, 48)))
    for result in results(4):
        sink.write(result)
    assert list(tmp_path.iterdir()) == []
    sink.close()
    assert cv2.imread(str(tmp_path / "out.png")).mean() == 30


def test_a_folder_that_stays_empty_is_not_left_behind(tmp_path: Path) -> None:
    save_sink(str(tmp_path / "new"), Still((64, 48))).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("missing/out.mp4", "No such file"),
        ("missing/out.png", "No such file"),
        ("file.txt/out.avi", "Not a directory"),
        ("file.txt/folder", "Not a directory"),
        ("out.xyz", "ends in .xyz"),
        ("out.mp3", "ends in .mp3"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_message(
    tmp_path: Path, path: str, says: str
) -> None:
    (tmp_path / "file.txt").write_text("in the way")
    with pytest.raises(EdgemoodError, match=says) as error:
        save_sink(str(tmp_path / path), Still((64, 48)))
    assert error.value.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


@OPENS
@pytest.mark.parametrize("path", ["missing/out", "."])
def test_lines_that_cannot_be_written_are_one_message(
    tmp_path: Path, path: str, opens: Opens
) -> None:
    with pytest.raises(EdgemoodError, match="cannot be written"):
        opens(str(tmp_path / path), Still((64, 48)))


@pytest.fixture
def sealed() -> Iterator[Path]:
    """A folder that nothing can be written to, holding one file; for root as well."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "old.mp4").write_text("a friend's film")
        (folder / "old.mp4").chmod(0o444)
        folder.chmod(0o555)
        root = os.geteuid() == 0 if hasattr(os, "geteuid") else pytest.skip("Windows has no modes")
        if root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)


@pytest.mark.parametrize("open_sink", [save_sink, JsonLines, rows])
@pytest.mark.parametrize("name", ["new.mp4", "old.mp4", "new.png"])
def test_a_read_only_folder_is_one_message_at_the_start(
    sealed: Path, open_sink: Opens, name: str
) -> None:
    with pytest.raises(EdgemoodError, match="cannot be written: Permission denied") as error:
        open_sink(str(sealed / name), Still((64, 48)))
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    "open_sink", [save_sink, JsonLines, rows], ids=["--save", "--jsonl", "--csv"]
)
def test_the_source_is_never_overwritten(
    tmp_path: Path, open_sink: Callable[[str, Source], object]
) -> None:
    path = tmp_path / "own.png"
    cv2.imwrite(str(path), np.zeros((20, 20, 3), np.uint8))
    before = path.read_bytes()
    with open_source(str(path)) as source, pytest.raises(EdgemoodError, match="the source itself"):
        open_sink(str(path), source)
    assert path.read_bytes() == before


@pytest.mark.parametrize("named", [".", "*.png", "list.txt"])
@pytest.mark.parametrize("target", [".", "b.png"])
def test_no_picture_of_several_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, target: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        cv2.imwrite(name, np.zeros((20, 20, 3), np.uint8))
    Path("list.txt").write_text("a.png\nb.png\n")
    with open_source(named) as source, pytest.raises(EdgemoodError, match="the source itself"):
        save_sink(target, source)


def test_a_name_that_is_no_utf8_is_text_in_every_line(tmp_path: Path) -> None:
    named = tmp_path / os.fsdecode(b"caf\xe9.png")
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((20, 30, 3), np.uint8))
    try:
        (tmp_path / "x.png").rename(named)
    except OSError:
        pytest.skip("this file system has names in UTF-8 alone")
    with (
        open_source(named) as source,
        JsonLines(str(tmp_path / "out.jsonl"), source) as lines,
        CsvRows(str(tmp_path / "out.csv"), LABELS, source) as rows,
    ):
        for frame in source:
            lines.write(Result(frame, [reading()]))
            rows.write(Result(frame, [reading()]))
    assert json.loads((tmp_path / "out.jsonl").read_text("utf-8"))["name"] == r"caf\udce9.png"
    (row,) = csv.DictReader((tmp_path / "out.csv").open(encoding="utf-8"))
    assert row["name"] == r"caf\udce9.png"
    # OpenCV ends the program where it is given such a name.
    with pytest.raises(EdgemoodError, match="its name is no UTF-8"):
        save_sink(str(named.with_suffix(".mp4")), Still((64, 48)))


# --- window -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("display", "says"),
    [
        pytest.param(None, "there is no display", id="none named"),
        pytest.param("", "there is no display", id="an empty name"),
        pytest.param(":4711", "the display :4711 does not answer", id="one that is not there"),
        pytest.param("127.0.0.1:300", "does not answer", id="a remote one that is not there"),
    ],
)
def test_a_display_that_cannot_be_used_is_noticed_beforehand(
    monkeypatch: pytest.MonkeyPatch, display: str | None, says: str
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    if display is not None:
        monkeypatch.setenv("DISPLAY", display)
    assert says in (no_display() or "")


def test_a_display_that_answers_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DISPLAY", f"127.0.0.1:{server.getsockname()[1] - 6000}.0")
        assert no_display() is None
