"""Every scalar metric of `metrics.evaluate`, of many weightings of the same messages at once.

A resample of messages, drawn with replacement, is a weight for each of them: how often it was
drawn. What does not depend on the weights (the sorted scores, who was right) is worked out once.
"""

from dataclasses import dataclass

import numpy as np

from loralab.evaluation.metrics import BINS, confidence_tenths, log_losses, matthews


@dataclass(frozen=True)
class Ranking:
    """Messages from the highest score of one label to the lowest.

    `order` (n,) lists the messages, `positive` (n,) says in that order whether they have the label,
    and `ends` (scores,) where each distinct score ends: messages of equal score rank alike.
    """

    order: np.ndarray
    positive: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class MessageTerms:
    """What each of n messages adds to the metrics.

    `columns` are the labels that precision, recall, F1 and the curves are means over; `rankings`
    has one for each. `means` holds the terms (n,) of metrics that are plain means over messages, by
    their names; `occurs`, `predicted` and `hits` (labels, n) whether a message has the label, was
    given it, and both; `gaps` (BINS, n) correctness less confidence in the row of its tenth.
    """

    columns: list[int]

    means: dict[str, np.ndarray]
    occurs: np.ndarray
    predicted: np.ndarray
    hits: np.ndarray
    gaps: np.ndarray
    rankings: list[Ranking]


def message_terms(probabilities: np.ndarray, truth: np.ndarray) -> MessageTerms:
    """The terms of messages with `probabilities` (n, labels) and `truth` (n,), label indices."""
    labels, chosen = probabilities.shape[1], probabilities.argmax(axis=1)
    columns = [1] if labels == 2 else list(range(labels))
    occurs, predicted = np.eye(labels)[:, truth], np.eye(labels)[:, chosen]
    correct = (chosen == truth).astype(np.float64)
    squares = ((probabilities.T - occurs)[columns] ** 2).sum(axis=0)
    losses, gap = log_losses(probabilities, truth), correct - probabilities.max(axis=1)
    return MessageTerms(
        columns=columns,
        means={"accuracy": correct, "brier": squares, "log_loss": losses},
        occurs=occurs,
        predicted=predicted,
        hits=occurs * predicted,
        gaps=np.eye(BINS)[:, confidence_tenths(probabilities)] * gap,
        rankings=[_ranking(probabilities[:, c], occurs[c]) for c in columns],
    )


def weighted_metrics(terms: MessageTerms, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Every scalar metric under each of b weightings of the n messages, by its name.

    Args:
        weights: (b, n) float64, not negative, each row with a sum above 0.

    Each value is (b,) and is what `metrics.evaluate` gives for the messages repeated as often as
    `weights` says; NaN where that is None (the curves, if a label is absent).
    """
    total = weights.sum(axis=1)
    sums = _sums(weights, np.stack(list(terms.means.values())))
    roc_auc, average_precision = np.mean([_areas(r, weights) for r in terms.rankings], axis=0)
    return {
        **dict(zip(terms.means, sums.T / total, strict=True)),
        **_decision_metrics(terms, weights),
        "roc_auc": roc_auc,
        "average_precision": average_precision,
        "ece": np.abs(_sums(weights, terms.gaps)).sum(axis=1) / total,
    }


def _decision_metrics(terms: MessageTerms, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1, of the positive label or as means over the labels; and MCC."""
    occurs, predicted = _sums(weights, terms.occurs), _sums(weights, terms.predicted)
    hits = _sums(weights, terms.hits)
    shares = {
        "precision": _share(hits, predicted),
        "recall": _share(hits, occurs),
        "f1": _share(2 * hits, occurs + predicted),
    }
    means = {name: share[:, terms.columns].mean(axis=1) for name, share in shares.items()}
    return means | {"mcc": matthews(hits.sum(axis=1), occurs, predicted)}


def _sums(weights: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Weighted sums (b, c) of terms (c, n).

    Not by a product of matrices, whose last bits depend on the number of threads.
    """
    return np.einsum("bn,cn->bc", weights, terms)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Part of whole, and 0 where there is no whole, as in `metrics.evaluate`."""
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


def _ranking(scores: np.ndarray, positive: np.ndarray) -> Ranking:
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    return Ranking(order, positive[order], ends)


def _areas(ranking: Ranking, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Area under the ROC curve and average precision, each (b,).

    The first by trapezia, which count a tie of a positive and a negative as half in order; the
    second by steps, sum of (R_i - R_(i-1)) P_i over the distinct scores, as scikit-learn does.
    """
    ordered = weights[:, ranking.order]
    above = np.cumsum(ordered, axis=1)[:, ranking.ends]  # (b, scores), with this score or more
    true = np.cumsum(ordered * ranking.positive, axis=1)[:, ranking.ends]
    false = above - true
    more_true, more_false = np.diff(true, prepend=0.0), np.diff(false, prepend=0.0)
    positives, negatives = true[:, -1], false[:, -1]
    defined = (positives > 0) & (negatives > 0)
    area = (more_false * (true - more_true / 2)).sum(axis=1)
    steps = (more_true * _share(true, above)).sum(axis=1)
    return (
        np.divide(area, positives * negatives, out=np.full(len(area), np.nan), where=defined),
        np.divide(steps, positives, out=np.full(len(area), np.nan), where=defined),
    )
