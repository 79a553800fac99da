"""Bytes of a browser, or of anybody -> requests: within bounds of size, number and time.

uvicorn waits for ever for the rest of a request, and for a reader who does not read; these don't.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from edgemood.runtime.page.guard import HEADERS

# Connections at a time, and those of them that have not agreed on encryption; one more takes the
# place of the one that has waited longest.
MOST, GREETED = 256, 64
# Seconds from the connection, or the last answer, to a whole request; to its answer being read; and
# for what is on its way when a WebSocket is closed.
ASKING, ANSWERING, CLOSING = 10.0, 120.0, 2.0
# Bytes of a request's head, of a message, and of answers to somebody who does not read them.
HEAD, MESSAGE, UNREAD = 16 * 1024, 256, 4 * 2**20

_NONSENSE = "\r\n".join(
    [
        "HTTP/1.1 400 Bad Request",
        *(f"{name}: {value}" for name, value in HEADERS),
        "content-type: text/plain; charset=utf-8",
        "content-length: 19",
        "connection: close",
        "",
        "This is no request\n",
    ]
).encode()


class Server(uvicorn.Server):
    """uvicorn's, but behind doors of our own."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.servers = [Door(each, self.config, self.server_state) for each in sockets or ()]  # type: ignore[misc]
        self.started = True


class Door:
    """Accepts connections. asyncio's own takes any number of them before their first encrypted
    byte, until the program has no more files that it may open.
    """

    def __init__(self, listener: socket.socket, config: uvicorn.Config, state: ServerState) -> None:
        listener.setblocking(False)
        self._listener, self._config, self._state = listener, config, state
        self._greeted: dict[asyncio.Task[None], None] = {}  # the oldest is the first
        self._task = asyncio.ensure_future(self._accept())

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError:  # it has gone already, or there are too many files
                await asyncio.sleep(0.1)
                continue
            if self._config.ssl is None:
                await self._greet(connection)
                continue
            if len(self._greeted) >= GREETED:
                oldest = next(iter(self._greeted))
                oldest.cancel()
                del self._greeted[oldest]
            task = asyncio.ensure_future(self._greet(connection))
            self._greeted[task] = None
            task.add_done_callback(lambda task: self._greeted.pop(task, None))
            await asyncio.sleep(0)  # where many wait, accepting would leave no time to greet

    async def _greet(self, connection: socket.socket) -> None:
        """Hand it on; where there is encryption, once both sides have agreed on it."""
        encryption = self._config.ssl
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Http(self._config, self._state, {}),
                connection,
                ssl=encryption,
                ssl_handshake_timeout=ASKING if encryption else None,
            )
        except OSError:
            connection.close()

    def close(self) -> None:
        for task in (self._task, *self._greeted):
            task.cancel()
        self._listener.close()

    async def wait_closed(self) -> None:
        """Nothing more comes after `close`."""


class Http(H11Protocol):
    """Gives up who does not ask, or does not read the answer."""

    # Where the path of the only WebSocket is.
    LIVE = b"/live"

    since = 0.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect(ASKING)
        if len(self.connections) > MOST:
            others = [each for each in self.connections if isinstance(each, Http)]
            waiting = [each for each in others if each.is_waiting]
            if waiting:
                oldest = min(waiting, key=lambda each: each.since)
                oldest.transport.abort()
                self.connections.discard(oldest)  # many may come before it is told

    @property
    def is_waiting(self) -> bool:
        """Whether there is no request to be answered."""
        return self.cycle is None or self.cycle.response_complete

    def handle_events(self) -> None:
        was_waiting = self.is_waiting
        super().handle_events()
        if was_waiting and not self.is_waiting:
            self._expect(ANSWERING)

    def on_response_complete(self) -> None:
        self._expect(ASKING)
        super().on_response_complete()

    def _expect(self, seconds: float) -> None:
        """The next thing within so many seconds."""
        self._forget()
        self.since = self.loop.time()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _should_upgrade(self) -> bool:
        """Only where the WebSocket is, and with what RFC 6455, section 4.2.1, wants: else the
        answer to the upgrade would not be ours."""
        headers = dict(self.headers)
        try:
            key = base64.b64decode(headers.get(b"sec-websocket-key", b""), validate=True)
        except binascii.Error:
            key = b""
        return (
            super()._should_upgrade()
            and self.scope["method"] == "GET"
            and self.scope["path"].encode() == self.LIVE
            and headers.get(b"sec-websocket-version") == b"13"
            and len(key) == 16
        )

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._forget()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        if self.is_waiting:
            self.transport.write(_NONSENSE)
        self.transport.close()


class WebSocket(WebSocketsSansIOProtocol):
    """Lets go of who sends without reading, and of who does not read to the end."""

    def data_received(self, data: bytes) -> None:
        if self.transport.get_write_buffer_size() > UNREAD:
            self.transport.abort()
        else:
            super().data_received(data)

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        self.loop.call_later(CLOSING, self.transport.abort)
