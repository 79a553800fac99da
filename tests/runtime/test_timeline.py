"""Readings become one picture: a row a face, coloured by label, with gaps and doubts."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgemood.cli import main
from edgemood.datasets import PICTURES
from edgemood.errors import EdgemoodError
from edgemood.runtime.draw import INK, PALETTE
from edgemood.runtime.timeline import (
    GAP,
    HEAD,
    MOST,
    ROW,
    SIDE,
    SPACE,
    WIDTH,
    Spans,
    draw,
    read_lines,
)

LABELS = ("angry", "happy", "neutral")


def spans(*frames: tuple[float, list[tuple[int, str, bool]]]) -> Spans:
    found = Spans()
    found.labels = LABELS
    for time, faces in frames:
        found.add(time, faces)
    return found


def line(time: float, *faces: tuple[int, str, str | None]) -> str:
    """As `edgemood run --jsonl` writes it, without what a timeline does not need."""
    known = [
        {"track": n, "emotion": label, "unsure": why, "probabilities": dict.fromkeys(LABELS, 0.3)}
        for n, label, why in faces
    ]
    return json.dumps({"schema": 1, "frame": 0, "time": time, "faces": known}) + "\n"


def test_a_label_that_lasts_is_one_span_and_a_change_begins_another() -> None:
    found = spans(
        (0.0, [(1, "happy", False)]),
        (0.5, [(1, "happy", False)]),
        (1.0, [(1, "angry", False)]),
        (1.5, [(1, "angry", False)]),
    )
    assert [(s.label, s.start, s.end) for s in found.all] == [
        ("happy", 0, 1.0),
        ("angry", 1.0, 1.5),
    ]


def test_a_face_that_is_away_leaves_a_gap_and_so_does_a_stopped_camera() -> None:
    face = [(1, "happy", False)]
    away = spans((0.0, face), (0.5, face), (1.0, []), (1.5, face))
    assert [(s.start, s.end) for s in away.all] == [(0, 0.5), (1.5, 1.5)]
    stopped = spans((0.0, face), (0.5, face), (1.0 + GAP, face))
    assert [(s.start, s.end) for s in stopped.all] == [(0, 0.5), (3.0, 3.0)]


def test_time_that_runs_back_begins_anew() -> None:
    found = spans((5.0, [(1, "happy", False)]), (1.0, [(1, "angry", False)]))
    assert [(s.label, s.start) for s in found.all] == [("angry", 1.0)]
    assert (found.start, found.end) == (1.0, 1.0)


def test_the_picture_shows_label_gap_and_doubt_where_they_were() -> None:
    happy, angry = [(4, "happy", False)], [(4, "angry", True)]
    image = draw(
        spans(*[(t / 10, happy if t < 40 else [] if t < 60 else angry) for t in range(101)])
    )
    row = image[HEAD + 2 : HEAD + ROW - 2]

    def part(start: float, end: float) -> np.ndarray:
        scale = (WIDTH - 16 - SIDE) / 10
        return row[:, round(SIDE + start * scale) : round(SIDE + end * scale)].reshape(-1, 3)

    def share(pixels: np.ndarray, colour: tuple[int, int, int]) -> float:
        return float((pixels == colour).all(axis=1).mean())

    assert share(part(2, 3.8), PALETTE[1]) == 1
    assert share(part(4.1, 4.9), INK) > 0.9  # but for a line of the axis
    assert share(part(8, 9.8), PALETTE[0]) == pytest.approx(0.5, abs=0.05)
    assert share(part(8, 9.8), INK) == pytest.approx(0.5, abs=0.05)


def test_every_face_has_a_row_of_its_own_in_the_order_of_their_numbers() -> None:
    image = draw(spans(*[(t, [(9, "happy", False), (2, "angry", False)]) for t in (0.0, 1.0)]))
    rows = [image[HEAD + i * (ROW + SPACE) + 3, WIDTH // 2] for i in range(2)]
    assert [tuple(row) for row in rows] == [PALETTE[0], PALETTE[1]]


def test_hundreds_of_faces_make_a_picture_that_can_be_looked_at() -> None:
    crowd = [(float(t), [(t, "happy", False), (t + 1, "happy", False)]) for t in range(300)]
    assert draw(spans(*crowd)).shape[0] < 2000


def test_a_legend_of_many_labels_has_several_lines() -> None:
    found = spans((0.0, [(1, "happy", False)]), (1.0, [(1, "happy", False)]))
    few = draw(found)
    found.labels = tuple(f"a label of many words, number {i}" for i in range(12))
    many = draw(found)
    line = 26
    assert (many.shape[0] - few.shape[0]) % line == 0
    assert (many[14:30, SIDE + 1] == PALETTE[0]).all()
    assert (many[14 + line : 30 + line, SIDE + 1] != INK).all()


def test_what_is_kept_of_a_month_is_small_and_still_true() -> None:
    """A face that stays, happy every second hour, and a new one beside it each minute."""
    found = spans()
    for second in range(200_000):
        label = ("neutral", "happy")[second // 3600 % 2] if second % 10 else "angry"
        found.add(float(second), [(0, label, False), (1 + second // 60, "happy", False)])
    assert len(found.all) <= MOST
    assert len({span.track for span in found.all}) + found.gone == 1 + 200_000 // 60 + 1
    stays = [span for span in found.all if span.track == 0]
    assert (stays[0].start, stays[-1].end) == (0, 199_999)
    assert all(later.start - span.end <= GAP for span, later in pairwise(stays))
    for hour in range(55):
        (label,) = {s.label for s in stays if s.start <= 3600 * hour + 1803.5 <= s.end}
        assert label == ("neutral", "happy")[hour % 2]
    assert draw(found).shape[0] < 2000


@pytest.mark.parametrize("seconds", [0.0, 0.04, 7.0, 90.0, 1000.0, 90_000.0])
def test_any_length_has_an_axis(seconds: float) -> None:
    image = draw(spans((0.0, []), (seconds, [(1, "happy", False)])))
    below = image[HEAD + ROW + SPACE + 6 :]
    assert (below != INK).any()


def test_the_word_draws_lines_of_json(tmp_path: Path) -> None:
    lines = "".join(line(t / 10, (1, "happy", "too dark" if t > 50 else None)) for t in range(100))
    (tmp_path / "faces.jsonl").write_text(lines + '{"schema": 1, "fra')
    assert main(["timeline", str(tmp_path / "faces.jsonl"), str(tmp_path / "out.png")]) == 0
    drawn = cv2.imread(str(tmp_path / "out.png"))
    assert drawn is not None
    expected = draw(read_lines(tmp_path / "faces.jsonl"))
    assert (drawn == expected).all()


@pytest.mark.parametrize("ending", sorted(PICTURES))
def test_it_is_drawn_as_every_kind_of_picture(tmp_path: Path, ending: str) -> None:
    (tmp_path / "faces.jsonl").write_text(line(0.0, (1, "happy", None)) + line(1.0))
    path = tmp_path / f"out{ending}"
    assert main(["timeline", str(tmp_path / "faces.jsonl"), str(path)]) == 0
    drawn = cv2.imread(str(path))
    assert drawn is not None
    assert drawn.shape == draw(read_lines(tmp_path / "faces.jsonl")).shape


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, "cannot be read"),
        (b"", "has no whole line"),
        (b'{"a": 1}\n', "line 1 is no reading"),
        (b"[[[\n", "line 1 is no reading"),
        (b'{"time": NaN, "faces": []}\n', "line 1 is no reading"),
        (
            b'{"time": 1, "faces": [{"track": "a", "emotion": "b", "unsure": null, '
            b'"probabilities": {}}]}\n',
            "line 1 is no reading",
        ),
        (b"\xff\xfe\n", "it is no text"),
    ],
    ids=[
        "is not there",
        "is empty",
        "is other JSON",
        "is no JSON",
        "has no time",
        "has no track",
        "is no text",
    ],
)
def test_a_file_that_holds_no_readings_is_refused(
    tmp_path: Path, text: bytes | None, found: str
) -> None:
    path = tmp_path / "faces.jsonl"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(EdgemoodError, match=found):
        read_lines(path)


@pytest.mark.parametrize(
    ("name", "found"), [("out.mp3", "does not end as a picture"), ("no/out.png", "is no folder")]
)
def test_a_picture_that_cannot_be_written_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, found: str
) -> None:
    assert main(["timeline", str(tmp_path / "none.jsonl"), str(tmp_path / name)]) == 2
    assert found in capsys.readouterr().err
