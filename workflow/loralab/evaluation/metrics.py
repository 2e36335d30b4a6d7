"""Metrics of a classifier from labels and probabilities, with intervals."""

import math
from statistics import NormalDist

import numpy as np
from sklearn import metrics as sk

Z95 = NormalDist().inv_cdf(0.975)
BINS = 10  # tenths of confidence
# What a probability of 0 counts as in a logarithm, so that one such message is dear, not endlessly.
SMALLEST = float(np.finfo(np.float64).eps)
# The metrics of `evaluate` that are one number each.
SCALARS = (
    *("accuracy", "precision", "recall", "f1", "mcc", "roc_auc", "average_precision"),
    *("brier", "log_loss", "ece"),
)


def wilson_interval(successes: int, n: int) -> list[float]:
    """Wilson's 95 % interval of a share (Wilson, 1927); [0, 1] where n is 0."""
    if n == 0:
        return [0.0, 1.0]
    share, z2 = successes / n, Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # Exact where rounding would leave 0.9999999999999999.
    low = 0.0 if successes == 0 else centre - half
    return [low, 1.0 if successes == n else centre + half]


def confidence_tenths(probabilities: np.ndarray) -> np.ndarray:
    """The tenth of confidence that each message lies in, 0 to 9: (n,)."""
    return np.minimum((probabilities.max(axis=1) * BINS).astype(int), BINS - 1)


def reliability(probabilities: np.ndarray, truth: np.ndarray) -> list[dict]:
    """Confidence held against accuracy, for each tenth of confidence that occurs.

    Confidence is the probability of the predicted label. A row holds the `tenth` (6 for confidences
    from 0.6 to 0.7), its `n` messages, their mean `confidence`, their `accuracy` and its
    `accuracy_ci95`.
    """
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    tenths = confidence_tenths(probabilities)
    return [
        {
            "tenth": int(tenth),
            "n": int((tenths == tenth).sum()),
            "confidence": float(confidence[tenths == tenth].mean()),
            "accuracy": float(correct[tenths == tenth].mean()),
            "accuracy_ci95": wilson_interval(
                int(correct[tenths == tenth].sum()), int((tenths == tenth).sum())
            ),
        }
        for tenth in np.unique(tenths)
    ]


def expected_calibration_error(bins: list[dict]) -> float:
    """Mean gap between confidence and accuracy over the messages (Naeini et al., 2015)."""
    messages = sum(row["n"] for row in bins)
    return sum(row["n"] * abs(row["accuracy"] - row["confidence"]) for row in bins) / messages


def log_losses(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Minus the natural logarithm of each true label's probability: (n,), in nats."""
    given = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    # Adding 0 keeps the loss of certainty from being -0.
    return -np.log(np.clip(given, SMALLEST, 1.0)) + 0.0


def log_loss(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean negative log-likelihood of the true labels, what training minimises, in nats."""
    return float(log_losses(probabilities, truth).mean())


def matthews(right: np.ndarray, occurs: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Correlation of predicted with true labels (Matthews, 1975; of more than two, Gorodkin, 2004).

    Args:
        right: (...) float64, messages whose label was predicted.
        occurs, predicted: (..., labels) messages of each label, and those it was predicted for.

    Returns (...), from -1 to 1; 0 where every message has, or was given, the same label.
    """
    n = occurs.sum(axis=-1)
    covariance = right * n - (occurs * predicted).sum(axis=-1)
    spreads = (n**2 - (occurs**2).sum(axis=-1)) * (n**2 - (predicted**2).sum(axis=-1))
    return np.divide(covariance, np.sqrt(spreads), out=np.zeros_like(n), where=spreads > 0)


def evaluate(probabilities: np.ndarray, truth: np.ndarray, labels: list[str]) -> dict:
    """Every metric of one system on one split.

    Args:
        probabilities: (n, labels), rows that add up to 1.
        truth: (n,) index of each true label.
        labels: names, in order. Of two, the second is the positive class of precision, recall, F1,
            ROC AUC and average precision; of more, these are means over the classes.

    Areas under curves are None where `truth` holds one class alone. As in scikit-learn, the
    precision of a label that was never predicted is 0, and so is the recall of one that never
    occurs. Of no messages every metric is None.
    """
    if not len(truth):
        return _of_nothing(labels)
    predicted = probabilities.argmax(axis=1)
    right, n = int((predicted == truth).sum()), len(truth)
    average, positive = ("binary", 1) if len(labels) == 2 else ("macro", None)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        truth,
        predicted,
        labels=None if positive else range(len(labels)),
        pos_label=positive or 1,
        average=average,
        zero_division=0.0,
    )
    one_hot = np.eye(len(labels))[truth]
    bins = reliability(probabilities, truth)
    return {
        "n": n,
        "accuracy": right / n,
        "accuracy_ci95": wilson_interval(right, n),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "mcc": _mcc(truth, predicted, len(labels)),
        "roc_auc": _over_classes(sk.roc_auc_score, one_hot, probabilities),
        "average_precision": _over_classes(sk.average_precision_score, one_hot, probabilities),
        "brier": _brier(probabilities, one_hot),
        "log_loss": log_loss(probabilities, truth),
        "ece": expected_calibration_error(bins),
        "reliability": bins,
        "confusion": _confusion(truth, predicted, labels),
    }


def positive_label(labels: list[str]) -> str | None:
    """The label that precision, recall and curves are of: of two the second, of more none."""
    return labels[1] if len(labels) == 2 else None


def _of_nothing(labels: list[str]) -> dict:
    none = np.zeros(0, int)
    return dict.fromkeys(SCALARS) | {
        "n": 0,
        "accuracy_ci95": wilson_interval(0, 0),
        "reliability": [],
        "confusion": _confusion(none, none, labels),
    }


def _mcc(truth: np.ndarray, predicted: np.ndarray, labels: int) -> float:
    right = np.float64((predicted == truth).sum())
    counts = [np.bincount(given, minlength=labels).astype(float) for given in (truth, predicted)]
    return float(matthews(right, *counts))


def _brier(probabilities: np.ndarray, one_hot: np.ndarray) -> float:
    """Mean squared error of the probabilities (Brier, 1950), summed over the labels.

    Of two labels only the positive one is counted, as is usual: half of the sum over both.
    """
    squares = ((probabilities - one_hot) ** 2).mean(axis=0)  # (labels,)
    return float(squares[1] if len(squares) == 2 else squares.sum())


def _over_classes(score, one_hot: np.ndarray, probabilities: np.ndarray) -> float | None:
    """The score of the positive class, or its mean over one-versus-rest; None if undefined."""
    columns = [1] if one_hot.shape[1] == 2 else range(one_hot.shape[1])
    if any(one_hot[:, c].min() == one_hot[:, c].max() for c in columns):
        return None
    return float(np.mean([score(one_hot[:, c], probabilities[:, c]) for c in columns]))


def _confusion(truth: np.ndarray, predicted: np.ndarray, labels: list[str]) -> dict:
    counts = np.zeros((len(labels), len(labels)), int)
    np.add.at(counts, (truth, predicted), 1)
    return {
        label: {name: int(counts[row, column]) for column, name in enumerate(labels)}
        for row, label in enumerate(labels)
    }
