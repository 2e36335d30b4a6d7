"""The figure of the section Training: the classifier's loss, learning rate and accuracy."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from loralab.provenance import read_json
from loralab.reporting.figure_style import (
    BLACK,
    BLUE,
    SKY,
    VERMILION,
    new_figure,
    percent_axis,
    plain_axis,
    power_of_ten,
    save,
    smoothed,
    styled,
    superscript,
)

SPLIT_LOOKS = {
    "train": {"color": BLACK, "marker": "s", "linestyle": "-"},
    "validation": {"color": VERMILION, "marker": "o", "linestyle": "--"},
}


def training_curves(history_csv: Path, training_json: Path, output: Path) -> None:
    """Show the classifier's loss by step, its learning rate, and its accuracy by epoch.

    Reads `history.csv` (columns `epoch`, `step`, `loss`, `learning_rate`, ...) and
    `training.json` (key `epoch_metrics`: losses and accuracies, validation ones may be null).
    """
    epochs = pd.DataFrame(read_json(training_json)["epoch_metrics"])
    save(draw_training_curves(pd.read_csv(history_csv), epochs), output)


@styled
def draw_training_curves(history: pd.DataFrame, epochs: pd.DataFrame) -> Figure:
    figure = new_figure(5.6)
    grid = figure.add_gridspec(2, 2, height_ratios=(1.35, 1))
    last_steps = history.groupby("epoch")["step"].max()
    epochs = epochs.assign(step=epochs["epoch"].map(last_steps))
    _draw_loss(figure.add_subplot(grid[0, :]), history, epochs)
    _draw_learning_rate(figure.add_subplot(grid[1, 0]), history)
    _draw_accuracy(figure.add_subplot(grid[1, 1]), epochs)
    return figure


def _draw_loss(axes: Axes, history: pd.DataFrame, epochs: pd.DataFrame) -> None:
    axes.plot(
        history["step"], history["loss"], color=SKY, linewidth=0.7, alpha=0.8, label="each step"
    )
    axes.plot(history["step"], smoothed(history["loss"]), color=BLUE, label="steps, running median")
    _draw_epochs(axes, epochs, "step", "loss")
    axes.set_ylim(0, 1.2 * axes.get_ylim()[1])  # room for the legend above the curves
    axes.set(title="Loss", xlabel="optimiser step", ylabel="cross-entropy (nats)")
    axes.legend(loc="upper right", ncols=2)


def _draw_learning_rate(axes: Axes, history: pd.DataFrame) -> None:
    power = power_of_ten(history["learning_rate"].max())
    axes.plot(history["step"], history["learning_rate"], color=BLUE)
    axes.set_ylim(bottom=0)
    plain_axis(axes.yaxis, unit=float(f"1e{power}"))
    unit = f"learning rate (10{superscript(power)})"
    axes.set(title="Learning rate", xlabel="optimiser step", ylabel=unit)


def _draw_accuracy(axes: Axes, epochs: pd.DataFrame) -> None:
    _draw_epochs(axes, epochs, "epoch", "accuracy")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(epochs["epoch"].min() - 0.5, epochs["epoch"].max() + 0.5)
    percent_axis(axes.yaxis)
    axes.set(title="Accuracy after each epoch", xlabel="epoch", ylabel="share correct")
    axes.legend(loc="best")


def _draw_epochs(axes: Axes, epochs: pd.DataFrame, position: str, quantity: str) -> None:
    """A line for each split measured: `quantity` ("loss") over `position` ("step")."""
    for split, look in SPLIT_LOOKS.items():
        values = pd.to_numeric(epochs.get(f"{split}_{quantity}", pd.Series(dtype=float)))
        if values.notna().any():
            axes.plot(epochs[position], values, label=f"{split}, after epoch", **look)
