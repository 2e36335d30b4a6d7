"""Figures of the section Explanation: what tokens contribute, and what the adapter changed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from loralab.provenance import read_json
from loralab.reporting.figure_style import (
    BLUE,
    GREY,
    LINE_COLOURS,
    PALE,
    VERMILION,
    class_name,
    heading,
    new_figure,
    printable,
    save,
    sentence_figure,
    styled,
)
from loralab.reporting.inputs import split_names
from loralab.reporting.numbers import percent

AGAINST_TO_FOR = LinearSegmentedColormap.from_list("against to for", [BLUE, "#FFFFFF", VERMILION])
MONOSPACED = ["DejaVu Sans Mono", "DejaVu Sans"]  # the second where the first has no glyph
CHARACTERS_A_LINE = 108
MOST_LINES = 5  # of one message; of a longer one the rest is counted
INCHES_PER_LINE = 0.21
MARKERS = "osD^vP*X"
MOST_BLOCK_NAMES = 12  # below one panel

# What the figure shows of each layer: a column of the table, and its title.
MEASURES = {
    "norm": "‖ΔW‖",
    "relative_norm": "‖ΔW‖ / ‖W‖",
    "effective_rank": "effective rank of ΔW",
}

# --- attributions ---------------------------------------------------------------------------


def attributions(attributions_json: Path, output: Path) -> None:
    """Show the tokens of each message, coloured by what they contribute to a label's log-odds.

    Reads `attributions.json` (key `messages`).
    """
    save(draw_attributions(read_json(attributions_json)), output)


@styled
def draw_attributions(found: Mapping) -> Figure:
    messages = found["messages"]
    if not messages:
        return sentence_figure("The test split has no message: nothing to attribute.")
    lines = [_lines(message["tokens"]) for message in messages]
    heights = [min(len(of_message), MOST_LINES) + 1.7 for of_message in lines]
    rows = sum(heights)
    figure = new_figure(1.0 + INCHES_PER_LINE * rows)
    axes = figure.subplots()
    axes.set(xlim=(0, CHARACTERS_A_LINE), ylim=(rows, 0))
    axes.set_axis_off()
    colours = _contribution_colours(messages)
    tops = np.cumsum([0, *heights[:-1]])
    for top, message, of_message in zip(tops, messages, lines, strict=True):
        _draw_message(axes, top, message, of_message, colours)
    name = class_name(found["positive"]) if found["positive"] else "the label predicted"
    words = f"contribution to the log-odds of {name} (blue: against, orange: for)"
    figure.colorbar(colours, ax=axes, location="bottom", aspect=60, label=words)
    return figure


def _contribution_colours(messages: Sequence[Mapping]) -> ScalarMappable:
    """One scale for all messages, white at zero."""
    values = [abs(token["attribution"]) for m in messages for token in m["tokens"]]
    largest = max(values, default=0) or 1.0
    return ScalarMappable(Normalize(-largest, largest), cmap=AGAINST_TO_FOR)


def _lines(tokens: Sequence[Mapping]) -> list[list[Mapping]]:
    """The tokens by line, each with its `start` in characters and its `shown` text."""
    lines: list[list[Mapping]] = [[]]
    end = 0
    for token in tokens:
        shown = printable(token["token"])[:CHARACTERS_A_LINE]
        if end + len(shown) > CHARACTERS_A_LINE:
            lines.append([])
            end = 0
        lines[-1].append({**token, "shown": shown, "start": end})
        end += len(shown)
    return lines


def _draw_message(
    axes: Axes,
    top: float,
    message: Mapping,
    lines: Sequence[Sequence[Mapping]],
    colours: ScalarMappable,
) -> None:
    axes.text(0, top + 0.5, _title(message), va="center", fontsize=8.5, weight="bold")
    shown = lines if len(lines) <= MOST_LINES else lines[: MOST_LINES - 1]
    for place, line in enumerate(shown):
        for token in line:
            _draw_token(axes, top + 1 + place, token, colours)
    if left := sum(map(len, lines[len(shown) :])):
        words = f"… and {left} tokens more"
        axes.text(0, top + 1.5 + len(shown), words, va="center", fontsize=8, color=GREY)


def _draw_token(axes: Axes, top: float, token: Mapping, colours: ScalarMappable) -> None:
    text, start = token["shown"], token["start"]
    colour = colours.to_rgba(token["attribution"])
    look = {"facecolor": colour, "edgecolor": PALE, "linewidth": 0.5}
    axes.add_patch(Rectangle((start, top + 0.06), len(text) - 0.1, 0.88, **look))
    place = start + len(text) - len(text.lstrip())  # matplotlib leaves out spaces at the beginning
    axes.text(place, top + 0.5, text.strip(), va="center", fontsize=8, family=MONOSPACED)


def _title(message: Mapping) -> str:
    true, predicted = class_name(message["label"]), class_name(message["predicted"])
    verdict = "right" if message["label"] == message["predicted"] else f"wrong, it is {true}"
    return (
        f"{message['id']}: called {predicted} at {percent(message['confidence'])} ({verdict}); "
        f"log-odds of {class_name(message['explained'])} {message['output']:+.2f}, "
        f"of the baseline {message['baseline_output']:+.2f}"
    )


# --- what the adapter changed ---------------------------------------------------------------


def adapter_change(adapter_change_csv: Path, output: Path) -> None:
    """Show by layer and module how much the adapter changed, and over how many directions.

    Reads `adapter_change.csv` (columns `module`, `variant`, `rank`, `norm`, `relative_norm`,
    `effective_rank`).
    """
    save(draw_adapter_change(pd.read_csv(adapter_change_csv)), output)


@styled
def draw_adapter_change(changes: pd.DataFrame) -> Figure:
    table = changes.join(split_names(changes["module"]))
    blocks = sorted(table["block"].unique(), key=lambda name: (len(name), name))
    figure = new_figure(3.9)
    for axes, (measure, title) in zip(figure.subplots(1, 3), MEASURES.items(), strict=True):
        for number, (kind, rows) in enumerate(table.groupby("rest", sort=False)):
            values = rows.set_index("block")[measure].reindex(blocks).to_numpy(dtype=float)
            _draw_kind(axes, number, str(kind), values)
        shown = slice(None, None, 1 + (len(blocks) - 1) // MOST_BLOCK_NAMES)
        axes.set_xticks(range(len(blocks))[shown], blocks[shown])
        axes.set_xlim(-0.4, len(blocks) - 0.6)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("transformer block")
        heading(axes, title)
    if table["rank"].nunique() == 1:
        _draw_rank(axes, table["rank"].iloc[0])
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=6)
    return figure


def _draw_kind(axes: Axes, number: int, kind: str, values: np.ndarray) -> None:
    look = {
        "color": LINE_COLOURS[number % len(LINE_COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
    }
    axes.plot(range(len(values)), values, markersize=5, linewidth=1.2, label=kind, **look)


def _draw_rank(axes: Axes, rank: int) -> None:
    axes.axhline(rank, color=GREY, linestyle="--", linewidth=1)
    words = {"ha": "left", "va": "bottom", "fontsize": 8.5, "color": GREY}
    axes.annotate(f"rank of the adapter, {rank}", (0, rank), (2, 2), **words,
        xycoords=("axes fraction", "data"), textcoords="offset points")  # fmt: skip
    axes.set_ylim(top=max(1.12 * rank, axes.get_ylim()[1]))
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
