"""How a classifier holds out: on hand-labelled texts of other kinds, and without artefacts."""

import numpy as np

from loralab.evaluation.comparison import mcnemar
from loralab.evaluation.metrics import wilson_interval


def answers_by_label(truth: np.ndarray, predicted: np.ndarray, labels: list[str]) -> dict:
    """What one system makes of texts.

    Args:
        truth, predicted: (n,) index of each text's label, and of the one predicted.
        labels: names, in order.

    Returns `right` with its share's 95 % Wilson interval, `accuracy_ci95`, and `right_by_label`, of
    the labels that occur.
    """
    right = predicted == truth
    return {
        "right": int(right.sum()),
        "accuracy_ci95": wilson_interval(int(right.sum()), len(right)),
        "right_by_label": {
            labels[place]: int(right[truth == place].sum()) for place in np.unique(truth)
        },
    }


def before_and_after(
    truth: np.ndarray, before: np.ndarray, after: np.ndarray, labels: list[str]
) -> dict:
    """What a change of texts does to one system, on the texts that it touches.

    Args:
        truth, before, after: (n,) index of each text's label, of the one predicted for the text as
            it was, and for the changed text.
        labels: names, in order.

    Returns `before` and `after`, each as `answers_by_label` gives them; the texts that the change
    turned, `turned_wrong` and `turned_right`; and the `p_value` of McNemar's exact test of these.
    """
    turned = mcnemar(before == truth, after == truth)
    return {
        "before": answers_by_label(truth, before, labels),
        "after": answers_by_label(truth, after, labels),
        "turned_wrong": turned["only_first_right"],
        "turned_right": turned["only_second_right"],
        "p_value": turned["p_value"],
    }
