"""The arms of a sweep against what is worked out of their trainings one by one."""

import numpy as np
import pytest
from loralab.evaluation.arms import Arm, summarise
from loralab.evaluation.metrics import evaluate
from loralab.evaluation.seeds import accuracy_over_seeds, paired_over_seeds
from statsmodels.stats.multitest import multipletests

LABELS = ["ham", "spam"]
TRUTH = np.arange(40) % 2
MESSAGES = tuple(map(str, range(40)))


def arm(errors: list[int], messages: tuple[str, ...] = MESSAGES) -> Arm:
    """One training for each number of messages that it gets wrong, the first ones."""
    right = np.array([np.arange(40) >= wrong for wrong in errors])
    of_spam = np.where(right == (TRUTH == 1), 0.9, 0.2)
    return Arm(np.stack([1 - of_spam, of_spam], axis=2), TRUTH, messages)


ARMS = {"reference": arm([4, 6]), "worse": arm([20, 22]), "alike": arm([5, 6])}


def rows(arms=ARMS) -> dict[str, dict]:
    return {row["arm"]: row for row in summarise(arms, "reference", LABELS, seed=1)}


def test_every_arm_has_its_accuracy_over_seeds():
    found = rows()["worse"]["accuracy"]
    assert found["values"] == [0.5, 0.45]
    assert found | accuracy_over_seeds(ARMS["worse"].correct, 1) == found


def test_other_metrics_are_means_over_the_trainings():
    each = [evaluate(p, TRUTH, LABELS) for p in ARMS["worse"].probabilities]
    for name in ("f1", "roc_auc", "log_loss", "ece"):
        assert rows()["worse"][name] == pytest.approx(np.mean([m[name] for m in each]))


def test_every_arm_is_held_against_the_reference_and_that_against_none():
    found = rows()
    assert found["reference"]["against"] is None
    expected = paired_over_seeds(ARMS["worse"].correct, ARMS["reference"].correct, 1)
    assert found["worse"]["against"] | expected == found["worse"]["against"]
    assert found["worse"]["against"]["difference"] == pytest.approx(-0.4)


def test_p_values_are_adjusted_for_all_arms():
    found = [row["against"] for row in rows().values() if row["against"]]
    adjusted = multipletests([row["p_value"] for row in found], method="holm")[1]
    assert [row["p_holm"] for row in found] == pytest.approx(list(adjusted))


def test_an_arm_measured_on_other_messages_is_not_compared():
    others = tuple(map(str, range(1, 41)))
    found = rows({**ARMS, "elsewhere": arm([4, 6], others)})
    assert found["elsewhere"]["against"] is None
    assert found["elsewhere"]["accuracy"]["mean"] == found["reference"]["accuracy"]["mean"]


def test_a_metric_that_is_undefined_has_no_mean():
    one_class = Arm(ARMS["reference"].probabilities, np.zeros(40, int), MESSAGES)
    found = rows({"reference": one_class})["reference"]
    assert found["roc_auc"] is None
    assert found["accuracy"]["mean"] is not None
