"""The figure of the section Model: how few parameters train, and where the adapter's are."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from loralab.provenance import read_json
from loralab.reporting.figure_style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    heading,
    new_figure,
    plain_axis,
    save,
    styled,
)
from loralab.reporting.inputs import split_names
from loralab.reporting.numbers import percent

KIND_COLOURS = (BLUE, SKY, GREEN, YELLOW, ORANGE, PURPLE, BLACK, GREY)


def parameter_counts(plan_csv: Path, parameters_json: Path, output: Path) -> None:
    """Show how few parameters train, and where in the model the adapter's parameters are.

    Reads `plan.csv` (columns `module`, `parameters`, ...) and `parameters.json` (keys
    `language_model` and `classifier`, each with `trainable` and `total`; `head_parameters`).
    """
    save(draw_parameter_counts(pd.read_csv(plan_csv), read_json(parameters_json)), output)


@styled
def draw_parameter_counts(plan: pd.DataFrame, parameters: Mapping) -> Figure:
    figure = new_figure(4.0)
    left, right = figure.subplots(1, 2, width_ratios=(1.05, 1))
    _draw_trainable_shares(left, parameters)
    _draw_adapter_by_block(right, plan)
    return figure


# --- left: what trains ----------------------------------------------------------------------


def _draw_trainable_shares(axes: Axes, parameters: Mapping) -> None:
    moments = {
        "before injection": parameters["language_model"]["before"],
        "after injection (language model)": parameters["language_model"],
        "with the classification head": parameters["classifier"],
    }
    for position, (moment, counts) in enumerate(moments.items()):
        _draw_trainable_share(axes, position, moment, counts["trainable"], counts["total"])
    axes.set_ylim(2.45, -0.75)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    plain_axis(axes.xaxis, unit=1e6)
    axes.set_xlabel("parameters (millions)")
    head = f"the classification head has {parameters['head_parameters']:,}"
    heading(axes, "Trainable and frozen parameters", head)
    handles = [Patch(color=VERMILION, label="trainable"), Patch(color=PALE, label="frozen")]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)


def _draw_trainable_share(
    axes: Axes, position: int, moment: str, trainable: int, total: int
) -> None:
    axes.barh(position, trainable, height=0.32, color=VERMILION)
    axes.barh(position, total - trainable, left=trainable, height=0.32, color=PALE)
    axes.text(0, position - 0.42, moment, va="bottom", weight="bold")
    share = percent(trainable / total, digits=2) if total else "none"
    numbers = f"{trainable:,} trainable of {total:,} ({share})"
    axes.text(0, position - 0.2, numbers, va="bottom", color=VERMILION)


# --- right: where the adapter is ------------------------------------------------------------


def _draw_adapter_by_block(axes: Axes, plan: pd.DataFrame) -> None:
    table = _parameters_by_block(plan)
    bottom = np.zeros(len(table))
    for kind, colour in zip(table, _kind_colours(table.columns), strict=True):
        axes.bar(range(len(table)), table[kind], 0.8, bottom, color=colour, label=kind)
        bottom += table[kind].to_numpy()
    axes.set_xticks(range(len(table)), table.index)
    plain_axis(axes.yaxis, unit=1e3)
    axes.grid(axis="x", visible=False)
    axes.set(xlabel="transformer block", ylabel="parameters (thousands)")
    total = f"{int(bottom.sum()):,} parameters in {len(plan)} modules"
    heading(axes, "The adapter, block by block", total)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)


def _parameters_by_block(plan: pd.DataFrame) -> pd.DataFrame:
    """Adapter parameters of each block (rows) in each kind of module (columns), as planned."""
    return plan.join(split_names(plan["module"])).pivot_table(
        index="block", columns="rest", values="parameters", aggfunc="sum", sort=False, fill_value=0
    )


def _kind_colours(kinds: pd.Index) -> list[str]:
    return [KIND_COLOURS[place % len(KIND_COLOURS)] for place in range(len(kinds))]
