"""The figure of the section Evaluation on confidence: how often is a confident answer right?"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loralab.provenance import read_json
from loralab.reporting.figure_style import (
    BLUE,
    DOTTED,
    GREY,
    SKY,
    new_figure,
    percent_axis,
    plain_axis,
    save,
    sentence_figure,
    styled,
)
from loralab.reporting.numbers import percent


def calibration(metrics_json: Path, output: Path) -> None:
    """Show whether messages given a confidence of, say, 90 % are right 90 % of the time.

    Reads `metrics.json` (`splits.test`: `reliability` and `ece`).
    """
    save(draw_calibration(read_json(metrics_json)["splits"]["test"]), output)


@styled
def draw_calibration(scores: Mapping) -> Figure:
    """Accuracy against confidence, over the number of messages in each tenth of confidence."""
    bins = pd.DataFrame(scores["reliability"])
    if bins.empty:
        return sentence_figure("The test split holds no message with a confidence.")
    figure = new_figure(5.0)
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 1))
    _draw_reliability(top, bins)
    top.set_title(f"Calibration, test split (expected calibration error {percent(scores['ece'])})")
    _draw_confidence_counts(below, bins)
    lowest = bins["tenth"].min() / 10
    top.set_xlim(lowest - 0.01, 1.01)
    percent_axis(below.xaxis)
    return figure


# --- panels ---------------------------------------------------------------------------------


def _draw_reliability(axes: Axes, bins: pd.DataFrame) -> None:
    low, high = np.array(bins["accuracy_ci95"].tolist()).T
    errors = np.clip([bins["accuracy"] - low, high - bins["accuracy"]], 0, None)
    look = {"fmt": "o-", "color": BLUE, "capsize": 3, "label": "observed, with 95 % interval"}
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=DOTTED, label="calibrated")
    axes.errorbar(bins["confidence"], bins["accuracy"], errors, **look)
    axes.set_ylim(-0.03, 1.03)
    percent_axis(axes.yaxis)
    axes.set_ylabel("share correct")
    axes.legend(loc="lower right")


def _draw_confidence_counts(axes: Axes, bins: pd.DataFrame) -> None:
    bars = axes.bar(bins["tenth"] / 10 + 0.05, bins["n"], width=0.094, color=SKY)
    axes.bar_label(bars, [f"{n:,}" for n in bins["n"]], padding=2)
    axes.set_ylim(0, 1.35 * bins["n"].max())
    plain_axis(axes.yaxis)
    axes.set(xlabel="confidence in the predicted class", ylabel="messages")
