"""How many test messages have a twin in train, by criteria from strict to loose."""

import numpy as np

from loralab.data.near_duplicates import has_near
from loralab.data.twin_forms import CRITERIA, NOTHING, TwinForms


def leakage(forms: TwinForms, train: np.ndarray, test: np.ndarray) -> dict[str, dict[str, float]]:
    """For each criterion, how many texts of `test` have a twin in `train`: `n` and `share`.

    By `exact`, `folded` and `masked` a twin has the same form; by `near`, a masked form with an
    edit ratio of at least 90. A text of which a criterion leaves nothing (a smiley, or Cyrillic
    once it is masked) has no twin by it.

    Args:
        forms: of all messages.
        train, test: which of them are in either, (some,).
    """
    twins = {name: _have_equals(forms.numbers[name], train, test) for name in CRITERIA}
    twins["near"] = _have_near(forms, train, test)
    return {name: _counted(found) for name, found in twins.items()}


def _have_equals(numbers: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    return np.isin(numbers[test], numbers[train]) & (numbers[test] != NOTHING)


def _have_near(forms: TwinForms, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    mine, other = (rows[forms.different(rows)] for rows in (test, train))
    near = mine[has_near(forms.masked[mine], forms.masked[other])]
    numbers = forms.numbers["masked"]
    return np.isin(numbers[test], numbers[near])


def _counted(found: np.ndarray) -> dict[str, float]:
    n = int(found.sum())
    return {"n": n, "share": round(n / len(found), 4) if len(found) else 0.0}
