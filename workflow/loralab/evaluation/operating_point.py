"""A threshold chosen on validation for few false alarms, and what it does on test.

Of two labels. A false alarm is a message of the first label whose probability of the second reaches
the threshold; recall is the share of the second's messages that reach it.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
from scipy.special import betaincinv

from loralab.evaluation.metrics import wilson_interval

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Threshold:
    """A chosen threshold, or None, and a sentence: what validation can say of it, or why not."""

    value: float | None
    reason: str


def choose_threshold(
    scores: np.ndarray | None, truth: np.ndarray | None, labels: list[str], wanted: float
) -> Threshold:
    """The lowest validation score, so that of most recall, with few enough false alarms.

    Args:
        scores: (n,) probability of the second label of the validation messages, or None where
            there is no validation.
        truth: (n,) index of each true label, 0 or 1.
        labels: the two names.
        wanted: the share of the first label's messages that may be false alarms, at most.

    Returns the threshold, which messages reach by a score at or above it. Its sentence holds
    the share of false alarms that may be behind it, with 95 % confidence. That bound is Clopper and
    Pearson's for the false alarms counted, and stands though the threshold was chosen on the same
    messages: above the highest but k of n scores lies a share of all that is distributed as
    Beta(k + 1, n - k), whatever the scores' distribution, if they are not tied (Wilks, 1941).
    """
    reason = _why_not(truth, labels)
    if reason:
        return Threshold(None, f"no threshold is chosen: {reason}")
    values = np.unique(scores)  # ascending
    negatives = np.sort(scores[truth == 0])
    alarms = len(negatives) - np.searchsorted(negatives, values)  # at each value as threshold
    allowed = alarms / len(negatives) <= wanted
    if not allowed.any():
        return Threshold(None, _too_many(int(alarms[-1]), len(negatives), labels, wanted))
    place = int(allowed.argmax())
    sentence = _what_is_seen(int(alarms[place]), len(negatives), labels[0], wanted)
    return Threshold(float(values[place]), sentence)


def at_threshold(scores: np.ndarray, truth: np.ndarray, threshold: float) -> dict:
    """False alarms and recall of messages at a threshold, each a share with its counts.

    Args:
        scores: (n,) probability of the second label.
        truth: (n,) index of each true label, 0 or 1.

    Returns `false_alarms` and `recall`, each {`n`: how many, `of`: how many of that label, `share`,
    `ci95`: Wilson's}; the last two None where there are none of that label.
    """
    reached = scores >= threshold
    return {
        "false_alarms": _share(reached[truth == 0]),
        "recall": _share(reached[truth == 1]),
    }


def operating_point(
    validation: tuple[np.ndarray | None, np.ndarray | None],
    test: tuple[np.ndarray, np.ndarray],
    labels: list[str],
    wanted: float,
) -> dict:
    """A threshold from validation, and what it does on validation and on test.

    Args:
        validation, test: the probabilities (n, labels) and the true labels (n,), indices, of each;
            None twice where there is no validation.
        labels: names, in order; a threshold is chosen of two alone.
        wanted: as in `choose_threshold`, for instance 0.001.

    Returns `wanted`; `threshold` or None; `reason`, a sentence; `validation` and `test`, each as
    `at_threshold` returns, None where there is no threshold.
    """
    given, known = validation
    scores = given[:, 1] if given is not None and given.shape[1] == 2 else None
    chosen = choose_threshold(scores, known, labels, wanted)
    found = {"wanted": wanted, "threshold": chosen.value, "reason": chosen.reason}
    if chosen.value is None:
        return found | {"validation": None, "test": None}
    return found | {
        "validation": at_threshold(scores, known, chosen.value),
        "test": at_threshold(test[0][:, 1], test[1], chosen.value),
    }


def highest_plausible_share(successes: int, n: int) -> float:
    """Clopper and Pearson's upper 95 % bound, one-sided, of a share (1934); 1 where n is 0."""
    return 1.0 if successes >= n else float(betaincinv(successes + 1, n - successes, CONFIDENCE))


def _why_not(truth: np.ndarray | None, labels: list[str]) -> str | None:
    if len(labels) != 2:
        return f"false alarms are those of one label of two, and there are {len(labels)}"
    if truth is None or not len(truth):
        return "there are no validation messages"
    missing = [label for place, label in enumerate(labels) if not (truth == place).any()]
    if missing:
        return f"no validation message is labelled {missing[0]}"
    return None


def _too_many(alarms: int, n: int, labels: list[str], wanted: float) -> str:
    return (
        f"no threshold is chosen: at any that a validation message reaches, at least {alarms} of "
        f"the {n} labelled {labels[0]} are taken for {labels[1]}, more than {_percent(wanted)}"
    )


def _what_is_seen(alarms: int, n: int, negative: str, wanted: float) -> str:
    """What false alarms on validation say of those on other messages."""
    bound = highest_plausible_share(alarms, n)
    seen = (
        f"{alarms} of {n} validation messages labelled {negative} are false alarms, so that with "
        f"{_percent(CONFIDENCE)} confidence fewer than {_percent(bound)} of all such messages are"
    )
    if n * wanted < 1:
        few = f", which takes at least {ceil(1 / wanted):,}" if wanted > 0 else ""
        return f"{seen}; they are too few to measure a rate of {_percent(wanted)}{few}"
    if bound > wanted:
        return f"{seen}; the threshold keeps to {_percent(wanted)} on these and does not promise it"
    return seen


def _share(reached: np.ndarray) -> dict:
    count, n = int(reached.sum()), len(reached)
    if n == 0:
        return {"n": 0, "of": 0, "share": None, "ci95": None}
    return {"n": count, "of": n, "share": count / n, "ci95": wilson_interval(count, n)}


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
