"""`edgemood bench --compare` tells a change from noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgemood.benchmarks.bench import METHOD, Accuracy, Clip, Frames, Results, Row
from edgemood.benchmarks.bench_file import to_json
from edgemood.benchmarks.compare import MATTERS, Change, Verdict, compare
from edgemood.benchmarks.fresh import Start
from edgemood.benchmarks.timing import Samples
from edgemood.cli import main
from edgemood.machine import Condition
from edgemood.modelfile import Card


def samples(milliseconds: float, noise: float, seed: int = 0) -> Samples:
    """Twelve rounds of 40 calls. noise: standard deviation of rounds, as a share of the median."""
    rng = np.random.default_rng(seed)
    rounds = milliseconds * (1 + noise * rng.standard_normal((12, 1)))
    return Samples(np.round(rounds * rng.uniform(0.99, 1.01, (12, 40)), 4))


@pytest.mark.parametrize(
    ("after", "noise", "verdict"),
    [
        (1.0, 0.01, "same"),
        (1.04, 0.01, "same"),
        (1.5, 0.01, "slower"),
        (0.6, 0.01, "faster"),
        (1.5, 0.5, "unclear"),
        (1.0, 0.5, "unclear"),
        (1.095, 0.02, "unclear"),
    ],
)
def test_a_verdict_needs_a_ratio_that_matters_and_little_noise(
    after: float, noise: float, verdict: Verdict
) -> None:
    change = Change.of(samples(1, noise, 1), samples(after, noise, 2))
    assert change is not None
    assert change.verdict == verdict


def test_noise_alone_is_hardly_ever_called_a_change() -> None:
    """Of runs of the same thing, with each round 10 % off: at most 1 % of the verdicts."""
    changes = [Change.of(samples(1, 0.1, 2 * i), samples(1, 0.1, 2 * i + 1)) for i in range(500)]
    verdicts = [change.verdict for change in changes if change]
    assert sum(verdict in ("faster", "slower") for verdict in verdicts) <= 5


def test_a_change_is_found_in_nearly_every_pair_of_quiet_runs() -> None:
    changes = [
        Change.of(samples(1, 0.02, 2 * i), samples(1.25, 0.02, 2 * i + 1)) for i in range(200)
    ]
    assert sum(change is not None and change.verdict == "slower" for change in changes) >= 198


def test_turned_round_slower_is_faster() -> None:
    one, other = samples(1, 0.01, 1), samples(1.3, 0.01, 2)
    there, back = Change.of(one, other), Change.of(other, one)
    assert there is not None
    assert back is not None
    assert (there.verdict, back.verdict) == ("slower", "faster")
    assert there.ratio * back.ratio == pytest.approx(1)
    assert there.low * back.high == pytest.approx(1)


def results(milliseconds: float = 1.0, seed: int = 0) -> Results:
    frames = Frames(samples(5, 0.01, seed), samples(2, 0.01, seed), np.ones((12, 7)))
    row = Row(
        file="emotion-tiny.onnx",
        sha256="0123456789ab",
        size=1234,
        card=Card("tiny", ("sad", "glad"), "1", "int8"),
        engine="onnxruntime",
        threads=1,
        accuracy=Accuracy("test", 0.5, 30, 60),
        starts=(Start(200.0, 20.0, 0.5, 90_000_000),),
        face=samples(milliseconds, 0.01, seed),
        batch=samples(8 * milliseconds, 0.01, seed),
        frames=frames,
    )
    clip = Clip("demo", 640, 480, 40, "face.onnx 0123456789ab")
    machine: dict[str, str | int] = {"cpu": "A processor", "cores": 4, "system": "Linux aarch64"}
    return Results(machine, Condition(), Condition(), METHOD, clip, (row,), None)


def test_each_figure_gets_a_verdict() -> None:
    lines, tables, last = compare(results(seed=1), results(milliseconds=2, seed=2))
    assert lines == []
    verdicts = {table.title: [row[-1] for row in table.rows] for table in tables[:-1]}
    assert verdicts == {
        "Milliseconds for one face": ["slower"],
        "Milliseconds for 8 faces": ["slower"],
        "Milliseconds for a frame of the clip": ["same"],
        "Milliseconds of CPU time for reading a frame": ["same"],
    }
    assert last.startswith("0 faster, 2 slower, 2 same, 0 unclear. ")
    assert f"{MATTERS:.2f} or more" in last


def test_what_else_differs_is_said_and_other_clips_are_not_compared() -> None:
    before, after = results(), results()
    after.machine["opencv"] = "5.0.0"
    assert after.clip is not None
    row = replace(after.rows[0], sha256="ba9876543210", accuracy=Accuracy("test", 0.6, 36, 60))
    extra = replace(row, threads=2)
    after = replace(after, clip=replace(after.clip, name="clip.mp4"), rows=(row, extra))
    lines, tables, _ = compare(before, after)
    assert "opencv: none -> 5.0.0" in lines
    assert any("its frames are not compared" in line for line in lines)
    assert "emotion-tiny.onnx: another file of that name" in lines
    assert "only after: emotion-tiny.onnx in onnxruntime with 2 threads" in lines
    assert len(tables) == 3
    assert tables[-1].rows[0][3] == "50.0% -> 60.0%"


def test_runs_without_a_row_in_common_have_nothing_to_compare() -> None:
    before, after = results(), results()
    after = replace(after, rows=(replace(after.rows[0], engine="opencv"),))
    assert compare(before, after)[1:] == ([], "They have no row in common.")


def test_the_first_file_is_compared_with_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, milliseconds in (("a", 1.0), ("b", 2.0), ("c", 0.5)):
        Path(f"{name}.json").write_text(to_json(results(milliseconds)))
    arguments = ["--compare", "a.json", "b.json", "c.json"]
    assert main(["bench", *arguments, "--markdown", "all.md"]) == 0
    out = capsys.readouterr().out
    first, second = out.index("From a.json to b.json"), out.index("From a.json to c.json")
    assert "2 slower" in out[first:second]
    assert "2 faster" in out[second:]
    page = Path("all.md").read_text()
    assert page.count("## Milliseconds for one face") == 2
    assert "| slower |" in page
    assert max(map(len, out.splitlines())) <= 100
