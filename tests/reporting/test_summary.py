"""The first page and the section Evaluation: sentences that the numbers bear out."""

import numpy as np
import pytest
from loralab.evaluation.calibration import calibrate
from loralab.evaluation.comparison import compare_all
from loralab.evaluation.metrics import evaluate
from loralab.evaluation.operating_point import operating_point
from loralab.evaluation.resampling import bootstrap_intervals
from loralab.reporting.evaluation_section import (
    METRICS,
    baseline_rows,
    comparison_rows,
    evaluation_sentences,
    moves,
)
from loralab.reporting.summary import summary
from sweep_samples import sweep_summary

LABELS = ["ham", "spam"]
TRUTH = np.arange(60) % 2
SETTINGS = {"base": {"name": "gpt2"}}


def answers(wrong: int) -> np.ndarray:
    """Probabilities that get the first messages wrong."""
    right = np.arange(60) >= wrong
    of_spam = np.where(right == (TRUTH == 1), 0.9, 0.2)
    return np.column_stack([1 - of_spam, of_spam])


def measured(own: int, **baselines: int) -> dict:
    """What the stage `evaluate` writes of systems with so many errors."""
    systems = {"adapter": answers(own), **{name: answers(n) for name, n in baselines.items()}}
    pairs = [("adapter", name) for name in baselines]
    rows = compare_all(systems, TRUTH, LABELS, 1, pairs)
    found = {name: evaluate(p, TRUTH, LABELS) for name, p in systems.items()}
    test = found["adapter"] | {"bootstrap": bootstrap_intervals(answers(own), TRUTH, LABELS, 1)}
    validation = answers(3), TRUTH
    return {
        "labels": LABELS,
        "positive": "spam",
        "splits": {"test": test},
        "baselines": {name: found[name] for name in baselines},
        "comparisons": {row["second"]: {**row, **row["mcnemar"]} for row in rows},
        "calibration": calibrate(validation, (answers(own), TRUTH), LABELS),
        "operating_point": operating_point(validation, (answers(own), TRUTH), LABELS, 0.1),
    }


def page(metrics: dict, leaked: int = 0, sweep: dict | None = None, stressed: bool = True) -> dict:
    twins = {"exact": {"n": 0, "share": 0.0}, "near": {"n": leaked, "share": leaked / 60}}
    every = {"n": 188, "systems": {"adapter": {"right": 94}}}
    found = {"metrics": metrics, "split": {"leakage": twins}, "sweep": sweep}
    return summary(found | {"robustness": {"stress": [every] if stressed else []}}, SETTINGS)


def test_what_was_found_names_the_best_baseline_and_its_test():
    found = page(measured(2, majority=30, tfidf_words=20))["found"]
    assert found.startswith("58 of 60 test messages are classified rightly, 96.7 %.")
    assert "best of 2 baselines by accuracy is word TF-IDF + logistic regression, 66.7 %" in found
    assert "the adapter is better by 30.0 points (exact McNemar p < 0.001" in found


def test_a_better_baseline_is_called_better():
    assert "the adapter is worse by 30.0 points" in page(measured(20, tfidf_words=2))["found"]


def test_a_difference_that_no_test_finds_is_not_claimed():
    found = page(measured(2, tfidf_words=3))["found"]
    assert "these messages do not tell it from the adapter (exact McNemar p = 1.000" in found
    assert "better" not in found


def test_no_baseline_is_said():
    assert "No baseline was measured" in page(measured(2))["found"]


def test_memory_is_named_where_messages_leak():
    sure = page(measured(2), leaked=6)["sure"]
    assert any("6 test messages (10.0 %) have a twin in train (`near`)" in s for s in sure)
    assert any("No test message has a twin" in s for s in page(measured(2))["sure"])


def test_texts_of_other_kinds_are_another_matter():
    words = "of 188 that were written to be hard it has 94 right, 50.0 %"
    assert any(words in sentence for sentence in page(measured(2))["sure"])
    assert not [s for s in page(measured(2), stressed=False)["sure"] if "hard" in s]


def test_one_training_is_called_one_training():
    assert "It is one training" in page(measured(2))["sure"][-1]
    assert "It is one training" in page(measured(2), sweep=sweep_summary(seeds=1))["sure"][-1]
    assert page(measured(2), sweep=sweep_summary(seeds=3))["sure"][-1].startswith(
        "Over 3 seeds the mean accuracy is 92.0 %, with a standard deviation of 1.0 points"
    )


def test_of_several_labels_all_are_named():
    metrics = measured(2) | {"labels": ["a", "b", "c"]}
    assert "the classes `a`, `b`, `c` apart" in page(metrics)["asked"]


# Evaluation


def test_every_metric_has_its_value_and_its_interval():
    metrics = measured(10)
    rows = {row["name"]: row for row in moves(metrics["splits"]["test"])}
    assert list(rows) == list(METRICS.values())
    low, high = metrics["splits"]["test"]["bootstrap"]["intervals"]["f1"]
    assert rows["F1"]["interval"] == f"{low:.3f} to {high:.3f}"


def test_a_remark_is_told_where_there_is_no_interval():
    truth = np.zeros(60, int)
    found = evaluate(answers(4), truth, LABELS)
    bootstrap = bootstrap_intervals(answers(4), truth, LABELS, 1)
    rows = {row["name"]: row for row in moves(found | {"bootstrap": bootstrap})}
    assert rows["ROC AUC"]["interval"] == "–"
    assert "no message is labelled spam" in rows["ROC AUC"]["remark"]


def test_differences_are_in_points():
    (row,) = comparison_rows(measured(2, tfidf_words=20)["comparisons"])
    assert row["difference"] == pytest.approx(0.3)
    assert row["interval"].endswith(" points")


def test_temperature_is_told_with_what_it_changes():
    sentence = evaluation_sentences(measured(10))["calibration"]
    assert "Temperature scaling (fitted on 60 validation messages" in sentence
    metrics = measured(10)
    metrics["calibration"] = calibrate((None, None), (answers(10), TRUTH), LABELS)
    assert "was not applied" in evaluation_sentences(metrics)["calibration"]


def test_the_operating_point_is_told_with_its_counts():
    sentence = evaluation_sentences(measured(10))["operating_point"]
    assert "was chosen on validation" in sentence
    assert "of the messages labelled `spam`" in sentence
    metrics = measured(10)
    nothing = operating_point((None, None), (answers(10), TRUTH), LABELS, 0.01)
    found = evaluation_sentences(metrics | {"operating_point": nothing})["operating_point"]
    assert found.startswith("At most 1.0 % of false alarms: no threshold is chosen")


def test_what_a_baseline_chose_is_told():
    choice = {
        "setting": "C",
        "value": 10.0,
        "chosen_on": "validation",
        "tried": [{"value": 1.0, "log_loss": 0.4}, {"value": 10.0, "log_loss": 0.3}],
    }
    rows = baseline_rows(
        {
            "majority": {"summary": "Shares.", "choice": None},
            "tfidf_words": {"summary": "Words.", "choice": choice},
        }
    )
    assert rows[0] == {
        "name": "majority class",
        "summary": "Shares.",
        "setting": "–",
        "chosen_on": "–",
    }
    assert rows[1]["setting"] == "C 10, of 2 tried"
