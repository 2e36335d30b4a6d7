"""The figure: seconds per epoch of all contestants, on a logarithmic axis."""

from pathlib import Path

from loralab.reporting.figure_style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    heading,
    log_ticks,
    new_figure,
    round_numbers,
    save,
    styled,
)
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmarks.table import number

COLOURS = {"lab": GREY, "peft": ORANGE, "loralab": BLUE}
NAMES = {"lab": "the lab", "peft": "transformers + PEFT", "loralab": "loralab"}
ROOM = 4.0  # times the longest bar, for the numbers beside the bars


def speed_figure(measured: dict, output: Path) -> None:
    """Write the bars of a measurement as a PNG."""
    save(draw_speed(measured), output)


@styled
def draw_speed(measured: dict) -> Figure:
    told = sorted(
        measured["contestants"].values(), key=lambda one: one["seconds_per_epoch"]["median"]
    )
    figure = new_figure(1.7 + 0.42 * len(told))
    axes = figure.add_subplot()
    for place, one in enumerate(told):
        _draw_bar(axes, place, one)
    axes.set_yticks(range(len(told)), [f"{one['title']}\n{one['batching']}" for one in told])
    axes.tick_params(axis="y", labelsize=8, length=0)
    _draw_scale(axes, [one["seconds_per_epoch"] for one in told])
    _draw_legend(axes, {one["family"] for one in told})
    heading(axes, "Seconds per epoch", *_details(measured))
    return figure


def _draw_bar(axes: Axes, place: int, one: dict) -> None:
    seconds = one["seconds_per_epoch"]
    axes.barh(place, seconds["median"], height=0.7, color=COLOURS[one["family"]])
    span = ([seconds["minimum"]], [seconds["maximum"]])
    axes.hlines(place, *span, color=BLACK, linewidth=1)
    ratio = one["ratios"].get("lab")
    beside = f"{number(seconds['median'])} s"
    if ratio and one["family"] != "lab":
        beside += f"  ({number(ratio['median'])} × the lab's speed)"
    edge = max(seconds["maximum"], seconds["median"])
    axes.annotate(beside, (edge, place), (5, 0), textcoords="offset points", va="center", size=9)


def _draw_scale(axes: Axes, seconds: list[dict]) -> None:
    shortest = min(one["minimum"] for one in seconds)
    longest = max(one["maximum"] for one in seconds)
    low, high = shortest / 3, longest * ROOM
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    log_ticks(axes.xaxis, round_numbers(low, longest * 1.5), lambda value: f"{value:g}")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("seconds (logarithmic scale); black: from the fastest round to the slowest")


def _draw_legend(axes: Axes, families: set[str]) -> None:
    known = [family for family in COLOURS if family in families]
    patches = [Patch(color=COLOURS[family], label=NAMES[family]) for family in known]
    axes.legend(handles=patches, loc="lower right")


def _details(measured: dict) -> list[str]:
    machine, settings = measured["machine"], measured["settings"]
    threads = "" if machine["gpu"] else f", {settings['threads']} threads"
    return [
        f"GPT-2 124M, {measured['task']['messages']} messages in batches of "
        f"{settings['batch_size']}, dropout {settings['dropout']}",
        f"{machine['gpu'] or machine['processor']}{threads}, {machine['date']}",
    ]
