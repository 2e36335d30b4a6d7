"""The figure of the section Evaluation on confidence: how often is a confident answer right?"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loralab.reporting.figure_inputs import read_predictions
from loralab.reporting.figure_style import (
    BLUE,
    DOTTED,
    GREY,
    SKY,
    new_figure,
    percent,
    percent_axis,
    plain_axis,
    save,
    sentence_figure,
    styled,
)

Z_95 = 1.959964


def calibration(predictions_csv: Path, output: Path) -> None:
    """Show whether messages given a confidence of, say, 90 % are right 90 % of the time.

    Reads `predictions.csv` (columns `split`, `label`, `predicted`, `p_<label>`...), test split.
    """
    predictions = read_predictions(predictions_csv)
    save(draw_calibration(predictions[predictions["split"] == "test"]), output)


@styled
def draw_calibration(test: pd.DataFrame) -> Figure:
    bins = confidence_bins(test)
    if bins.empty:
        return sentence_figure("The test split holds no message with a confidence.")
    figure = new_figure(5.0)
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 1))
    _draw_reliability(top, bins)
    _draw_confidence_counts(below, bins)
    lowest = bins.index.min() / 10
    top.set_xlim(lowest - 0.01, 1.01)
    percent_axis(below.xaxis)
    return figure


# --- numbers --------------------------------------------------------------------------------


def confidence_bins(test: pd.DataFrame) -> pd.DataFrame:
    """Messages, mean confidence and share correct for each tenth of confidence that occurs."""
    columns = {column: place for place, column in enumerate(test.columns)}
    places = [columns[f"p_{predicted}"] for predicted in test["predicted"]]
    confidence = np.array([test.iat[row, place] for row, place in enumerate(places)], dtype=float)
    table = pd.DataFrame({"confidence": confidence, "correct": test["label"] == test["predicted"]})
    table = table[np.isfinite(table["confidence"])]
    tenth = np.clip((table["confidence"] * 10).astype(int), 0, 9)
    return table.groupby(tenth).agg(
        n=("correct", "size"), confidence=("confidence", "mean"), correct=("correct", "mean")
    )


def wilson_interval(share: pd.Series, n: pd.Series) -> tuple[pd.Series, pd.Series]:
    """The 95 % score interval of a share observed among n."""
    centre = share + Z_95**2 / (2 * n)
    spread = Z_95 * np.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n**2))
    scale = 1 + Z_95**2 / n
    return (centre - spread) / scale, (centre + spread) / scale


def _expected_calibration_error(bins: pd.DataFrame) -> float:
    """The mean gap between confidence and share correct, each bin weighted by its messages."""
    return ((bins["correct"] - bins["confidence"]).abs() * bins["n"]).sum() / bins["n"].sum()


# --- panels ---------------------------------------------------------------------------------


def _draw_reliability(axes: Axes, bins: pd.DataFrame) -> None:
    low, high = wilson_interval(bins["correct"], bins["n"])
    errors = np.clip([bins["correct"] - low, high - bins["correct"]], 0, None)
    look = {"fmt": "o-", "color": BLUE, "capsize": 3, "label": "observed, with 95 % interval"}
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=DOTTED, label="calibrated")
    axes.errorbar(bins["confidence"], bins["correct"], errors, **look)
    axes.set_ylim(-0.03, 1.03)
    percent_axis(axes.yaxis)
    gap = percent(_expected_calibration_error(bins))
    title = f"Calibration, test split (expected calibration error {gap})"
    axes.set(title=title, ylabel="share correct")
    axes.legend(loc="lower right")


def _draw_confidence_counts(axes: Axes, bins: pd.DataFrame) -> None:
    bars = axes.bar(bins.index / 10 + 0.05, bins["n"], width=0.094, color=SKY)
    axes.bar_label(bars, [f"{n:,}" for n in bins["n"]], padding=2)
    axes.set_ylim(0, 1.35 * bins["n"].max())
    plain_axis(axes.yaxis)
    axes.set(xlabel="confidence in the predicted class", ylabel="messages")
