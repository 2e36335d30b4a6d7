"""Temperature scaling: one number, fitted on validation, that mends how sure a classifier is."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from loralab.evaluation.metrics import evaluate

# Temperatures looked at: where every probability is 0 or 1, the best of them may be in thousands.
LOWEST, HIGHEST = 1e-3, 1e6
CALIBRATION = ("ece", "brier", "log_loss")
# A probability of 0 in its logarithm: the least of normal numbers, below every other probability.
LEAST = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Temperature:
    """A fitted temperature, or None, and a sentence that says on what it was fitted, or why not."""

    value: float | None
    reason: str


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(log p / T), (n, labels): above 1 less confident, below 1 more, in the same order.

    Of probabilities p that are the softmax of logits, this is the softmax of logits / T.
    """
    return np.exp(log_softmax(_logarithms(probabilities) / temperature, axis=1))


def fit_temperature(probabilities: np.ndarray | None, truth: np.ndarray | None) -> Temperature:
    """The temperature of least log loss (Guo et al., 2017).

    Args:
        probabilities: (n, labels) of the validation messages, or None where there is no validation.
        truth: (n,) index of each true label.

    The value is None where the log loss has no least: no validation, one label alone, all right
    (the colder, the better) or no better than guessing (the hotter, the better).
    """
    if probabilities is None or truth is None or not len(truth):
        return Temperature(None, "there are no validation messages to fit a temperature on")
    logarithms, rows = _logarithms(probabilities), np.arange(len(truth))
    reason = _why_not(logarithms, truth)
    if reason:
        return Temperature(None, reason)

    def loss(log_temperature: float) -> float:
        # Nothing clipped, unlike the metric: so it is convex in 1/T and has one least.
        return -float(
            log_softmax(logarithms / math.exp(log_temperature), axis=1)[rows, truth].mean()
        )

    bounds = (math.log(LOWEST), math.log(HIGHEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    wrong = int((probabilities.argmax(axis=1) != truth).sum())
    told = f"fitted on {len(truth)} validation messages, of which {wrong} are wrong"
    return Temperature(math.exp(found.x), told)


def calibrate(
    validation: tuple[np.ndarray | None, np.ndarray | None],
    test: tuple[np.ndarray, np.ndarray],
    labels: list[str],
) -> dict:
    """A temperature from validation, and what it does on test.

    Args:
        validation, test: the probabilities (n, labels) and the true labels (n,), indices, of each;
            None twice where there is no validation.

    Returns `temperature` or None; `reason`, a sentence; `before` and `after` {`ece`, `brier`,
    `log_loss`} of test, the latter None where there is no temperature. The predicted labels, and
    with them accuracy, do not change.
    """
    fitted = fit_temperature(*validation)
    after = None
    if fitted.value is not None:
        after = _calibration(apply_temperature(test[0], fitted.value), test[1], labels)
    return {
        "temperature": fitted.value,
        "reason": fitted.reason,
        "before": _calibration(*test, labels),
        "after": after,
    }


def _calibration(probabilities: np.ndarray, truth: np.ndarray, labels: list[str]) -> dict:
    measured = evaluate(probabilities, truth, labels)
    return {name: measured[name] for name in CALIBRATION}


def _logarithms(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.asarray(probabilities, np.float64), LEAST))


def _why_not(logarithms: np.ndarray, truth: np.ndarray) -> str | None:
    """Why the log loss of these messages falls for ever as T goes to 0 or to infinity, if it does.

    Between them a convex function has a least unless it falls towards an end: towards T = 0 where
    no message's true label is below another, towards infinity where its slope in 1/T is not
    negative there, which is the mean over messages of (mean of log p) - (log p of the true label).
    """
    n, own = len(truth), logarithms[np.arange(len(truth)), truth]
    if len(np.unique(truth)) == 1:
        return f"validation has one label alone ({n} messages): no temperature is fitted on it"
    if (logarithms.mean(axis=1) - own).mean() >= 0:
        return f"on the {n} validation messages the probabilities are no better than guessing"
    if (own == logarithms.max(axis=1)).all():
        return f"all {n} validation messages are right: any lower temperature would seem better"
    return None
