"""A connection that may break -> a source that lasts: reopened, watched, newest frame only."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2

from edgemood.errors import EdgemoodError
from edgemood.runtime.sources.base import Source, State, Status
from edgemood.runtime.sources.intake import Connection, Ended, Intake, Lost, Mailbox
from edgemood.values import Frame

# Threads that hang in a read which nothing can end; more of them would only pile up.
LEFT_BEHIND = 3


@dataclass(frozen=True, slots=True)
class Patience:
    """When a live source is taken for silent or lost, and when it is tried again; all seconds.

    opening: for the first frame of a connection. stalled, reopen: without a new frame until it
    counts as stalled, until the connection is given up. waits: before each further try, the last
    one again and again. stable: online so long, it starts over with the first wait.
    """

    opening: float
    reopen: float
    stalled: float = 2.0
    waits: tuple[float, ...] = (1.0,) * 5 + (5.0,) * 5 + (10.0,) * 10 + (60.0,)
    stable: float = 30.0


# Windows' own back end takes up to 20 s to open a camera.
LOCAL = Patience(opening=30.0, reopen=5.0)
NETWORK = Patience(opening=20.0, reopen=10.0)
# There is no other pipe to open.
PIPE = Patience(opening=math.inf, reopen=math.inf)


class Live(Source):
    """Frames of a device or a stream as they come; times by the clock.

    connect: makes a connection, or raises Lost with the reason (tried again) or EdgemoodError
    (not tried again where no frame has ever come). remedy: what to do if it can't say. retry: so
    many tries in a row may fail; None: any number. is_network: it need not be there at the start;
    anything else has to be. every: whoever sends waits for us, so that no frame is dropped.
    """

    is_live = True

    def __init__(
        self,
        name: str,
        connect: Callable[[], Connection],
        patience: Patience,
        *,
        remedy: str,
        retry: int | None = None,
        is_network: bool = False,
        every: bool = False,
        mirror: bool = False,
    ) -> None:
        self.name = name
        self.size = (640, 480)
        self._connect = connect
        self._patience = patience
        self._retry = retry
        self._must_open = not is_network or retry == 0
        self._remedy = remedy
        self._mirror = mirror
        self._mailbox = Mailbox(every)
        self._wake = threading.Event()
        self._closed = False
        self._waiting = False
        self._error: BaseException | None = None
        self._reason = ""
        self._decode_errors = self._reconnects = self._stalls = 0
        self._newest: float | None = None
        self._cut = False
        self._intake = Intake(connect, self._mailbox, self._on_change)
        self._keeper = threading.Thread(target=self._keep, name="edgemood source", daemon=True)
        self._keeper.start()
        try:
            self._first = self._mailbox.take(1e6 if self._must_open else patience.stalled)
            if self._first is None and self._error is not None:
                raise self._error
        except BaseException:  # among them, a signal that ended the waiting
            self.close()
            raise
        if self._first is not None:
            image = self._first[0]
            self.size = (image.shape[1], image.shape[0])
        connection = self._intake.connection
        self.fps = connection.fps if connection else None

    def frames(self, tick: float) -> Iterator[Frame | None]:
        shot, self._first = self._first, None
        if not self._mailbox.every:
            # While models were loaded, newer ones may have come.
            shot = self._mailbox.take(0) or shot
        self._mailbox.count_from(shot)
        index, start, last = 0, 0.0, 0.0
        while True:
            if shot is not None:
                image, moment = shot
                del shot
                if self._mirror:
                    image = cv2.flip(image, 1)
                if index == 0:
                    self.size = (image.shape[1], image.shape[0])
                    start = last = moment
                # After a silence, nobody knows what went on.
                self._cut, last = moment - last > self._patience.stalled, moment
                yield Frame(image, index, moment - start)
                del image
                index += 1
            elif not self._closed:
                yield None
            elif (shot := self._mailbox.take(0)) is None:  # the last one may have come just now
                if self._error is not None:
                    raise self._error
                return
            else:
                continue
            shot = self._mailbox.take(tick)

    def is_cut(self, frame: Frame) -> bool:
        return self._cut

    @property
    def status(self) -> Status:
        now = time.monotonic()
        intake = self._intake
        newest = self._newest if intake.first is None else intake.latest
        state: State = "connecting"
        if self._waiting or self._closed:
            state = "offline"
        elif intake.first is not None:
            state = "online" if intake.silence < self._patience.stalled else "stalled"
        return Status(
            state,
            self._mailbox.captured,
            self._mailbox.dropped,
            self._decode_errors + intake.broken,
            self._reconnects,
            self._stalls,
            None if newest is None else now - newest,
            self._reason,
        )

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        self._mailbox.close()
        self._intake.leave(0.5)
        self._keeper.join(0.5)

    # --- in threads -----------------------------------------------------------------------------

    def _on_change(self, intake: Intake) -> None:
        self._wake.set()

    def _keep(self) -> None:
        """Watch one intake after the other, until the source is closed or at its end."""
        failures = 0  # losses and failed tries; they make the waits longer
        tries = -1  # that failed since the last frame; the first opening is none
        left: list[Intake] = []
        try:
            while (lost := self._watch(self._intake)) is not None:
                intake = self._intake
                intake.leave()
                left.append(intake)
                if intake.first is not None:
                    self._newest = intake.latest
                    if intake.latest - intake.first > self._patience.stable:
                        failures = 0
                failures += 1
                tries = 0 if intake.first is not None else tries + 1
                never = not self._mailbox.captured
                allowed = 0 if self._must_open and never else self._retry
                if allowed is not None and tries >= allowed:
                    raise self._fault(lost)
                self._reason = lost.found
                self._waiting = True
                waits = self._patience.waits
                self._pause(waits[min(failures, len(waits)) - 1])
                while len(left := [each for each in left if each.is_alive]) >= LEFT_BEHIND:
                    if self._closed:
                        return
                    self._pause(waits[0])
                if self._closed:
                    return
                self._decode_errors += intake.broken
                self._intake = Intake(self._connect, self._mailbox, self._on_change)
                self._waiting = False
        except BaseException as error:  # whatever it is, the program ends with it
            self._error = error
        finally:
            self._closed = True
            self._mailbox.close()
            self._intake.leave()  # closed meanwhile, the source has left the one before

    def _watch(self, intake: Intake) -> Lost | None:
        """Until the intake's connection is lost; None at the end of everything."""
        patience = self._patience
        is_back = False
        counted = 0.0  # the silence that was: when its last frame had come
        while not self._closed:
            if intake.first is not None and not is_back:
                is_back = True
                self._reconnects += self._newest is not None
            if intake.ended:
                if isinstance(intake.error, Ended) and not self._mailbox.captured:
                    raise self._fault(Lost("it ended without a picture"))
                if isinstance(intake.error, Ended) or intake.error is None:
                    return None
                if isinstance(intake.error, Lost):
                    return intake.error
                if isinstance(intake.error, EdgemoodError) and self._mailbox.captured:
                    # A proxy, or a server that only starts, answers in its place.
                    return Lost("what answers now is no stream")
                raise intake.error
            silent = intake.silence
            limit = patience.reopen if is_back else patience.opening
            if silent >= limit:
                return Lost(f"no picture came for {limit:g} s")
            if is_back and silent < patience.stalled:
                limit = patience.stalled
            elif is_back:
                limit = min(limit, silent + 0.25)  # it may come back, and fall silent once more
                self._stalls += counted != intake.latest
                counted = intake.latest
            self._wake.wait(min(limit - silent, 3600.0))
            self._wake.clear()
        return None

    def _pause(self, seconds: float) -> None:
        """Wait so long, or until the source is closed."""
        end = time.monotonic() + seconds
        while not self._closed and (left := end - time.monotonic()) > 0:
            self._wake.wait(left)
            self._wake.clear()

    def _fault(self, lost: Lost) -> EdgemoodError:
        captured = self._mailbox.captured
        remedy = lost.remedy or self._remedy
        if not captured:
            return EdgemoodError(
                f"{self.name} cannot be opened: {lost.found}. {remedy}, or pass another source, "
                "for example: edgemood run demo"
            )
        return EdgemoodError(
            f"{self.name} stopped giving pictures after {captured} frames: {lost.found}. {remedy}, "
            "and start again.",
            exit_code=1,
        )
