"""`Results` of two machines or versions -> what got faster, what got slower, and what nobody knows.

Two medians are never equal. Noise within a run is known from it, as the interval of each median.
What changes from one run to the next (where a program's memory lies, the neighbours on a shared
machine) is not in that: two runs on one machine are expected to agree within 10 %, no better, so no
smaller change is called one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from edgemood.benchmarks.bench import BATCH, Results, Row
from edgemood.benchmarks.evaluate_report import Table
from edgemood.benchmarks.timing import Samples

# The smallest ratio of two medians that matters.
MATTERS = 1.1

Verdict = Literal["faster", "slower", "same", "unclear"]
VERDICTS: tuple[Verdict, ...] = ("faster", "slower", "same", "unclear")


@dataclass(frozen=True, slots=True)
class Change:
    """Of a median, from one run to another.

    ratio: after / before. low, high: its interval, from the ends of both medians' 95 % intervals
    that are furthest apart; it holds the ratio with 90 % or more, since both hold theirs so.
    """

    before: float
    after: float
    ratio: float
    low: float
    high: float

    @classmethod
    def of(cls, before: Samples, after: Samples) -> Change | None:
        """None where a time was too short for the clock, so that there is no ratio."""
        (b0, b1), (a0, a1) = before.interval, after.interval
        if not b0 > 0:
            return None
        return cls(before.p50, after.p50, after.p50 / before.p50, a0 / b1, a1 / b0)

    @property
    def verdict(self) -> Verdict:
        """A change where the ratio matters and 1 is not in its interval; "same" where no ratio in
        the interval matters; "unclear" else: a longer run, or a quieter machine, may tell.
        """
        if self.ratio >= MATTERS and self.low > 1:
            return "slower"
        if self.ratio <= 1 / MATTERS and self.high < 1:
            return "faster"
        return "same" if self.low > 1 / MATTERS and self.high < MATTERS else "unclear"


# Title and where a row has it: of a model alone, then of the clip.
ALONE: dict[str, Callable[[Row], Samples | None]] = {
    "Milliseconds for one face": lambda row: row.face,
    f"Milliseconds for {BATCH} faces": lambda row: row.batch,
}
PLAYED: dict[str, Callable[[Row], Samples | None]] = {
    "Milliseconds for a frame of the clip": lambda row: row.frames.latency if row.frames else None,
    "Milliseconds of CPU time for reading a frame": (
        lambda row: row.frames.pipeline if row.frames else None
    ),
}
NOTE = (
    f"Slower, faster: by {MATTERS:.2f} or more, and the interval leaves out 1. Same: all of the "
    f"interval is within {1 / MATTERS:.2f} to {MATTERS:.2f}. Unclear: neither; measure again, on a "
    "quieter machine."
)


def compare(before: Results, after: Results) -> tuple[list[str], list[Table], str]:
    """What differs around the figures, a table for each figure, and how many verdicts of each."""
    others = {row.key: row for row in after.rows}
    pairs = [(row, others[row.key]) for row in before.rows if row.key in others]
    counts: Counter[Verdict] = Counter()
    tables = []
    for title, figure in (ALONE | PLAYED if before.clip == after.clip else ALONE).items():
        rows = []
        for one, other in pairs:
            old, new = figure(one), figure(other)
            change = Change.of(old, new) if old and new else None
            if change is not None:
                counts[change.verdict] += 1
                rows.append([*_names(one), *_cells(change)])
        if rows:
            columns = ["model", "engine", "threads", "before", "after", "ratio", "interval", ""]
            tables.append(Table(title, columns, rows))
    if not tables:
        return list(_differences(before, after)), [], "They have no row in common."
    tables.append(_aside(pairs))
    summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
    return list(_differences(before, after)), tables, f"{summary}. {NOTE}"


def _differences(before: Results, after: Results) -> Iterator[str]:
    """What else is not the same, a line each."""
    for name in dict.fromkeys([*before.machine, *after.machine]):
        old, new = before.machine.get(name, "none"), after.machine.get(name, "none")
        if old != new:
            yield f"{name}: {old} -> {new}"
    if before.clip != after.clip:
        clips = f"{before.clip or 'none'} -> {after.clip or 'none'}"
        yield f"clip: {clips}; its frames are not compared"
    digests = {row.file: row.sha256 for row in after.rows}
    for row in {row.file: row for row in before.rows}.values():
        if digests.get(row.file, row.sha256) != row.sha256:
            yield f"{row.file}: another file of that name"
    first, second = {row.key for row in before.rows}, {row.key for row in after.rows}
    for name, keys in (("before", first - second), ("after", second - first)):
        if keys:
            words = ("{} in {} with {} threads".format(*key) for key in sorted(keys))
            yield f"only {name}: {', '.join(words)}"


def _aside(pairs: list[tuple[Row, Row]]) -> Table:
    """What has no interval to be judged by."""

    def cells(row: Row) -> list[str]:
        peak = "-" if row.peak is None else f"{row.peak / 1e6:.0f}"
        return [str(row.accuracy or "-"), f"{row.start('load'):.0f}", peak]

    rows = []
    for one, other in pairs:
        both = zip(cells(one), cells(other))
        rows.append([*_names(one), *(f"{a} -> {b}" if a != b else a for a, b in both)])
    columns = ["model", "engine", "threads", "accuracy", "load ms", "peak MB"]
    note = "*: by the file's own card." if any("*" in row[3] for row in rows) else ""
    return Table("Beside these, without a verdict", columns, rows, note)


def _names(row: Row) -> list[str]:
    return [row.file, row.engine, str(row.threads)]


def _cells(change: Change) -> list[str]:
    return [
        f"{change.before:.3f}",
        f"{change.after:.3f}",
        f"{change.ratio:.2f}",
        f"{change.low:.2f} to {change.high:.2f}",
        change.verdict,
    ]
