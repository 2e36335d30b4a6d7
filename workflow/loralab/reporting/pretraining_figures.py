"""The figure of a language model's pretraining: its loss, and so its perplexity."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loralab.reporting.figure_style import (
    BLUE,
    SKY,
    VERMILION,
    new_figure,
    plain_axis,
    round_numbers,
    save,
    sentence_figure,
    smoothed,
    styled,
)

MAX_EXPONENT = 100  # a loss above this has diverged: its perplexity says nothing more


def pretraining_loss(loss_csv: Path, output: Path) -> None:
    """Show the language model's loss, and so its perplexity, over the tokens it has seen.

    Reads the pretraining log (columns `step`, `tokens`, `learning_rate`, `loss`, `held_out_loss`).
    """
    save(draw_pretraining_loss(pd.read_csv(loss_csv)), output)


@styled
def draw_pretraining_loss(log: pd.DataFrame) -> Figure:
    log = log.replace([np.inf, -np.inf], np.nan)
    if log["loss"].dropna().empty:
        return sentence_figure("The log holds no finite loss: no curve to show.")
    figure = new_figure(3.9)
    axes = figure.subplots()
    _draw_losses(axes, log)
    axes.legend(loc="upper right", title=_final_loss(log), alignment="left")
    _add_perplexity_axis(axes)
    return figure


def _draw_losses(axes: Axes, log: pd.DataFrame) -> None:
    tokens = log["tokens"] / 1e6
    axes.plot(tokens, log["loss"], color=SKY, linewidth=0.7, alpha=0.7, label="training, each step")
    axes.plot(tokens, smoothed(log["loss"]), color=BLUE, label="training, running median")
    held_out = log["held_out_loss"].dropna()
    if not held_out.empty:
        axes.plot(tokens[held_out.index], held_out, "o-", color=VERMILION, label="held out")
    plain_axis(axes.xaxis)
    axes.set(
        title="Language-model loss during pretraining",
        xlabel="tokens seen (millions)",
        ylabel="loss (nats per token)",
    )


def _final_loss(log: pd.DataFrame) -> str:
    held_out = log["held_out_loss"].dropna()
    source = "training" if held_out.empty else "held out"
    loss = (smoothed(log["loss"]).dropna() if held_out.empty else held_out).iloc[-1]
    perplexity = np.exp(min(loss, MAX_EXPONENT))
    return f"at the end, {source}: {loss:.3f} nats = perplexity {perplexity:,.1f}"


def _add_perplexity_axis(axes: Axes) -> None:
    low, high = axes.get_ylim()
    if high > MAX_EXPONENT:
        return
    right = axes.twinx()
    right.set_ylim(low, high)
    perplexities = round_numbers(np.exp(low), np.exp(high), steps=(1, 3))
    if len(perplexities) < 2:
        perplexities = np.exp(np.linspace(low, high, 5)[1:-1])
    right.set_yticks(np.log(perplexities), [f"{value:,.5g}" for value in perplexities])
    right.grid(False)
    right.set_ylabel("perplexity")
