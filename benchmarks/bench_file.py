"""`Results` <-> a JSON file, which holds every time that their figures are computed from."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from edgemood.benchmarks.bench import BATCH, METHOD, STAGES, Accuracy, Clip, Frames, Results, Row
from edgemood.benchmarks.following import Departure
from edgemood.benchmarks.fresh import Start
from edgemood.benchmarks.json_text import json_text
from edgemood.benchmarks.timing import Samples
from edgemood.errors import EdgemoodError
from edgemood.machine import Condition
from edgemood.modelfile import Card

T = TypeVar("T")
KIND, SCHEMA = "edgemood bench", 2


def to_json(results: Results) -> str:
    """Every figure with the times it comes from, in milliseconds, one round a line."""
    return json_text(
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
        }
    )


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


# --- reading --------------------------------------------------------------------------------------


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
    # Files of before there was `ferplus` are read still.
    ferplus = values.get("ferplus", False) is True
    return Accuracy(_text(values["split"]), _number(values["value"]), right, total, ferplus)


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
