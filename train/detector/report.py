"""What a run of the detector shows a person: curves, recall by size, the teacher's beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator, PercentFormatter

from edgemood.benchmarks import plots
from edgemood.console import markdown_table
from edgemood.datasets import TRAINING, Dataset
from edgemood.detection import width_classes
from edgemood.files import write_text
from edgemood.train.detector.judge import (
    FRAMES,
    SIZES,
    Detector,
    Judged,
    recall_of_expressions,
)
from edgemood.train.detector.pictures import Bank, archive_in, expressions_beside

PER_EXPRESSION = 100
# (of `Judged`, input, least share of its width): the recall of such faces is what the project asks
# for. The frames of people have no smaller ones.
ASKED = (
    ("frames", (128, 160), 1 / 8), ("frames", (256, 320), 1 / 16),
    ("scenes", (128, 160), 1 / 8), ("scenes", (128, 160), 1 / 12),
    ("scenes", (256, 320), 1 / 16), ("scenes", (256, 320), 1 / 24),
)  # fmt: skip


def expressions_to_judge(data: Path) -> Dataset | None:
    """Faces of each expression, of a split not learnt from, where there is one beside the data."""
    dataset = expressions_beside(archive_in(data))
    if dataset is None or (judged := dataset.split(None)).splits[0] == TRAINING:
        return None
    chosen = np.concatenate(
        [np.flatnonzero(judged.labels == label)[:PER_EXPRESSION]
         for label in range(len(judged.classes))]
    )  # fmt: skip
    return judged.select(chosen)


def expressions(detect: Detector, judged: Dataset, held_out: Bank) -> dict[str, float]:
    """Class -> share of its faces that are found."""
    shares = recall_of_expressions(detect, judged.images(), judged.labels, held_out)
    present = np.unique(judged.labels)  # a class may have no picture in this split
    return {judged.classes[label]: share for label, share in zip(present, shares.tolist())}


def card(bank: Bank, ours: Judged, shifts: Sequence[float]) -> dict[str, Any]:
    """What travels in the exported file."""
    counts = {part: len(pictures) for part, pictures in bank.faces.items()}
    return {
        "description": "Faces and five landmarks, YuNet's interface",
        "license": "Apache-2.0",
        "training_data": f"{counts['people']} frames of people and {counts['crops']} face crops "
        f"of faces.zip, {counts['expressions']} FER-2013 Training faces, {len(bank.negatives)} "
        "pictures without a face; boxes by YuNet (opencv_zoo, MIT)",
        "score_shifts": [round(shift, 4) for shift in shifts],
        "figures": {name: round(value, 4) for name, value in figures(ours).items()},
    }


def figures(ours: Judged) -> dict[str, float]:
    """Name -> value of everything that the project asks of a detector."""
    values = {
        f"recall {_named(size)} from 1/{round(1 / least)}, {where}": recall
        for (where, size, least), recall in zip(ASKED, _recalls(ours))
    }
    for size in SIZES:
        values[f"false faces per 200 {_named(size)}"] = ours.frames[size].extra_per_200
        values[f"overlap {_named(size)}"] = ours.frames[size].overlap
        values[f"landmarks {_named(size)}"] = ours.frames[size].distance
    return values


def write(
    folder: Path,
    config: dict[str, Any],
    history: list[dict[str, float]],
    ours: Judged,
    teachers: Judged,
    found: dict[str, tuple[float, float]],
) -> None:
    """Write `curves.png`, `recall.png` and `report.md` into a run folder."""
    plots.save(curves(history), folder / "curves.png")
    plots.save(recall(ours, teachers), folder / "recall.png")
    write_text(folder / "report.md", text(config, history, ours, teachers, found))


def curves(history: list[dict[str, float]]) -> Figure:
    """The loss in training and on scenes of people held out, over the epochs."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    epochs = [row["epoch"] for row in history]
    marker = "o" if len(epochs) < 3 else None
    for key, label, colour in zip(("loss", "val_loss"), ("training", "validation"), plots.COLOURS):
        values = [row[key] for row in history]
        axes.plot(epochs, values, color=colour, label=label, marker=marker)
    axes.set(xlabel="epoch", ylabel="loss", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    # Plain numbers: the losses of a whole run lie within a decade, where the usual labels are
    # 3.4 x 10^0.
    for set_formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        set_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    _plain(axes)
    return figure


def recall(ours: Judged, teachers: Judged) -> Figure:
    """Share found in scenes over the width of a face, one panel for each size of the input."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    names = width_classes()
    for axes, size in zip(figure.subplots(1, len(SIZES), sharey=True), SIZES):
        both = (ours.scenes, teachers.scenes)
        for label, some, colour in zip(("face", "YuNet"), both, plots.COLOURS):
            shares = some[size].found / np.maximum(1, some[size].wanted)
            axes.plot(names, shares, color=colour, label=label, marker="o")
        axes.axhline(0.97, color=plots.GRAY, linewidth=0.8, linestyle=":")
        axes.set(title=f"input {_named(size)}", xlabel="width of the face, of the frame's")
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        _plain(axes)
    return figure


def text(
    config: dict[str, Any],
    history: list[dict[str, float]],
    ours: Judged,
    teachers: Judged,
    found: dict[str, tuple[float, float]],
) -> str:
    """The run's report as Markdown. found: of each expression, by the network and by YuNet."""
    rows = []
    for size in SIZES:
        for who, some in (("face", ours), ("YuNet", teachers)):
            scenes, frames = some.scenes[size], some.frames[size]
            shares = [
                f"{hit / wanted:.1%}" if wanted else "-"
                for hit, wanted in zip(scenes.found, scenes.wanted)
            ]
            rows.append((
                f"{who}, {_named(size)}", *shares, f"{scenes.extra_per_200:.2f}",
                f"{frames.overlap:.3f}", f"{frames.distance:.1%}",
            ))  # fmt: skip
    wanted = ours.scenes[SIZES[0]].wanted.tolist()
    asked = [
        (f"{where}, {_named(size)}, at least 1/{round(1 / least)} of the frame's width",
         f"{found_here:.1%}", f"{taught:.1%}")
        for (where, size, least), found_here, taught in zip(
            ASKED, _recalls(ours), _recalls(teachers)
        )
    ]  # fmt: skip
    lines = [
        f"# Run {config['name']}",
        "",
        f"{config['card']['training_data']}. {len(history)} epochs of "
        f"{config['recipe']['steps']} batches, seed {config['seed']}, "
        f"{config['seconds'] / 60:.0f} minutes of training.",
        "",
        f"Judged in {len(ours.frames[SIZES[0]].widths)} frames of people who were held out, and in "
        f"{FRAMES} scenes made of them, where some faces are small or half covered: which of the "
        f"faces that YuNet finds at {_named(SIZES[-1])} are found at the size that the row names "
        "(score 0.6, intersection over union 0.5)?",
        "",
        markdown_table(("recall", "face", "YuNet"), asked),
        "",
        markdown_table(("input", *width_classes(), "false in 200", "overlap", "landmarks"), rows),
        "",
        f"Columns: recall in the scenes by the face's width, as a share of the frame's ({wanted} "
        f"faces); false faces in 200 of {ours.frames[SIZES[0]].frames} frames without one; in the "
        "frames, median intersection over union with YuNet's box, and median distance from its "
        "landmarks in widths of the box.",
        "",
    ]
    if found:
        lines += [
            markdown_table(
                ("expression", "face", "YuNet"),
                [(name, *(f"{share:.1%}" for share in both)) for name, both in found.items()],
            ),
            "",
            f"{PER_EXPRESSION} faces of each expression, a third to two thirds of the height of "
            f"a frame of {_named(SIZES[0])} that they are put into without surroundings: the share "
            "found there.",
            "",
        ]
    lines += [
        "![Loss over the epochs](curves.png)",
        "",
        "![Recall over the width of a face](recall.png)",
        "",
        "Skin tone, glasses, beards and head covering are not annotated in the data, so recall by "
        "them is not known.",
        "",
        "`config.json` holds every setting; `history.csv` the numbers behind the curves. Made by "
        f"`edgemood train --recipe {config['name']} --epochs {config['epochs']} "
        f"--seed {config['seed']}`.",
        "",
    ]
    return "\n".join(lines)


def _recalls(some: Judged) -> list[float]:
    """As ASKED has them."""
    return [getattr(some, where)[size].recall(least) for where, size, least in ASKED]


def _named(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"


def _plain(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
