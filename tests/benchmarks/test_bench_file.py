"""Results as JSON: what was written is read back, and nothing else is."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgemood.benchmarks.bench import METHOD, Accuracy, Clip, Frames, Results, Row
from edgemood.benchmarks.bench_file import read_results, to_json
from edgemood.benchmarks.bench_report import (
    PARETO,
    figures,
    following_line,
    heading,
    print_section,
    tables,
)
from edgemood.benchmarks.following import Departure
from edgemood.benchmarks.fresh import Start
from edgemood.benchmarks.timing import Samples
from edgemood.cli import main
from edgemood.errors import EdgemoodError
from edgemood.machine import Condition
from edgemood.modelfile import Card


@pytest.fixture
def results() -> Results:
    """Every value there is, and one row without what may be missing."""
    rng = np.random.default_rng(0)

    def samples(calls: int) -> Samples:
        return Samples.of(rng.uniform(0.001, 0.002, (7, calls)))

    card = Card("tiny", ("sad", "glad"), "1", "int8", accuracy={"test": 0.5}, macs=1_200_000)
    whole = Row(
        file="emotion-tiny.onnx",
        sha256="0123456789ab",
        size=1234,
        card=card,
        engine="onnxruntime",
        threads=1,
        accuracy=Accuracy("test", 0.5, 30, 60),
        starts=(Start(200.0, 20.5, 0.5, 90_000_000), Start(210.0, 21.5, 0.7, 91_000_000)),
        face=samples(40),
        batch=samples(5),
        frames=Frames(samples(20), samples(20), rng.uniform(0, 1, (7, 7)).round(4)),
    )
    bare = Row(
        **{
            name: getattr(whole, name)
            for name in ("file", "sha256", "size", "card", "face", "batch")
        },
        engine="opencv",
        threads=2,
        accuracy=None,
        starts=(Start(200.0, 20.5, 0.5, None),),
        frames=None,
    )
    return Results(
        machine={"cpu": "A processor", "cores": 4, "memory": 8 * 10**9, "system": "Linux aarch64"},
        before=Condition("ondemand", 51.2, (), ("under-voltage",), 0.1),
        after=Condition(),
        method=METHOD,
        clip=Clip("clip.mp4", 640, 480, 20, "face.onnx 0123456789ab"),
        rows=(whole, bare),
        following=Departure(np.array([0.9, 0.95]), 0.0, 1, samples(20), samples(20)),
    )


def shown(results: Results) -> tuple[object, ...]:
    """All that anybody sees of it."""
    return heading(results), tables(results), following_line(results)


def test_what_was_written_is_read_back(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "here.json"
    path.write_text(to_json(results))
    again = read_results(path)
    assert shown(again) == shown(results)
    assert to_json(again) == to_json(results)


def test_the_json_is_strict_and_has_a_round_a_line(results: Results) -> None:
    text = to_json(results)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    rounds = [line for line in text.splitlines() if line.count(",") > 30]
    assert len(rounds) == 14  # of 40 calls, in two rows


def test_the_state_of_a_board_is_said(results: Results) -> None:
    assert (
        "before: load 0.1, clock ondemand, 51 °C, not throttled, earlier under-voltage; "
        "after: unknown" in heading(results)
    )


def test_tables_fit_into_a_hundred_columns(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    print_section("", (heading(results), tables(results), following_line(results) or ""))
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 100


def test_accuracies_on_other_labels_are_on_no_line_together(results: Results) -> None:
    pytest.importorskip("matplotlib")
    ours = results.rows[0]
    theirs = replace(ours, file="emotion-votes.onnx", accuracy=Accuracy("test", 0.9, ferplus=True))

    def named(*rows: Row) -> list[str]:
        (axes,) = figures(replace(results, rows=rows))[PARETO].axes
        return [text.get_text() for text in axes.texts]

    assert named(ours, theirs) == ["emotion-tiny.onnx"]
    assert named(theirs) == ["emotion-votes.onnx"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[1, 2]", "is other JSON"),
        ('{"schema": 1, "models": []}', "is other JSON"),
        (
            '{"schema": 1, "machine": {}, "threads": 1, "rows": []}',
            "is of another version of Edgemood, its schema is 1 and 2 was wanted",
        ),
        ('{"kind": "edgemood bench", "schema": 3}', "its schema is 3 and 2 was wanted"),
        ('{"kind": "edgemood bench", "schema": 2}', "is damaged: it has no 'machine'"),
    ],
)
def test_old_and_foreign_files_get_one_sentence(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "there.json"
    path.write_text(text)
    assert main(["bench", "--compare", str(path)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert words in err
    assert err.endswith("Measure with: edgemood bench --json FILE\n")


def test_a_file_that_is_not_there_is_said_to_be_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--compare", str(tmp_path / "nowhere.json")]) == 2
    assert "nowhere.json cannot be read: No such file or directory" in capsys.readouterr().err


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something is in it, at any depth; of lists, only where the first item is."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list) and value:
        keys = [0]
    for key in keys:
        yield (*path, key)
        yield from places(value[key], (*path, key))


@pytest.mark.parametrize(
    "wrong",
    [None, "\x1b[31m", [], {}, -1, 1e400, [[1.0], [1.0, 2.0]]],
    ids=["null", "escape", "list", "object", "negative", "infinity", "ragged"],
)
def test_whatever_is_damaged_is_refused_or_printed_but_never_a_traceback(
    wrong: object, results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = json.loads(to_json(results))
    path = tmp_path / "there.json"
    refused = 0
    for place in places(whole):
        damaged = copy.deepcopy(whole)
        inside = damaged
        for key in place[:-1]:
            inside = inside[key]
        inside[place[-1]] = wrong
        path.write_text(json.dumps(damaged))
        try:
            read = read_results(path)
        except EdgemoodError:
            refused += 1
            continue
        print_section("", shown(read))  # type: ignore[arg-type]
    assert refused > 10
    assert "\x1b" not in capsys.readouterr().out
