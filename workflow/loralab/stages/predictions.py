"""Tables of predictions: a row a message, with its label, the one predicted, every probability."""

from pathlib import Path

import numpy as np
import pandas as pd

from loralab.data.messages import read_rows
from loralab.errors import LoralabError


def prediction_table(
    kind: str, name: str, table: pd.DataFrame, probabilities: np.ndarray, labels: list[str]
) -> pd.DataFrame:
    """The predictions of the messages in `table`; the first column, `kind`, says `name`."""
    result = pd.DataFrame({kind: name, "id": table["id"], "label": table["label"]})
    result["predicted"] = [labels[index] for index in probabilities.argmax(axis=1)]
    for place, label in enumerate(labels):
        result[f"p_{label}"] = probabilities[:, place]
    return result


def read_split(path: Path, split: str, labels: list[str]) -> pd.DataFrame:
    """The rows of a split in a file of predictions."""
    columns = ["split", "id", "label", *_probability_columns(labels)]
    found = read_rows(path, columns, {"split": str, "label": str})
    return found[found["split"] == split]


def read_probabilities(
    path: Path, split: str, table: pd.DataFrame, labels: list[str]
) -> np.ndarray:
    """The probabilities, (n, labels), that a file of predictions has for a split's messages.

    Raises LoralabError where they are not of these messages.
    """
    rows = read_split(path, split, labels)
    if list(rows["id"]) != list(table["id"]):
        raise LoralabError(
            f"{path} has {len(rows)} {split} messages, which are not the {len(table)} of the "
            "split; run the stage that writes it again"
        )
    return probabilities_of(rows, labels)


def probabilities_of(rows: pd.DataFrame, labels: list[str]) -> np.ndarray:
    """Their probabilities, (n, labels)."""
    return rows[_probability_columns(labels)].to_numpy(dtype=float)


def _probability_columns(labels: list[str]) -> list[str]:
    return [f"p_{label}" for label in labels]
