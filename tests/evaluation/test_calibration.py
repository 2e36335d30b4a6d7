"""Temperature scaling finds the temperature of least log loss, and says where there is none."""

import json

import numpy as np
import pytest
from evaluation_samples import by_scikit_learn, calibration_error, samples, scored
from hypothesis import given
from hypothesis import strategies as st
from loralab.evaluation.calibration import apply_temperature, calibrate, fit_temperature
from scipy.special import log_softmax, softmax

LABELS = ["a", "b", "c", "d"]
TRIED = np.geomspace(1e-3, 1e3, 61)  # 1 among them


def losses(probabilities, truth):
    """Log loss at each temperature tried, by scipy and with nothing clipped at its end."""
    logits = np.log(np.maximum(probabilities, np.finfo(float).tiny))
    rows = np.arange(len(truth))
    return np.array([-log_softmax(logits / t, axis=1)[rows, truth].mean() for t in TRIED])


def overconfident(n, labels, seed, factor):
    """Labels drawn from probabilities, which are then given `factor` times as sure."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(n, labels), scale=1.5)
    shares = softmax(logits, axis=1)
    truth = (shares.cumsum(axis=1) < generator.random((n, 1))).sum(axis=1)
    return softmax(factor * logits, axis=1), truth


@given(st.integers(0, 10**6), st.floats(0.05, 20))
def test_it_divides_logits(seed, temperature):
    logits = np.random.default_rng(seed).normal(size=(6, 3), scale=4)
    found = apply_temperature(softmax(logits, axis=1), temperature)
    np.testing.assert_allclose(found, softmax(logits / temperature, axis=1), rtol=1e-9)


def test_a_probability_of_0_stays_the_least_and_rows_add_up_to_1():
    found = apply_temperature(np.array([[0.0, 0.25, 0.75]], np.float32), 2.0)
    assert found.sum() == pytest.approx(1)
    assert 0 <= found[0, 0] < 1e-100
    assert found[0, 1] / found[0, 2] == pytest.approx(np.sqrt(1 / 3))


@pytest.mark.parametrize("labels", [2, 4])
@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_that_labels_were_drawn_at_is_found(labels, factor):
    found = fit_temperature(*overconfident(20_000, labels, 1, factor))
    assert found.value == pytest.approx(factor, rel=0.05)


@given(samples())
def test_no_temperature_has_a_lower_log_loss_than_the_one_fitted(sample):
    probabilities, truth = sample
    found = fit_temperature(*sample)
    tried = losses(*sample)
    if found.value is not None:
        own = losses(apply_temperature(probabilities, found.value), truth)[30]
        assert own <= tried.min() + 1e-9
    elif "guessing" in found.reason:
        assert (np.diff(tried) <= 1e-12).all()
    elif "are right" in found.reason:
        assert (np.diff(tried) >= -1e-12).all()
    else:
        assert len(np.unique(truth)) == 1


def test_what_was_fitted_on_is_said():
    probabilities, truth = overconfident(500, 2, 1, 3.0)
    wrong = (probabilities.argmax(axis=1) != truth).sum()
    found = fit_temperature(probabilities, truth)
    assert found.reason == f"fitted on 500 validation messages, of which {wrong} are wrong"


TWO = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])


@pytest.mark.parametrize(
    ("probabilities", "truth", "reason"),
    [
        (None, None, "there are no validation messages"),
        (TWO[:0], [], "there are no validation messages"),
        (TWO, [0, 0, 0], r"validation has one label alone \(3 messages\)"),
        (TWO, [0, 1, 0], "all 3 validation messages are right"),
        (TWO, [1, 0, 1], "no better than guessing"),
        (np.full((3, 2), 0.5), [0, 1, 1], "no better than guessing"),
        (np.tile([0.9, 0.1], (5, 1)), [0, 1, 1, 0, 1], "no better than guessing"),
    ],
)
def test_where_log_loss_has_no_least_a_sentence_says_why(probabilities, truth, reason):
    truth = None if truth is None else np.array(truth, int)
    found = fit_temperature(probabilities, truth)
    assert found.value is None
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found.reason)
    test = scored(30, 2, 1)
    whole = calibrate((probabilities, truth), test, LABELS[:2])
    assert json.dumps(whole, allow_nan=False)
    assert (whole["temperature"], whole["reason"], whole["after"]) == (None, found.reason, None)
    assert whole["before"]["brier"] == pytest.approx(by_scikit_learn(*test)["brier"])


@pytest.mark.parametrize("labels", [2, 3])
def test_before_and_after_on_test_are_scikit_learns(labels):
    validation, test = (overconfident(800, labels, seed, 3.0) for seed in (1, 2))
    found = calibrate(validation, test, LABELS[:labels])
    assert json.dumps(found, allow_nan=False)
    scaled = softmax(np.log(test[0]) / found["temperature"], axis=1)
    for key, probabilities in (("before", test[0]), ("after", scaled)):
        expected = by_scikit_learn(probabilities, test[1])
        expected["ece"] = calibration_error(probabilities, test[1])
        for name, value in found[key].items():
            assert value == pytest.approx(expected[name], abs=1e-9), (key, name)
    assert all(found["after"][name] < found["before"][name] for name in found["before"])


def test_test_messages_have_no_say_in_the_temperature():
    validation = overconfident(200, 2, 1, 3.0)
    tests = [overconfident(100, 2, 2, factor) for factor in (0.3, 3.0)]
    tests.append((np.zeros((0, 2)), np.zeros(0, int)))
    found = [calibrate(validation, test, LABELS[:2]) for test in tests]
    assert len({row["temperature"] for row in found}) == 1
    assert found[2]["before"] == found[2]["after"] == dict.fromkeys(("ece", "brier", "log_loss"))
