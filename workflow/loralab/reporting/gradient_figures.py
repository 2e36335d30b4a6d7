"""The figure of the section Gradient check: which tensors receive a gradient, and how large."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from loralab.reporting.figure_style import (
    BLACK,
    GREY,
    ORANGE,
    PALE,
    VERMILION,
    heading,
    log_ticks,
    new_figure,
    round_numbers,
    save,
    sentence_figure,
    styled,
)
from loralab.reporting.inputs import NO_BLOCK, split_names

# States of a tensor after one backward pass, the one that most needs attention last.
FROZEN, ZERO, FLOWS, MISSING, LEAKS, NOT_FINITE = range(6)
STATE_NAMES = {
    FROZEN: "frozen, no gradient",
    ZERO: "gradient exactly zero",
    FLOWS: "gradient flows",
    MISSING: "trainable, no gradient",
    LEAKS: "frozen, yet a gradient",
    NOT_FINITE: "gradient not finite",
}
STATE_MARKS = {
    FROZEN: "\N{EN DASH}",
    ZERO: "0",
    FLOWS: "",
    MISSING: "?",
    LEAKS: "\N{MULTIPLICATION SIGN}",
    NOT_FINITE: "!",
}
STATE_COLOURS = {
    FROZEN: "#FFFFFF",
    ZERO: PALE,
    MISSING: ORANGE,
    LEAKS: VERMILION,
    NOT_FINITE: "#E0007A",
}
EXPECTED_STATES = {FROZEN, ZERO}
BASE_WEIGHTS, BASE_BIASES, NORMS = "base weights", "base biases", "layer norms"


def gradient_flow(gradients_csv: Path, output: Path) -> None:
    """Show, block by block, which tensors receive a gradient at the first step and how large.

    Reads the gradient table (columns `model`, `parameter`, `trainable`, `gradient`, `norm`).
    """
    save(draw_gradient_flow(pd.read_csv(gradients_csv)), output)


@styled
def draw_gradient_flow(gradients: pd.DataFrame) -> Figure:
    if gradients.empty:
        return sentence_figure("No gradients were recorded: no flow to show.")
    tensors = gradients.assign(state=tensor_states(gradients))
    cells = gradient_cells(tensors)
    inside, outside = _spaced_rows(cells, inside=True), _spaced_rows(cells, inside=False)
    models = list(cells["model"].unique())
    figure, panels = _gradient_panels(inside, outside, columns=len(models))
    colours = _gradient_colours(cells)
    for (top, bottom), model in zip(panels.T, models, strict=True):
        of_model = cells[cells["model"] == model]
        _draw_blocks(top, of_model[of_model["block"] != NO_BLOCK], inside, colours)
        _draw_outside(bottom, of_model[of_model["block"] == NO_BLOCK], outside, colours)
        bottom.set_xlim(top.get_xlim())
        heading(top, _model_title(model), *_count_states(tensors[tensors["model"] == model]))
    _add_norm_scale(figure, colours)
    _add_state_legend(figure, set(cells["state"]))
    return figure


# --- from tensors to cells ------------------------------------------------------------------


def tensor_states(gradients: pd.DataFrame) -> np.ndarray:
    """The state of each tensor, one of `FROZEN`, `ZERO`, `FLOWS`, `MISSING`, `LEAKS`, ..."""
    trainable, gradient = _is_true(gradients["trainable"]), _is_true(gradients["gradient"])
    norm = pd.to_numeric(gradients["norm"], errors="coerce")
    cases = {
        NOT_FINITE: gradient & ~np.isfinite(norm),
        LEAKS: ~trainable & gradient,
        FROZEN: ~trainable,
        MISSING: ~gradient,
        ZERO: norm == 0,
    }
    return np.select(list(cases.values()), list(cases), default=FLOWS)


def _is_true(values: pd.Series) -> pd.Series:
    return values.astype(str).str.strip().str.lower().isin(["true", "1", "1.0"])


def gradient_cells(tensors: pd.DataFrame) -> pd.DataFrame:
    """One cell per model, row and block: the joint norm, and the state most worth attention."""
    table = tensors.join(split_names(tensors["parameter"]))
    table["row"] = [
        _row(block, rest) for block, rest in zip(table["block"], table["rest"], strict=True)
    ]
    table["square"] = pd.to_numeric(table["norm"], errors="coerce") ** 2
    groups = table.groupby(["model", "row", "block"], sort=False)
    cells = groups.agg(state=("state", "max"), square=("square", "sum")).reset_index()
    return cells.assign(norm=np.sqrt(cells["square"]))


def _row(block: str, parameter: str) -> str:
    """Adapter matrices have a row each; the base model's tensors in a block share three."""
    if "lora_" in parameter:
        return parameter
    if block == NO_BLOCK:
        return parameter.rsplit(".", 1)[0]
    if parameter.startswith("ln_"):
        return NORMS
    return BASE_BIASES if parameter.endswith("bias") else BASE_WEIGHTS


def _spaced_rows(cells: pd.DataFrame, inside: bool) -> dict[str, float]:
    """Where each row goes: every A, every B, the base model's tensors, with gaps between."""
    rows = cells.loc[(cells["block"] != NO_BLOCK) == inside, "row"].unique()
    groups = ("lora_A", "lora_B", "lora_magnitude", "")

    def group(row: str) -> int:
        return next(rank for rank, mark in enumerate(groups) if mark in row)

    ordered = sorted(rows, key=group)
    first = group(ordered[0]) if ordered else 0
    return {row: place + 0.4 * (group(row) - first) for place, row in enumerate(ordered)}


def _gradient_colours(cells: pd.DataFrame) -> ScalarMappable:
    norms = cells.loc[cells["state"] == FLOWS, "norm"]
    low, high = (norms.min(), norms.max()) if len(norms) else (0.1, 1.0)
    if high < 10 * low:
        low, high = low / 3, high * 3
    return ScalarMappable(LogNorm(low, high), cmap="viridis")


# --- drawing the cells ----------------------------------------------------------------------


def _gradient_panels(
    inside: Mapping[str, float], outside: Mapping[str, float], columns: int
) -> tuple[Figure, np.ndarray]:
    """A figure with panels for the rows inside the blocks above those for the rows outside."""
    heights = [max(rows.values(), default=0) + 1 for rows in (inside, outside)]
    figure = new_figure(2.6 + 0.22 * sum(heights))
    panels = figure.subplots(2, columns, sharey="row", squeeze=False, height_ratios=heights)
    return figure, panels


def _draw_blocks(
    axes: Axes, cells: pd.DataFrame, rows: Mapping[str, float], colours: ScalarMappable
) -> None:
    blocks = sorted(cells["block"].unique(), key=int)
    for cell in cells.itertuples():
        _draw_cell(axes, blocks.index(cell.block), rows[cell.row], cell, colours)
    axes.set_xlim(-0.6, max(len(blocks), 1) - 0.4)
    axes.set_xticks(range(len(blocks)), blocks)
    axes.set_xlabel("transformer block", labelpad=2)
    _finish_gradient_map(axes, rows)


def _draw_outside(
    axes: Axes, cells: pd.DataFrame, rows: Mapping[str, float], colours: ScalarMappable
) -> None:
    for cell in cells.itertuples():
        _draw_cell(axes, 0, rows[cell.row], cell, colours)
        words = f"norm {cell.norm:.2g}" if cell.state == FLOWS else STATE_NAMES[cell.state]
        axes.text(0.65, rows[cell.row], words, va="center")
    for row in rows.keys() - set(cells["row"]):
        axes.text(0.65, rows[row], "not in this model", va="center", color=GREY)
    axes.set_xticks([])
    _finish_gradient_map(axes, rows)


def _draw_cell(axes: Axes, column: int, row: float, cell, colours: ScalarMappable) -> None:
    colour = colours.to_rgba(cell.norm) if cell.state == FLOWS else STATE_COLOURS[cell.state]
    axes.add_patch(Rectangle((column - 0.46, row - 0.43), 0.92, 0.86, color=colour))
    ink = GREY if cell.state == FROZEN else BLACK
    axes.text(column, row, STATE_MARKS[cell.state], ha="center", va="center_baseline", color=ink)


def _finish_gradient_map(axes: Axes, rows: Mapping[str, float]) -> None:
    axes.set_ylim(max(rows.values(), default=0) + 0.5, -0.5)
    axes.set_yticks(list(rows.values()), list(rows))
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


# --- words and legends ----------------------------------------------------------------------


def _model_title(model: str) -> str:
    return f"Gradients of the {model.replace('_', ' ')}"


def _count_states(tensors: pd.DataFrame) -> list[str]:
    counts = tensors["state"].value_counts()
    return [
        f"{STATE_NAMES[state]}: {counts[state]} tensor{'' if counts[state] == 1 else 's'}"
        for state in sorted(counts.index)
    ]


def _add_norm_scale(figure: Figure, colours: ScalarMappable) -> None:
    bar = figure.colorbar(
        colours,
        ax=figure.axes,
        location="bottom",
        aspect=60,
        label="norm of the gradient (log scale)",
    )
    low, high = colours.norm.vmin, colours.norm.vmax
    log_ticks(bar.ax.xaxis, round_numbers(low, high, steps=(1,)), "{:.10g}".format)


def _add_state_legend(figure: Figure, states: set[int]) -> None:
    handles = [
        Patch(
            facecolor=STATE_COLOURS[state],
            edgecolor=GREY,
            label=f"{STATE_MARKS[state]}  {STATE_NAMES[state]}",
        )
        for state in sorted((states | EXPECTED_STATES) - {FLOWS})
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
