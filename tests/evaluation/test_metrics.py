"""Metrics held to values worked out by hand, and to scikit-learn, scipy and statsmodels."""

import json

import numpy as np
import pytest
from evaluation_samples import by_scikit_learn, calibration_error, samples
from hypothesis import given
from hypothesis import strategies as st
from loralab.evaluation.metrics import (
    SCALARS,
    evaluate,
    expected_calibration_error,
    log_loss,
    reliability,
    wilson_interval,
)
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

LABELS = ["ham", "spam"]


def of_spam(*probabilities: float) -> np.ndarray:
    """Rows of two classes from the second's probability."""
    return np.array([[1 - p, p] for p in probabilities])


# Wilson's interval


def test_the_interval_of_293_in_299_is_that_of_the_worked_example():
    assert wilson_interval(293, 299) == pytest.approx([0.95692, 0.99077], abs=5e-6)


@pytest.mark.parametrize("n", [1, 20, 299])
def test_none_and_all_give_intervals_that_end_at_0_and_at_1(n):
    reach = 1.959964**2 / (n + 1.959964**2)
    assert wilson_interval(0, n) == pytest.approx([0, reach], abs=1e-6)
    assert wilson_interval(n, n) == pytest.approx([1 - reach, 1], abs=1e-6)


@pytest.mark.parametrize("n", [1, 2, 40, 299, 5574])  # at 40, rounding oversteps both ends
def test_intervals_equal_scipys_and_stay_within_0_and_1(n):
    for successes in {0, 1, n // 3, n // 2, n - 1, n}:
        expected = binomtest(successes, n).proportion_ci(confidence_level=0.95, method="wilson")
        low, high = wilson_interval(successes, n)
        assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
        assert 0 <= low < high <= 1


@given(st.integers(1, 30_000), st.floats(0, 1))
def test_intervals_equal_statsmodels(n, share):
    successes = round(share * n)
    expected = proportion_confint(successes, n, alpha=0.05, method="wilson")
    assert wilson_interval(successes, n) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("labels", [LABELS, ["a", "b", "c"]])
def test_of_no_messages_nothing_is_known(labels):
    assert wilson_interval(0, 0) == [0.0, 1.0]
    found = evaluate(np.zeros((0, len(labels))), np.zeros(0, int), labels)
    assert json.dumps(found, allow_nan=False)
    assert {found[name] for name in SCALARS} == {None}
    assert (found["n"], found["accuracy_ci95"], found["reliability"]) == (0, [0.0, 1.0], [])
    assert found["confusion"]["a" if "a" in labels else "ham"] == dict.fromkeys(labels, 0)
    some = evaluate(np.full((1, len(labels)), 1 / len(labels)), np.zeros(1, int), labels)
    assert set(some) == set(found)


def test_the_interval_of_none_or_all_ends_at_exactly_none_or_all():
    for n in range(1, 400):
        assert wilson_interval(0, n)[0] == 0.0
        assert wilson_interval(n, n)[1] == 1.0


# Two classes. Spam is the positive one: by ham, precision would be 5/7 and recall 5/6.

TRUTH = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
PROBABILITIES = of_spam(0.9, 0.6, 0.3, 0.2, 0.7, 0.4, 0.35, 0.1, 0.05, 0.02)


@pytest.fixture
def two() -> dict:
    return evaluate(PROBABILITIES, TRUTH, LABELS)


def test_the_second_label_is_the_positive_class(two):
    assert (two["n"], two["accuracy"]) == (10, 0.7)
    assert two["accuracy_ci95"] == wilson_interval(7, 10)
    assert (two["precision"], two["recall"]) == pytest.approx((2 / 3, 2 / 4))
    assert two["f1"] == pytest.approx(4 / 7)


def test_roc_auc_is_the_share_of_pairs_in_the_right_order(two):
    assert two["roc_auc"] == pytest.approx((6 + 5 + 3 + 3) / 24)


def test_average_precision_is_the_mean_precision_at_each_spam(two):
    assert two["average_precision"] == pytest.approx((1 / 1 + 2 / 3 + 3 / 6 + 4 / 7) / 4)


def test_rows_of_the_confusion_are_the_true_labels_and_columns_the_predicted(two):
    assert two["confusion"] == {"ham": {"ham": 5, "spam": 1}, "spam": {"ham": 2, "spam": 2}}


def test_brier_of_two_classes_is_the_mean_square_of_the_positive_ones_error(two):
    spam = 0.1**2 + 0.4**2 + 0.7**2 + 0.8**2
    ham = 0.7**2 + 0.4**2 + 0.35**2 + 0.1**2 + 0.05**2 + 0.02**2
    assert two["brier"] == pytest.approx((spam + ham) / 10)


def test_mcc_is_the_correlation_of_labels_with_predictions(two):
    assert two["mcc"] == pytest.approx((5 * 2 - 2 * 1) / np.sqrt(7 * 6 * 4 * 3))


def test_log_loss_is_the_mean_logarithm_of_what_the_truth_was_given(two):
    given_truth = [0.9, 0.6, 0.3, 0.2, 0.3, 0.6, 0.65, 0.9, 0.95, 0.98]
    assert two["log_loss"] == pytest.approx(-np.log(given_truth).mean())


def test_a_truth_of_no_probability_is_dear_but_not_endlessly():
    found = log_loss(of_spam(1.0, 0.0), np.array([0, 0]))
    assert found == pytest.approx(-np.log(np.finfo(float).eps) / 2)
    assert str(log_loss(of_spam(1.0), np.array([1]))) == "0.0"


# Any split, against scikit-learn


@pytest.mark.filterwarnings("ignore:.*y_true.*:UserWarning", "ignore:A single label:UserWarning")
@given(samples())
def test_every_metric_equals_scikit_learns(sample):
    probabilities, truth = sample
    found = evaluate(probabilities, truth, list("abcd")[: probabilities.shape[1]])
    for name, expected in by_scikit_learn(probabilities, truth).items():
        assert found[name] == pytest.approx(expected, abs=1e-12), name
    assert found["ece"] == pytest.approx(calibration_error(probabilities, truth), abs=1e-12)


# Calibration, as metrics.py defines it: the mean gap between confidence and accuracy over ten
# bins of equal width, each weighted by the messages in it.


def test_calibration_error_is_the_mean_gap_over_ten_bins_by_their_messages():
    probabilities = of_spam(0.95, 0.91, 0.04, 0.85, 0.35)
    truth = np.array([1, 0, 0, 1, 0])
    highest = 3 / 5 * ((0.95 + 0.91 + 0.96) / 3 - 2 / 3)
    assert expected_calibration_error(reliability(probabilities, truth)) == pytest.approx(
        highest + 1 / 5 * (1 - 0.85) + 1 / 5 * (1 - 0.65)
    )
    assert evaluate(probabilities, truth, LABELS)["ece"] == pytest.approx(0.264)


def test_certainty_belongs_to_the_highest_bin():
    found = expected_calibration_error(reliability(of_spam(1.0, 0.95), np.array([0, 1])))
    assert found == pytest.approx((1.0 + 0.95) / 2 - 1 / 2)


def test_certain_and_right_is_calibrated():
    bins = reliability(of_spam(1.0, 0.0), np.array([1, 0]))
    assert expected_calibration_error(bins) == 0.0


def test_each_tenth_of_confidence_has_its_messages_and_the_interval_of_its_accuracy():
    bins = reliability(of_spam(0.62, 0.68, 0.05, 1.0), np.array([1, 0, 0, 1]))
    assert [row["tenth"] for row in bins] == [6, 9]
    assert [row["n"] for row in bins] == [2, 2]
    assert [row["confidence"] for row in bins] == pytest.approx([0.65, 0.975])
    assert [row["accuracy"] for row in bins] == [0.5, 1.0]
    assert [row["accuracy_ci95"] for row in bins] == [wilson_interval(1, 2), wilson_interval(2, 2)]


# Three classes

THREE = ["a", "b", "c"]


@pytest.fixture
def three() -> dict:
    rows = [
        *([0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.8, 0.1]),
        *([0.1, 0.2, 0.7], [0.3, 0.1, 0.6], [0.5, 0.1, 0.4]),
    ]
    return evaluate(np.array(rows), np.array([0, 0, 1, 2, 2, 2]), THREE)


def test_of_three_classes_metrics_are_means_over_the_classes(three):
    assert three["accuracy"] == pytest.approx(4 / 6)
    assert three["precision"] == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)
    assert three["recall"] == pytest.approx((1 / 2 + 1 + 2 / 3) / 3)
    assert three["f1"] == pytest.approx((1 / 2 + 2 / 3 + 4 / 5) / 3)
    assert three["roc_auc"] == pytest.approx((6 / 8 + 1 + 1) / 3)
    assert three["average_precision"] == pytest.approx(((1 + 2 / 4) / 2 + 1 + 1) / 3)


def test_brier_of_three_classes_is_the_whole_sum_over_them(three):
    assert three["brier"] == pytest.approx((0.14 + 0.98 + 0.06 + 0.14 + 0.26 + 0.62) / 6)


def test_confusion_of_three_classes_names_them_all(three):
    assert three["confusion"] == {
        "a": {"a": 1, "b": 1, "c": 0},
        "b": {"a": 0, "b": 1, "c": 0},
        "c": {"a": 1, "b": 0, "c": 2},
    }


# Degenerate splits

RANKINGS = ("roc_auc", "average_precision")


def numbers(found: dict) -> list[float]:
    """What must be a share, where it is defined."""
    names = ("accuracy", "precision", "recall", "f1", "brier", "ece")
    return [found[name] for name in names if found[name] is not None]


@pytest.mark.parametrize("only", [0, 1])
@pytest.mark.parametrize("spam", [0.1, 0.9])
@pytest.mark.parametrize("n", [1, 4])
def test_where_one_class_is_absent_rankings_are_none_and_nothing_is_nan(only, spam, n):
    found = evaluate(of_spam(*[spam] * n), np.full(n, only), LABELS)
    assert json.dumps(found, allow_nan=False)
    assert [found[name] for name in RANKINGS] == [None, None]
    assert found["accuracy"] == float((spam > 0.5) == only)
    assert all(0 <= number <= 1 for number in numbers(found))


@pytest.mark.parametrize("spam", [0.1, 0.9])
def test_one_prediction_for_all_ranks_no_better_than_chance(spam):
    found = evaluate(of_spam(*[spam] * 4), np.array([0, 1, 1, 1]), LABELS)
    assert json.dumps(found, allow_nan=False)
    assert (found["roc_auc"], found["average_precision"]) == (0.5, 0.75)
    assert found["accuracy"] == (0.75 if spam > 0.5 else 0.25)
    assert all(0 <= number <= 1 for number in numbers(found))


def test_of_three_classes_one_that_is_absent_makes_the_rankings_none():
    probabilities = np.array([[0.5, 0.2, 0.3], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1]])
    found = evaluate(probabilities, np.array([0, 1, 1]), THREE)
    assert json.dumps(found, allow_nan=False)
    assert [found[name] for name in RANKINGS] == [None, None]
    assert found["confusion"]["c"] == {"a": 0, "b": 0, "c": 0}
    assert (found["accuracy"], found["recall"]) == pytest.approx((1.0, 2 / 3))
