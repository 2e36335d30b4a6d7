"""What the figures say, that they are reproducible, and that odd inputs do not break them."""

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from loralab.reporting import figures
from loralab.reporting.figure_style import class_name, percent, round_numbers, save
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

KINDS = ("attn.q_proj", "attn.k_proj", "attn.v_proj", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")


@pytest.fixture(autouse=True)
def _warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# --- small artifacts ------------------------------------------------------------------------


def messages_table() -> pd.DataFrame:
    texts = ["a" * n for n in (10, 20, 30)] + ["b" * n for n in (100, 140)]
    labels = ["ham"] * 3 + ["spam"] * 2
    return pd.DataFrame({"id": range(5), "label": labels, "text": texts})


def split_summary() -> dict:
    return {
        "messages": 1200,
        "classes": {"ham": 1100, "spam": 100},
        "balanced": 200,
        "splits": {
            "train": {"n": 140, "ham": 70, "spam": 70},
            "test": {"n": 60, "ham": 30, "spam": 30},
        },
        "protocol": "stratified",
        "seed": 123,
    }


def pretraining_log(steps: int = 40) -> pd.DataFrame:
    step = np.arange(1, steps + 1)
    loss = 3 + 4 * np.exp(-step / 10)
    held_out = np.where(step % 10 == 0, loss + 0.1, np.nan)
    return pd.DataFrame(
        {"step": step, "tokens": step * 50_000, "loss": loss, "held_out_loss": held_out}
    )


def plan_table(blocks: int = 4) -> pd.DataFrame:
    rows = [(f"h.{b}.{kind}", 100 * (b + 1)) for b in range(blocks) for kind in KINDS]
    return pd.DataFrame(rows, columns=["module", "parameters"])


def parameter_summary() -> dict:
    before = {"trainable": 163_037_184, "total": 163_037_184}
    return {
        "head_parameters": 1538,
        "language_model": {"trainable": 1_327_104, "total": 164_364_288, "before": before},
        "classifier": {"trainable": 1_328_642, "total": 125_768_450, "before": before},
    }


def gradient_table(blocks: int = 2) -> pd.DataFrame:
    rows = [("wte.weight", False, False, np.nan), ("head.weight", True, True, 12.0)]
    for block in range(blocks):
        rows.append((f"h.{block}.ln_1.weight", False, False, np.nan))
        for kind in KINDS:
            name = f"h.{block}.{kind}"
            rows.append((f"{name}.weight", False, False, np.nan))
            rows.append((f"{name}.bias", False, False, np.nan))
            rows.append((f"{name}.lora_A", True, True, 0.0))
            rows.append((f"{name}.lora_B", True, True, 0.5 + block))
    table = pd.DataFrame(rows, columns=["parameter", "trainable", "gradient", "norm"])
    table.insert(0, "model", "classifier")
    return table


def with_tensor(table: pd.DataFrame, parameter: str, **changes: object) -> pd.DataFrame:
    assert (table["parameter"] == parameter).sum() == 1
    table = table.astype({"trainable": object, "gradient": object})
    table.loc[table["parameter"] == parameter, list(changes)] = list(changes.values())
    return table


def history_table(epochs: int, steps: int) -> pd.DataFrame:
    step = np.arange(1, epochs * steps + 1)
    epoch = (step - 1) // steps + 1
    return pd.DataFrame(
        {"epoch": epoch, "step": step, "loss": 1 / step, "learning_rate": 5e-5 / step}
    )


def epoch_metrics(epochs: int, validation: bool) -> list[dict]:
    return [
        {
            "epoch": epoch,
            "train_loss": 0.5 / epoch,
            "train_accuracy": 1 - 0.1 / epoch,
            "validation_loss": 0.6 / epoch if validation else None,
            "validation_accuracy": 1 - 0.2 / epoch if validation else None,
        }
        for epoch in range(1, epochs + 1)
    ]


def scores(confusion: list[list[int]], labels: list[str]) -> dict:
    counts = np.array(confusion)
    accuracy = counts.trace() / counts.sum() if counts.sum() else None
    return {
        "n": int(counts.sum()),
        "accuracy": accuracy,
        "accuracy_ci95": None if accuracy is None else [accuracy - 0.04, min(accuracy + 0.04, 1)],
        "roc_auc": None,
        "confusion": {
            true: dict(zip(labels, row, strict=True))
            for true, row in zip(labels, confusion, strict=True)
        },
    }


def metrics_summary() -> dict:
    labels = ["ham", "spam"]
    return {
        "labels": labels,
        "positive": "spam",
        "splits": {
            "train": scores([[70, 0], [1, 69]], labels),
            "test": scores([[29, 1], [3, 27]], labels),
        },
        "baselines": {
            "majority": scores([[30, 0], [30, 0]], labels),
            "tfidf": scores([[28, 2], [4, 26]], labels),
            "head_only": scores([[20, 10], [5, 25]], labels),
        },
    }


def predictions_table(probabilities: dict[str, list[float]], labels: list[str]) -> pd.DataFrame:
    table = pd.DataFrame({f"p_{label}": values for label, values in probabilities.items()})
    names = list(probabilities)
    predicted = [names[place] for place in table.to_numpy().argmax(axis=1)]
    front = {"split": "test", "id": range(len(labels)), "label": labels, "predicted": predicted}
    return pd.concat([pd.DataFrame(front), table], axis="columns")


def spam_predictions(spam: list[float], labels: list[str]) -> pd.DataFrame:
    return predictions_table({"ham": [1 - p for p in spam], "spam": spam}, labels)


def good_predictions() -> pd.DataFrame:
    return spam_predictions([0.1, 0.2, 0.6, 0.55, 0.9, 0.95], ["ham"] * 3 + ["spam"] * 3)


def baselines_of(predictions: pd.DataFrame) -> pd.DataFrame:
    renamed = predictions.rename(columns={"split": "baseline"})
    names = ("majority", "tfidf", "head_only")
    return pd.concat([renamed.assign(baseline=name) for name in names])


# --- reading what was drawn ---------------------------------------------------------------


def as_csv(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False)
    return path


def as_json(content: object, path: Path) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def texts(figure: Figure) -> str:
    """Everything the figure says, drawn once so that tick labels and warnings appear."""
    figure.canvas.draw()
    return "\n".join(text.get_text() for text in figure.findobj(Text) if text.get_visible())


def axis_labels(figure: Figure) -> set[str]:
    return {label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel())}


def all_figures(folder: Path) -> dict[str, Callable[[Path], None]]:
    """Every public function bound to small ordinary artifacts, by name."""
    predictions = as_csv(good_predictions(), folder / "predictions.csv")
    baselines = as_csv(baselines_of(good_predictions()), folder / "baselines.csv")
    metrics = as_json(metrics_summary(), folder / "metrics.json")
    training = as_json({"epoch_metrics": epoch_metrics(3, True)}, folder / "training.json")
    arguments = {
        "message_lengths": [as_csv(messages_table(), folder / "messages.csv")],
        "class_counts": [as_json(split_summary(), folder / "split.json")],
        "pretraining_loss": [as_csv(pretraining_log(), folder / "loss.csv")],
        "parameter_counts": [
            as_csv(plan_table(), folder / "plan.csv"),
            as_json(parameter_summary(), folder / "parameters.json"),
        ],
        "gradient_flow": [as_csv(gradient_table(), folder / "gradients.csv")],
        "training_curves": [as_csv(history_table(3, 20), folder / "history.csv"), training],
        "confusion_matrices": [metrics],
        "roc_curves": [predictions, baselines, "spam"],
        "precision_recall_curves": [predictions, baselines, "spam"],
        "calibration": [predictions],
        "baseline_comparison": [metrics],
    }
    return {
        name: lambda output, name=name, given=given: getattr(figures, name)(*given, output=output)
        for name, given in arguments.items()
    }


FIGURE_NAMES = (
    *("message_lengths", "class_counts", "pretraining_loss", "parameter_counts"),
    *("gradient_flow", "training_curves", "confusion_matrices", "roc_curves"),
    *("precision_recall_curves", "calibration", "baseline_comparison"),
)


# --- files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIGURE_NAMES)
def test_every_figure_is_a_small_opaque_png_with_the_same_bytes_each_time(
    name: str, tmp_path: Path
) -> None:
    draw = all_figures(tmp_path)[name]
    first, second = tmp_path / "first", tmp_path / "second.png"
    draw(first)
    draw(second)
    assert first.read_bytes() == second.read_bytes()
    assert 5_000 < first.stat().st_size < 90_000
    with Image.open(first) as image:
        assert image.format == "PNG"
        assert image.width == 1079
        assert image.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)
        assert not image.info


def test_drawing_leaves_the_settings_of_matplotlib_alone(tmp_path: Path) -> None:
    with matplotlib.rc_context({"font.size": 23}):
        all_figures(tmp_path)["class_counts"](tmp_path / "figure.png")
        assert matplotlib.rcParams["font.size"] == 23


def test_settings_of_the_reader_do_not_change_a_figure(tmp_path: Path) -> None:
    draw = all_figures(tmp_path)["calibration"]
    draw(tmp_path / "plain.png")
    with matplotlib.rc_context({"font.size": 23, "axes.facecolor": "red"}):
        draw(tmp_path / "same.png")
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "same.png").read_bytes()


# --- what they say: data --------------------------------------------------------------------


def test_message_lengths_name_each_class_with_its_count_and_median() -> None:
    said = texts(figures.draw_message_lengths(messages_table()))
    assert "ham: 3 messages, median 20 characters" in said
    assert "spam: 2 messages, median 120 characters" in said


def test_message_lengths_are_shares_that_add_up_to_one_in_each_class() -> None:
    figure = figures.draw_message_lengths(messages_table())
    outlines = [patch.get_data().values for patch in figure.axes[0].patches]
    assert [values.sum() for values in outlines] == pytest.approx([1, 1, 1, 1])
    assert "characters per message (log scale)" in axis_labels(figure)


def test_message_lengths_cope_with_one_empty_message_and_with_none() -> None:
    one = pd.DataFrame({"id": ["1"], "label": ["NA"], "text": [""]})
    assert "NA: 1 messages" in texts(figures.draw_message_lengths(one))
    assert "no messages" in texts(figures.draw_message_lengths(one[:0]))


def test_a_class_named_like_a_missing_value_keeps_its_name(tmp_path: Path) -> None:
    table = messages_table().replace({"label": {"ham": "NA", "spam": "1"}})
    read = figures._read_text_table(as_csv(table, tmp_path / "messages.csv"))
    assert set(read["label"]) == {"NA", "1"}


def test_class_counts_print_the_number_on_every_bar() -> None:
    figure = figures.draw_class_counts(split_summary())
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert list(panels) == ["all read", "balanced", "train", "test"]
    widths = [[bar.get_width() for bar in axes.patches] for axes in panels.values()]
    assert widths == [[1100, 100], [100, 100], [70, 70], [30, 30]]
    numbers = [text.get_text() for text in panels["all read"].texts]
    assert {"1,100", "100", "n = 1,200"} <= set(numbers)


def test_a_bar_of_class_counts_is_as_long_per_message_in_every_panel() -> None:
    figure = figures.draw_class_counts(split_summary())
    figure.canvas.draw()
    scales = [axes.get_xlim()[1] / axes.get_position().width for axes in figure.axes]
    assert scales == pytest.approx([scales[0]] * len(scales), rel=0.01)


def test_class_counts_do_not_say_balanced_of_classes_used_as_they_came() -> None:
    split = split_summary() | {"classes": {"ham": 100, "spam": 100}}
    assert list(figures.counts_by_stage(split)) == ["all read", "used", "train", "test"]


def test_class_counts_show_a_class_that_a_split_lacks_as_zero() -> None:
    split = split_summary()
    del split["splits"]["test"]["spam"]
    assert figures.counts_by_stage(split).loc["spam", "test"] == 0
    texts(figures.draw_class_counts(split))


# --- what they say: models ------------------------------------------------------------------


def test_pretraining_loss_gives_the_last_held_out_loss_and_its_perplexity() -> None:
    figure = figures.draw_pretraining_loss(pretraining_log())
    loss = pretraining_log()["held_out_loss"].iloc[-1]
    assert f"held out: {loss:.3f} nats = perplexity {np.exp(loss):.1f}" in texts(figure)
    assert {"loss (nats per token)", "tokens seen (millions)"} <= axis_labels(figure)


def test_the_perplexity_axis_stands_at_the_exponential_of_the_loss() -> None:
    figure = figures.draw_pretraining_loss(pretraining_log())
    figure.canvas.draw()
    _, right = figure.axes
    shown = [float(label.get_text().replace(",", "")) for label in right.get_yticklabels()]
    assert right.get_ylim() == figure.axes[0].get_ylim()
    assert list(right.get_yticks()) == pytest.approx(np.log(shown), abs=1e-3)


@pytest.mark.parametrize("loss", [0.0, 2.5, 1000.0])
def test_pretraining_loss_copes_with_one_step_and_no_held_out_text(loss: float) -> None:
    log = pretraining_log(1).assign(loss=loss, held_out_loss=np.nan)
    assert "training: " in texts(figures.draw_pretraining_loss(log))


def test_a_diverged_pretraining_is_said_in_words() -> None:
    log = pretraining_log().assign(loss=np.inf)
    assert "no finite loss" in texts(figures.draw_pretraining_loss(log))


def test_parameter_counts_print_what_trains_of_how_many_at_three_moments() -> None:
    said = texts(figures.draw_parameter_counts(plan_table(), parameter_summary()))
    assert "163,037,184 trainable of 163,037,184 (100 %)" in said
    assert "1,327,104 trainable of 164,364,288 (0.81 %)" in said
    assert "1,328,642 trainable of 125,768,450 (1.06 %)" in said
    assert "the classification head has 1,538" in said


def test_parameter_counts_stack_the_modules_of_each_block() -> None:
    figure = figures.draw_parameter_counts(plan_table(), parameter_summary())
    bars = figure.axes[1].patches
    tops = {}
    for bar in bars:
        block = round(bar.get_x() + bar.get_width() / 2)
        tops[block] = max(tops.get(block, 0), bar.get_y() + bar.get_height())
    assert tops == {0: 600, 1: 1200, 2: 1800, 3: 2400}
    assert "6,000 parameters in 24 modules" in texts(figure)
    assert "parameters (thousands)" in axis_labels(figure)


def test_adapter_parameters_outside_the_blocks_have_a_bar_too() -> None:
    outside = pd.DataFrame({"module": ["lm_head"], "parameters": [50]})
    plan = pd.concat([plan_table(1), outside], ignore_index=True)
    said = texts(figures.draw_parameter_counts(plan, parameter_summary()))
    assert "650 parameters" in said
    assert "no block" in said


# --- what they say: gradients ---------------------------------------------------------------


def state_of(table: pd.DataFrame, parameter: str) -> int:
    return figures.tensor_states(table)[list(table["parameter"]).index(parameter)]


def test_the_first_step_reads_as_frozen_zero_and_flowing() -> None:
    table = gradient_table()
    assert state_of(table, "h.0.attn.q_proj.weight") == figures.FROZEN
    assert state_of(table, "h.0.attn.q_proj.lora_A") == figures.ZERO
    assert state_of(table, "h.0.attn.q_proj.lora_B") == figures.FLOWS


@pytest.mark.parametrize(
    ("parameter", "changes", "state"),
    [
        ("h.0.attn.q_proj.lora_B", {"norm": np.nan}, figures.NOT_FINITE),
        ("h.0.attn.q_proj.lora_B", {"norm": np.inf}, figures.NOT_FINITE),
        ("h.0.attn.q_proj.weight", {"gradient": True, "norm": 0.3}, figures.LEAKS),
        ("h.0.attn.q_proj.lora_A", {"gradient": False, "norm": np.nan}, figures.MISSING),
        ("head.weight", {"norm": np.nan}, figures.NOT_FINITE),
    ],
)
def test_a_gradient_that_breaks_the_rules_is_shown_in_a_colour_of_its_own(
    parameter: str, changes: dict, state: int
) -> None:
    table = with_tensor(gradient_table(), parameter, **changes)
    assert state_of(table, parameter) == state
    figure = figures.draw_gradient_flow(table)
    assert f"{figures.STATE_NAMES[state]}: 1 tensor" in texts(figure)
    colour = matplotlib.colors.to_rgba(figures.STATE_COLOURS[state])
    assert colour in [patch.get_facecolor() for axes in figure.axes for patch in axes.patches]


def test_lawful_gradients_show_no_colour_of_warning() -> None:
    figure = figures.draw_gradient_flow(gradient_table())
    said = texts(figure)
    for state in (figures.MISSING, figures.LEAKS, figures.NOT_FINITE):
        assert figures.STATE_NAMES[state] not in said
    assert "gradient exactly zero: 12 tensors" in said
    assert "gradient flows: 13 tensors" in said
    assert "frozen, no gradient: 27 tensors" in said


def test_one_bad_tensor_marks_the_cell_it_shares_with_good_ones() -> None:
    changes = {"gradient": True, "norm": 0.3}
    table = with_tensor(gradient_table(), "h.1.mlp.c_fc.weight", **changes)
    cells = figures.gradient_cells(table.assign(state=figures.tensor_states(table)))
    marked = cells[cells["state"] == figures.LEAKS]
    assert list(marked["row"] + " " + marked["block"]) == ["base weights 1"]


def test_tensors_outside_the_blocks_are_given_in_words_with_their_norm() -> None:
    said = texts(figures.draw_gradient_flow(gradient_table()))
    assert "head" in said.split("\n")
    assert "norm 12" in said


def test_gradient_flow_copes_with_nothing_trainable_and_with_no_rows() -> None:
    frozen = gradient_table().assign(trainable=False, gradient=False, norm=np.nan)
    assert "gradient flows" not in texts(figures.draw_gradient_flow(frozen))
    assert "No gradients" in texts(figures.draw_gradient_flow(frozen[:0]))


# --- what they say: training ----------------------------------------------------------------


def test_training_curves_place_the_epochs_at_their_last_step() -> None:
    epochs = pd.DataFrame(epoch_metrics(3, True))
    figure = figures.draw_training_curves(history_table(3, 20), epochs)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert list(lines["validation, after epoch"].get_xdata()) == [20, 40, 60]
    assert list(lines["validation, after epoch"].get_ydata()) == pytest.approx([0.6, 0.3, 0.2])
    assert {"cross-entropy (nats)", "optimiser step", "epoch", "share correct"} <= axis_labels(
        figure
    )


def test_the_learning_rate_axis_carries_its_power_of_ten() -> None:
    epochs = pd.DataFrame(epoch_metrics(1, False))
    figure = figures.draw_training_curves(history_table(1, 20), epochs)
    assert "learning rate (10⁻⁵)" in axis_labels(figure)
    figure.canvas.draw()
    ticks = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert "5" in ticks


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 10), (5, 1000)])
def test_training_curves_without_validation_do_not_mention_it(epochs: int, steps: int) -> None:
    measured = pd.DataFrame(epoch_metrics(epochs, False))
    said = texts(figures.draw_training_curves(history_table(epochs, steps), measured))
    assert "validation" not in said
    assert "train, after epoch" in said


def test_training_curves_cope_with_a_loss_that_is_not_a_number() -> None:
    history = history_table(2, 10).assign(loss=np.nan, learning_rate=0.0)
    texts(figures.draw_training_curves(history, pd.DataFrame(epoch_metrics(2, True))))


# --- what they say: evaluation --------------------------------------------------------------


def test_confusion_matrices_give_counts_and_shares_of_the_true_class() -> None:
    figure = figures.draw_confusion_matrices(metrics_summary())
    cells = [text.get_text() for text in figure.axes[1].texts]
    assert cells[:4] == ["29\n96.7 %", "1\n3.3 %", "3\n10.0 %", "27\n90.0 %"]
    assert "93.3 % of 60 correct" in cells
    assert {"true class", "predicted class"} <= axis_labels(figure)


def test_confusion_matrices_put_the_true_class_in_the_rows() -> None:
    table = figures.confusion_table({"a": {"a": 5, "b": 2}, "b": {"b": 7}}, ["a", "b"])
    assert table.to_numpy().tolist() == [[5, 2], [0, 7]]


def test_confusion_matrices_of_ten_classes_give_counts_and_the_share_found() -> None:
    labels = [f"a class with a long name {number}" for number in range(10)]
    confusion = (8 * np.eye(10, dtype=int) + np.roll(2 * np.eye(10, dtype=int), 1, 1)).tolist()
    splits = {name: scores(confusion, labels) for name in ("train", "validation", "test")}
    figure = figures.draw_confusion_matrices({"labels": labels, "splits": splits})
    said = [text.get_text() for text in figure.axes[2].texts]
    assert said.count("8") == said.count("2") == said.count("80.0 %") == 10
    texts(figure)


def test_confusion_matrices_cope_with_a_class_and_a_split_without_messages() -> None:
    metrics = metrics_summary()
    metrics["splits"]["test"] = scores([[5, 0], [0, 0]], metrics["labels"])
    metrics["splits"]["validation"] = scores([[0, 0], [0, 0]], metrics["labels"])
    assert "empty" in texts(figures.draw_confusion_matrices(metrics))


def read_scores(tmp_path: Path, predictions: pd.DataFrame, positive: str | None) -> dict:
    table = as_csv(predictions, tmp_path / "predictions.csv")
    baselines = as_csv(baselines_of(predictions), tmp_path / "baselines.csv")
    return figures._read_scores(table, baselines, positive)


def test_roc_curves_name_each_method_with_its_area_and_leave_out_the_majority(
    tmp_path: Path,
) -> None:
    curves = read_scores(tmp_path, good_predictions(), "spam")
    said = texts(figures.draw_roc_curves(curves))
    assert "LoRA (this run): 0.8889" in said
    assert "character TF-IDF + logistic regression: 0.8889" in said
    assert "head only: 0.8889" in said
    assert "majority" not in said


def test_precision_recall_curves_give_the_average_precision(tmp_path: Path) -> None:
    curves = read_scores(tmp_path, good_predictions(), "spam")
    figure = figures.draw_precision_recall_curves(curves)
    assert "LoRA (this run): 0.9167" in texts(figure)
    assert {"recall", "precision"} <= axis_labels(figure)


def test_curves_use_the_test_split_only(tmp_path: Path) -> None:
    train = spam_predictions([0.9] * 4, ["ham"] * 4).assign(split="train")
    curves = read_scores(tmp_path, pd.concat([train, good_predictions()]), "spam")
    assert len(curves[figures.THIS_RUN][0]) == 6


def test_the_logarithmic_panel_starts_below_one_false_alarm(tmp_path: Path) -> None:
    figure = figures.draw_roc_curves(read_scores(tmp_path, good_predictions(), "spam"))
    whole, corner = figure.axes[:2]
    assert corner.get_xscale() == "log"
    assert corner.lines[0].get_xdata().min() == pytest.approx(0.5 / 3)
    assert whole.lines[0].get_xdata().min() == 0


def test_with_several_classes_there_is_a_curve_per_class_and_their_mean(tmp_path: Path) -> None:
    probabilities = {"a": [0.8, 0.1, 0.2], "b": [0.1, 0.6, 0.3], "c": [0.1, 0.3, 0.5]}
    predictions = predictions_table(probabilities, ["a", "b", "c"])
    curves = read_scores(tmp_path, predictions, None)
    said = texts(figures.draw_roc_curves(curves))
    assert all(f"{label}: 1.0000" in said for label in "abc")
    assert "each class against the others (mean 1.0000)" in said


DEGENERATE = {
    "one class": spam_predictions([0.2, 0.7, 0.1, 0.3, 0.4], ["ham"] * 5),
    "one prediction": spam_predictions([0.9, 0.8, 0.7], ["ham", "spam", "ham"]),
    "equal probabilities": spam_predictions([0.5] * 4, ["ham", "spam"] * 2),
    "certain": spam_predictions([0.0, 1.0, 1.0], ["ham", "spam", "ham"]),
    "not a number": good_predictions().assign(p_ham=np.nan, p_spam=np.nan),
    "no messages": good_predictions()[:0],
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_predictions_give_figures_and_no_warning(case: str, tmp_path: Path) -> None:
    table = as_csv(DEGENERATE[case], tmp_path / "predictions.csv")
    baselines = as_csv(baselines_of(DEGENERATE[case]), tmp_path / "baselines.csv")
    for positive in ("spam", None):
        figures.roc_curves(table, baselines, positive, tmp_path / "roc.png")
        figures.precision_recall_curves(table, baselines, positive, tmp_path / "pr.png")
    figures.calibration(table, tmp_path / "calibration.png")
    for name in ("roc", "pr", "calibration"):
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.size[0] == 1079


def test_one_class_in_the_test_split_is_said_in_words(tmp_path: Path) -> None:
    curves = read_scores(tmp_path, DEGENERATE["one class"], "spam")
    assert "one class only: no ROC curve" in texts(figures.draw_roc_curves(curves))
    said = texts(figures.draw_precision_recall_curves(curves))
    assert "one class only: no precision-recall curve" in said


def test_calibration_compares_mean_confidence_with_the_share_correct_in_each_tenth() -> None:
    table = spam_predictions([0.62, 0.68, 0.05, 1.0], ["spam", "ham", "ham", "spam"])
    bins = figures.confidence_bins(table)
    assert list(bins.index) == [6, 9]
    assert list(bins["n"]) == [2, 2]
    assert list(bins["confidence"]) == pytest.approx([0.65, 0.975])
    assert list(bins["correct"]) == [0.5, 1.0]
    said = texts(figures.draw_calibration(table))
    assert "expected calibration error 8.8 %" in said


def test_the_wilson_interval_is_the_published_one() -> None:
    low, high = figures.wilson_interval(pd.Series([0.0, 0.5]), pd.Series([10, 10]))
    assert list(low) == pytest.approx([0.0, 0.2366], abs=1e-4)
    assert list(high) == pytest.approx([0.2775, 0.7634], abs=1e-4)


def test_baseline_comparison_counts_the_correct_messages_of_each_method() -> None:
    figure = figures.draw_baseline_comparison(metrics_summary())
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [
        "LoRA (this run)",
        "head only",
        "character TF-IDF + logistic regression",
        "majority class",
    ]
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words == ["93.3 %: 56 of 60", "75.0 %: 45 of 60", "90.0 %: 54 of 60", "50.0 %: 30 of 60"]


def test_baseline_comparison_draws_the_interval_it_was_given() -> None:
    figure = figures.draw_baseline_comparison(metrics_summary())
    spans = [list(line.get_xdata()) for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert spans[0] == pytest.approx([56 / 60 - 0.04, 56 / 60 + 0.04])


def test_baseline_comparison_copes_without_baselines_and_without_messages() -> None:
    metrics = metrics_summary()
    metrics["baselines"] = {}
    metrics["splits"]["test"] = scores([[0, 0], [0, 0]], metrics["labels"])
    assert "not available" in texts(figures.draw_baseline_comparison(metrics))


# --- the shared style -----------------------------------------------------------------------


def test_a_percentage_has_the_digits_that_tell_it_from_none_and_all() -> None:
    assert percent(0) == "0 %"
    assert percent(1) == "100 %"
    assert percent(0.981) == "98.1 %"
    assert percent(0.99996) == "99.996 %"
    assert percent(0.00004) == "0.004 %"


def test_round_numbers_lie_within_their_bounds() -> None:
    assert round_numbers(3, 120) == [5, 10, 20, 50, 100]
    assert round_numbers(0.004, 0.6, steps=(1,)) == [0.01, 0.1]


def test_class_names_are_short_and_printable() -> None:
    assert class_name("spam") == "spam"
    assert class_name("a very long name of a class") == "a very long nam…"
    assert class_name("two\nlines") == "two lines"
    assert class_name("漢") == "□"


@pytest.mark.parametrize("label", ["$5 or $6", "漢字", "_underscore", r"\frac{1}{2}", "%d {0}"])
def test_awkward_class_names_are_drawn_as_they_stand(label: str, tmp_path: Path) -> None:
    metrics = {
        "labels": [label, "ham"],
        "splits": {"test": scores([[3, 1], [0, 4]], [label, "ham"])},
    }
    figure = figures.draw_confusion_matrices(metrics)
    assert class_name(label) in texts(figure)
    table = messages_table().replace({"label": {"spam": label}})
    histogram = figures.draw_message_lengths(table)
    assert f"{class_name(label)}: 2 messages" in texts(histogram)
    save(histogram, tmp_path / "figure.png")
