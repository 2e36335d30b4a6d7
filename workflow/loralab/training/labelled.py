"""Encoded texts with their labels, as training takes them."""

from dataclasses import dataclass

import numpy as np

from loralab.training.batches import EncodedTexts


@dataclass(frozen=True)
class LabelledTexts:
    """Encoded texts and the index of each one's label."""

    texts: EncodedTexts
    labels: np.ndarray  # (n,) int64

    def __len__(self) -> int:
        return len(self.texts)
