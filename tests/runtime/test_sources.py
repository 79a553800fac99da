"""Sources: every frame once, in order, with its time; what can't be read is one message."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood.errors import EdgemoodError
from edgemood.runtime.faces import FaceDetector
from edgemood.runtime.sources import open_source


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
    "a network stream": ("rtsp://user:secret@host/1", "rtsp:// names a network stream"),
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
    if Path("/dev/video0").exists() and source == "0":
        pytest.skip("there is a camera 0 here")
    with pytest.raises(EdgemoodError, match=says) as error:
        open_source(source)
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_the_demo_shows_one_face_in_every_frame(detector: str) -> None:
    detect = FaceDetector(detector)
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
