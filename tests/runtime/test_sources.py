"""Sources: every frame once, in order, with its time; what can't be read is one message."""

from __future__ import annotations

import itertools
import os
import re
import resource
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood.errors import EdgemoodError
from edgemood.runtime.faces import FaceDetector
from edgemood.runtime.sources import Source, hide_secrets, open_source
from edgemood.runtime.sources.decode import picture_size
from edgemood.runtime.sources.several import Several
from edgemood.values import Frame


def picture(level: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    return np.full((size[1], size[0], 3), level, np.uint8)


def write_video(path: Path, count: int = 12, fps: float = 20.0) -> Path:
    """A video whose frame i is gray of level 20 * i."""
    code = cv2.VideoWriter.fourcc(*("mp4v" if path.suffix == ".mp4" else "MJPG"))
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, fps, (64, 48))
    for i in range(count):
        writer.write(picture(20 * i % 256))
    writer.release()
    return path


def drain(source: Source) -> tuple[list[Frame], EdgemoodError]:
    """Every frame of a source that ends with a fault, and the fault."""
    frames: list[Frame] = []
    try:
        frames.extend(source)
    except EdgemoodError as error:
        return frames, error
    raise AssertionError("it ended without a fault")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """b.png, a.jpg and c.bmp, of different sizes, beside what is none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, level in (("b.png", 100), ("a.jpg", 50), ("c.bmp", 150)):
        cv2.imwrite(str(folder / name), picture(level, (40 + level, 30)))
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_text("no picture")
    return folder


@pytest.mark.parametrize("ending", ["avi", "mkv"])
def test_a_video_gives_every_frame_once_in_order_with_its_time(tmp_path: Path, ending: str) -> None:
    with open_source(str(write_video(tmp_path / f"clip.{ending}"))) as source:
        assert (source.size, source.fps, source.count) == ((64, 48), pytest.approx(20), 12)
        assert not source.is_live
        assert not source.is_pictures
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time for frame in frames] == pytest.approx([i / 20 for i in range(12)], abs=0.002)
    levels = [frame.image.mean() for frame in frames]
    assert levels == pytest.approx([20 * i for i in range(12)], abs=3)


@pytest.mark.parametrize("fps", [0.1, 7.3, 240])
def test_a_video_may_be_as_slow_as_a_time_lapse_or_fast(tmp_path: Path, fps: float) -> None:
    with open_source(write_video(tmp_path / "clip.avi", 4, fps)) as source:
        assert source.fps == pytest.approx(fps, rel=1e-3)
        times = [frame.time for frame in source]
    assert times == pytest.approx([i / fps for i in range(4)], rel=1e-2)


def test_frames_of_a_variable_rate_have_their_own_times(tmp_path: Path) -> None:
    data = bytearray(write_video(tmp_path / "clip.mp4", 12).read_bytes())
    # The table of durations: one entry for all frames becomes three, of as much time altogether.
    at = data.index(b"stts") - 4
    count, delta = struct.unpack(">II", data[at + 16 : at + 24])
    assert count == 12
    entries = struct.pack(">I6I", 3, 4, delta // 2, 4, delta * 2, 4, delta // 2)
    data[at + 12 : at + 24] = entries
    for box in (b"stts", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        start = data.index(box) - 4
        size = struct.unpack(">I", data[start : start + 4])[0] + len(entries) - 12
        data[start : start + 4] = struct.pack(">I", size)
    (tmp_path / "clip.mp4").write_bytes(data)
    frames = list(open_source(str(tmp_path / "clip.mp4")))
    steps = np.diff([frame.time for frame in frames])
    assert steps == pytest.approx([0.025] * 4 + [0.1] * 4 + [0.025] * 3, abs=0.002)


def test_a_video_is_turned_as_its_file_says(tmp_path: Path) -> None:
    data = bytearray(write_video(tmp_path / "clip.mp4", 3).read_bytes())
    at = data.index(b"tkhd") + 44  # a matrix of 16.16 numbers: here a quarter turn
    turn = (0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
    data[at : at + 36] = struct.pack(">9i", *turn)
    (tmp_path / "clip.mp4").write_bytes(data)
    with open_source(str(tmp_path / "clip.mp4")) as source:
        assert source.size == (48, 64)
        assert {frame.image.shape for frame in source} == {(64, 48, 3)}


def test_a_folder_gives_its_pictures_in_the_order_of_their_names(pictures: Path) -> None:
    with open_source(str(pictures)) as source:
        assert (source.count, source.fps, source.is_pictures) == (3, None, True)
        frames = list(source)
        assert [source.frame_name(frame) for frame in frames] == ["a.jpg", "b.png", "c.bmp"]
    assert [frame.image.shape[1] for frame in frames] == [90, 140, 190]
    assert source.size == (90, 30)


def test_one_picture_is_one_frame(pictures: Path) -> None:
    (frame,) = open_source(str(pictures / "b.png"))
    assert (frame.index, frame.time, frame.image.shape) == (0, 0.0, (30, 140, 3))


@pytest.mark.parametrize(
    ("channels", "depth"),
    [(1, np.uint8), (4, np.uint8), (3, np.uint16)],
    ids=["gray", "with alpha", "16-bit"],
)
def test_every_picture_becomes_bgr_uint8(tmp_path: Path, channels: int, depth: type) -> None:
    value = 128 if depth is np.uint8 else 128 * 257
    cv2.imwrite(str(tmp_path / "x.png"), np.full((30, 40, channels), value, depth))
    (frame,) = open_source(str(tmp_path / "x.png"))
    assert frame.image.dtype == np.uint8
    assert frame.image.shape == (30, 40, 3)
    assert frame.image.mean() == pytest.approx(128, abs=1)


def test_a_picture_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    jpeg = cv2.imencode(".jpg", picture(99, (40, 20)))[1].tobytes()
    # An APP1 segment with one little-endian TIFF entry: orientation (0x112) 6, a quarter turn.
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    (tmp_path / "turned.jpg").write_bytes(jpeg[:2] + segment + jpeg[2:])
    assert open_source(str(tmp_path / "turned.jpg")).size == (20, 40)


def test_a_folder_within_a_folder_is_read_when_that_is_asked_for(pictures: Path) -> None:
    (pictures / "below" / ".hidden").mkdir(parents=True)
    for name in ("below/a.jpg", "below/.hidden/x.png"):
        cv2.imwrite(str(pictures / name), picture(9))
    with open_source(str(pictures)) as source:
        assert source.count == 3
    with open_source(str(pictures), recursive=True) as source:
        names = [source.frame_name(frame) for frame in source]
    assert names == ["a.jpg", "b.png", "c.bmp", "below/a.jpg"]


def test_a_glob_gives_what_fits_by_name(pictures: Path) -> None:
    with open_source(str(pictures / "[bc].*")) as source:
        assert [source.frame_name(frame) for frame in source] == ["b.png", "c.bmp"]


def test_a_file_whose_name_looks_like_a_glob_is_itself(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "[a].png"), picture(9))
    cv2.imwrite(str(tmp_path / "a.png"), picture(9, (10, 10)))
    assert open_source(str(tmp_path / "[a].png")).size == (64, 48)


def test_a_list_gives_its_sources_one_after_the_other(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "one.avi", 3)
    write_video(tmp_path / "two.avi", 2)
    (tmp_path / "list.txt").write_text("# both\none.avi\n\n  pictures/b.png\ntwo.avi\n")
    monkeypatch.chdir("/")
    with open_source(str(tmp_path / "list.txt")) as source:
        frames, cuts = [], []
        for frame in source:
            frames.append(frame)
            cuts.append(source.is_cut(frame))
    assert [frame.index for frame in frames] == list(range(6))
    assert cuts == [True, False, False, True, True, False]
    times = [frame.time for frame in frames]
    assert times == pytest.approx([0, 0.05, 0.1, 0.15, 1.15, 1.2], abs=0.002)


def test_a_list_of_pictures_is_as_good_as_a_folder_of_them(pictures: Path) -> None:
    (pictures / "list.txt").write_text("b.png\na.jpg\n")
    with open_source(str(pictures / "list.txt")) as source:
        assert (source.is_pictures, source.count) == (True, 2)
        assert [source.frame_name(frame) for frame in source] == ["b.png", "a.jpg"]


def test_a_list_may_name_pictures_in_a_home_folder(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(pictures))
    (pictures / "list.txt").write_text("~/b.png\na.jpg\n")
    assert len(list(open_source(str(pictures / "list.txt")))) == 2


def test_a_list_reads_all_that_it_names(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_video(tmp_path / "one.avi", 3)
    (tmp_path / "new").mkdir()
    (tmp_path / "list.txt").write_text(f"~/one.avi\n{pictures}\n{'prose ' * 60}\n")
    with open_source(str(tmp_path / "list.txt")) as source:
        for path in (tmp_path / "list.txt", tmp_path / "one.avi", pictures / "b.png", pictures):
            assert source.reads(path), path
        for path in (tmp_path / "new", pictures / "new.png", tmp_path / "two.avi"):
            assert not source.reads(path), path


class TwoFrames(Source):
    name, size, fps, is_closed = "two", (64, 48), 20.0, False

    def frames(self, tick: float) -> Iterator[Frame | None]:
        yield from (Frame(picture(0), index, index / 20) for index in range(2))

    def close(self) -> None:
        self.is_closed = True


def test_while_the_next_source_is_opened_other_things_can_be_looked_at() -> None:
    answers = threading.Event()
    opened: list[TwoFrames] = []

    def opens(name: str) -> Source:
        assert name == "quick" or answers.wait(10)
        opened.append(TwoFrames())
        return opened[-1]

    source = Several("list", ["quick", "slow", "slow"], opens)
    frames = source.frames(0.02)
    shown = list(itertools.islice(frames, 8))
    assert [frame and frame.index for frame in shown] == [0, 1] + 6 * [None]
    answers.set()
    assert [frame.index for frame in itertools.islice(filter(None, frames), 2)] == [2, 3]
    answers.clear()
    assert next(frames) is None
    source.close()
    frames.close()  # type: ignore[attr-defined]
    answers.set()
    deadline = time.monotonic() + 10
    while [each.is_closed for each in opened] != [True] * 3:
        assert time.monotonic() < deadline, "nobody waits for the third, and it stays open"
        time.sleep(0.01)


def test_what_a_list_names_in_vain_is_said_and_the_rest_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(tmp_path / "one.avi", 3)
    (tmp_path / "list.txt").write_text("rtsp//u:pw@h\none.avi\nnone.avi\n")
    frames = iter(open_source(str(tmp_path / "list.txt")))
    assert [next(frames).index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(EdgemoodError, match=r"2 of 3 sources .*list\.txt") as error:
        next(frames)
    assert error.value.exit_code == 1
    assert "none.avi cannot be opened: No such file" in capsys.readouterr().err


def test_a_folder_of_videos_is_read_as_a_list_of_them(tmp_path: Path) -> None:
    write_video(tmp_path / "b.avi", 2)
    write_video(tmp_path / "a.avi", 3)
    with open_source(str(tmp_path)) as source:
        assert len(list(source)) == 5


@pytest.mark.parametrize(
    "wish", [{"width": 320}, {"fps": 5}, {"mirror": True}], ids=["a width", "a rate", "a mirror"]
)
def test_what_only_a_camera_can_do_is_refused_of_a_file(wish: dict[str, int]) -> None:
    with pytest.raises(EdgemoodError, match=f"--{next(iter(wish))}.* Leave"):
        open_source("demo", **wish)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://user:secret@host:554/1", "rtsp://host:554/1"),
        ("rtsp://user:se/cr@et@host/1", "rtsp://host/1"),
        ("rtsp://user:se?cret@host/1", "rtsp://host/1"),
        ("http:/user:secret@host/1", "http:/host/1"),
        ("http://host:80/@home", "http://host:80/@home"),
        ("http://host/v?token=secret&size=9#a", "http://host/v?token=***&size=9#a"),
        ("http://host/v?usr=admin&pwd=secret", "http://host/v?usr=***&pwd=***"),
        ("rtsp://host/user=admin&password=secret&ch=1", "rtsp://host/user=***&password=***&ch=1"),
        ("https://host/v?X-Api-Key=secret", "https://host/v?X-Api-Key=***"),
        ("clips/user:a@home?key=1.mp4", "clips/user:a@home?key=1.mp4"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address: str, shown: str) -> None:
    assert hide_secrets(address) == shown


# --- pictures of any size -----------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["jpg", "png", "bmp", "webp", "tif", "pgm"])
def test_the_size_of_a_picture_is_read_from_its_first_bytes(ending: str) -> None:
    image = picture(99, (123, 45))
    if ending == "pgm":
        image = image[:, :, 0]
    assert picture_size(cv2.imencode(f".{ending}", image)[1].tobytes()) == (123, 45)


def test_the_size_of_a_lossless_webp_is_read_too() -> None:
    data = cv2.imencode(".webp", picture(99, (123, 45)), [cv2.IMWRITE_WEBP_QUALITY, 101])[1]
    assert data[12:16].tobytes() == b"VP8L"
    assert picture_size(data.tobytes()) == (123, 45)


def bomb(side: int) -> bytes:
    """A PNG of side x side pixels of one bit, a few kB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(side // 8 + 1)) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_a_picture_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(bomb(20_000))
    assert (tmp_path / "bomb.png").stat().st_size < 100_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(EdgemoodError, match="20000x20000 pixels, no more than 64 million"):
        open_source(str(tmp_path / "bomb.png"))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 50_000, "kB; decoded it would be 1,200,000"


def test_a_picture_of_8k_is_read(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "8k.jpg"), np.full((4320, 7680), 90, np.uint8))
    (frame,) = open_source(str(tmp_path / "8k.jpg"))
    assert frame.image.shape == (4320, 7680, 3)


@pytest.mark.parametrize("ending", ["jpg", "png", "bmp", "webp", "tif", "pgm"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.98])
def test_a_picture_that_was_cut_off_is_refused_without_chatter(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], ending: str, share: float
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 80), np.uint8)
    data = cv2.imencode(f".{ending}", noise)[1].tobytes()
    (tmp_path / f"x.{ending}").write_bytes(data[: int(share * len(data))])
    with pytest.raises(EdgemoodError, match="cannot be decoded"):
        open_source(str(tmp_path / f"x.{ending}"))
    # OpenCV's own words begin with a bracket, and the command turns them off.
    assert re.sub(r"(?m)^(\[.*)?\n", "", capfd.readouterr().err) == ""


def test_a_thousand_pictures_of_which_three_are_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = cv2.imencode(".jpg", picture(99))[1].tobytes()
    for i in range(1000):
        (tmp_path / f"{i:04d}.jpg").write_bytes(whole)
    (tmp_path / "0000.jpg").write_bytes(b"")
    (tmp_path / "0500.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "0999.jpg").write_bytes(np.random.default_rng(0).bytes(500))
    frames, error = drain(open_source(str(tmp_path)))
    assert "3 of 1000 pictures" in str(error)
    assert "the first is 0000.jpg" in str(error)
    assert error.exit_code == 1
    assert len(frames) == 997
    said = capsys.readouterr().err.splitlines()
    assert [name for name in ("0000", "0500", "0999") if name not in "".join(said)] == []
    assert len(said) == 3


def test_a_broken_picture_among_others_is_named_and_left_out(pictures: Path, capsys) -> None:
    (pictures / "b.png").write_bytes(b"broken")
    frames = iter(open_source(str(pictures)))
    assert [next(frames).index, next(frames).index] == [0, 2]
    with pytest.raises(EdgemoodError, match=r"1 of 3 .* the first is b\.png") as error:
        next(frames)
    assert error.value.exit_code == 1
    assert "b.png cannot be decoded" in capsys.readouterr().err


def test_a_video_that_ends_early_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", count=60).read_bytes()
    # OpenCV writes an mp4's index last: cut a part of the pictures out, keep the index whole.
    at = whole.index(b"moov") - 4
    start = at * 2 // 3
    (tmp_path / "cut.mp4").write_bytes(whole[:start] + bytes(at - start) + whole[at:])
    frames = iter(open_source(str(tmp_path / "cut.mp4")))
    assert [next(frames).index for _ in range(20)] == list(range(20))
    with pytest.raises(EdgemoodError, match=r"ended early: \d+ of 60 frames") as error:
        list(frames)
    assert error.value.exit_code == 1


def pictures_in_avi(data: bytes | bytearray) -> list[int]:
    """Where the chunks begin that hold a JPEG."""
    return [match.start() for match in re.finditer(rb"00dc....\xff\xd8", data, re.DOTALL)]


def test_a_short_video_that_ends_early_says_so_as_well(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.avi", count=12).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: pictures_in_avi(whole)[6]])
    frames, error = drain(open_source(str(tmp_path / "cut.avi")))
    assert len(frames) == 6
    assert "ended early: 6 of 12 frames" in str(error)


def test_a_video_with_broken_frames_gives_the_others_and_says_so(tmp_path: Path) -> None:
    whole = bytearray(write_video(tmp_path / "whole.avi", count=12).read_bytes())
    starts = pictures_in_avi(whole)
    assert len(starts) == 12
    for broken in (4, 8):
        whole[starts[broken] + 8 : starts[broken + 1]] = bytes(
            starts[broken + 1] - starts[broken] - 8
        )
    (tmp_path / "broken.avi").write_bytes(whole)
    frames, error = drain(open_source(str(tmp_path / "broken.avi")))
    levels = [round(frame.image.mean() / 20) for frame in frames]
    assert levels == [0, 1, 2, 3, 5, 6, 7, 9, 10, 11]
    assert "2 of its frames could not be decoded" in str(error)
    assert error.exit_code == 1


BAD = {
    "a camera that isn't there": ("0", "no such device"),
    "a camera index of 99": ("99", "no such device"),
    "a camera by path": ("/dev/video98", "no such device"),
    "no such file": ("nowhere.mp4", "No such file"),
    "an empty video": ("empty.mp4", "is empty"),
    "a text file called a video": ("text.mp4", "it is a text file"),
    "zeros": ("zeros.mp4", "nothing but zeros"),
    "junk": ("junk.mp4", "damaged, or in a format"),
    "an mp4 that was cut before its index": ("cut.mp4", "its index is missing"),
    "a Git LFS pointer": ("pointer.mp4", "Git LFS pointer"),
    "a folder without pictures": ("bare", "has no pictures"),
    "a folder of broken pictures": ("broken", "none of the 1 pictures"),
    "a picture that can't be decoded": ("broken/a.jpg", "cannot be decoded"),
    "an empty picture": ("empty.png", "is empty"),
    "a kind of address we don't know": ("gopher://user:secret@host/1", "begins with gopher://"),
    "an address without a host": ("rtsp://", "is no complete address"),
    "a password that hides the host": ("http://user:se/cret@host/1", "is no complete address"),
    "the same of a video": ("http://user:se/cret@host/1.mp4", "is no complete address"),
    "a glob that fits nothing": ("nowhere/*.png", "no picture or video fits"),
    "a glob that fits other files": ("*.md", "no picture or video fits"),
    "an empty list": ("empty-list.txt", "names no source"),
    "a list of lists": ("lists.txt", "lists a list"),
    "a list of nothing that is there": ("nothing.txt", "none of the 1 sources"),
    "a folder that has pictures further down": ("above", "--recursive"),
    "a Pi camera by a name": ("rpicam://front", "rpicam://1, was wanted"),
    "a name that is too long": ("x" * 5000, "File name too long"),
    "rpicam-vid, where it isn't installed": ("rpicam://", "sudo apt install rpicam-apps"),
    "picamera2, where it isn't installed": ("picamera://", "--system-site-packages"),
}


@pytest.mark.parametrize(("source", "says"), BAD.values(), ids=BAD)
def test_what_cannot_be_opened_is_one_message(
    source: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = write_video(tmp_path / "whole.mp4").read_bytes()
    Path("cut.mp4").write_bytes(whole[: whole.index(b"moov") - 4])
    Path("empty.mp4").touch()
    Path("empty.png").touch()
    Path("text.mp4").write_text("a film about faces\n" * 30)
    Path("zeros.mp4").write_bytes(bytes(5000))
    Path("junk.mp4").write_bytes(np.random.default_rng(0).bytes(50_000))
    Path("pointer.mp4").write_text("version https://git-lfs.github.com/spec/v1\n")
    Path("bare").mkdir()
    Path("bare/notes.txt").write_text("no picture")
    Path("broken").mkdir()
    Path("broken/a.jpg").write_text("no picture")
    Path("notes.md").write_text("no picture")
    Path("empty-list.txt").write_text("# nothing yet\n\n")
    Path("lists.txt").write_text("empty-list.txt\n")
    Path("nothing.txt").write_text("nowhere.mp4\n")
    Path("above/below").mkdir(parents=True)
    cv2.imwrite("above/below/a.png", picture(9))
    monkeypatch.setenv("PATH", str(tmp_path))
    if Path("/dev/video0").exists() and source == "0":
        pytest.skip("there is a camera 0 here")
    with pytest.raises(EdgemoodError, match=says) as error:
        open_source(source)
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)
    assert "cret@" not in str(error.value)


def test_a_video_whose_name_is_no_utf8_is_one_message(tmp_path: Path) -> None:
    """OpenCV ends the program where it is given such a name."""
    named = tmp_path / os.fsdecode(b"caf\xe9.avi")
    try:
        write_video(tmp_path / "clip.avi").rename(named)
    except OSError:
        pytest.skip("this file system has names in UTF-8 alone")
    with pytest.raises(EdgemoodError, match="its name is no UTF-8, which OpenCV wants"):
        open_source(named)


def test_the_demo_shows_one_face_in_every_frame(yunet: str) -> None:
    detect = FaceDetector(yunet)
    with open_source("demo") as demo:
        assert (demo.size, demo.fps, demo.count) == ((640, 480), 25, 350)
        for frame in demo:
            assert frame.time == frame.index / 25
            if frame.index % 5:
                continue
            (face,) = detect(frame.image)
            assert face.score > 0.8
            assert 160 <= face.box[2] <= 240
    assert frame.index == 349


def test_the_demo_holds_an_expression_and_fades_into_the_next() -> None:
    last = None
    for frame in open_source("demo"):
        gray = frame.image[:, :, 0]
        assert last is None or cv2.absdiff(gray, last).max() < 64, f"frame {frame.index} jumps"
        assert (frame.image[0] == frame.image[0, 0]).all(), "the ground is plain"
        last = gray
