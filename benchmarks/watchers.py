"""`python -m edgemood.benchmarks.watchers`: what those who watch the live page cost the pipeline.

The command runs as a user would run it. Its frames and its processor time are counted while nobody
watches, while some do, and while as many have opened the page's WebSocket and never read from it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from edgemood.benchmarks.browser import serve
from edgemood.console import say, table
from edgemood.errors import EdgemoodError

# What opens the page's WebSocket by hand.
UPGRADE = (
    "GET /live HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="watchers", description=__doc__)
    parser.add_argument("source", nargs="?", default="demo", help="what is read (default: demo)")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each row (default: 10)")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 10, 100])
    args = parser.parse_args(argv)
    try:
        with serve(args.source) as (pid, port):
            rows = asyncio.run(_measure(pid, port, args.seconds, args.clients))
    except EdgemoodError as error:
        say(f"edgemood: {error}")
        return error.exit_code
    columns = ("watching", "frames a second", "of one core", "ms a frame", "pictures a second each")
    table(columns, rows)
    return 0


async def _measure(
    pid: int, port: int, seconds: float, clients: Sequence[int]
) -> list[tuple[str, ...]]:
    await asyncio.sleep(seconds / 2)
    rows = [await _row("nobody", pid, port, seconds, [])]
    for count in clients:
        async with AsyncExitStack() as stack:
            pictures = [await _watch(stack, port) for _ in range(count)]
            await asyncio.sleep(1)
            rows.append(await _row(f"{count}", pid, port, seconds, pictures))
    sockets = []
    for _ in range(max(clients)):
        sockets.append(socket.create_connection(("127.0.0.1", port)))
        sockets[-1].sendall(UPGRADE.encode())
    rows.append(await _row(f"{len(sockets)} who never read", pid, port, seconds, []))
    for each in sockets:
        each.close()
    # The machine may have had other things to do meanwhile.
    rows.append(await _row("nobody again", pid, port, seconds, []))
    return rows


async def _row(
    name: str, pid: int, port: int, seconds: float, pictures: Sequence[list[int]]
) -> tuple[str, ...]:
    counts = [sum(each) for each in pictures]
    started, cpu, frames = time.perf_counter(), _cpu(pid), (await _status(port))["frames"]
    await asyncio.sleep(seconds)
    status = await _status(port)
    took = time.perf_counter() - started
    got = [(sum(each) - count) / took for each, count in zip(pictures, counts)]
    each = f"{min(got):.1f} to {max(got):.1f}" if got else "-"
    return (
        name,
        f"{(int(status['frames']) - int(frames)) / took:.2f}",
        f"{(_cpu(pid) - cpu) / took:.0%}",
        f"{status['ms']}",
        each,
    )


async def _watch(stack: AsyncExitStack, port: int) -> list[int]:
    """Open the page's WebSocket and say of everything that it was shown; how much that was."""
    from websockets.asyncio.client import connect
    from websockets.typing import Origin

    viewer = await stack.enter_async_context(
        connect(
            f"ws://127.0.0.1:{port}/live",
            origin=Origin(f"http://127.0.0.1:{port}"),
            compression=None,
        )
    )
    count = [0]

    async def watch() -> None:
        await viewer.recv()
        while True:
            message = bytes(await viewer.recv(decode=False))
            count[0] += len(message) > message.index(b"\n") + 1
            await viewer.send("")

    stack.callback(asyncio.ensure_future(watch()).cancel)
    return count


async def _status(port: int) -> dict[str, float]:
    def ask() -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status") as answer:
            return dict(json.load(answer))

    return await asyncio.to_thread(ask)


def _cpu(pid: int) -> float:
    """Seconds of processor time that a process has had (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
