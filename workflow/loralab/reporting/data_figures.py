"""Figures of the section Data: how long the messages are, and how many there are of each class."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loralab.data.messages import read_table_in_chunks
from loralab.provenance import read_json
from loralab.reporting.figure_style import (
    BLUE,
    class_name,
    heading,
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

# --- lengths --------------------------------------------------------------------------------


def message_lengths(messages_csv: Path, output: Path) -> None:
    """Show how long the messages of each class are.

    Reads `messages.csv` (columns `id`, `label`, `text`).
    """
    save(draw_message_lengths(_lengths(messages_csv)), output)


def _lengths(messages_csv: Path) -> pd.DataFrame:
    """The columns `label` and `length`, in characters, without holding the texts."""
    return pd.concat(
        pd.DataFrame({"label": table["label"], "length": table["text"].str.len()})
        for table in read_table_in_chunks(messages_csv)
    )


@styled
def draw_message_lengths(messages: pd.DataFrame) -> Figure:
    if messages.empty:
        return sentence_figure("There are no messages: no lengths to show.")
    lengths = messages["length"].clip(lower=1)
    edges = _length_bins(lengths)
    figure = new_figure(3.6)
    axes = figure.subplots()
    for label, look in line_styles(messages["label"].unique()).items():
        _draw_length_histogram(axes, lengths[messages["label"] == label], edges, label, look)
    _finish_lengths(axes, edges, lengths.min())
    legend_below(figure)
    return figure


def _length_bins(lengths: pd.Series) -> np.ndarray:
    """Bin edges between whole numbers, each bin about a fifth wider than the one before."""
    shortest, longest = lengths.min(), lengths.max() + 1
    count = 2 + int(np.log(longest / shortest) / np.log(1.2))
    return np.unique(np.round(np.geomspace(shortest, longest, count))) - 0.5


def _draw_length_histogram(
    axes: Axes, lengths: pd.Series, edges: np.ndarray, label: str, look: dict[str, str]
) -> None:
    counts, _ = np.histogram(lengths, edges)
    median = lengths.median()
    name = f"{class_name(label)}: {len(lengths):,} messages, median {median:,.0f} characters"
    axes.stairs(counts / len(lengths), edges, linewidth=1.6, label=name, **look)
    axes.stairs(counts / len(lengths), edges, fill=True, alpha=0.12, color=look["color"])
    axes.axvline(median, linewidth=1.2, color=look["color"], linestyle=(0, (4, 3)))


def _finish_lengths(axes: Axes, edges: np.ndarray, shortest: int) -> None:
    axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    # The first edge may be half a character. Messages of nearly one length may have no round number
    # between them.
    ticks = round_numbers(max(edges[0], 1), edges[-1]) or [shortest]
    log_ticks(axes.xaxis, ticks, "{:,.0f}".format)
    percent_axis(axes.yaxis)
    axes.set_ylim(bottom=0)
    axes.set(
        title="Message length by class (vertical lines: medians)",
        xlabel="characters per message (log scale)",
        ylabel="share of the class, per bin",
    )


# --- classes --------------------------------------------------------------------------------


def class_counts(split_json: Path, output: Path) -> None:
    """Show the messages per class: as read, after balancing, and in each split.

    Reads `split.json` (keys `classes`, `balanced`, `splits`, `protocol`, `seed`).
    """
    save(draw_class_counts(read_json(split_json)), output)


@styled
def draw_class_counts(split: Mapping) -> Figure:
    counts = counts_by_stage(split)
    limits = _bar_axis_lengths(counts)
    figure = new_figure(1.4 + 0.3 * len(counts))
    panels = figure.subplots(1, len(limits), sharey=True, squeeze=False, width_ratios=limits)[0]
    for axes, stage, limit in zip(panels, counts, limits, strict=True):
        _draw_stage(axes, stage, counts[stage])
        axes.set_xlim(0, limit)
    panels[0].set_yticks(range(len(counts)), [class_name(label) for label in counts.index])
    panels[0].invert_yaxis()
    protocol, seed = split.get("protocol", "unknown"), split.get("seed", "unknown")
    figure.supxlabel(f"messages per class (split protocol: {protocol}, seed {seed})", fontsize=10)
    return figure


def counts_by_stage(split: Mapping) -> pd.DataFrame:
    """Messages per class (rows) at each stage from reading to the splits (columns)."""
    labels = list(split["classes"])
    parts = {
        name: [part.get(label, 0) for label in labels] for name, part in split["splits"].items()
    }
    counts = pd.DataFrame(parts, index=labels)
    read, used = pd.Series(split["classes"])[labels], counts.sum(axis="columns")
    balanced = used.sum() == split.get("balanced") and not used.equals(read)
    counts.insert(0, "all read", read)
    counts.insert(1, "balanced" if balanced else "used", used)
    return counts


def _bar_axis_lengths(counts: pd.DataFrame) -> list[float]:
    """How far each panel's axis goes, so that a message is as long in every panel.

    Beyond its longest bar each panel needs room for a number and a heading.
    """
    longest = counts.max().clip(lower=1)
    share_for_text = 0.13 * len(longest)
    room = longest.sum() * share_for_text / (1 - share_for_text) / len(longest)
    return [bar + room for bar in longest]


def _draw_stage(axes: Axes, stage: str, counts: pd.Series) -> None:
    styles = line_styles(counts.index)
    colours = [styles[label]["color"] for label in counts.index]
    distinct = len(set(colours)) == len(colours)
    bars = axes.barh(range(len(counts)), counts, height=0.7, color=colours if distinct else BLUE)
    axes.bar_label(bars, [f"{count:,}" for count in counts], padding=3)
    heading(axes, stage, f"n = {counts.sum():,}")
    axes.set_xticks([])
    axes.grid(False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(left=False)
