"""Figures of the section Evaluation that rank messages by score: ROC, precision and recall."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from loralab.reporting.figure_style import (
    DOTTED,
    GREY,
    class_name,
    legend_below,
    line_styles,
    log_ticks,
    new_figure,
    percent_axis,
    round_numbers,
    save,
    sentence_figure,
    styled,
)
from loralab.reporting.inputs import (
    THIS_RUN,
    method_name,
    predicted_labels,
    read_predictions,
)
from loralab.reporting.numbers import percent

# A curve's name, whether each message is of the class looked for, and the score it was given.
Scores = dict[str, tuple[np.ndarray, np.ndarray]]


# --- scores ---------------------------------------------------------------------------------


def read_scores(predictions_csv: Path, baselines_csv: Path, positive: str | None) -> Scores:
    """The scores behind each curve: one a method, or one a class where `positive` is None."""
    predictions = read_predictions(predictions_csv)
    test = predictions[predictions["split"] == "test"]
    if positive is None:
        return {label: _scores_for(test, label) for label in predicted_labels(test)}
    scores = {THIS_RUN: _scores_for(test, positive)}
    for name, rows in read_predictions(baselines_csv).groupby("baseline", sort=False):
        if name != "majority":  # it gives every message the same score: there is no ranking
            scores[method_name(name)] = _scores_for(rows, positive)
    return scores


def _scores_for(rows: pd.DataFrame, label: str) -> tuple[np.ndarray, np.ndarray]:
    rows = rows[np.isfinite(rows[f"p_{label}"])]
    return (rows["label"] == label).to_numpy(), rows[f"p_{label}"].to_numpy()


def _rankable(scores: Scores) -> Scores:
    """Keep the curves that exist: those with messages in and out of the class looked for."""
    return {name: pair for name, pair in scores.items() if 0 < pair[0].sum() < len(pair[0])}


# --- ROC ------------------------------------------------------------------------------------


def roc_curves(
    predictions_csv: Path, baselines_csv: Path, positive: str | None, output: Path
) -> None:
    """Show the share of the positive class found against the false-alarm rate, on the test split.

    Reads `predictions.csv` (columns `split`, `label`, `p_<label>`...) and the baselines' table
    (column `baseline` in place of `split`). With two classes there is a curve per method; with
    more (`positive` is None) a curve per class of this run, that class against all others.
    """
    scores = read_scores(predictions_csv, baselines_csv, positive)
    save(draw_roc_curves(scores), output)


@styled
def draw_roc_curves(scores: Scores) -> Figure:
    wanted, scores = len(scores), _rankable(scores)
    if not scores:
        return sentence_figure("The test split holds one class only: no ROC curve.")
    areas = {name: roc_auc_score(*pair) for name, pair in scores.items()}
    # A rate of zero has no place on a logarithmic axis: it is drawn at half of one false alarm.
    least = 0.5 / max((~positive).sum() for positive, _ in scores.values())
    figure = new_figure(4.2)
    whole, corner = figure.subplots(1, 2, sharey=True)
    for name, look in _curve_styles(areas).items():
        false_alarms, found, _ = roc_curve(*scores[name], drop_intermediate=False)
        whole.plot(false_alarms, found, **look)
        corner.plot(np.maximum(false_alarms, least), found, **look)
    _finish_roc(whole, corner, least)
    legend_below(figure, _legend_title("area under the curve", areas, wanted))
    return figure


def _finish_roc(whole: Axes, corner: Axes, least: float) -> None:
    chance = np.geomspace(least, 1, 200)
    for axes in (whole, corner):
        axes.plot(chance, chance, color=GREY, linewidth=1, linestyle=DOTTED)
        percent_axis(axes.yaxis)
    whole.set(title="ROC, test split", xlabel="false-alarm rate", ylabel="share of the class found")
    whole.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    percent_axis(whole.xaxis)
    corner.set(title="Few false alarms", xlabel="false-alarm rate (log scale, from 0 at the left)")
    corner.set(xscale="log", xlim=(0.85 * least, 1.15))
    log_ticks(corner.xaxis, round_numbers(least, 1, steps=(1,)), lambda rate: percent(rate, 0))


# --- precision and recall -------------------------------------------------------------------


def precision_recall_curves(
    predictions_csv: Path, baselines_csv: Path, positive: str | None, output: Path
) -> None:
    """Show precision against recall on the test split.

    Reads the same tables as `roc_curves` and draws the same set of curves.
    """
    scores = read_scores(predictions_csv, baselines_csv, positive)
    save(draw_precision_recall_curves(scores), output)


@styled
def draw_precision_recall_curves(scores: Scores) -> Figure:
    wanted, scores = len(scores), _rankable(scores)
    if not scores:
        return sentence_figure("The test split holds one class only: no precision-recall curve.")
    areas = {name: average_precision_score(*pair) for name, pair in scores.items()}
    figure = new_figure(4.2)
    whole, corner = figure.subplots(1, 2)
    lowest = 0.9
    for name, look in _curve_styles(areas).items():
        precision, recall, _ = precision_recall_curve(*scores[name])
        lowest = min(lowest, np.minimum(precision, recall).max())
        for axes in (whole, corner):
            axes.plot(recall, precision, drawstyle="steps-post", **look)
    _finish_precision_recall(whole, 0.0, "Precision and recall, test split")
    # The corner starts a step below the point where the lowest curve has both in balance.
    _finish_precision_recall(corner, max(0, np.floor(10 * lowest) / 10 - 0.1), "Upper right corner")
    legend_below(figure, _legend_title("average precision", areas, wanted))
    return figure


def _finish_precision_recall(axes: Axes, low: float, title: str) -> None:
    limits = (low - 0.02 * (1 - low), 1 + 0.02 * (1 - low))
    axes.set(title=title, xlabel="recall", ylabel="precision", xlim=limits, ylim=limits)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        percent_axis(axis)


# --- curves and their names -----------------------------------------------------------------


def _curve_styles(areas: Mapping[str, float]) -> dict[str, dict]:
    """How to draw and label each curve; the earlier lie on top, this run's above all."""
    looks = line_styles(areas)
    return {
        name: looks[name]
        | {"label": f"{class_name(name, 45)}: {area:.4f}", "zorder": 3 - 0.1 * rank}
        for rank, (name, area) in enumerate(areas.items())
    }


def _legend_title(quantity: str, areas: Mapping[str, float], wanted: int) -> str:
    """With a curve per class their mean, as metrics.json has it: only where no class lacks one."""
    if THIS_RUN in areas:
        return quantity
    if len(areas) < wanted:
        return f"{quantity}, each class against the others"
    mean = np.mean(list(areas.values()))
    return f"{quantity}, each class against the others (mean {mean:.4f})"
