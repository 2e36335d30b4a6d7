"""What the figures of the evaluation say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from figure_samples import (
    as_csv,
    axis_labels,
    baselines_of,
    good_predictions,
    metrics_summary,
    predictions_table,
    scores,
    spam_predictions,
    texts,
)
from loralab.reporting import (
    calibration_figures,
    evaluation_figures,
    inputs,
    ranking_figures,
)
from PIL import Image


def test_confusion_matrices_give_counts_and_shares_of_the_true_class() -> None:
    figure = evaluation_figures.draw_confusion_matrices(metrics_summary())
    cells = [text.get_text() for text in figure.axes[1].texts]
    assert cells[:4] == ["29\n96.7 %", "1\n3.3 %", "3\n10.0 %", "27\n90.0 %"]
    assert "93.3 % of 60 correct" in cells
    assert {"true class", "predicted class"} <= axis_labels(figure)


def test_confusion_matrices_put_the_true_class_in_the_rows() -> None:
    table = evaluation_figures.confusion_table({"a": {"a": 5, "b": 2}, "b": {"b": 7}}, ["a", "b"])
    assert table.to_numpy().tolist() == [[5, 2], [0, 7]]


def test_confusion_matrices_of_ten_classes_give_counts_and_the_share_found() -> None:
    labels = [f"a class with a long name {number}" for number in range(10)]
    confusion = (8 * np.eye(10, dtype=int) + np.roll(2 * np.eye(10, dtype=int), 1, 1)).tolist()
    splits = {name: scores(confusion, labels) for name in ("train", "validation", "test")}
    figure = evaluation_figures.draw_confusion_matrices({"labels": labels, "splits": splits})
    said = [text.get_text() for text in figure.axes[2].texts]
    assert said.count("8") == said.count("2") == said.count("80.0 %") == 10
    texts(figure)


def test_confusion_matrices_cope_with_a_class_and_a_split_without_messages() -> None:
    metrics = metrics_summary()
    metrics["splits"]["test"] = scores([[5, 0], [0, 0]], metrics["labels"])
    metrics["splits"]["validation"] = scores([[0, 0], [0, 0]], metrics["labels"])
    assert "empty" in texts(evaluation_figures.draw_confusion_matrices(metrics))


def read_scores(tmp_path: Path, predictions: pd.DataFrame, positive: str | None) -> dict:
    table = as_csv(predictions, tmp_path / "predictions.csv")
    baselines = as_csv(baselines_of(predictions), tmp_path / "baselines.csv")
    return ranking_figures.read_scores(table, baselines, positive)


def test_roc_curves_name_each_method_with_its_area_and_leave_out_the_majority(
    tmp_path: Path,
) -> None:
    curves = read_scores(tmp_path, good_predictions(), "spam")
    said = texts(ranking_figures.draw_roc_curves(curves))
    assert "LoRA (this run): 0.8889" in said
    assert "character TF-IDF + logistic regression: 0.8889" in said
    assert "head only: 0.8889" in said
    assert "majority" not in said


def test_precision_recall_curves_give_the_average_precision(tmp_path: Path) -> None:
    curves = read_scores(tmp_path, good_predictions(), "spam")
    figure = ranking_figures.draw_precision_recall_curves(curves)
    assert "LoRA (this run): 0.9167" in texts(figure)
    assert {"recall", "precision"} <= axis_labels(figure)


def test_curves_use_the_test_split_only(tmp_path: Path) -> None:
    train = spam_predictions([0.9] * 4, ["ham"] * 4).assign(split="train")
    curves = read_scores(tmp_path, pd.concat([train, good_predictions()]), "spam")
    assert len(curves[inputs.THIS_RUN][0]) == 6


def test_the_logarithmic_panel_starts_below_one_false_alarm(tmp_path: Path) -> None:
    figure = ranking_figures.draw_roc_curves(read_scores(tmp_path, good_predictions(), "spam"))
    whole, corner = figure.axes[:2]
    assert corner.get_xscale() == "log"
    assert corner.lines[0].get_xdata().min() == pytest.approx(0.5 / 3)
    assert whole.lines[0].get_xdata().min() == 0


def test_with_several_classes_there_is_a_curve_per_class_and_their_mean(tmp_path: Path) -> None:
    probabilities = {"a": [0.8, 0.1, 0.2], "b": [0.1, 0.6, 0.3], "c": [0.1, 0.3, 0.5]}
    predictions = predictions_table(probabilities, ["a", "b", "c"])
    curves = read_scores(tmp_path, predictions, None)
    said = texts(ranking_figures.draw_roc_curves(curves))
    assert all(f"{label}: 1.0000" in said for label in "abc")
    assert "each class against the others (mean 1.0000)" in said


def test_a_class_that_is_absent_leaves_no_mean_over_the_classes(tmp_path: Path) -> None:
    probabilities = {"a": [0.8, 0.1, 0.2], "b": [0.1, 0.6, 0.3], "c": [0.1, 0.3, 0.5]}
    curves = read_scores(tmp_path, predictions_table(probabilities, ["a", "b", "b"]), None)
    for draw in (ranking_figures.draw_roc_curves, ranking_figures.draw_precision_recall_curves):
        said = texts(draw(curves))
        assert "each class against the others" in said and "mean" not in said


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
        ranking_figures.roc_curves(table, baselines, positive, tmp_path / "roc.png")
        ranking_figures.precision_recall_curves(table, baselines, positive, tmp_path / "pr.png")
    for name in ("roc", "pr"):
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.size[0] == 1079


def test_one_class_in_the_test_split_is_said_in_words(tmp_path: Path) -> None:
    curves = read_scores(tmp_path, DEGENERATE["one class"], "spam")
    assert "one class only: no ROC curve" in texts(ranking_figures.draw_roc_curves(curves))
    said = texts(ranking_figures.draw_precision_recall_curves(curves))
    assert "one class only: no precision-recall curve" in said


def test_calibration_shows_each_tenth_of_confidence_and_the_error_of_the_metrics() -> None:
    figure = calibration_figures.draw_calibration(metrics_summary()["splits"]["test"])
    said = texts(figure)
    assert "expected calibration error 8.8 %" in said
    assert "\n2\n" in f"\n{said}\n" and "\n58\n" in f"\n{said}\n"
    (observed,) = [c for c in figure.axes[0].containers if c.get_label().startswith("observed")]
    assert observed[0].get_xdata().tolist() == [0.65, 0.975]
    assert observed[0].get_ydata().tolist() == [0.5, 1.0]


def test_no_confidence_at_all_is_said_in_words() -> None:
    figure = calibration_figures.draw_calibration({"reliability": [], "ece": None})
    assert "no message with a confidence" in texts(figure)


def test_baseline_comparison_counts_the_correct_messages_of_each_method() -> None:
    figure = evaluation_figures.draw_baseline_comparison(metrics_summary())
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [
        "LoRA (this run)",
        "majority class",
        "character TF-IDF + logistic regression",
        "head only",
    ]
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words == ["93.3 %: 56 of 60", "50.0 %: 30 of 60", "90.0 %: 54 of 60", "75.0 %: 45 of 60"]


def test_baseline_comparison_draws_the_interval_it_was_given() -> None:
    figure = evaluation_figures.draw_baseline_comparison(metrics_summary())
    spans = [list(line.get_xdata()) for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert spans[0] == pytest.approx([56 / 60 - 0.04, 56 / 60 + 0.04])


def test_baseline_comparison_copes_without_baselines_and_without_messages() -> None:
    metrics = metrics_summary()
    metrics["baselines"] = {}
    metrics["splits"]["test"] = scores([[0, 0], [0, 0]], metrics["labels"])
    assert "not available" in texts(evaluation_figures.draw_baseline_comparison(metrics))
