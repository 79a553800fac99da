"""What a run shows a person: curves of loss and accuracy, confusion matrix, per-class figures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from edgemood.benchmarks import plots
from edgemood.console import markdown_table
from edgemood.files import write_text
from edgemood.metrics import (
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    macro_f1,
    precision,
    recall,
    wilson_interval,
)


def write(
    folder: Path,
    config: dict[str, Any],
    history: list[dict[str, float]],
    judged: str,
    labels: np.ndarray,
    probabilities: np.ndarray,
) -> None:
    """Write `curves.png`, `confusion.png` and `report.md` into a run folder.

    judged: name of the split that labels int64 [N] and probabilities [N, classes] belong to.
    """
    classes = tuple(config["classes"])
    matrix = confusion_matrix(labels, probabilities.argmax(axis=1), len(classes))
    plots.save(curves(history), folder / "curves.png")
    plots.save(plots.confusion_matrix(matrix, classes), folder / "confusion.png")
    write_text(folder / "report.md", text(config, history, judged, labels, probabilities, matrix))


def curves(history: list[dict[str, float]]) -> Figure:
    """Loss and accuracy, for training and validation, over the epochs."""
    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy")):
        for key, label, colour in zip(
            (name, f"val_{name}"), ("training", "validation"), plots.COLOURS
        ):
            axes.plot(
                epochs,
                [row[key] for row in history],
                color=colour,
                label=label,
                marker="o" if len(epochs) < 3 else None,
            )
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        if name == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1))
    return figure


def text(
    config: dict[str, Any],
    history: list[dict[str, float]],
    judged: str,
    labels: np.ndarray,
    probabilities: np.ndarray,
    matrix: np.ndarray,
) -> str:
    """The run's report as Markdown."""
    share = accuracy(labels, probabilities.argmax(axis=1))
    low, high = wilson_interval(round(share * len(labels)), len(labels))
    per_class = zip(config["classes"], matrix.sum(axis=1), recall(matrix), precision(matrix))
    unsure = config["card"]["unsure_below"]
    figures = [
        ("accuracy", f"{share:.1%} ({low:.1%} to {high:.1%}, 95 % Wilson)"),
        ("macro-F1", f"{macro_f1(matrix):.3f}"),
        ("expected calibration error", f"{expected_calibration_error(probabilities, labels):.1%}"),
        ("temperature", f"{config['card']['temperature']:.3f}"),
        ("unsure below", f"{unsure:.3f}"),
        ("minutes of training", f"{config['seconds'] / 60:.0f}"),
    ]
    lines = [
        f"# Run {config['name']}",
        "",
        f"{config['card']['training_data']}; {len(config['held_back'])} of that split held back, "
        f"{len(history)} epochs, seed {config['seed']}. The figures are of the split "
        f"**{judged}**, {len(labels)} pictures, one view each, float32.",
        "",
        markdown_table(("figure", "value"), figures),
        "",
        markdown_table(
            ("class", "pictures", "recall", "precision"),
            [(name, count, _percent(r), _percent(p)) for name, count, r, p in per_class],
        ),
        "",
        "![Loss and accuracy over the epochs](curves.png)",
        "",
        "Training pictures are varied, and blended with one another where the recipe says so; its "
        "loss includes that of the votes, where there are some. Validation is on the pictures held "
        "back, as they are, with the averaged weights.",
        "",
        "![Confusion matrix](confusion.png)",
        "",
        "`config.json` holds every setting; `history.csv` the numbers behind the curves. Made by "
        f"`{config['made_by']}`.",
        "",
    ]
    return "\n".join(lines)


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{share:.1%}"
