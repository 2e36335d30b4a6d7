"""The figures of the report: each public function reads artifacts of a run and writes one PNG.

Every figure has a drawing function, from data to a matplotlib figure, beside the public
function, from files to a file, so that what a figure says can be checked without reading pixels.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from loralab.reporting.figure_style import (
    BLACK,
    BLUE,
    DOTTED,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    class_name,
    heading,
    legend_below,
    line_styles,
    log_ticks,
    new_figure,
    percent,
    percent_axis,
    plain_axis,
    power_of_ten,
    round_numbers,
    save,
    sentence_figure,
    smoothed,
    styled,
    superscript,
)

THIS_RUN = "LoRA (this run)"
BASELINE_NAMES = {
    "head_only": "head only",
    "tfidf": "character TF-IDF + logistic regression",
    "majority": "majority class",
}
Z_95 = 1.959964
MOST_CLASSES_SIDE_BY_SIDE = 4
INCHES_PER_LETTER = 0.09
MAX_EXPONENT = 100  # a loss above this has diverged: its perplexity says nothing more


def _read_json(path: Path) -> dict:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _read_text_table(path: Path) -> pd.DataFrame:
    """Read every field as it stands, so that a class named "NA" or "1" stays a name."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")


def _read_predictions(path: Path) -> pd.DataFrame:
    table = _read_text_table(path)
    probabilities = _probabilities(table)
    table[probabilities] = table[probabilities].apply(pd.to_numeric, errors="coerce").astype(float)
    return table


def _probabilities(table: pd.DataFrame) -> list[str]:
    return [column for column in table if column.startswith("p_")]


# --- data -----------------------------------------------------------------------------------


def message_lengths(messages_csv: Path, output: Path) -> None:
    """Show how long the messages of each class are.

    Reads `messages.csv` (columns `id`, `label`, `text`).
    """
    save(draw_message_lengths(_read_text_table(messages_csv)), output)


@styled
def draw_message_lengths(messages: pd.DataFrame) -> Figure:
    if messages.empty:
        return sentence_figure("There are no messages: no lengths to show.")
    lengths = messages["text"].str.len().clip(lower=1)
    edges = _length_bins(lengths)
    figure = new_figure(3.6)
    axes = figure.subplots()
    for label, look in line_styles(messages["label"].unique()).items():
        _draw_length_histogram(axes, lengths[messages["label"] == label], edges, label, look)
    axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    ticks = round_numbers(edges[0], edges[-1]) or [lengths.min()]
    log_ticks(axes.xaxis, ticks, "{:,.0f}".format)
    percent_axis(axes.yaxis)
    axes.set_ylim(bottom=0)
    axes.set(
        title="Message length by class (vertical lines: medians)",
        xlabel="characters per message (log scale)",
        ylabel="share of the class, per bin",
    )
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


def class_counts(split_json: Path, output: Path) -> None:
    """Show the messages per class: as read, after balancing, and in each split.

    Reads `split.json` (keys `classes`, `balanced`, `splits`, `protocol`, `seed`).
    """
    save(draw_class_counts(_read_json(split_json)), output)


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


# --- language model -------------------------------------------------------------------------


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
    axes.legend(loc="upper right", title=_final_loss(log), alignment="left")
    _add_perplexity_axis(axes)
    return figure


def _final_loss(log: pd.DataFrame) -> str:
    held_out = log["held_out_loss"].dropna()
    source = "training" if held_out.empty else "held out"
    loss = (smoothed(log["loss"]).dropna() if held_out.empty else held_out).iloc[-1]
    return (
        f"at the end, {source}: {loss:.3f} nats = perplexity {np.exp(min(loss, MAX_EXPONENT)):,.1f}"
    )


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


# --- adapter --------------------------------------------------------------------------------


def parameter_counts(plan_csv: Path, parameters_json: Path, output: Path) -> None:
    """Show how few parameters train, and where in the model the adapter's parameters are.

    Reads `plan.csv` (columns `module`, `parameters`, ...) and `parameters.json` (keys
    `language_model` and `classifier`, each with `trainable` and `total`; `head_parameters`).
    """
    save(draw_parameter_counts(pd.read_csv(plan_csv), _read_json(parameters_json)), output)


@styled
def draw_parameter_counts(plan: pd.DataFrame, parameters: Mapping) -> Figure:
    figure = new_figure(4.0)
    left, right = figure.subplots(1, 2, width_ratios=(1.05, 1))
    _draw_trainable_shares(left, parameters)
    _draw_adapter_by_block(right, plan)
    return figure


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
    figures = f"{trainable:,} trainable of {total:,} ({share})"
    axes.text(0, position - 0.2, figures, va="bottom", color=VERMILION)


def _draw_adapter_by_block(axes: Axes, plan: pd.DataFrame) -> None:
    plan = plan.join(_split_names(plan["module"]))
    table = plan.pivot_table(
        index="block", columns="rest", values="parameters", aggfunc="sum", sort=False, fill_value=0
    )
    bottom = np.zeros(len(table))
    for kind, colour in zip(table, _kind_colours(table.columns), strict=True):
        axes.bar(range(len(table)), table[kind], 0.8, bottom, color=colour, label=kind)
        bottom += table[kind].to_numpy()
    axes.set_xticks(range(len(table)), table.index)
    plain_axis(axes.yaxis, unit=1e3)
    axes.grid(axis="x", visible=False)
    axes.set(
        xlabel="transformer block",
        ylabel="parameters (thousands)",
    )
    total = f"{int(bottom.sum()):,} parameters in {len(plan)} modules"
    heading(axes, "The adapter, block by block", total)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)


def _split_names(names: pd.Series) -> pd.DataFrame:
    """Split `h.3.attn.q_proj` into its block, `3`, and the rest; other names have no block."""
    parts = names.str.extract(r"^h\.(?P<block>\d+)\.(?P<rest>.+)$")
    return pd.DataFrame(
        {"block": parts["block"].fillna(NO_BLOCK), "rest": parts["rest"].fillna(names)}
    )


def _kind_colours(kinds: Sequence[str]) -> list[str]:
    palette = (BLUE, SKY, GREEN, YELLOW, ORANGE, PURPLE, BLACK, GREY)
    return [palette[position % len(palette)] for position, _ in enumerate(kinds)]


# --- gradients ------------------------------------------------------------------------------

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
NO_BLOCK = "no block"
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
    heights = [max(inside.values(), default=0) + 1, max(outside.values(), default=0) + 1]
    figure = new_figure(2.6 + 0.22 * sum(heights))
    panels = figure.subplots(2, len(models), sharey="row", squeeze=False, height_ratios=heights)
    colours = _gradient_colours(cells)
    for (top, bottom), model in zip(panels.T, models, strict=True):
        of_model = cells[cells["model"] == model]
        _draw_blocks(top, of_model[of_model["block"] != NO_BLOCK], inside, colours)
        _draw_outside(bottom, of_model[of_model["block"] == NO_BLOCK], outside, colours)
        bottom.set_xlim(top.get_xlim())
        heading(top, _model_title(model), *_count_states(tensors[tensors["model"] == model]))
    _add_gradient_legends(figure, colours, set(cells["state"]))
    return figure


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
    table = tensors.join(_split_names(tensors["parameter"]))
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
    groups = ("lora_A", "lora_B", "")

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


def _model_title(model: str) -> str:
    return f"Gradients of the {model.replace('_', ' ')}"


def _count_states(tensors: pd.DataFrame) -> list[str]:
    counts = tensors["state"].value_counts()
    return [
        f"{STATE_NAMES[state]}: {counts[state]} tensor{'' if counts[state] == 1 else 's'}"
        for state in sorted(counts.index)
    ]


def _add_gradient_legends(figure: Figure, colours: ScalarMappable, states: set[int]) -> None:
    bar = figure.colorbar(
        colours,
        ax=figure.axes,
        location="bottom",
        aspect=60,
        label="norm of the gradient (log scale)",
    )
    low, high = colours.norm.vmin, colours.norm.vmax
    log_ticks(bar.ax.xaxis, round_numbers(low, high, steps=(1,)), "{:.10g}".format)
    handles = [
        Patch(
            facecolor=STATE_COLOURS[state],
            edgecolor=GREY,
            label=f"{STATE_MARKS[state]}  {STATE_NAMES[state]}",
        )
        for state in sorted((states | EXPECTED_STATES) - {FLOWS})
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)


# --- training -------------------------------------------------------------------------------


def training_curves(history_csv: Path, training_json: Path, output: Path) -> None:
    """Show the classifier's loss by step, its learning rate, and its accuracy by epoch.

    Reads `history.csv` (columns `epoch`, `step`, `loss`, `learning_rate`, ...) and
    `training.json` (key `epoch_metrics`: losses and accuracies, validation ones may be null).
    """
    epochs = pd.DataFrame(_read_json(training_json)["epoch_metrics"])
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
    looks = {
        "train": {"color": BLACK, "marker": "s", "linestyle": "-"},
        "validation": {"color": VERMILION, "marker": "o", "linestyle": "--"},
    }
    for split, look in looks.items():
        values = pd.to_numeric(epochs.get(f"{split}_{quantity}", pd.Series(dtype=float)))
        if values.notna().any():
            axes.plot(epochs[position], values, label=f"{split}, after epoch", **look)


# --- evaluation -----------------------------------------------------------------------------


def confusion_matrices(metrics_json: Path, output: Path) -> None:
    """Show, for each split, how many messages of each class were given which class.

    Reads `metrics.json` (keys `labels`, `splits`; each split has `confusion`, `accuracy`, `n`).
    """
    save(draw_confusion_matrices(_read_json(metrics_json)), output)


@styled
def draw_confusion_matrices(metrics: Mapping) -> Figure:
    labels, splits = metrics["labels"], metrics["splits"]
    # Cells of many classes are wide enough for numbers only if a matrix has the full width.
    stacked = len(labels) > MOST_CLASSES_SIDE_BY_SIDE
    shape = (len(splits), 1) if stacked else (1, len(splits))
    height = len(splits) * (1.6 + 0.26 * len(labels)) if stacked else 1.7 + 0.5 * len(labels)
    figure = new_figure(height)
    panels = figure.subplots(*shape, sharey=True, squeeze=False).ravel()
    write_cells = _write_counts_and_recall if stacked else _write_counts_and_shares
    note = " (shade: share of the true class)" if stacked else ""
    for axes, (split, scores) in zip(panels, splits.items(), strict=True):
        table = confusion_table(scores["confusion"], labels)
        _draw_confusion(axes, table, inches=7 / shape[1])
        write_cells(axes, table)
        heading(axes, split, _accuracy_in_words(scores) + note)
    for axes in panels if stacked else panels[:1]:
        axes.set_ylabel("true class")
    return figure


def confusion_table(confusion: Mapping, labels: Sequence[str]) -> pd.DataFrame:
    """Counts with the true classes as rows and the predicted classes as columns."""
    rows = [[confusion.get(true, {}).get(given, 0) for given in labels] for true in labels]
    return pd.DataFrame(rows, index=labels, columns=labels)


def _accuracy_in_words(scores: Mapping) -> str:
    accuracy = scores.get("accuracy")
    return f"{percent(accuracy)} of {scores['n']:,} correct" if accuracy is not None else "empty"


def _row_shares(table: pd.DataFrame) -> np.ndarray:
    return table.div(table.sum(axis="columns").clip(lower=1), axis="index").to_numpy()


def _draw_confusion(axes: Axes, table: pd.DataFrame, inches: float) -> None:
    axes.imshow(_row_shares(table), cmap="Blues", vmin=0, vmax=1.15, aspect="auto")
    names = [class_name(label) for label in table.columns]
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(range(len(names)), names)
    letters_that_fit = inches / len(names) / INCHES_PER_LETTER
    if max(len(name) for name in names) > letters_that_fit:
        axes.tick_params(axis="x", rotation=35)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_xlabel("predicted class")
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _write_counts_and_shares(axes: Axes, table: pd.DataFrame) -> None:
    for (row, column), share in np.ndenumerate(_row_shares(table)):
        text = f"{table.iat[row, column]:,}\n{percent(share)}"
        _write_in_cell(axes, row, column, text, share)


def _write_counts_and_recall(axes: Axes, table: pd.DataFrame) -> None:
    shares = _row_shares(table)
    for (row, column), share in np.ndenumerate(shares):
        _write_in_cell(axes, row, column, f"{table.iat[row, column]:,}", share)
    for row, share in enumerate(shares.diagonal()):
        axes.text(len(table) - 0.4, row, percent(share), va="center")
    axes.text(len(table) - 0.4, -0.6, "found", va="bottom", color=GREY)


def _write_in_cell(axes: Axes, row: int, column: int, text: str, share: float) -> None:
    ink = "white" if share > 0.6 else BLACK if share > 0 else GREY
    axes.text(column, row, text, ha="center", va="center", color=ink)


def roc_curves(
    predictions_csv: Path, baselines_csv: Path, positive: str | None, output: Path
) -> None:
    """Show the share of the positive class found against the false-alarm rate, on the test split.

    Reads `predictions.csv` (columns `split`, `label`, `p_<label>`...) and the baselines' table
    (column `baseline` in place of `split`). With two classes there is a curve per method; with
    more (`positive` is None) a curve per class of this run, that class against all others.
    """
    scores = _read_scores(predictions_csv, baselines_csv, positive)
    save(draw_roc_curves(scores), output)


def precision_recall_curves(
    predictions_csv: Path, baselines_csv: Path, positive: str | None, output: Path
) -> None:
    """Show precision against recall on the test split.

    Reads the same tables as `roc_curves` and draws the same set of curves.
    """
    scores = _read_scores(predictions_csv, baselines_csv, positive)
    save(draw_precision_recall_curves(scores), output)


# A curve's name, whether each message is of the class looked for, and the score it was given.
Scores = dict[str, tuple[np.ndarray, np.ndarray]]


def _read_scores(predictions_csv: Path, baselines_csv: Path, positive: str | None) -> Scores:
    predictions = _read_predictions(predictions_csv)
    test = predictions[predictions["split"] == "test"]
    if positive is None:
        return {column[2:]: _scores_for(test, column[2:]) for column in _probabilities(test)}
    scores = {THIS_RUN: _scores_for(test, positive)}
    for name, rows in _read_predictions(baselines_csv).groupby("baseline", sort=False):
        if name != "majority":
            scores[_readable(name)] = _scores_for(rows, positive)
    return scores


def _scores_for(rows: pd.DataFrame, label: str) -> tuple[np.ndarray, np.ndarray]:
    rows = rows[np.isfinite(rows[f"p_{label}"])]
    return (rows["label"] == label).to_numpy(), rows[f"p_{label}"].to_numpy()


def _readable(baseline: str) -> str:
    return BASELINE_NAMES.get(baseline, baseline.replace("_", " "))


def _rankable(scores: Scores) -> Scores:
    """Keep the curves that exist: those with messages in and out of the class looked for."""
    return {name: pair for name, pair in scores.items() if 0 < pair[0].sum() < len(pair[0])}


@styled
def draw_roc_curves(scores: Scores) -> Figure:
    scores = _rankable(scores)
    if not scores:
        return sentence_figure("The test split holds one class only: no ROC curve.")
    areas = {name: roc_auc_score(*pair) for name, pair in scores.items()}
    # A rate of zero has no place on a logarithmic axis: it is drawn at half of one false alarm.
    least = 0.5 / max((~positive).sum() for positive, _ in scores.values())
    figure = new_figure(4.2)
    whole, corner = figure.subplots(1, 2, sharey=True)
    for name, look in _curve_styles(areas).items():
        false_alarms, found, _ = roc_curve(*scores[name], drop_intermediate=False)
        whole.plot(false_alarms, found, **look)
        corner.plot(np.maximum(false_alarms, least), found, **look)
    _finish_roc(whole, corner, least)
    legend_below(figure, _legend_title("area under the curve", areas))
    return figure


def _curve_styles(areas: Mapping[str, float]) -> dict[str, dict]:
    """How to draw and label each curve; the earlier lie on top, this run's above all."""
    looks = line_styles(areas)
    return {
        name: looks[name]
        | {"label": f"{class_name(name, 45)}: {area:.4f}", "zorder": 3 - 0.1 * rank}
        for rank, (name, area) in enumerate(areas.items())
    }


def _legend_title(quantity: str, areas: Mapping[str, float]) -> str:
    if THIS_RUN in areas:
        return quantity
    mean = np.mean(list(areas.values()))
    return f"{quantity}, each class against the others (mean {mean:.4f})"


def _finish_roc(whole: Axes, corner: Axes, least: float) -> None:
    chance = np.geomspace(least, 1, 200)
    for axes in (whole, corner):
        axes.plot(chance, chance, color=GREY, linewidth=1, linestyle=DOTTED)
        percent_axis(axes.yaxis)
    whole.set(title="ROC, test split", xlabel="false-alarm rate", ylabel="share of the class found")
    whole.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    percent_axis(whole.xaxis)
    corner.set(title="Few false alarms", xlabel="false-alarm rate (log scale, from 0 at the left)")
    corner.set(xscale="log", xlim=(0.85 * least, 1.15))
    log_ticks(corner.xaxis, round_numbers(least, 1, steps=(1,)), lambda rate: percent(rate, 0))


@styled
def draw_precision_recall_curves(scores: Scores) -> Figure:
    scores = _rankable(scores)
    if not scores:
        return sentence_figure("The test split holds one class only: no precision-recall curve.")
    areas = {name: average_precision_score(*pair) for name, pair in scores.items()}
    figure = new_figure(4.2)
    whole, corner = figure.subplots(1, 2)
    lowest = 0.9
    for name, look in _curve_styles(areas).items():
        precision, recall, _ = precision_recall_curve(*scores[name])
        lowest = min(lowest, np.minimum(precision, recall).max())
        for axes in (whole, corner):
            axes.plot(recall, precision, drawstyle="steps-post", **look)
    _finish_precision_recall(whole, 0.0, "Precision and recall, test split")
    # The corner starts a step below the point where the lowest curve has both in balance.
    _finish_precision_recall(corner, max(0, np.floor(10 * lowest) / 10 - 0.1), "Upper right corner")
    legend_below(figure, _legend_title("average precision", areas))
    return figure


def _finish_precision_recall(axes: Axes, low: float, title: str) -> None:
    limits = (low - 0.02 * (1 - low), 1 + 0.02 * (1 - low))
    axes.set(title=title, xlabel="recall", ylabel="precision", xlim=limits, ylim=limits)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        percent_axis(axis)


def calibration(predictions_csv: Path, output: Path) -> None:
    """Show whether messages given a confidence of, say, 90 % are right 90 % of the time.

    Reads `predictions.csv` (columns `split`, `label`, `predicted`, `p_<label>`...), test split.
    """
    predictions = _read_predictions(predictions_csv)
    save(draw_calibration(predictions[predictions["split"] == "test"]), output)


@styled
def draw_calibration(test: pd.DataFrame) -> Figure:
    bins = confidence_bins(test)
    if bins.empty:
        return sentence_figure("The test split holds no message with a confidence.")
    figure = new_figure(5.0)
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 1))
    _draw_reliability(top, bins)
    _draw_confidence_counts(below, bins)
    lowest = bins.index.min() / 10
    top.set_xlim(lowest - 0.01, 1.01)
    percent_axis(below.xaxis)
    return figure


def confidence_bins(test: pd.DataFrame) -> pd.DataFrame:
    """Messages, mean confidence and share correct for each tenth of confidence that occurs."""
    columns = {column: place for place, column in enumerate(test.columns)}
    places = [columns[f"p_{predicted}"] for predicted in test["predicted"]]
    confidence = np.array([test.iat[row, place] for row, place in enumerate(places)], dtype=float)
    table = pd.DataFrame({"confidence": confidence, "correct": test["label"] == test["predicted"]})
    table = table[np.isfinite(table["confidence"])]
    tenth = np.clip((table["confidence"] * 10).astype(int), 0, 9)
    return table.groupby(tenth).agg(
        n=("correct", "size"), confidence=("confidence", "mean"), correct=("correct", "mean")
    )


def wilson_interval(share: pd.Series, n: pd.Series) -> tuple[pd.Series, pd.Series]:
    """The 95 % score interval of a share observed among n."""
    centre = share + Z_95**2 / (2 * n)
    spread = Z_95 * np.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n**2))
    scale = 1 + Z_95**2 / n
    return (centre - spread) / scale, (centre + spread) / scale


def _draw_reliability(axes: Axes, bins: pd.DataFrame) -> None:
    low, high = wilson_interval(bins["correct"], bins["n"])
    errors = np.clip([bins["correct"] - low, high - bins["correct"]], 0, None)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=DOTTED, label="calibrated")
    axes.errorbar(
        bins["confidence"],
        bins["correct"],
        errors,
        fmt="o-",
        color=BLUE,
        capsize=3,
        label="observed, with 95 % interval",
    )
    gap = ((bins["correct"] - bins["confidence"]).abs() * bins["n"]).sum() / bins["n"].sum()
    axes.set_ylim(-0.03, 1.03)
    percent_axis(axes.yaxis)
    axes.set(
        title=f"Calibration, test split (expected calibration error {percent(gap)})",
        ylabel="share correct",
    )
    axes.legend(loc="lower right")


def _draw_confidence_counts(axes: Axes, bins: pd.DataFrame) -> None:
    bars = axes.bar(bins.index / 10 + 0.05, bins["n"], width=0.094, color=SKY)
    axes.bar_label(bars, [f"{n:,}" for n in bins["n"]], padding=2)
    axes.set_ylim(0, 1.35 * bins["n"].max())
    plain_axis(axes.yaxis)
    axes.set(xlabel="confidence in the predicted class", ylabel="messages")


def baseline_comparison(metrics_json: Path, output: Path) -> None:
    """Show the test accuracy of this run beside that of simpler methods.

    Reads `metrics.json` (`splits.test` and `baselines`; `accuracy`, `accuracy_ci95`, `n`).
    """
    save(draw_baseline_comparison(_read_json(metrics_json)), output)


@styled
def draw_baseline_comparison(metrics: Mapping) -> Figure:
    methods = _methods(metrics)
    figure = new_figure(1.2 + 0.4 * len(methods))
    axes = figure.subplots()
    for position, (name, scores) in enumerate(methods.items()):
        _draw_accuracy_interval(axes, position, scores, BLUE if name == THIS_RUN else GREY)
    lows = [scores["accuracy_ci95"][0] for scores in methods.values() if scores["accuracy_ci95"]]
    axes.set_xlim(max(0, min(lows, default=0) - 0.03), 1.01)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_yticks(range(len(methods)), methods)
    percent_axis(axes.xaxis)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set(title="Test accuracy", xlabel="share of test messages correct, with 95 % interval")
    return figure


def _methods(metrics: Mapping) -> dict[str, Mapping]:
    """This run first, then the baselines it is to be measured against, the strongest idea first."""
    baselines = metrics.get("baselines", {})
    known = [name for name in BASELINE_NAMES if name in baselines]
    others = [name for name in baselines if name not in BASELINE_NAMES]
    methods = {_readable(name): baselines[name] for name in known + others}
    return {THIS_RUN: metrics["splits"]["test"]} | methods


def _draw_accuracy_interval(axes: Axes, position: int, scores: Mapping, colour: str) -> None:
    accuracy, words = scores["accuracy"], "not available"
    if accuracy is not None:
        correct = round(accuracy * scores["n"])
        words = f"{percent(accuracy)}: {correct:,} of {scores['n']:,}"
        axes.plot(accuracy, position, "o", color=colour, markersize=8)
    if scores["accuracy_ci95"]:
        axes.plot(scores["accuracy_ci95"], [position, position], color=colour, linewidth=2.4)
    axes.text(
        1.02, position, words, transform=axes.get_yaxis_transform(), va="center", color=colour
    )
