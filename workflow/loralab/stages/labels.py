"""From the labels' names to the places of the classifier's outputs."""

import numpy as np
import pandas as pd


def label_indices(table: pd.DataFrame, labels: list[str]) -> np.ndarray:
    """The place in `labels` of each message's label, (n,)."""
    return np.array([labels.index(label) for label in table["label"]], dtype=np.int64)
