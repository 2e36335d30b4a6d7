"""Figures of the section Sweep: every arm beside the reference, and curves over a setting."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loralab.provenance import read_json
from loralab.reporting.figure_style import (
    BLUE,
    GREY,
    ORANGE,
    new_figure,
    percent_axis,
    save,
    sentence_figure,
    styled,
)
from loralab.reporting.inputs import method_name
from loralab.reporting.numbers import percent


def sweep_overview(sweep_json: Path, output: Path) -> None:
    """Show the test accuracy of every arm: each seed, their mean and its interval.

    Reads `sweep.json` (`reference`, `baselines`, `arms` with `accuracy`).
    """
    save(draw_sweep_overview(read_json(sweep_json)), output)


@styled
def draw_sweep_overview(sweep: Mapping) -> Figure:
    arms = sweep["arms"]
    figure = new_figure(1.2 + 0.27 * len(arms))
    axes = figure.subplots()
    for place, arm in enumerate(arms):
        _draw_arm(axes, place, arm, _colour(arm["arm"], sweep))
    reference = next(arm for arm in arms if arm["arm"] == sweep["reference"])
    axes.axvline(reference["accuracy"]["mean"], color=GREY, linestyle="--", linewidth=1, zorder=0)
    axes.set_yticks(range(len(arms)), [shown_name(arm["arm"], sweep) for arm in arms])
    axes.set_ylim(len(arms) - 0.5, -0.5)
    percent_axis(axes.xaxis)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set(title="Test accuracy by arm", xlabel=_interval_in_words(sweep))
    return figure


def _draw_arm(axes: Axes, place: int, arm: Mapping, colour: str) -> None:
    accuracy = arm["accuracy"]
    if accuracy["ci95_messages"]:
        axes.plot(accuracy["ci95_messages"], [place, place], color=colour, linewidth=2.2)
    axes.plot(
        accuracy["values"], [place] * accuracy["n"], "o", color="white", mec=colour, ms=4, zorder=3
    )
    axes.plot(accuracy["mean"], place, "|", color=colour, markersize=14, markeredgewidth=2.5)
    words = percent(accuracy["mean"])
    axes.text(1.01, place, words, transform=axes.get_yaxis_transform(), va="center", color=colour)


def _colour(arm: str, sweep: Mapping) -> str:
    if arm in sweep["baselines"]:
        return GREY
    return ORANGE if arm == sweep["reference"] else BLUE


def shown_name(arm: str, sweep: Mapping) -> str:
    """What a reader knows an arm by."""
    return method_name(arm) if arm in sweep["baselines"] else arm


def _interval_in_words(sweep: Mapping) -> str:
    if sweep["seeds"] == 1:
        return "share of test messages correct, with 95 % interval over messages (one seed)"
    return f"mean of {sweep['seeds']} seeds, with 95 % interval over seeds and messages"


def sweep_curves(sweep_json: Path, output: Path) -> None:
    """Show the accuracy against every setting that took three numbers or more.

    Reads `sweep.json` (`curves`, `arms`).
    """
    save(draw_sweep_curves(read_json(sweep_json)), output)


@styled
def draw_sweep_curves(sweep: Mapping) -> Figure:
    curves = sweep["curves"]
    if not curves:
        return sentence_figure("No setting of the sweep took three numbers or more.")
    rows = (len(curves) + 1) // 2
    figure = new_figure(0.4 + 2.5 * rows)
    panels = figure.subplots(rows, min(2, len(curves)), sharey=True, squeeze=False).ravel()
    found = {arm["arm"]: arm["accuracy"] for arm in sweep["arms"]}
    for axes, (key, points) in zip(panels, curves.items(), strict=False):
        _draw_curve(axes, key, points, found)
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    for axes in panels[:: min(2, len(curves))]:
        axes.set_ylabel("test accuracy")
        percent_axis(axes.yaxis)
    return figure


def _draw_curve(axes: Axes, key: str, points: list[Mapping], found: Mapping) -> None:
    values = [point["value"] for point in points]
    accuracies = [found[point["arm"]] for point in points]
    for value, accuracy in zip(values, accuracies, strict=True):
        if accuracy["ci95_messages"]:
            axes.plot([value, value], accuracy["ci95_messages"], color=BLUE, linewidth=1.8)
    axes.plot(values, [a["mean"] for a in accuracies], "o-", color=BLUE, linewidth=1)
    if min(values) > 0 and max(values) >= 20 * min(values):
        axes.set_xscale("log")
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.minorticks_off()
    axes.set_title(key)
