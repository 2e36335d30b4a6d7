"""The figure of the section Robustness: other kinds of texts, and messages without artefacts."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loralab.provenance import read_json
from loralab.reporting.figure_style import (
    BLUE,
    GREY,
    VERMILION,
    class_name,
    heading,
    new_figure,
    percent_axis,
    save,
    sentence_figure,
    styled,
)
from loralab.reporting.numbers import p_value
from loralab.reporting.robustness_names import (
    KIND_NAMES,
    MASK_NAMES,
    counts_by_label,
    system_name,
)

COLOURS = (BLUE, VERMILION)  # of the adapter, and of the baseline
OFFSETS = (-0.17, 0.17)  # of their marks from the middle of the row
INCHES_PER_ROW = 0.5

# Draws one system's row, and returns what is to be read beside it.
DrawRow = Callable[[Axes, float, int, Mapping, dict], str]


def robustness(robustness_json: Path, output: Path) -> None:
    """Show what share of each kind of stress text is right, and what each mask does to that share.

    Reads `robustness.json` (keys `stress` and `probe`).
    """
    save(draw_robustness(read_json(robustness_json)), output)


@styled
def draw_robustness(found: Mapping) -> Figure:
    """A panel a question; one to which there is no row is left out."""
    masks = [row for row in found["probe"]["masks"] if row["n"]]
    panels = [(_draw_stress, found["stress"]), (_draw_masks, masks)]
    panels = [(draw, rows) for draw, rows in panels if rows]
    if not panels:
        return sentence_figure(
            "The stress set does not apply, and no test message has an artefact."
        )
    heights = [len(rows) for _, rows in panels]
    figure = new_figure(1.1 * len(panels) + INCHES_PER_ROW * sum(heights))
    every_axes = figure.subplots(len(panels), squeeze=False, height_ratios=heights).ravel()
    for axes, (draw, rows) in zip(every_axes, panels, strict=True):
        draw(axes, rows)
    handles, names = every_axes[-1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure


def _draw_stress(axes: Axes, rows: Sequence[Mapping]) -> None:
    names = [KIND_NAMES.get(row["kind"], row["kind"]) for row in rows]
    _draw_rows(axes, rows, names, _draw_share)
    heading(axes, "Stress set", "share of the texts right, with 95 % interval")


def _draw_masks(axes: Axes, rows: Sequence[Mapping]) -> None:
    names = [f"without {MASK_NAMES.get(row['mask'], row['mask'])}" for row in rows]
    _draw_rows(axes, rows, names, _draw_change)
    heading(
        axes,
        "Artefacts taken out",
        "share right of the test messages that have them, before and after",
    )
    axes.plot([], [], "o", color=GREY, markerfacecolor="white", label="before")


def _draw_rows(axes: Axes, rows: Sequence[Mapping], names: Sequence[str], draw: DrawRow) -> None:
    """Both systems in each row, one above the other, with their numbers beside."""
    for place, row in enumerate(rows):
        looks = zip(row["systems"].values(), COLOURS, OFFSETS, strict=True)
        for scores, colour, offset in looks:
            words = draw(axes, place + offset, row["n"], scores, {"color": colour})
            beside = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 9}
            axes.text(1.02, place + offset, words, color=colour, **beside)
    ticks = [f"{name}\n{_counts(row)}" for name, row in zip(names, rows, strict=True)]
    axes.set(xlim=(-0.02, 1.02), ylim=(len(rows) - 0.5, -0.5))
    axes.set_yticks(range(len(rows)), ticks, fontsize=9)
    percent_axis(axes.xaxis)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    for system, colour in zip(rows[0]["systems"], COLOURS, strict=True):
        axes.plot([], [], "o", color=colour, label=system_name(system))


def _counts(row: Mapping) -> str:
    printable = {class_name(label): n for label, n in row["by_label"].items()}
    return counts_by_label({"by_label": printable}, most=2)


def _draw_share(axes: Axes, place: float, n: int, scores: Mapping, look: dict) -> str:
    axes.plot(scores["accuracy_ci95"], [place, place], linewidth=2, **look)
    axes.plot(scores["right"] / n, place, "o", markersize=6, **look)
    return f"{scores['right']} of {n}"


def _draw_change(axes: Axes, place: float, n: int, scores: Mapping, look: dict) -> str:
    before, after = scores["before"]["right"], scores["after"]["right"]
    axes.plot([before / n, after / n], [place, place], linewidth=1.2, **look)
    axes.plot(before / n, place, "o", markersize=6, markerfacecolor="white", **look)
    axes.plot(after / n, place, "o", markersize=6, **look)
    return f"{before} → {after} of {n}, p {p_value(scores['p_value'])}"
