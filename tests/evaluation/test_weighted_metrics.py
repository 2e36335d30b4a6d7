"""Metrics of weighted messages equal scikit-learn's, and those of the messages repeated."""

import numpy as np
import pytest
from evaluation_samples import by_scikit_learn, samples
from hypothesis import given, settings
from hypothesis import strategies as st
from loralab.evaluation.metrics import SCALARS, evaluate
from loralab.evaluation.weighted_metrics import message_terms, weighted_metrics

NAMES = list("abcd")


def drawn_weights(n: int, seed: int, whole: bool) -> np.ndarray:
    """Three weightings (3, n), zeros among them."""
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 4, (3, n)).astype(float)
    counts[:, generator.integers(n)] += 1  # not all zero
    return counts if whole else counts * generator.random((3, n))


@settings(max_examples=40)
@given(samples(), st.integers(0, 10**6))
def test_whole_weights_are_messages_repeated(sample, seed):
    probabilities, truth = sample
    weights = drawn_weights(len(truth), seed, whole=True)
    found = weighted_metrics(message_terms(probabilities, truth), weights)
    for row, repeats in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(len(truth)), repeats)
        expected = evaluate(probabilities[rows], truth[rows], NAMES[: probabilities.shape[1]])
        for name in SCALARS:
            value = np.nan if expected[name] is None else expected[name]
            assert found[name][row] == pytest.approx(value, abs=1e-12, nan_ok=True), name


@pytest.mark.filterwarnings("ignore:.*y_true.*:UserWarning", "ignore:A single label:UserWarning")
@settings(max_examples=40)
@given(samples(), st.integers(0, 10**6))
def test_any_weights_are_scikit_learns_sample_weights(sample, seed):
    probabilities, truth = sample
    weights = drawn_weights(len(truth), seed, whole=False)
    found = weighted_metrics(message_terms(probabilities, truth), weights)
    for row, weight in enumerate(weights):
        for name, expected in by_scikit_learn(probabilities, truth, weight).items():
            value = np.nan if expected is None else expected
            assert found[name][row] == pytest.approx(value, abs=1e-9, nan_ok=True), name


def test_every_scalar_metric_is_there_and_no_other():
    sample = np.array([[0.8, 0.2], [0.3, 0.7]]), np.array([0, 1])
    whole = evaluate(*sample, ["a", "b"])
    assert {name for name, value in whole.items() if isinstance(value, float)} == set(SCALARS)
    assert set(weighted_metrics(message_terms(*sample), np.ones((1, 2)))) == set(SCALARS)


def test_single_precision_puts_messages_in_the_same_tenth():
    edges = np.float32([[0.3, 0.7], [0.4, 0.6], [0.1, 0.9], [0.2, 0.8]])
    truth = np.array([1, 0, 1, 0])
    found = weighted_metrics(message_terms(edges, truth), np.ones((1, 4)))
    assert found["ece"][0] == pytest.approx(evaluate(edges, truth, ["a", "b"])["ece"], abs=1e-6)
