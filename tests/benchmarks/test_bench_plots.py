"""The plots of `edgemood bench`: who is on the line, and names that can be read."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from matplotlib.text import Text

from edgemood.benchmarks.plots import Point, latencies, pareto, pareto_front, stages

POINTS = [
    Point("emotion-nano.int8.onnx", "onnxruntime", 0.10, 0.642),
    Point("emotion-nano.int8.onnx", "opencv", 0.45, 0.642),
    Point("emotion-nano.int8.tflite", "litert", 0.15, 0.645),
    Point("emotion-nano.onnx", "onnxruntime", 0.14, 0.643),
    Point("emotion-nano.onnx", "opencv", 0.30, 0.643),
    Point("emotion-small.int8.onnx", "onnxruntime", 0.38, 0.665),
    Point("emotion-small.int8.onnx", "opencv", 6.5, 0.664),
    Point("emotion-small.int8.tflite", "litert", 0.70, 0.667),
    Point("emotion-small.onnx", "onnxruntime", 0.70, 0.666),
    Point("emotion-small.onnx", "opencv", 1.7, 0.666),
]


def test_the_line_has_those_that_nothing_beats_in_both() -> None:
    assert [(point.milliseconds, point.accuracy) for point in pareto_front(POINTS)] == [
        (0.10, 0.642),
        (0.14, 0.643),
        (0.15, 0.645),
        (0.38, 0.665),
        (0.70, 0.667),
    ]


def test_every_point_has_its_name_and_no_name_covers_another() -> None:
    (axes,) = pareto(POINTS).axes
    assert sorted(text.get_text() for text in axes.texts) == sorted(p.name for p in POINTS)
    for text in axes.texts:
        text.get_window_extent()
    extents = [Text.get_window_extent(text) for text in axes.texts]
    assert not any(a.overlaps(b) for a, b in combinations(extents, 2))
    frame = axes.get_window_extent()
    assert all(frame.contains(*e.min) and frame.contains(*e.max) for e in extents)


def test_stages_of_a_bar_add_up_to_what_is_written_beside_it() -> None:
    (axes,) = stages({"a": {"decode": 1.0, "read": 0.5}, "b": {"decode": 1.0, "read": 2.5}}).axes
    assert [text.get_text() for text in axes.texts] == ["1.50", "3.50"]
    ends = [bars[1].get_x() + bars[1].get_width() for bars in axes.containers[1:]]
    assert ends == [3.5]


def test_one_call_that_took_a_thousand_times_as_long_does_not_squeeze_the_rest() -> None:
    times = np.full(500, 0.1)
    times[0] = 100.0
    (axes,) = latencies({"a": times}).axes
    assert axes.get_xlim()[1] < 1
