"""Figures of a classifier's judgement -> matplotlib figures, and figures -> PNG files.

Nothing here uses pyplot, so no window system or global state is touched. Shares run from 0 to 1
and are drawn in percent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from edgemood.files import replace_file
from edgemood.metrics import Reliability, RiskCoverage

# (share, lower end, upper end) of a 95 % interval
Interval = tuple[float, float, float]
NOTHING: Interval = (np.nan, np.nan, np.nan)

# Okabe & Ito's colours, told apart by everyone; and markers, for print without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = "osD^vPX"
GRAY = "#777777"


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
