"""An `Evaluation` -> what people and programs read: tables, a Markdown report, JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgemood import console
from edgemood.benchmarks.evaluate import (
    COVERAGES,
    SMALL,
    WANTED,
    Evaluation,
    Judgement,
    Share,
)
from edgemood.benchmarks.json_text import json_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA = 1
NOTHING = "–"
# What the built-in slices are measured in.
UNITS = {
    "brightness": "mean gray level",
    "sharpness": "variance of the Laplacian",
    "size": "shorter side as stored, pixels",
}


@dataclass(frozen=True)
class Table:
    """Cells with the words around them.

    note: what to know when reading it, or "". plots: names in `figures` that belong below it.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    plots: Sequence[str] = ()


# --- tables -------------------------------------------------------------------------------------


def tables(evaluation: Evaluation) -> list[Table]:
    """All figures, in the order in which a reader wants them."""
    models = evaluation.models
    names = _file_names(models)
    return [
        _overview(evaluation),
        _robustness(models),
        _calibration(models, names),
        *(_classes(model) for model in models[:-1]),
        replace(_classes(models[-1]), plots=["recall.png"]),
        *(_confusion(model, name) for model, name in zip(models, names)),
        *(_slice(kind, models) for kind in models[0].slices),
        *([_agreement(evaluation)] if evaluation.pairs else []),
    ]


def heading(evaluation: Evaluation) -> str:
    """What was judged on, in a sentence."""
    copies = evaluation.copies
    text = f"{evaluation.pictures} pictures of {evaluation.data}, split {evaluation.split}"
    if copies is not None:
        text += f"; {copies} of them are exact copies of Training pictures"
    return text + "."


def _overview(evaluation: Evaluation) -> Table:
    shown: list[tuple[str, Callable[[Judgement], str]]] = [
        ("model", lambda m: m.model),
        ("engine", lambda m: m.engine),
        ("threads", lambda m: NOTHING if m.threads is None else str(m.threads)),
        ("accuracy", lambda m: _with_interval(m.accuracy)),
        ("no copies", lambda m: _percent(m.unseen)),
        ("FER+", lambda m: _percent(m.ferplus)),
        ("macro-F1", lambda m: _number(100 * m.macro_f1)),
        ("ECE", lambda m: _number(100 * m.calibration.reliability.error)),
        ("by chance", lambda m: _number(100 * m.calibration.reliability.chance)),
        ("NLL", lambda m: _number(m.calibration.negative_log_likelihood, 3)),
        ("ms/face", lambda m: _number(m.milliseconds, 3)),
    ]
    rows = [[cell(model) for _, cell in shown] for model in evaluation.models]
    # Columns that nobody has a figure for are left out.
    used = [i for i in range(len(shown)) if any(row[i] != NOTHING for row in rows)]
    note = (
        "All in percent but NLL and ms. In brackets: 95 % intervals, Wilson. ms/face: median "
        "of calls with one face. By chance: the ECE of a perfectly calibrated model."
    )
    if any(model.unseen for model in evaluation.models):
        note += " No copies: exact copies of Training pictures left out."
    voted = sorted({model.ferplus.total for model in evaluation.models if model.ferplus})
    if voted:
        note += f" FER+: strict majority of its votes, {' or '.join(map(str, voted))} pictures."
    return Table(
        "Accuracy", [shown[i][0] for i in used], [[row[i] for i in used] for row in rows], note
    )


def _robustness(models: Sequence[Judgement]) -> Table:
    damages = list(models[0].robustness)
    widest = max(
        (high - low) / 2
        for model in models
        for low, high in (share.interval for share in model.robustness.values())
    )
    return Table(
        "Robustness: accuracy on damaged pictures",
        ["model", *damages],
        [[m.model, *(_percent(m.robustness[name]) for name in damages)] for m in models],
        f"Percent. 95 % intervals, Wilson: at most ±{100 * widest:.1f}.",
        ["robustness.png"],
    )


def _calibration(models: Sequence[Judgement], names: Sequence[str]) -> Table:
    rows = []
    for model in models:
        figures = model.calibration
        threshold = figures.threshold
        rows.append(
            [
                model.model,
                *(_number(100 * figures.curve.accuracy_at(share)) for share in COVERAGES),
                NOTHING if threshold is None else f"{threshold:.4f}",
                _number(100 * figures.coverage),
            ]
        )
    return Table(
        "Confidence: accuracy of the most confident answers",
        ["model", *(f"best {share:.0%}" for share in COVERAGES), "threshold", "keeps"],
        rows,
        f"Threshold: lowest confidence from which {WANTED:.0%} are right; keeps: share of the "
        "pictures that then get an answer.",
        ["risk-coverage.png", *(f"reliability-{name}.png" for name in names)],
    )


def _classes(model: Judgement) -> Table:
    return Table(
        f"Classes: {model.model}",
        ["class", "pictures", "recall", "precision"],
        [
            [label, _count(found), _with_interval(found), _with_interval(deserved)]
            for label, found, deserved in zip(model.labels, model.recall, model.precision)
        ],
        _small_note(model.recall),
    )


def _confusion(model: Judgement, name: str) -> Table:
    return Table(
        f"Confusion matrix: {model.model}",
        ["true \\ predicted", *model.labels],
        [[label, *map(str, row)] for label, row in zip(model.labels, model.confusion.tolist())],
        plots=[f"confusion-{name}.png"],
    )


def _slice(kind: str, models: Sequence[Judgement]) -> Table:
    groups = models[0].slices[kind]
    return Table(
        f"Accuracy by {kind}" + (f" ({UNITS[kind]})" if kind in UNITS else ""),
        [kind, "pictures", *(model.model for model in models)],
        [
            [group, _count(share), *(_with_interval(m.slices[kind][group]) for m in models)]
            for group, share in groups.items()
        ],
        _small_note(groups.values()),
    )


def _agreement(evaluation: Evaluation) -> Table:
    rows = []
    for pair in evaluation.pairs:
        found = pair.agreement
        figures = (
            [NOTHING, NOTHING]
            if found is None
            else [_number(100 * found.same, 2), _number(found.difference, 4)]
        )
        rows.append([f"{pair.one} – {pair.other}", *figures])
    return Table(
        "Agreement on the same pictures",
        ["models", "same label", "largest difference"],
        rows,
        "Same label in percent; largest difference of one probability."
        + (
            " –: their labels differ." if any(p.agreement is None for p in evaluation.pairs) else ""
        ),
    )


def _number(value: float, digits: int = 1) -> str:
    return NOTHING if math.isnan(value) else f"{value:.{digits}f}"


def _percent(share: Share | None) -> str:
    return NOTHING if share is None else _number(100 * share.value)


def _with_interval(share: Share) -> str:
    if not share.total:
        return NOTHING
    low, high = share.interval
    return f"{100 * share.value:.1f} ({100 * low:.1f}–{100 * high:.1f})"


def _count(share: Share) -> str:
    return f"{share.total}{' *' if share.small else ''}"


def _small_note(shares: Iterable[Share]) -> str:
    marked = any(share.small for share in shares)
    return f"*: fewer than {SMALL} pictures, too few to conclude much." if marked else ""


# --- report -------------------------------------------------------------------------------------


def report(evaluation: Evaluation, command: str, plots: bool) -> str:
    """The report as Markdown. command: the line that makes it again. plots: link the figures."""
    lines = ["# Evaluation", "", heading(evaluation), ""]
    for table in tables(evaluation):
        lines += [f"## {table.title}", "", console.markdown_table(table.columns, table.rows), ""]
        if table.note:
            lines += [table.note.replace("*:", "\\*:"), ""]
        if plots and table.plots:
            lines += [*(f"![{Path(name).stem}]({name})" for name in table.plots), ""]
    return "\n".join([*lines, "This report was made by", "", f"    {command}", ""])


def figures(evaluation: Evaluation) -> dict[str, Figure]:
    """File name -> figure, all that `tables` name. Needs matplotlib."""
    from edgemood.benchmarks import plots

    models = evaluation.models
    drawn = {
        "robustness.png": plots.robustness(
            {m.model: {d: _interval(s) for d, s in m.robustness.items()} for m in models}
        ),
        "risk-coverage.png": plots.risk_coverage({m.model: m.calibration.curve for m in models}),
        "recall.png": plots.recall_by_class(
            {m.model: {c: _interval(s) for c, s in zip(m.labels, m.recall)} for m in models}
        ),
    }
    for model, name in zip(models, _file_names(models)):
        drawn[f"reliability-{name}.png"] = plots.reliability(
            model.calibration.reliability, model.model
        )
        drawn[f"confusion-{name}.png"] = plots.confusion_matrix(
            model.confusion, model.labels, model.model
        )
    return drawn


def _file_names(models: Sequence[Judgement]) -> list[str]:
    """For each model letters, digits, dots and dashes, no two alike."""
    names = [re.sub(r"[^\w.]+", "-", model.model).strip("-.") for model in models]
    return [f"{name}-{i}" if names.count(name) > 1 else name for i, name in enumerate(names)]


def _interval(share: Share) -> tuple[float, float, float]:
    return (share.value, *share.interval)


# --- JSON ---------------------------------------------------------------------------------------


def to_json(evaluation: Evaluation) -> str:
    """Every figure; shares as right, total, value and 95 % interval, nan as null."""
    whole = {
        "schema": SCHEMA,
        "data": evaluation.data,
        "split": evaluation.split,
        "pictures": evaluation.pictures,
        "copies": evaluation.copies,
        "models": [_model(model) for model in evaluation.models],
        "agreement": [
            {
                "models": [pair.one, pair.other],
                "same": pair.agreement and pair.agreement.same,
                "difference": pair.agreement and pair.agreement.difference,
            }
            for pair in evaluation.pairs
        ],
    }
    return json_text(whole)


def _model(model: Judgement) -> dict[str, Any]:
    figures = model.calibration
    return {
        "model": model.model,
        "engine": model.engine,
        "threads": model.threads,
        "labels": model.labels,
        "accuracy": _entry(model.accuracy),
        "unseen": model.unseen and _entry(model.unseen),
        "ferplus": model.ferplus and _entry(model.ferplus),
        "macro_f1": model.macro_f1,
        "milliseconds": model.milliseconds,
        "recall": {label: _entry(s) for label, s in zip(model.labels, model.recall)},
        "precision": {label: _entry(s) for label, s in zip(model.labels, model.precision)},
        "confusion": model.confusion.tolist(),
        "calibration": {
            "ece": figures.reliability.error,
            "ece_by_chance": figures.reliability.chance,
            "nll": figures.negative_log_likelihood,
            "reliability": {
                "count": figures.reliability.count.tolist(),
                "confidence": figures.reliability.confidence.tolist(),
                "accuracy": figures.reliability.accuracy.tolist(),
            },
            "accuracy_at_coverage": {str(c): figures.curve.accuracy_at(c) for c in COVERAGES},
            "area_under_risk_coverage": figures.curve.area,
            "wanted_accuracy": WANTED,
            "threshold": figures.threshold,
            "coverage": figures.coverage,
        },
        "robustness": {name: _entry(share) for name, share in model.robustness.items()},
        "slices": {
            kind: {group: _entry(share) for group, share in groups.items()}
            for kind, groups in model.slices.items()
        },
    }


def _entry(share: Share) -> dict[str, Any]:
    return {
        "right": share.right, "total": share.total, "value": share.value,
        "interval": share.interval,
    }  # fmt: skip
