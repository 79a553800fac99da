"""What ends by itself goes on from the beginning, at its own speed, while a page is served."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood.runtime.sources import looped, open_source
from edgemood.runtime.sources.looped import Looped

Loop = Callable[[str], Looped]


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    """Opens what is in the test's folder again and again."""

    def loop(name: str) -> Looped:
        opens = partial(open_source, str(tmp_path / name))
        return Looped(opens(), opens)

    return loop


def video(path: Path, frames: int, fps: float = 50.0) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (64, 48))
    for i in range(frames):
        writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    writer.release()


def test_a_video_is_counted_and_timed_on_from_round_to_round(loop: Loop, tmp_path: Path) -> None:
    video(tmp_path / "short.avi", 5)
    with loop("short.avi") as source:
        frames = list(itertools.islice(source, 18))
        assert (source.fps, source.count, source.is_live) == (50.0, None, False)
    assert [frame.index for frame in frames] == list(range(18))
    assert [frame.time for frame in frames] == pytest.approx([i / 50 for i in range(18)], abs=2e-3)
    levels = [round(float(frame.image.mean()) / 20) for frame in frames]
    assert levels == [i % 5 for i in range(18)]


def test_it_comes_at_its_own_speed_with_a_none_every_tick(loop: Loop, tmp_path: Path) -> None:
    video(tmp_path / "slow.avi", 3, fps=5.0)
    with loop("slow.avi") as source:
        frames = source.frames(0.02)
        next(frame for frame in frames if frame)
        started = time.monotonic()
        waited = 0
        for _ in range(4):
            while next(frames) is None:
                waited += 1
        assert 0.7 < time.monotonic() - started < 1.6, "0.8 s between five frames"
    assert waited >= 20


def test_after_a_reader_was_slow_it_does_not_run_to_catch_up(loop: Loop, tmp_path: Path) -> None:
    video(tmp_path / "short.avi", 5)
    with loop("short.avi") as source:
        frames = iter(source)
        next(frames)
        time.sleep(2 * looped.LATE)
        next(frames)
        started = time.monotonic()
        list(itertools.islice(frames, 10))
        assert time.monotonic() - started > 0.15, "10 frames at 50 a second take 0.2 s"


def test_pictures_follow_each_other_with_their_names(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looped, "PICTURE", 0.05)
    (tmp_path / "folder").mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / "folder" / name), np.zeros((48, 64, 3), np.uint8))
    with loop("folder") as source:
        assert source.is_pictures
        seen = [
            (frame.index, source.frame_name(frame), source.is_cut(frame))
            for frame in itertools.islice(source, 4)
        ]
    names = ["a.png", "b.png", "a.png", "b.png"]
    assert seen == [(i, name, True) for i, name in enumerate(names)]


def test_a_damaged_picture_is_no_end(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(looped, "PICTURE", 0.01)
    (tmp_path / "folder").mkdir()
    cv2.imwrite(str(tmp_path / "folder" / "a.png"), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "folder" / "b.png").write_bytes(b"no picture")
    with loop("folder") as source:
        assert [source.frame_name(frame) for frame in itertools.islice(source, 4)] == ["a.png"] * 4
    assert capsys.readouterr().err.count("1 of 2 pictures") == 1


def test_it_reads_what_is_read_in_this_round(loop: Loop, tmp_path: Path) -> None:
    """So that nothing is saved over it."""
    for name in ("a.png", "b.png", "c.jpg"):
        cv2.imwrite(str(tmp_path / name), np.zeros((48, 64, 3), np.uint8))
    with loop("*.png") as source:
        assert [path.name for path in sorted(tmp_path.iterdir()) if source.reads(path)] == [
            "a.png",
            "b.png",
        ]
        assert source.reads(tmp_path)


def test_one_picture_stays_what_it_was(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looped, "PICTURE", 0.05)
    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((48, 64, 3), np.uint8))
    with loop("one.png") as source:
        assert [source.is_cut(frame) for frame in itertools.islice(source, 3)] == [False] * 3
