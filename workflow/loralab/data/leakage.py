"""How many test messages have a twin in train, by criteria from strict to loose."""

import html
import re

import pandas as pd


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
    """For each criterion, how many texts of `test` equal one of `train`: `n` and `share`.

    A text of which a criterion leaves nothing (a smiley, or Cyrillic once it is masked) has no
    twin by it.
    """
    result = {}
    for name, form in CRITERIA.items():
        known = set(train.map(form)) - {""}
        n = int(test.map(form).isin(known).sum())
        result[name] = {"n": n, "share": round(n / len(test), 4) if len(test) else 0.0}
    return result
