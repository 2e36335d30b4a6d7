"""The messages of the splits, and the places of their labels among the classifier's outputs."""

import numpy as np
import pandas as pd

from loralab.data.messages import read_table
from loralab.stages.layout import Layout


def read_splits(layout: Layout) -> dict[str, pd.DataFrame]:
    """The messages of every split, by its name; a split that is left out has none."""
    return {name: read_table(path) for name, path in layout.split_files.items()}


def label_indices(table: pd.DataFrame, labels: list[str]) -> np.ndarray:
    """The place in `labels` of each message's label, (n,)."""
    return np.array([labels.index(label) for label in table["label"]], dtype=np.int64)
