"""`Results` -> what people and programs read: tables, Markdown, figures, JSON, which is read back.

Every figure in a table is computed from `Results`, which the JSON holds whole.
"""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from edgemood import console
from edgemood.benchmarks.bench import (
    BATCH,
    METHOD,
    STAGES,
    Accuracy,
    Clip,
    Frames,
    Results,
    Row,
)
from edgemood.benchmarks.evaluate_report import Table
from edgemood.benchmarks.following import Departure
from edgemood.benchmarks.fresh import Start
from edgemood.benchmarks.timing import Samples
from edgemood.errors import EdgemoodError
from edgemood.machine import Condition
from edgemood.modelfile import Card

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")
KIND, SCHEMA = "edgemood bench", 2
NOTHING = "-"
# Columns that are names, which stand on the left.
NAMES = ("model", "engine")
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
    for split, total in dict.fromkeys((each.split, each.total) for each in found if each.total):
        notes.append(f"Accuracy: measured here on {split}, {total:,} pictures.")
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
    points = [
        plots.Point(f"{row.file}{extra}", row.engine, row.face.p50, row.accuracy.value)
        for row, extra in zip(rows, with_threads)
        if row.accuracy
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


# --- JSON ---------------------------------------------------------------------------------------


def to_json(results: Results) -> str:
    """Every figure with the times it comes from, in milliseconds, one round a line."""
    text = json.dumps(
        {
            "kind": KIND,
            "schema": SCHEMA,
            "machine": results.machine,
            "before": asdict(results.before),
            "after": asdict(results.after),
            "clip": results.clip and asdict(results.clip),
            "method": results.method,
            "rows": [_row(row) for row in results.rows],
            "following": results.following and _departure(results.following),
        },
        indent=1,
        ensure_ascii=False,
    )
    numbers = re.compile(r"\[\n\s+([-+.,\de\s]+?)\n\s+\]")
    return numbers.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def _row(row: Row) -> dict[str, Any]:
    frames = row.frames
    return {
        "file": row.file,
        "sha256": row.sha256,
        "size": row.size,
        "engine": row.engine,
        "threads": row.threads,
        "accuracy": row.accuracy and asdict(row.accuracy),
        "card": json.loads(row.card.to_json()),
        "starts": [asdict(start) for start in row.starts],
        "face": _samples(row.face),
        f"batch{BATCH}": _samples(row.batch),
        "frames": frames
        and {
            "latency": _samples(frames.latency),
            "pipeline_cpu": _samples(frames.pipeline),
            "stages_cpu": dict(zip(STAGES, frames.stages.T.tolist())),
        },
    }


def _samples(samples: Samples) -> dict[str, Any]:
    return {
        **{f"p{share}": round(samples.percentile(share), 5) for share in (50, 90, 95, 99)},
        "p50_interval": [round(end, 5) for end in samples.interval],
        "mean": round(samples.mean, 5),
        "rounds": samples.rounds.tolist(),
    }


def _departure(found: Departure) -> dict[str, Any]:
    return {
        "overlaps": found.overlaps.tolist(),
        "extra": found.extra,
        "tracks": found.tracks,
        "detecting_cpu": _samples(found.detecting),
        "following_cpu": _samples(found.following),
    }


def read_results(path: Path) -> Results:
    """What `to_json` wrote; raises EdgemoodError for any other file, in a sentence."""
    wanted = "the JSON of `edgemood bench --json` was wanted"
    remedy = "Measure with: edgemood bench --json FILE"
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise EdgemoodError(
            f"{path} cannot be read: {error.strerror}; {wanted}. {remedy}"
        ) from None
    except (ValueError, RecursionError):
        raise EdgemoodError(f"{path} is no JSON; {wanted}. {remedy}") from None
    if not isinstance(values, dict):
        values = {}
    # The first schema named no kind, and held no times to compute anything from.
    is_old = values.get("schema") == 1 and {"machine", "rows"} <= {*values}
    if values.get("kind") != KIND and not is_old:
        raise EdgemoodError(f"{path} is other JSON; {wanted}. {remedy}")
    if values.get("schema") != SCHEMA:
        raise EdgemoodError(
            f"{path} is of another version of Edgemood, its schema is "
            f"{values.get('schema')!s:.20} and {SCHEMA} was wanted. {remedy}"
        )
    try:
        return _results(values)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        found = f"it has no {error}" if isinstance(error, KeyError) else "a value in it is none"
        raise EdgemoodError(f"{path} is damaged: {found}; {wanted}. {remedy}") from None


def _results(values: dict[str, Any]) -> Results:
    machine = {
        _text(name): int(value) if name in ("cores", "memory") else _text(value)
        for name, value in values["machine"].items()
    }
    if not {"cpu", "cores", "system"} <= {*machine} or not values["rows"]:
        raise ValueError
    return Results(
        machine=machine,
        before=_read_condition(values["before"]),
        after=_read_condition(values["after"]),
        method={name: _number(values["method"][name]) for name in METHOD},
        clip=_optional(values["clip"], _read_clip),
        rows=tuple(_read_row(row) for row in values["rows"]),
        following=_optional(values["following"], _read_departure),
    )


def _read_condition(values: dict[str, Any]) -> Condition:
    def names(value: list[str]) -> tuple[str, ...]:
        return tuple(map(_text, value))

    return Condition(
        _optional(values["governor"], _text),
        _optional(values["celsius"], _number),
        _optional(values["throttled"], names),
        _optional(values["throttled_before"], names),
        _optional(values["load"], _number),
    )


def _read_clip(values: dict[str, Any]) -> Clip:
    width, height, frames = (int(values[name]) for name in ("width", "height", "frames"))
    return Clip(_text(values["name"]), width, height, frames, _text(values["detector"]))


def _read_departure(values: dict[str, Any]) -> Departure:
    return Departure(
        _numbers(values["overlaps"], 1),
        _number(values["extra"]),
        int(values["tracks"]),
        _read_samples(values["detecting_cpu"]),
        _read_samples(values["following_cpu"]),
    )


def _read_row(values: dict[str, Any]) -> Row:
    if not values["starts"]:
        raise ValueError
    return Row(
        file=_text(values["file"]),
        sha256=_text(values["sha256"]),
        size=int(values["size"]),
        card=Card.from_json(json.dumps(values["card"])),
        engine=_text(values["engine"]),
        threads=int(values["threads"]),
        accuracy=_optional(values["accuracy"], _read_accuracy),
        starts=tuple(_read_start(start) for start in values["starts"]),
        face=_read_samples(values["face"]),
        batch=_read_samples(values[f"batch{BATCH}"]),
        frames=_optional(values["frames"], _read_frames),
    )


def _read_accuracy(values: dict[str, Any]) -> Accuracy:
    right, total = (_optional(values[name], int) for name in ("right", "total"))
    return Accuracy(_text(values["split"]), _number(values["value"]), right, total)


def _read_start(values: dict[str, Any]) -> Start:
    library, load, first = (_number(values[name]) for name in ("library", "load", "first"))
    return Start(library, load, first, _optional(values["peak"], int))


def _read_frames(values: dict[str, Any]) -> Frames:
    return Frames(
        _read_samples(values["latency"]),
        _read_samples(values["pipeline_cpu"]),
        _numbers([values["stages_cpu"][name] for name in STAGES], 2).T,
    )


def _read_samples(values: dict[str, Any]) -> Samples:
    rounds = _numbers(values["rounds"], 2)
    if (rounds < 0).any():
        raise ValueError
    return Samples(rounds)


def _optional(value: Any, read: Callable[[Any], T]) -> T | None:
    return None if value is None else read(value)


def _numbers(values: object, dimensions: int) -> np.ndarray:
    numbers = np.array(values, np.float64)
    if numbers.ndim != dimensions or not numbers.size or not np.isfinite(numbers).all():
        raise ValueError
    return numbers


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return float(value)


def _text(value: object) -> str:
    """What can be printed; raises ValueError for anything else."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError
    return value
