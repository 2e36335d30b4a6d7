"""Figures of the section Evaluation that count answers: confusion, and accuracy by method.

Those that look at the probabilities are in `ranking_figures` (ROC, precision and recall) and
`calibration_figures`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loralab.provenance import read_json
from loralab.reporting.figure_style import (
    BLACK,
    BLUE,
    GREY,
    class_name,
    heading,
    new_figure,
    percent_axis,
    save,
    styled,
)
from loralab.reporting.inputs import BASELINE_NAMES, THIS_RUN, method_name
from loralab.reporting.numbers import percent

MOST_CLASSES_SIDE_BY_SIDE = 4
INCHES_PER_LETTER = 0.09


# --- confusion ------------------------------------------------------------------------------


def confusion_matrices(metrics_json: Path, output: Path) -> None:
    """Show, for each split, how many messages of each class were given which class.

    Reads `metrics.json` (keys `labels`, `splits`; each split has `confusion`, `accuracy`, `n`).
    """
    save(draw_confusion_matrices(read_json(metrics_json)), output)


@styled
def draw_confusion_matrices(metrics: Mapping) -> Figure:
    labels, splits = metrics["labels"], metrics["splits"]
    # Cells of many classes are wide enough for numbers only if a matrix has the full width.
    stacked = len(labels) > MOST_CLASSES_SIDE_BY_SIDE
    figure, panels = _matrix_panels(len(splits), len(labels), stacked)
    write_cells = _write_counts_and_recall if stacked else _write_counts_and_shares
    note = " (shade: share of the true class)" if stacked else ""
    for axes, (split, scores) in zip(panels, splits.items(), strict=True):
        table = confusion_table(scores["confusion"], labels)
        _draw_confusion(axes, table, inches=7 if stacked else 7 / len(splits))
        write_cells(axes, table)
        heading(axes, split, _accuracy_in_words(scores) + note)
    for axes in panels if stacked else panels[:1]:
        axes.set_ylabel("true class")
    return figure


def _matrix_panels(splits: int, labels: int, stacked: bool) -> tuple[Figure, np.ndarray]:
    shape = (splits, 1) if stacked else (1, splits)
    height = splits * (1.6 + 0.26 * labels) if stacked else 1.7 + 0.5 * labels
    figure = new_figure(height)
    return figure, figure.subplots(*shape, sharey=True, squeeze=False).ravel()


def confusion_table(confusion: Mapping, labels: Sequence[str]) -> pd.DataFrame:
    """Counts with the true classes as rows and the predicted classes as columns."""
    rows = [[confusion.get(true, {}).get(given, 0) for given in labels] for true in labels]
    return pd.DataFrame(rows, index=labels, columns=labels)


def _accuracy_in_words(scores: Mapping) -> str:
    accuracy = scores.get("accuracy")
    return f"{percent(accuracy)} of {scores['n']:,} correct" if accuracy is not None else "empty"


def _row_shares(table: pd.DataFrame) -> np.ndarray:
    return table.div(table.sum(axis="columns").clip(lower=1), axis="index").to_numpy()


def _draw_confusion(axes: Axes, table: pd.DataFrame, inches: float) -> None:
    axes.imshow(_row_shares(table), cmap="Blues", vmin=0, vmax=1.15, aspect="auto")
    names = [class_name(label) for label in table.columns]
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(range(len(names)), names)
    letters_that_fit = inches / len(names) / INCHES_PER_LETTER
    if max(len(name) for name in names) > letters_that_fit:
        axes.tick_params(axis="x", rotation=35)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_xlabel("predicted class")
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _write_counts_and_shares(axes: Axes, table: pd.DataFrame) -> None:
    for (row, column), share in np.ndenumerate(_row_shares(table)):
        text = f"{table.iat[row, column]:,}\n{percent(share)}"
        _write_in_cell(axes, row, column, text, share)


def _write_counts_and_recall(axes: Axes, table: pd.DataFrame) -> None:
    shares = _row_shares(table)
    for (row, column), share in np.ndenumerate(shares):
        _write_in_cell(axes, row, column, f"{table.iat[row, column]:,}", share)
    for row, share in enumerate(shares.diagonal()):
        axes.text(len(table) - 0.4, row, percent(share), va="center")
    axes.text(len(table) - 0.4, -0.6, "found", va="bottom", color=GREY)


def _write_in_cell(axes: Axes, row: int, column: int, text: str, share: float) -> None:
    ink = "white" if share > 0.6 else BLACK if share > 0 else GREY
    axes.text(column, row, text, ha="center", va="center", color=ink)


# --- baselines ------------------------------------------------------------------------------


def baseline_comparison(metrics_json: Path, output: Path) -> None:
    """Show the test accuracy of this run beside that of simpler methods.

    Reads `metrics.json` (`splits.test` and `baselines`; `accuracy`, `accuracy_ci95`, `n`).
    """
    save(draw_baseline_comparison(read_json(metrics_json)), output)


@styled
def draw_baseline_comparison(metrics: Mapping) -> Figure:
    methods = _methods(metrics)
    figure = new_figure(1.2 + 0.4 * len(methods))
    axes = figure.subplots()
    for position, (name, scores) in enumerate(methods.items()):
        _draw_accuracy_interval(axes, position, scores, BLUE if name == THIS_RUN else GREY)
    lows = [scores["accuracy_ci95"][0] for scores in methods.values() if scores["accuracy_ci95"]]
    axes.set_xlim(max(0, min(lows, default=0) - 0.03), 1.01)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_yticks(range(len(methods)), methods)
    percent_axis(axes.xaxis)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set(title="Test accuracy", xlabel="share of test messages correct, with 95 % interval")
    return figure


def _methods(metrics: Mapping) -> dict[str, Mapping]:
    """This run first, then the baselines it is to be measured against, the simplest first."""
    baselines = metrics.get("baselines", {})
    known = [name for name in BASELINE_NAMES if name in baselines]
    others = [name for name in baselines if name not in BASELINE_NAMES]
    methods = {method_name(name): baselines[name] for name in known + others}
    return {THIS_RUN: metrics["splits"]["test"]} | methods


def _draw_accuracy_interval(axes: Axes, position: int, scores: Mapping, colour: str) -> None:
    accuracy, words = scores["accuracy"], "not available"
    if accuracy is not None:
        correct = round(accuracy * scores["n"])
        words = f"{percent(accuracy)}: {correct:,} of {scores['n']:,}"
        axes.plot(accuracy, position, "o", color=colour, markersize=8)
    if scores["accuracy_ci95"]:
        axes.plot(scores["accuracy_ci95"], [position, position], color=colour, linewidth=2.4)
    axes.text(
        1.02, position, words, transform=axes.get_yaxis_transform(), va="center", color=colour
    )
