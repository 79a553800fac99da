"""A sink whose results whoever opens the page sees: the server, in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files

import cv2
import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from edgemood.console import say
from edgemood.runtime.page import connections
from edgemood.runtime.page.address import (
    TOKEN,
    Address,
    Certificate,
    best_host,
    is_loopback,
    make_token,
    own_names,
)
from edgemood.runtime.page.board import Board
from edgemood.runtime.page.guard import Guard
from edgemood.runtime.sinks import Result, Sink
from edgemood.runtime.sources import Source

# A picture is reduced by a whole number until its longest side has so many pixels at most, and
# compressed to this quality. On one Zen 3 core a frame of 1280x720 takes 1.0 ms halved, and 23 kB;
# as it is 2.3 ms and 63 kB; at three quarters, which is no whole number, 6.8 ms. Quality 90 costs
# half as many bytes again, and shows nothing that 80 does not.
LONGEST, QUALITY = 960, 80
# How many may watch at a time.
VIEWERS = 100
# Pictures a second: those that are drawn and encoded, whatever the pipeline reads, and those that
# are sent to all viewers together, so that a hundred get two each. One more to send costs 0.2 ms of
# a Zen 3 core, which the pipeline may want; see `benchmarks/watchers.py`.
RATE, BUDGET = 30.0, 200.0
# Pictures on their way to a viewer: the next one travels while one is being shown.
ON_THE_WAY = 2
# Seconds within which a viewer has to say that a picture was shown, and between two words of a
# source that gives nothing.
PATIENCE, PULSE = 10.0, 1.0
# Downloads at a time.
DOWNLOADS = 4

FILES = {"/page.css": "text/css", "/page.js": "text/javascript", "/icon.svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Update:
    """A frame as viewers get it.

    picture: a JPEG. text: news of it, JSON. since: when it had been read, by time.monotonic.
    """

    number: int
    picture: bytes
    text: str
    since: float


def encode(picture: np.ndarray) -> bytes:
    """A BGR uint8 [H, W, 3] picture as a JPEG, reduced where it is larger than LONGEST."""
    height, width = picture.shape[:2]
    divisor = -(-max(height, width) // LONGEST)
    if divisor > 1:
        size = max(1, width // divisor), max(1, height // divisor)
        # The rest that does not divide is cut off, else the ratio would be no whole number.
        picture = picture[: size[1] * divisor, : size[0] * divisor]
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


class Page(Sink):
    """Serves the page until it is closed.

    source: what is watched. labels: the model's. seconds: asked with each result, how long the
    pipeline took for it. names: further hosts that the page may be called by.
    Raises EdgemoodError where the address can't be used.

    The pipeline hands the newest picture over and goes on: it is encoded in another thread, once,
    and only while somebody watches.
    """

    def __init__(
        self,
        address: Address,
        source: Source,
        labels: Sequence[str],
        seconds: Callable[[], float],
        names: Collection[str] = (),
        certificate: Certificate | None = None,
    ) -> None:
        self.board = Board(source, labels)
        self._seconds = seconds
        self._newest: tuple[np.ndarray, str, float] | None = None
        self._due = 0.0  # when the next one is, at the earliest
        self._handed = threading.Condition()
        self._closed = False
        context = certificate.context() if certificate else None
        listener = address.listen()
        port = listener.getsockname()[1]
        local = is_loopback(listener)
        try:
            self.token = make_token(os.environ.get(TOKEN), local)
        except BaseException:
            listener.close()
            raise
        self.url = f"{'https' if context else 'http'}://{Address(best_host(address), port)}/"
        self.link = f"{self.url}?token={self.token}" if self.token else self.url
        self._warning = (
            None
            if local or context
            else (
                "edgemood: what it shows travels unencrypted, the token as well: pass --certfile "
                "and --keyfile where others may listen"
            )
        )
        self._site = Site(self.board)
        allowed = own_names(address) | {name.lower() for name in names}
        config = uvicorn.Config(
            Guard(self._site.app, allowed, self.token, f"edgemood-{port}"),
            loop="asyncio",
            http=connections.Http,
            h11_max_incomplete_event_size=connections.HEAD,
            ws=connections.WebSocket,
            ws_max_size=connections.MESSAGE,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ssl_context_factory=(lambda *_: context) if context else None,
            timeout_graceful_shutdown=1,
        )
        self._server = connections.Server(config)
        self._threads = [
            threading.Thread(
                target=self._server.run, args=([listener],), name="edgemood page", daemon=True
            ),
            threading.Thread(target=self._encode, name="edgemood pictures", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def announce(self) -> None:
        """Say where the page is."""
        say(f"edgemood: the live page is {self.link}")
        if self._warning:
            say(self._warning)

    def write(self, result: Result) -> None:
        self.board.put(result, self._seconds())
        now = time.monotonic()
        if self._site.is_waiting and now >= self._due:
            # Counted from when it was due, so that a camera's 30 frames a second are all in time.
            self._due = max(self._due + 1 / RATE, now - 0.5 / RATE)
            self._site.is_waiting = False
            with self._handed:
                self._newest = result.picture, self.board.readings(), now
                self._handed.notify()

    def _encode(self) -> None:
        """In its thread: the newest picture, again and again."""
        number = 0
        while True:
            with self._handed:
                while self._newest is None and not self._closed:
                    self._handed.wait()
                if self._newest is None:
                    return
                picture, line, since = self._newest
                self._newest = None
            number += 1
            update = Update(number, encode(picture), self.board.update(line), since)
            del picture  # kept until the next one is there, it would be one more in memory
            self._site.publish(update)

    def close(self) -> None:
        with self._handed:
            self._newest, self._closed = None, True
            self._handed.notify()
        self._site.end()
        self._server.should_exit = True
        for thread in self._threads:
            thread.join(3.0)
        self.board.recording.stop()


@dataclass(eq=False)
class Viewer:
    """Somebody who watches.

    on_the_way: when that was read which they have not shown yet. way: milliseconds from a frame's
    reading until they said that they had shown it; None before. news: set when they say so.
    """

    on_the_way: deque[float] = field(default_factory=deque)
    way: float | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def has_shown(self) -> None:
        if self.on_the_way:
            way = 1000 * (time.monotonic() - self.on_the_way.popleft())
            self.way = way if self.way is None else self.way + (way - self.way) / 10
            self.news.set()

    async def room(self) -> None:
        """Wait until there is room for another one on the way."""
        while len(self.on_the_way) >= ON_THE_WAY:
            self.news.clear()
            await self.news.wait()


class Site:
    """What can be asked for, and who watches. Its coroutines run in the server's thread."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._watching: set[Viewer] = set()
        self._update: Update | None = None
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._downloads = 0
        self.is_waiting = False  # somebody has seen what there is
        self._ended = False
        folder = files("edgemood.runtime.page")
        self._files = {path: (folder / path[1:]).read_bytes() for path in FILES}
        self._html = (folder / "page.html").read_bytes()
        self.app = Starlette(
            routes=[
                Route("/", self._page),
                *(Route(path, self._file) for path in FILES),
                Route("/api/readings", self._readings),
                Route("/api/readings.jsonl", self._download),
                Route("/api/status", self._status),
                Route("/api/recording/start", self._record, methods=["POST"]),
                Route("/api/recording/stop", self._record, methods=["POST"]),
                Route("/healthz", self._health),
                WebSocketRoute(connections.Http.LIVE.decode(), self._watch),
            ]
        )
        self.app.router.redirect_slashes = False

    @property
    def viewers(self) -> int:
        return len(self._watching)

    def publish(self, update: Update | None) -> None:
        """Hand an update to all who watch; from any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._spread, update)

    def end(self) -> None:
        """Let all who watch go; from any thread."""
        self._ended = True
        self.publish(None)

    def _spread(self, update: Update | None) -> None:
        self._update = update
        self._news.set()
        self._news = asyncio.Event()

    # --- pages ----------------------------------------------------------------------------------

    async def _page(self, request: Request) -> Response:
        if self.viewers >= VIEWERS:
            return self._full()
        return Response(self._html, media_type="text/html")

    async def _file(self, request: Request) -> Response:
        path = request.url.path
        return Response(self._files[path], media_type=FILES[path])

    async def _readings(self, request: Request) -> Response:
        return Response(self._board.readings(), media_type="application/json")

    async def _status(self, request: Request) -> Response:
        watched = {"viewers": self.viewers, "most_viewers": VIEWERS}
        return JSONResponse(self._board.status() | watched)

    async def _health(self, request: Request) -> Response:
        state = self._board.status()["state"]
        return JSONResponse({"state": state}, 200 if state == "online" else 503)

    async def _record(self, request: Request) -> Response:
        recording = self._board.recording
        if request.url.path.endswith("start"):
            recording.start()
        else:
            recording.stop()
        return JSONResponse(recording.status())

    async def _download(self, request: Request) -> Response:
        if self._downloads >= DOWNLOADS:
            return _busy(f"{DOWNLOADS} downloads are going on already. Try again in a minute.")
        lines = self._board.kept()
        name = time.strftime("edgemood-%Y%m%d-%H%M%S.jsonl")

        async def stream() -> AsyncIterator[bytes]:
            self._downloads += 1
            try:
                for at in range(0, len(lines), 200):
                    yield b"".join(lines[at : at + 200])
            finally:
                self._downloads -= 1

        return StreamingResponse(
            stream(),
            media_type="application/x-ndjson",
            headers={"content-disposition": f'attachment; filename="{name}"'},
        )

    def _full(self) -> Response:
        return _busy(f"{VIEWERS} are watching already, which is the most. Try again in a minute.")

    # --- the picture ----------------------------------------------------------------------------

    async def _watch(self, websocket: WebSocket) -> None:
        if self.viewers >= VIEWERS:
            await websocket.send_denial_response(self._full())
            return
        self._loop = asyncio.get_running_loop()
        viewer = Viewer()
        self._watching.add(viewer)
        listening: asyncio.Future[None] | None = None
        try:
            # They leave, or don't say in time that they have seen what they got.
            with suppress(WebSocketDisconnect, TimeoutError):
                await websocket.accept()
                listening = asyncio.ensure_future(self._listen(websocket, viewer))
                await websocket.send_bytes(self._board.welcome().encode())
                await self._feed(websocket, viewer, listening)
        finally:
            self._watching.discard(viewer)
            if not self._watching:
                self._update = None  # by the next visit it is old
            if listening is not None:
                listening.cancel()

    async def _listen(self, websocket: WebSocket, viewer: Viewer) -> None:
        """Whatever a viewer sends says that one more picture was shown."""
        with suppress(WebSocketDisconnect):
            while (await websocket.receive())["type"] == "websocket.receive":
                viewer.has_shown()
        viewer.on_the_way.clear()  # nothing is waited for any more
        viewer.news.set()

    async def _feed(
        self, websocket: WebSocket, viewer: Viewer, listening: asyncio.Future[None]
    ) -> None:
        """The newest update whenever there is one, and a word now and then where there is none."""
        seen, due = 0, 0.0
        while not self._ended and not listening.done():
            async with asyncio.timeout(PATIENCE):
                await viewer.room()
            await asyncio.sleep(due - time.monotonic())
            news, update = self._news, self._update
            if update is None or update.number <= seen:
                self.is_waiting = True
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), PULSE)
                    continue
                update = None
            way = "null" if viewer.way is None else f"{viewer.way:.0f}"
            text = update.text if update else self._board.update()
            message = f'{text[:-1]}, "way": {way}}}\n'.encode()
            viewer.on_the_way.append(update.since if update else time.monotonic())
            if update:
                seen, due = update.number, time.monotonic() + self.viewers / BUDGET
                message += update.picture
            async with asyncio.timeout(PATIENCE):
                await websocket.send_bytes(message)


def _busy(reason: str) -> Response:
    return PlainTextResponse(reason + "\n", 503, {"retry-after": "60"})
