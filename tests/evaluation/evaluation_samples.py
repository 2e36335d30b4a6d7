"""Probabilities and labels to measure, and what scikit-learn says of them."""

import numpy as np
from hypothesis import strategies as st
from sklearn import metrics as sk

SKLEARN_CURVES = ("roc_auc", "average_precision")


def scored(n: int, labels: int, seed: int, levels: int = 1000, pull: float = 1.5):
    """Probabilities (n, labels) that lean to the truth (n,), of so few levels that some tie."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, labels, n)
    logits = generator.normal(size=(n, labels))
    logits[np.arange(n), truth] += pull
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    coarse = np.round(shares * levels)
    coarse[coarse.sum(axis=1) == 0] = 1
    return coarse / coarse.sum(axis=1, keepdims=True), truth


def samples(least: int = 1):
    """Any small split: two to four labels, absent ones too, ties, probabilities of 0."""
    sizes, seeds = st.integers(least, 40), st.integers(0, 10**6)
    levels = st.sampled_from([1, 3, 10, 10**6])
    return st.builds(scored, sizes, st.integers(2, 4), seeds, levels, st.sampled_from([0.0, 2.0]))


def by_scikit_learn(probabilities: np.ndarray, truth: np.ndarray, weights=None) -> dict:
    """Every scalar metric but `ece`; None where a label is absent from what has weight."""
    labels, chosen = probabilities.shape[1], probabilities.argmax(axis=1)
    weights = np.ones(len(truth)) if weights is None else weights
    how = {"average": "binary"} if labels == 2 else {"average": "macro", "labels": range(labels)}
    decided = how | {"zero_division": 0.0, "sample_weight": weights}
    brier = sk.brier_score_loss(truth, probabilities, labels=range(labels), sample_weight=weights)
    losses = {"labels": range(labels), "sample_weight": weights}
    curves = dict.fromkeys(SKLEARN_CURVES)
    if len(np.unique(truth[weights > 0])) == labels:
        curves = _curves(probabilities, truth, weights)
    return curves | {
        "accuracy": sk.accuracy_score(truth, chosen, sample_weight=weights),
        "precision": sk.precision_score(truth, chosen, **decided),
        "recall": sk.recall_score(truth, chosen, **decided),
        "f1": sk.f1_score(truth, chosen, **decided),
        "mcc": sk.matthews_corrcoef(truth, chosen, sample_weight=weights),
        "brier": brier,
        "log_loss": sk.log_loss(truth, probabilities, **losses),
    }


def _curves(probabilities: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> dict:
    if probabilities.shape[1] == 2:
        given = (truth, probabilities[:, 1])
        area = sk.roc_auc_score(*given, sample_weight=weights)
    else:
        how = {"multi_class": "ovr", "average": "macro", "sample_weight": weights}
        area = sk.roc_auc_score(truth, probabilities, **how)
        given = (np.eye(probabilities.shape[1])[truth], probabilities)
    precision = sk.average_precision_score(*given, sample_weight=weights)
    return dict(zip(SKLEARN_CURVES, (area, precision), strict=True))


def calibration_error(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """`ece` by its definition, bin by bin."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    total = 0.0
    for bin_ in range(10):
        upper = 2.0 if bin_ == 9 else (bin_ + 1) / 10
        inside = (confidence * 10 >= bin_) & (confidence * 10 < upper * 10)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total
