"""What the program tells a person: tables on stdout; lines and progress on stderr.

rich draws them where it is installed and the stream is a terminal; otherwise they are plain lines.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
# Seconds between two plain progress lines, so that a log stays readable.
QUIET = 10.0
# Seconds between two pictures of the bar, and what empties a terminal's line (ECMA-48, EL).
REDRAW = 0.1
CLEAR = "\x1b[K"


def say(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield the items and show progress: a bar on a terminal, a line now and then in a pipe.

    what: what is being done, for example "epoch 3". total: number of items, if `items` has no len.
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    terminal = sys.stderr.isatty()
    if terminal:
        try:
            from rich.console import Console
            from rich.markup import escape
            from rich.progress import track as rich_track
        except ImportError:
            pass  # the lean install draws a plainer bar
        else:
            yield from rich_track(
                items, escape(what), total=total, console=Console(stderr=True), transient=True
            )
            return
    started = last = time.monotonic()
    done = 0
    try:
        for item in items:
            yield item
            del item  # kept until the next one is there, a frame would be one more in memory
            done += 1
            now = time.monotonic()
            if now - last < (REDRAW if terminal else QUIET):
                continue
            last = now
            line = f"{what}: {done}{f' of {total}' if total else ''}, {now - started:.0f} s"
            if not terminal:
                say(line)
                continue
            bar = ("#" * (20 * done // total)).ljust(20, ".") + " " if total else ""
            print(f"\r{CLEAR}{bar}{line}", end="", file=sys.stderr, flush=True)
    finally:
        if terminal:
            print(f"\r{CLEAR}", end="", file=sys.stderr, flush=True)


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "", left: int = 1
) -> None:
    """Print a table on stdout; the first `left` columns are left-aligned, the others right."""
    cells = [[str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        try:
            from rich.console import Console
            from rich.table import Table
        except ImportError:
            pass
        else:
            drawn = Table(title=title or None, title_justify="left")
            for i, name in enumerate(columns):
                drawn.add_column(name, justify="left" if i < left else "right")
            for row in cells:
                drawn.add_row(*row)
            # A file name in brackets is no markup.
            Console(markup=False).print(drawn)
            return
    if title:
        print(title)
    print(plain_table(columns, cells, left))


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """The table as aligned text without a trailing newline."""
    widths = [max(len(str(row[i])) for row in [columns, *rows]) for i in range(len(columns))]
    lines = []
    for row in [list(columns), *rows]:
        cells = [
            f"{cell:{'<' if i < left else '>'}{width}}"
            for i, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """The table in GitHub's Markdown, first column left-aligned, others right."""
    head = "| " + " | ".join(columns) + " |"
    rule = "|" + "|".join([" --- "] + [" ---: "] * (len(columns) - 1)) + "|"
    body = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join([head, rule, *body])
