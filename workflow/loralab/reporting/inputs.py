"""What report and figures are made from: the tables of a run, and the names that occur in them."""

from pathlib import Path

import pandas as pd

ADAPTER = "adapter"  # what artifacts call this run's, beside the baselines' names
THIS_RUN = "LoRA (this run)"
BASELINE_NAMES = {
    "majority": "majority class",
    "tfidf_words": "word TF-IDF + logistic regression",
    "tfidf_characters": "character TF-IDF + logistic regression",
    "naive_bayes": "naive Bayes",
    "frozen_features": "frozen features + logistic regression",
    "head_only": "head only",
    "last_block": "last block and head",
    "full": "full fine-tuning",
}
NO_BLOCK = "no block"


def read_text_table(path: Path) -> pd.DataFrame:
    """Read every field as it stands, so that a class named "NA" or "1" stays a name."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")


def read_predictions(path: Path) -> pd.DataFrame:
    """Read a table of predictions: text, but for the probabilities (NaN where unreadable)."""
    table = read_text_table(path)
    columns = [f"p_{label}" for label in predicted_labels(table)]
    table[columns] = table[columns].apply(pd.to_numeric, errors="coerce").astype(float)
    return table


def predicted_labels(predictions: pd.DataFrame) -> list[str]:
    """The labels that have a probability, a column `p_<label>`, in a table of predictions."""
    return [column.removeprefix("p_") for column in predictions if column.startswith("p_")]


def method_name(baseline: str) -> str:
    """What report and figures call a baseline."""
    return BASELINE_NAMES.get(baseline, baseline.replace("_", " "))


def split_names(names: pd.Series) -> pd.DataFrame:
    """Split `h.3.attn.q_proj` into its `block`, 3, and the `rest`; other names have no block."""
    parts = names.str.extract(r"^h\.(?P<block>\d+)\.(?P<rest>.+)$")
    return pd.DataFrame(
        {"block": parts["block"].fillna(NO_BLOCK), "rest": parts["rest"].fillna(names)}
    )
