"""Figures of a classifier's judgement and speed -> matplotlib figures; and those -> PNG files.

Nothing here uses pyplot, so no window system or global state is touched. Shares run from 0 to 1
and are drawn in percent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter
from matplotlib.transforms import Bbox

from edgemood.files import replace_file
from edgemood.metrics import Reliability, RiskCoverage

# (share, lower end, upper end) of a 95 % interval
Interval = tuple[float, float, float]
NOTHING: Interval = (np.nan, np.nan, np.nan)

# Okabe & Ito's colours, told apart by everyone; and markers, for print without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = "osD^vPX"
GRAY = "#777777"
# Directions from a point to its name, the best first; the line to it; marks of percentiles.
AROUND = (
    (1, 0.4), (1, -0.4), (-1, 0.4), (-1, -0.4), (0.2, 1), (0.2, -1), (-0.2, 1), (-0.2, -1)
)  # fmt: skip
LEADER = {"arrowstyle": "-", "color": GRAY, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4}
MARKS = ((50, "o", "#000000"), (95, "^", COLOURS[1]), (99, "D", COLOURS[3]))


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, whole or not at all; raises EdgemoodError where it cannot be."""
    with replace_file(path) as file:
        figure.savefig(file, format="png", dpi=150)


def confusion_matrix(matrix: np.ndarray, classes: Sequence[str], title: str = "") -> Figure:
    """Share of each true class (row) that was given each label (column), with the counts.

    matrix: integers [classes, classes] as from `metrics.confusion_matrix`.
    """
    size = len(classes)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(1.6 + 0.75 * size, 1.3 + 0.7 * size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(size):
        for column in range(size):
            count, share = int(matrix[row, column]), shares[row, column]
            axes.text(
                column, row, f"{share:.0%}\n{count}" if count else "·",
                ha="center", va="center", fontsize=8, linespacing=1.3,
                color="white" if share > 0.55 else "black" if count else GRAY,
            )  # fmt: skip
    axes.set_xticks(range(size), classes, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(size), classes)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, format=PercentFormatter(1))
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)
    return figure


def reliability(figures: Reliability, title: str = "") -> Figure:
    """Accuracy over confidence, with the share of pictures in each bin below."""
    bins = len(figures.count)
    width = 1 / bins
    left = np.arange(bins) * width
    accuracy = np.nan_to_num(figures.accuracy)
    confidence = np.nan_to_num(figures.confidence)
    lower = np.minimum(accuracy, confidence)
    figure = Figure(figsize=(4.4, 5.2), layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    box = {"width": width, "align": "edge", "edgecolor": "white", "linewidth": 0.6}
    top.bar(left, accuracy, color=COLOURS[0], label="accuracy", **box)
    for gap, colour, label in (
        (confidence - lower, "#F2BD97", "over-confident by"),
        (accuracy - lower, "#8FC1E0", "under-confident by"),
    ):
        top.bar(left, gap, bottom=lower, color=colour, label=label, **box)
    top.plot([0, 1], [0, 1], color=GRAY, linewidth=1, linestyle="--", label="perfect calibration")
    top.set(ylabel="accuracy", ylim=(0, 1), xlim=(0, 1))
    figure.suptitle(f"{title}   ECE {figures.error:.1%}".strip(), fontsize=11)
    top.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=9)
    bottom.bar(left, figures.count / max(1, figures.count.sum()), color=GRAY, **box)
    bottom.set(xlabel="confidence", ylabel="pictures")
    for axes in (top, bottom):
        _percent(axes)
    bottom.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


def risk_coverage(curves: Mapping[str, RiskCoverage]) -> Figure:
    """Share of wrong answers among those kept, over the share kept; one line per model."""
    figure = Figure(figsize=(5.6, 4), layout="constrained")
    axes = figure.subplots()
    highest = 0.1
    for (name, curve), colour in zip(curves.items(), _cycle(COLOURS)):
        # The first few pictures alone make a jagged line that says nothing.
        shown = curve.kept >= min(50, curve.kept[-1])
        risk = curve.risk[shown]
        axes.plot(curve.coverage[shown], risk, color=colour, label=name, linewidth=1.6)
        highest = max(highest, float(risk.max()))
    axes.axhline(0.1, color=GRAY, linewidth=1, linestyle="--")
    axes.text(0.005, 0.1, "90% right", color=GRAY, fontsize=9, va="bottom")
    axes.set(
        xlabel="coverage: share of pictures that get an answer", ylabel="risk: share of them wrong",
        xlim=(0, 1), ylim=(0, min(1.0, highest * 1.1)),
    )  # fmt: skip
    _percent(axes)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(alpha=0.25)
    _legend_above(axes, curves)
    return figure


def recall_by_class(models: Mapping[str, Mapping[str, Interval]]) -> Figure:
    """Recall of each class with its interval; models side by side.

    models: model -> class -> interval. Classes that a model has no pictures of (nan) or does not
    know leave a gap.
    """
    classes = list(dict.fromkeys(name for shares in models.values() for name in shares))
    figure = Figure(figsize=(1.6 + 0.8 * len(classes), 3.6), layout="constrained")
    axes = figure.subplots()
    step = min(0.16, 0.6 / len(models))
    for i, ((model, shares), colour, marker) in enumerate(
        zip(models.items(), _cycle(COLOURS), _cycle(MARKERS))
    ):
        values = np.array([shares.get(name, NOTHING) for name in classes])
        places = np.arange(len(classes)) + step * (i - (len(models) - 1) / 2)
        axes.errorbar(
            places, values[:, 0], yerr=_reach(values), fmt=marker, color=colour, label=model,
            markersize=5, elinewidth=1.4, capsize=3, clip_on=False, zorder=3,
        )  # fmt: skip
    axes.set_xticks(range(len(classes)), classes)
    axes.set(ylabel="recall", ylim=(0, 1), xlim=(-0.5, len(classes) - 0.5))
    axes.tick_params(axis="x", length=0, pad=8)
    _percent(axes)
    axes.grid(axis="y", alpha=0.25)
    _legend_above(axes, models)
    return figure


def robustness(models: Mapping[str, Mapping[str, Interval]]) -> Figure:
    """Accuracy on clean and damaged pictures: bars with intervals; models side by side.

    models: model -> damage -> interval, the same damages in the same order for each.
    """
    damages = list(next(iter(models.values())))
    figure = Figure(figsize=(1.6 + 0.85 * len(damages), 3.6), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(models)
    for i, ((name, shares), colour) in enumerate(zip(models.items(), _cycle(COLOURS))):
        values = np.array([shares[damage] for damage in damages])
        places = np.arange(len(damages)) - 0.4 + width * (i + 0.5)
        axes.bar(
            places, values[:, 0], width * 0.92, yerr=_reach(values), color=colour, label=name,
            error_kw={"elinewidth": 1, "capsize": 2, "ecolor": "#333333"},
        )  # fmt: skip
        if len(models) == 1:
            for place, value, top in zip(places, values[:, 0], values[:, 2]):
                axes.text(place, top + 0.015, f"{value:.0%}", ha="center", fontsize=9)
    axes.set_xticks(range(len(damages)), damages)
    axes.tick_params(axis="x", length=0)
    axes.set(ylabel="accuracy", ylim=(0, 1))
    _percent(axes)
    axes.yaxis.grid(alpha=0.25)
    axes.set_axisbelow(True)
    _legend_above(axes, models)
    return figure


# --- speed --------------------------------------------------------------------------------------


class Point(NamedTuple):
    """A model in an engine. accuracy: 0..1."""

    name: str
    engine: str
    milliseconds: float
    accuracy: float


def pareto(points: Sequence[Point]) -> Figure:
    """Accuracy over milliseconds a face, with the line of those that none beats in both.

    Shape and colour tell engines; each point has its name beside it.
    """
    figure = Figure(figsize=(7.6, 4.8), layout="constrained")
    axes = figure.subplots()
    best = pareto_front(points)
    axes.plot(
        [point.milliseconds for point in best], [point.accuracy for point in best],
        color=GRAY, linewidth=1.2, linestyle="--", drawstyle="steps-post", zorder=1,
        label="nothing here is faster and as accurate",
    )  # fmt: skip
    engines = list(dict.fromkeys(point.engine for point in points))
    for engine, colour, marker in zip(engines, _cycle(COLOURS), _cycle(MARKERS)):
        own = [point for point in points if point.engine == engine]
        axes.scatter(
            [point.milliseconds for point in own], [point.accuracy for point in own],
            color=colour, marker=marker, s=45, label=engine, zorder=3,
        )  # fmt: skip
    axes.set(
        xscale="log", xlabel="milliseconds for one face, median (logarithmic)", ylabel="accuracy"
    )
    axes.margins(x=0.22, y=0.22)
    _plain_ticks(axes)
    _percent(axes)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.grid(alpha=0.25)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, fontsize=9,
        handletextpad=0.4, columnspacing=1.2,
    )  # fmt: skip
    _name_points(figure, axes, points)
    return figure


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Those that no other beats in speed and accuracy, the fastest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda each: (each.milliseconds, -each.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


def _name_points(figure: Figure, axes: Axes, points: Sequence[Point]) -> None:
    """Write each point's name where it covers nothing, and is nearest to its own point.

    Of such places the first of those `AROUND` it. Where there is none, further away, with a line
    to its point; and where there is none either, the name is left out.
    """
    figure.draw_without_rendering()  # settles where everything is
    figure.set_layout_engine("none")
    dots = axes.transData.transform([(p.milliseconds, p.accuracy) for p in points])
    inside = axes.get_window_extent().padded(-2)
    taken = [Bbox.from_extents(x - 6, y - 6, x + 6, y + 6) for x, y in dots]
    for i, point in enumerate(points):
        for reach, (x, y) in product((9, 20, 34, 50, 68), AROUND):
            text = axes.annotate(
                point.name, (point.milliseconds, point.accuracy), (x * reach, y * reach),
                textcoords="offset points", fontsize=8, zorder=2,
                ha="left" if x > 0 else "right", va="bottom" if y > 0 else "top",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                arrowprops=LEADER if reach > 9 else None,
            )  # fmt: skip
            text.get_window_extent()  # puts it in its place, and is that of the line too
            place = Text.get_window_extent(text)
            gaps = np.maximum(0, np.maximum(place.min - dots, dots - place.max))
            is_free = not any(place.overlaps(other) for other in taken)
            is_own = reach > 9 or np.hypot(*gaps.T).argmin() == i
            if is_free and is_own and inside.contains(*place.min) and inside.contains(*place.max):
                taken.append(place)
                break
            text.remove()


def stages(models: Mapping[str, Mapping[str, float]]) -> Figure:
    """Milliseconds of CPU time a frame: a bar for each model, its stages one after the other.

    models: model -> stage -> milliseconds, the same stages in the same order for each.
    """
    figure = Figure(figsize=(7.6, 1.3 + 0.42 * len(models)), layout="constrained")
    axes = figure.subplots()
    places = range(len(models))
    ends = np.zeros(len(models))
    for stage, colour in zip(next(iter(models.values())), _cycle(COLOURS)):
        widths = np.array([max(0.0, parts[stage]) for parts in models.values()])
        axes.barh(
            places, widths, 0.62, ends, color=colour, label=stage, edgecolor="white", linewidth=0.6
        )
        ends += widths
    for place, end in zip(places, ends):
        axes.text(end + ends.max() * 0.01, place, f"{end:.2f}", va="center", fontsize=8)
    axes.set_yticks(places, list(models), fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="milliseconds of CPU time a frame, mean", xlim=(0, ends.max() * 1.09))
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.xaxis.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=7, frameon=False, fontsize=9,
        handlelength=1, handletextpad=0.4, columnspacing=1.0,
    )  # fmt: skip
    return figure


def latencies(models: Mapping[str, np.ndarray]) -> Figure:
    """How the times of single calls are spread: a histogram for each model, on one axis.

    models: model -> milliseconds of its calls, in any shape. Marked are p50, p95 and p99.
    """
    figure = Figure(figsize=(7.6, 1.2 + 0.5 * len(models)), layout="constrained")
    axes = figure.subplots()
    shown = [np.percentile(times, (0, 99.5)) for times in models.values()]
    low, high = min(ends[0] for ends in shown) / 1.1, max(ends[1] for ends in shown) * 1.1
    bins = np.geomspace(low, high, 181)
    middles = np.sqrt(bins[1:] * bins[:-1])
    for place, times in enumerate(models.values()):
        share = np.histogram(times, bins)[0]
        height = 0.82 * share / max(1, share.max())
        axes.fill_between(
            middles, place, place - height, step="mid", color=COLOURS[4], linewidth=0, zorder=2
        )
        axes.axhline(place, color=GRAY, linewidth=0.5, zorder=1)
        for percentile, marker, colour in MARKS:
            axes.plot(
                np.percentile(times, percentile), place, marker, color=colour, markersize=5,
                zorder=3, clip_on=False, label=f"p{percentile}" if not place else None,
            )  # fmt: skip
    axes.set_yticks(range(len(models)), list(models), fontsize=8, va="bottom")
    axes.set(
        xscale="log", xlim=(low, high), ylim=(len(models) - 0.85, -1),
        xlabel="milliseconds for one face (logarithmic); height: share of the calls",
    )  # fmt: skip
    _plain_ticks(axes)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.xaxis.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=9)
    return figure


def _plain_ticks(axes: Axes) -> None:
    """Numbers such as 0.2, 1 and 5 on a logarithmic x axis, instead of powers of ten."""
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _reach(values: np.ndarray) -> np.ndarray:
    """Intervals [n, 3] -> lengths below and above, [2, n], as matplotlib wants them."""
    return np.maximum(0, np.stack([values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]]))


def _percent(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.spines[["top", "right"]].set_visible(False)


def _legend_above(axes: Axes, models: Mapping[str, object]) -> None:
    if len(models) > 1:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=min(3, len(models)), frameon=False,
            fontsize=9,
        )  # fmt: skip


def _cycle(values: Sequence[str]) -> Sequence[str]:
    return list(values) * 10
