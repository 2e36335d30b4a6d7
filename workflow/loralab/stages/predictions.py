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


def read_probabilities(
    path: Path, tables: dict[str, pd.DataFrame], labels: list[str]
) -> dict[str, np.ndarray]:
    """The probabilities, (n, labels), that a file of predictions has for each split in `tables`.

    Raises LoralabError where they are not of these messages.
    """
    columns = [f"p_{label}" for label in labels]
    found = read_rows(path, ["split", "id", *columns], {"split": str, "label": str})
    result = {}
    for name, table in tables.items():
        rows = found[found["split"] == name]
        if list(rows["id"]) != list(table["id"]):
            raise LoralabError(
                f"{path} has {len(rows)} {name} messages, which are not the {len(table)} of the "
                "split; run the stage that writes it again"
            )
        result[name] = rows[columns].to_numpy(dtype=float)
    return result
