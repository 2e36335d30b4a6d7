"""How many test messages have a twin in train, by criteria from strict to loose."""

import html
import re

import pandas as pd

from loralab.data.near_duplicates import has_near


def exact(text: str) -> str:
    """The text itself."""
    return text


def folded(text: str) -> str:
    """Lower case, runs of white space as one space, stripped."""
    return re.sub(r"\s+", " ", text.lower()).strip()


def masked(text: str) -> str:
    """HTML entities unescaped, lower case, digits as 0, all but a-z and 0-9 as single spaces."""
    digits_hidden = re.sub(r"[0-9]", "0", html.unescape(text).lower())
    return re.sub(r"[^a-z0-9]+", " ", digits_hidden).strip()


CRITERIA = {"exact": exact, "folded": folded, "masked": masked}


def leakage(train: pd.Series, test: pd.Series) -> dict[str, dict[str, float]]:
    """For each criterion, how many texts of `test` have a twin in `train`: `n` and `share`.

    By `exact`, `folded` and `masked` a twin has the same form; by `near`, a masked form with an
    edit ratio of at least 90. A text of which a criterion leaves nothing (a smiley, or Cyrillic
    once it is masked) has no twin by it.
    """
    twins = {name: _have_equals(train.map(form), test.map(form)) for name, form in CRITERIA.items()}
    twins["near"] = _have_near(train.map(masked), test.map(masked))
    return {name: _counted(found) for name, found in twins.items()}


def _have_equals(train: pd.Series, test: pd.Series) -> pd.Series:
    return test.isin(set(train) - {""})


def _have_near(train: pd.Series, test: pd.Series) -> pd.Series:
    forms = sorted(set(test) - {""})
    found = has_near(forms, sorted(set(train) - {""}))
    return test.isin([form for form, near in zip(forms, found, strict=True) if near])


def _counted(found: pd.Series) -> dict[str, float]:
    n = int(found.sum())
    return {"n": n, "share": round(n / len(found), 4) if len(found) else 0.0}
