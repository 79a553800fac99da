"""A live source outlives its camera: what stalls, breaks or goes away comes back by itself."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pytest

import edgemood.runtime.sources
from edgemood.errors import EdgemoodError
from edgemood.runtime.sources import Source, Status, live
from edgemood.runtime.sources.capture import in_shape, user_of
from edgemood.runtime.sources.intake import Ended, Intake, Lost, Mailbox, Shot
from edgemood.runtime.sources.live import LEFT_BEHIND, LOCAL, NETWORK, Live, Patience
from edgemood.runtime.sources.pipes import Pipe
from edgemood.values import Frame

# As patient as for a real camera, but 20 times quicker.
QUICK = Patience(opening=0.8, reopen=0.5, stalled=0.1, waits=(0.05, 0.1, 0.2), stable=0.5)
PERIOD = 0.01


class Camera:
    """A camera that can be unplugged, frozen and broken while others read it.

    Its pictures are gray of a level that counts up, and come every PERIOD seconds.
    """

    def __init__(self) -> None:
        self.is_there = True
        self.is_frozen = False
        self.fault: Exception | None = None
        self.refusal: Exception = Lost("there is no such device", "Plug one in")
        self.lasts: int | None = None  # pictures that a connection gives
        self.period = PERIOD
        self.opened: list[float] = []
        self.count = 0

    def connect(self) -> Connection:
        self.opened.append(time.monotonic())
        if not self.is_there:
            raise self.refusal
        return Connection(self)

    def source(self, **options: object) -> Live:
        return Live("cam", self.connect, QUICK, remedy="Check its cable", **options)  # type: ignore[arg-type]


class Connection:
    fps: float | None = 100.0
    broken = skipped = 0

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._given = 0

    def wait(self) -> None:
        time.sleep(self._camera.period)
        # A driver that hangs can't be told to stop: not by `interrupt`, and not by unplugging.
        while self._camera.is_frozen:
            time.sleep(PERIOD)
        if self._camera.fault:
            raise self._camera.fault
        if not self._camera.is_there or self._given == self._camera.lasts:
            raise Lost("it gives no more pictures")

    def decode(self) -> Shot | None:
        self._given += 1
        self._camera.count += 1
        return np.full((4, 6, 3), self._camera.count % 256, np.uint8), time.monotonic()

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def camera() -> Iterator[Camera]:
    camera = Camera()
    yield camera
    # What was left behind in a read that hangs goes when it returns.
    camera.is_frozen = False
    deadline = time.monotonic() + 5
    while threads():
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(PERIOD)


def until(
    source: Source, frames: Iterator[Frame | None], wanted: Callable[[Status], bool]
) -> Status:
    """Take frames until the source's status is as wanted."""
    deadline = time.monotonic() + 10
    while not wanted(source.status):
        assert time.monotonic() < deadline, source.status
        next(frames)
    return source.status


def threads() -> int:
    return sum(thread.name.startswith("edgemood") for thread in threading.enumerate())


def test_a_slow_reader_gets_the_newest_frame_and_the_others_are_counted(camera: Camera) -> None:
    with camera.source() as source:
        behind = []
        for frame in source:
            behind.append(camera.count % 256 - int(frame.image[0, 0, 0]))
            time.sleep(10 * PERIOD)
            if frame.index == 20:
                break
        status = source.status
    assert sorted(behind)[len(behind) // 2] <= 1, "as a rule, none newer had come"
    assert status.captured - status.dropped in (21, 22), "those read, and the one that waits"
    assert status.dropped > 100


def test_frames_are_counted_from_zero_and_timed_from_the_first(camera: Camera) -> None:
    with camera.source() as source:
        assert (source.size, source.fps, source.is_live) == ((6, 4), 100, True)
        time.sleep(0.2)
        frames = [frame for frame, _ in zip(source, range(5))]
        assert source.status.dropped <= 5, "what came before the first was asked for is no loss"
    assert [frame.index for frame in frames] == list(range(5))
    assert frames[0].time == 0
    assert all(0.005 < b.time - a.time < 1 for a, b in pairwise(frames))


def test_while_nothing_comes_there_is_a_none_every_tick(camera: Camera) -> None:
    with camera.source() as source:
        frames = source.frames(0.02)
        next(frames)
        camera.is_frozen = True
        time.sleep(2 * PERIOD)
        waited = time.monotonic()
        nothing = sum(next(frames) is None for _ in range(10))
        assert nothing >= 9
        assert 0.15 < time.monotonic() - waited < 2


def test_a_camera_that_is_not_there_is_an_error_at_once(camera: Camera) -> None:
    camera.is_there = False
    with pytest.raises(EdgemoodError, match=r"cam cannot .*no such device\. Plug one in") as error:
        camera.source()
    assert error.value.exit_code == 2
    assert len(camera.opened) == 1
    assert threads() == 0


def test_a_camera_that_gives_nothing_is_an_error_after_a_while(camera: Camera) -> None:
    camera.is_frozen = True
    with pytest.raises(EdgemoodError, match=r"no picture came for 0\.8 s. Check its cable"):
        camera.source()


def test_a_camera_that_pauses_is_stalled_and_then_online_again(camera: Camera) -> None:
    with camera.source() as source:
        frames = source.frames(0.02)
        next(frames)
        assert source.status.state == "online"
        camera.is_frozen = True
        stalled = until(source, frames, lambda status: status.state == "stalled")
        assert stalled.age is not None
        assert stalled.age > QUICK.stalled
        camera.is_frozen = False
        cuts = [source.is_cut(frame) for frame, _ in zip(filter(None, frames), range(3))]
        status = source.status
    assert (status.state, status.stalls, status.reconnects) == ("online", 1, 0)
    assert len(camera.opened) == 1
    assert cuts == [True, False, False], "nobody knows what went on meanwhile"


def test_a_camera_that_hangs_is_opened_anew_and_its_thread_left_behind(camera: Camera) -> None:
    with camera.source() as source:
        frames = source.frames(0.02)
        next(frames)
        camera.is_frozen = True
        offline = until(source, frames, lambda status: status.state == "offline")
        assert offline.reason == "no picture came for 0.5 s"
        camera.is_frozen = False
        until(source, frames, lambda status: status.reconnects == 1)
        until(source, frames, lambda status: status.state == "online")
    assert len(camera.opened) == 2


def test_a_camera_that_hangs_for_good_does_not_gather_threads(camera: Camera) -> None:
    with camera.source() as source:
        frames = source.frames(0.02)
        next(frames)
        camera.is_frozen = True
        end = time.monotonic() + 3.0 + (LEFT_BEHIND + 1) * QUICK.opening
        while time.monotonic() < end and len(camera.opened) < LEFT_BEHIND:
            next(frames)
        time.sleep(QUICK.opening + 1)
        assert len(camera.opened) == LEFT_BEHIND
        assert threads() == LEFT_BEHIND + 1
        camera.is_frozen = False
        until(source, frames, lambda status: status.state == "online")


def test_a_camera_that_was_unplugged_returns_by_itself(camera: Camera) -> None:
    with camera.source() as source:
        frames = source.frames(0.02)
        first = next(frames)
        assert first is not None
        camera.is_there = False
        until(source, frames, lambda status: status.reason == "there is no such device")
        camera.is_there = True
        status = until(source, frames, lambda status: status.state == "online")
        later = next(frame for frame in frames if frame is not None)
        assert status.reconnects <= 1
        assert later.index > first.index, "frames are counted on"
        assert source.status.reconnects == 1


def test_tries_keep_their_distance_and_a_stable_while_starts_them_over(camera: Camera) -> None:
    with camera.source() as source:
        frames = source.frames(0.02)
        next(frames)
        camera.is_there = False
        while len(camera.opened) < 6:
            next(frames)
        steps = np.diff(camera.opened[1:])
        assert (steps >= [0.1, 0.2, 0.2, 0.2]).all()
        camera.is_there = True
        until(source, frames, lambda status: status.state == "online")
        began, tries = time.monotonic(), len(camera.opened)
        while time.monotonic() < began + QUICK.stable + 0.3:
            next(frames)
        camera.is_there = False
        while len(camera.opened) < tries + 2:
            next(frames)
        assert camera.opened[-1] - camera.opened[-2] < 0.2, "the second wait, not the last"


def test_real_cameras_and_streams_are_tried_at_growing_distances() -> None:
    waits = (1, 1, 1, 1, 1, 5, 5, 5, 5, 5, *(10,) * 10, 60)
    assert waits == LOCAL.waits == NETWORK.waits
    assert (LOCAL.stalled, LOCAL.reopen, NETWORK.stalled, NETWORK.reopen) == (2, 5, 2, 10)


def test_of_a_camera_both_sides_are_asked_for_or_none() -> None:
    assert in_shape((320, None), (640, 480)) == (320, 240)
    assert in_shape((None, 720), (640.0, 360.0)) == (1280, 720)
    assert in_shape((320, 200), (640, 480)) == (320, 200)
    assert in_shape((None, None), (640, 480)) == (None, None)
    assert in_shape((320, None), (0, 0)) == (320, None), "a camera that does not say"


@pytest.mark.parametrize("retry", [0, 2])
def test_so_many_tries_in_a_row_and_no_more(camera: Camera, retry: int) -> None:
    with camera.source(retry=retry) as source:
        frames = iter(source)
        next(frames)
        camera.is_there = False
        with pytest.raises(EdgemoodError, match=r"cam stopped .* after \d+ frames") as error:
            list(frames)
        assert error.value.exit_code == 1
    assert len(camera.opened) == 1 + retry


def test_tries_that_gave_frames_are_none_that_failed(camera: Camera) -> None:
    camera.lasts = 3
    with camera.source(retry=1) as source:
        frames = source.frames(0.02)
        until(source, frames, lambda status: status.reconnects == 4)


def test_what_was_a_stream_may_be_none_for_a_while(camera: Camera) -> None:
    with camera.source(is_network=True) as source:
        frames = source.frames(0.02)
        next(frame for frame in frames if frame is not None)
        camera.is_there, camera.refusal = False, EdgemoodError("cam is a page.")
        until(source, frames, lambda status: status.reason == "what answers now is no stream")
        camera.is_there = True
        until(source, frames, lambda status: status.reconnects == 1)


def test_a_stream_need_not_be_there_at_the_start(camera: Camera) -> None:
    camera.is_there = False
    with camera.source(is_network=True) as source:
        assert source.status.state in ("offline", "connecting")
        frames = source.frames(0.02)
        assert next(frames) is None
        camera.is_there = True
        frame = next(frame for frame in frames if frame is not None)
        assert (frame.index, frame.time, source.size) == (0, 0.0, (6, 4))
        assert source.status.reconnects == 0


def test_a_stream_that_never_comes_is_an_error_where_tries_are_counted(camera: Camera) -> None:
    camera.is_there = False
    with pytest.raises(EdgemoodError, match="cam cannot be opened: there is no such") as error:
        list(camera.source(is_network=True, retry=2))
    assert error.value.exit_code == 2
    assert len(camera.opened) == 3


def test_a_reader_that_fails_ends_the_iteration_with_its_error(camera: Camera) -> None:
    with camera.source() as source:
        frames = iter(source)
        next(frames)
        camera.fault = ZeroDivisionError("a bug")
        with pytest.raises(ZeroDivisionError, match="a bug"):
            list(frames)


def test_the_last_frame_before_the_end_is_not_lost(camera: Camera) -> None:
    numbers = count(1)

    class Film(Connection):
        def wait(self) -> None:
            self.number = next(numbers)
            if self.number > 50:
                raise Ended

        def decode(self) -> Shot | None:
            return np.full((4, 6, 3), self.number, np.uint8), time.monotonic()

    with Live("film", lambda: Film(camera), QUICK, remedy="", every=True) as source:
        seen = [int(frame.image[0, 0, 0]) for frame in source]
    assert seen == list(range(1, 51))


def test_a_mirrored_source_has_left_and_right_changed() -> None:
    class Half(Camera):
        def connect(self) -> Connection:
            connection = super().connect()
            image = np.zeros((4, 6, 3), np.uint8)
            image[:, :3] = 200
            connection.decode = lambda: (image, time.monotonic())  # type: ignore[method-assign]
            return connection

    with Half().source(mirror=True) as source:
        frame = next(iter(source))
    assert (frame.image[:, 3:] == 200).all()
    assert not frame.image[:, :3].any()


def test_a_thousand_cameras_opened_and_closed_leave_no_thread(camera: Camera) -> None:
    camera.period = 0.0
    for _ in range(1000):
        with camera.source() as source:
            next(iter(source))
    assert threads() == 0


def test_a_source_that_is_closed_while_it_is_opened_anew_is_not_read_any_more(
    camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = camera.source()
    closing = threading.Thread(target=source.close)

    def just_then(*args: object) -> Intake:
        closing.start()
        closing.join()
        camera.is_there = True
        return Intake(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(live, "Intake", just_then)
    camera.is_there = False
    deadline = time.monotonic() + 10
    while len(camera.opened) < 2 or threads():
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(PERIOD)


def test_a_connection_that_is_made_after_its_source_was_left_is_closed_unread(
    camera: Camera,
) -> None:
    made = threading.Event()
    done: list[str] = []

    class Late(Connection):
        def wait(self) -> None:
            done.append("read")

        def close(self) -> None:
            done.append("closed")

    def connect() -> Connection:
        made.wait(10)
        return Late(camera)

    intake = Intake(connect, Mailbox(), lambda intake: None)
    intake.leave()
    made.set()
    intake.leave(10)
    assert (done, intake.is_alive) == (["closed"], False)


def test_a_pipe_that_cannot_be_opened_is_lost_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(Lost, match="No such file"):
        Pipe(str(tmp_path / "gone"))


def test_no_source_looks_at_a_clock_that_can_step_back() -> None:
    folder = Path(edgemood.runtime.sources.__file__).parent
    files = [*folder.glob("*.py"), folder.parent / "command.py"]
    assert len(files) > 10
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{node.value.id}.{node.attr}"
                assert name not in ("time.time", "datetime.now", "datetime.today"), path


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc here")
def test_the_program_that_holds_a_device_is_named(tmp_path: Path) -> None:
    device = tmp_path / "video0"
    device.touch()
    assert user_of(str(device)) is None
    code = "import sys; held = open(sys.argv[1]); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(device)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        holder = user_of(str(device))
        other.communicate(b"\n")
    assert holder is not None
    assert holder.endswith(f"({other.pid})")
    assert user_of(str(device)) is None
