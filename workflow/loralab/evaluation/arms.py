"""The arms of a sweep, each trained with several seeds, and what tells them from the reference."""

from dataclasses import dataclass

import numpy as np

from loralab.evaluation.comparison import holm
from loralab.evaluation.metrics import evaluate
from loralab.evaluation.seeds import accuracy_over_seeds, paired_over_seeds, seed_interval

AVERAGED = ("f1", "roc_auc", "log_loss", "ece")  # beside accuracy


@dataclass(frozen=True)
class Arm:
    """What the trainings of an arm say of the messages.

    `probabilities` is (seeds, n, labels), `truth` (n,) the index of each true label, `messages`
    the name of each.
    """

    probabilities: np.ndarray
    truth: np.ndarray
    messages: tuple[str, ...]

    @property
    def correct(self) -> np.ndarray:
        """Whether each training was right on each message: (seeds, n)."""
        return self.probabilities.argmax(axis=2) == self.truth


def summarise(arms: dict[str, Arm], reference: str, labels: list[str], seed: int) -> list[dict]:
    """Accuracy of every arm over its seeds, and each held against the reference.

    Args:
        arms: by their names.
        reference: the name of the one that the others are held against.
        labels: their names, in order.
        seed: of the experiment.

    Returns a row an arm: `arm`; `messages`; `accuracy`, what `accuracy_over_seeds` returns and the
    `values` of each seed; the mean over seeds of each metric in `AVERAGED`, None where it is
    undefined; and `against`, None of the reference itself and of an arm that was measured on other
    messages, else what `paired_over_seeds` returns and `p_holm`, adjusted over the arms.
    """
    rows = [{"arm": name, **_measured(arm, labels, seed)} for name, arm in arms.items()]
    standard = arms[reference]
    for row in rows:
        arm = arms[row["arm"]]
        alike = arm is not standard and arm.messages == standard.messages
        row["against"] = paired_over_seeds(arm.correct, standard.correct, seed) if alike else None
    _adjust([row["against"] for row in rows if row["against"]])
    return rows


def _measured(arm: Arm, labels: list[str], seed: int) -> dict:
    found = [evaluate(probabilities, arm.truth, labels) for probabilities in arm.probabilities]
    accuracy = accuracy_over_seeds(arm.correct, seed)
    return {
        "messages": len(arm.truth),
        "accuracy": accuracy | {"values": [metrics["accuracy"] for metrics in found]},
        **{name: _mean([metrics[name] for metrics in found]) for name in AVERAGED},
    }


def _mean(values: list[float | None]) -> float | None:
    return None if None in values else seed_interval(values)["mean"]


def _adjust(comparisons: list[dict]) -> None:
    for found, adjusted in zip(comparisons, holm([c["p_value"] for c in comparisons]), strict=True):
        found["p_holm"] = adjusted
