"""`Results` -> what people read: tables, Markdown, figures.

Every figure in a table is computed from `Results`, which `bench_file` keeps whole.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgemood import console
from edgemood.benchmarks.bench import (
    BATCH,
    STAGES,
    Results,
    Row,
)
from edgemood.benchmarks.evaluate_report import Table
from edgemood.benchmarks.timing import Samples
from edgemood.machine import Condition

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTHING = "-"
# Columns that are names, which stand on the left.
NAMES = ("model", "engine", "detector", "clip")
WIDTH = 100  # of lines on the terminal
# One column of a table: its name, and a row's cell in it.
Column = tuple[str, Callable[[Row], str]]
# Lines, tables, and a last line, which may be empty.
Section = tuple[Sequence[str], Sequence[Table], str]


# --- tables -------------------------------------------------------------------------------------


def heading(results: Results) -> list[str]:
    """The machine, how it was doing, what was measured: a line each."""
    here = dict(results.machine)
    cores, memory = here.pop("cores"), here.pop("memory", None)
    words = [str(here.pop("cpu")), f"{cores} core{'s' if cores != 1 else ''}"]
    if isinstance(memory, int):
        words.append(f"{memory / 1e9:.1f} GB of memory")
    lines = [", ".join([*words, str(here.pop("system"))])]
    if here:
        lines.append(", ".join(f"{name} {version}" for name, version in here.items()))
    before, after = _condition_words(results.before), _condition_words(results.after)
    if before or after:
        lines.append(f"before: {before or 'unknown'}; after: {after or 'unknown'}")
    threads = sorted({row.threads for row in results.rows})
    lines.append(f"threads: {', '.join(map(str, threads))}")
    if results.clip:
        lines.append(f"clip: {results.clip}")
    return lines


def tables(results: Results) -> list[Table]:
    """All figures, in the order in which a reader wants them."""
    rows = results.rows
    keys: list[Column] = [("model", lambda row: row.file), ("engine", lambda row: row.engine)]
    if len({row.threads for row in rows}) > 1:
        keys.append(("threads", lambda row: str(row.threads)))
    made = [
        _table(
            "One face at a time, milliseconds (MLPerf's SingleStream)",
            rows,
            keys,
            [
                ("accuracy", lambda row: str(row.accuracy or NOTHING)),
                ("p50", lambda row: _ms(row.face.p50)),
                ("±", lambda row: _spread(row.face)),
                ("p90", lambda row: _ms(row.face.percentile(90))),
                ("p95", lambda row: _ms(row.face.percentile(95))),
                ("p99", lambda row: _ms(row.face.percentile(99))),
            ],
            f"±: half the 95 % interval of p50, after {_rounds(row.face for row in rows)}; they "
            f"end when it is {results.method['narrow']:.0%} or less in each row, or after "
            f"{results.method['face_seconds']:.0f} s. p90: SingleStream's own figure. "
            f"{_accuracy_note(rows)}",
        ),
        _table(
            "Faces a second, and milliseconds that a start takes",
            rows,
            keys,
            [
                ("faces/s", lambda row: f"{row.face.per_second:,.0f}"),
                (f"of {BATCH}", lambda row: f"{BATCH * row.batch.per_second:,.0f}"),
                ("import", lambda row: f"{row.start('library'):.0f}"),
                ("load", lambda row: f"{row.start('load'):.0f}"),
                ("first", lambda row: f"{row.start('first'):.1f}"),
                ("peak MB", lambda row: _known(row.peak, 1e6, ".0f")),
            ],
            f"Of {BATCH}: {BATCH} faces a call (MLPerf's Offline). Starts: medians of "
            f"{min(len(row.starts) for row in rows)}, each in a process of its own; import: "
            "NumPy, OpenCV and the engine; first: the first face.",
        ),
        _table(
            "Files",
            list({row.file: row for row in rows}.values()),
            keys[:1],
            [
                ("precision", lambda row: row.card.precision),
                ("kB", lambda row: f"{row.size / 1000:,.0f}"),
                ("MMACs", lambda row: _known(row.card.macs, 1e6, ".1f")),
                ("parameters", lambda row: _known(row.card.parameters, 1, ",.0f")),
                ("sha256", lambda row: row.sha256),
            ],
        ),
    ]
    played = [(row, row.frames) for row in rows if row.frames]
    if not played:
        return made
    of = {row.key: frames for row, frames in played}
    framed = [row for row, _ in played]
    shared = any(row.threads > 1 for row in framed)

    def stage(name: str) -> Column:
        return name, lambda row: f"{of[row.key].parts[name]:.2f}"

    made += [
        _table(
            "Frames of the clip, from decoding to drawn readings",
            framed,
            keys,
            [
                ("FPS", lambda row: f"{of[row.key].latency.per_second:.0f}"),
                ("ms p50", lambda row: _ms(of[row.key].latency.p50)),
                ("±", lambda row: _spread(of[row.key].latency)),
                ("p95", lambda row: _ms(of[row.key].latency.percentile(95))),
                ("CPU ms", lambda row: _ms(sum(of[row.key].parts.values()))),
                ("reading", lambda row: _ms(of[row.key].pipeline.p50)),
                ("mean", lambda row: _ms(of[row.key].pipeline.mean)),
            ],
            f"After {_rounds(frames.latency for _, frames in played)}, which end as above, or "
            f"after {results.method['clip_seconds']:.0f} s. CPU ms: of the whole program a frame, "
            "mean. Reading: median milliseconds of CPU time a frame beyond decoding and drawing, "
            "in which faces are followed; mean: the same with the looks for new ones in it.",
        ),
        _table(
            "Milliseconds of CPU time a frame, mean",
            framed,
            keys,
            [stage(name) for name in STAGES],
            "Decode: all threads but the one that calls"
            + ("; with more than one, an engine's are in it." if shared else "."),
        ),
    ]
    return made


def following_line(results: Results) -> str | None:
    """What following the clip's faces departs from detecting them in each frame."""
    found = results.following
    if found is None:
        return None
    return (
        f"Followed faces: IoU with those detected in each frame {found.percentile(50):.2f} (p50), "
        f"{found.percentile(5):.2f} (p5), {found.percentile(1):.2f} (p1), for "
        f"{found.following.mean:.2f} ms of CPU time a frame instead of {found.detecting.mean:.2f}."
    )


def print_section(title: str, section: Section) -> None:
    """On stdout. title: empty for none."""
    lines, parts, last = section
    for line in [title, *lines] if title else lines:
        print(textwrap.fill(line, WIDTH))
    for part in parts:
        print()
        names = sum(name in NAMES for name in part.columns)
        console.table(part.columns, part.rows, part.title, left=names)
        if part.note:
            print(textwrap.fill(part.note, WIDTH))
    if last:
        print(f"\n{textwrap.fill(last, WIDTH)}")


def markdown(sections: Mapping[str, Section], command: str) -> str:
    """The same as Markdown. sections: by their titles. command: the line that makes it again."""
    text = []
    for title, (lines, parts, last) in sections.items():
        text += [f"# {title}", "", *(f"- {line}" for line in lines), ""]
        for part in parts:
            text += [f"## {part.title}", "", console.markdown_table(part.columns, part.rows), ""]
            if part.note:
                text += [part.note.replace("*:", "\\*:"), ""]
            text += [f"![{Path(name).stem}]({name})\n" for name in part.plots]
        if last:
            text += [last, ""]
    return "\n".join([*text, "Made by", "", f"    {command}", ""])


def _table(
    title: str,
    rows: Sequence[Row],
    keys: Sequence[Column],
    columns: Sequence[Column],
    note: str = "",
) -> Table:
    shown = [*keys, *columns]
    cells = [[cell(row) for _, cell in shown] for row in rows]
    return Table(title, [name for name, _ in shown], cells, note)


def _ms(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.2f}"


def _spread(samples: Samples) -> str:
    return f"{samples.spread:.1%}"


def _rounds(samples: Iterable[Samples]) -> str:
    """Such as "7 rounds of 40 calls", of all rows alike."""
    rounds, calls = next(iter(samples)).rounds.shape
    return f"{rounds} rounds of {calls}"


def _accuracy_note(rows: Sequence[Row]) -> str:
    notes = []
    found = [row.accuracy for row in rows if row.accuracy]
    measured = [(each.split, each.total) for each in found if each.total and not each.ferplus]
    for split, total in dict.fromkeys(measured):
        notes.append(f"Accuracy: measured here on {split}, {total:,} pictures.")
    voted = [each for each in found if each.ferplus]
    if voted:
        measured = [(each.split, each.total) for each in voted if each.total]
        agreed = "".join(
            f", on the {total:,} pictures of {split} that most of its voters agree on"
            for split, total in dict.fromkeys(measured)
        )
        notes.append(f"+: by FER+'s labels{agreed}; not to be set beside the others.")
    splits = dict.fromkeys(each.split for each in found if not each.total)
    if splits:
        notes.append(f"*: accuracy on {' or '.join(splits)} by the file's own card.")
    return " ".join(notes)


def _known(value: float | None, unit: float, form: str) -> str:
    return NOTHING if value is None else f"{value / unit:{form}}"


def _condition_words(condition: Condition) -> str:
    words = []
    if condition.load is not None:
        words.append(f"load {condition.load:.1f}")
    if condition.governor:
        words.append(f"clock {condition.governor}")
    if condition.celsius is not None:
        words.append(f"{condition.celsius:.0f} °C")
    if condition.throttled is not None:
        words.append(", ".join(condition.throttled) or "not throttled")
    if condition.throttled_before:
        words.append(f"earlier {', '.join(condition.throttled_before)}")
    return ", ".join(words)


# --- figures ------------------------------------------------------------------------------------

PARETO, STACKED, SPREAD = "accuracy-latency.png", "stages.png", "latency.png"


def figures(results: Results) -> dict[str, Figure]:
    """File name -> figure. Needs matplotlib."""
    from edgemood.benchmarks import plots

    rows = results.rows
    several = len({row.threads for row in rows}) > 1
    with_threads = [f", {row.threads} threads" if several else "" for row in rows]
    names = [f"{row.file}, {row.engine}{extra}" for row, extra in zip(rows, with_threads)]
    drawn = {SPREAD: plots.latencies(dict(zip(names, (row.face.rounds for row in rows))))}
    # Accuracies on other labels have no place on the same line.
    by_votes = all(row.accuracy.ferplus for row in rows if row.accuracy)
    points = [
        plots.Point(f"{row.file}{extra}", row.engine, row.face.p50, row.accuracy.value)
        for row, extra in zip(rows, with_threads)
        if row.accuracy and row.accuracy.ferplus == by_votes
    ]
    if points:
        drawn[PARETO] = plots.pareto(points)
    played = {name: row.frames.parts for name, row in zip(names, rows) if row.frames}
    if played:
        drawn[STACKED] = plots.stages(played)
    return drawn


def with_figures(parts: Sequence[Table], names: Container[str], folder: str) -> list[Table]:
    """The tables, with those of these figures below each that belong to it."""
    places = {0: (PARETO, SPREAD), len(parts) - 1: (STACKED,)}
    return [
        replace(part, plots=[f"{folder}/{name}" for name in places.get(i, ()) if name in names])
        for i, part in enumerate(parts)
    ]
