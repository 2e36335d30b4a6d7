"""Probabilities for texts, the same whatever batch a text is in."""

import numpy as np
import torch

from loralab.model.gpt2 import GPT2
from loralab.training.batches import EncodedTexts, collate


@torch.no_grad()
def predict(
    model: GPT2, texts: EncodedTexts, batch_size: int, pad_to: int | None = None
) -> np.ndarray:
    """Probability of each label for each text, (n, labels), in the order given.

    Texts are sorted by length, so that batches hardly pad. The model is left as it was: in
    training mode or not.
    """
    device = model.head.weight.device
    was_training = model.training
    model.eval()
    order = np.argsort(texts.lengths, kind="stable")
    probabilities = np.zeros((len(texts), model.head.out_features))
    padding_id = model.shape.vocabulary - 1
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        ids, lengths = collate(texts, rows, padding_id, pad_to, device)
        # On the CPU, since Apple's GPUs have no double precision.
        logits = model.classify(ids, lengths).cpu().double()
        probabilities[rows] = torch.softmax(logits, dim=-1).numpy()
    model.train(was_training)
    return probabilities


def loss_and_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Mean cross-entropy in nats, and the share of labels predicted."""
    chosen = probabilities[np.arange(len(labels)), labels]
    loss = -np.log(np.maximum(chosen, np.finfo(float).tiny)).mean()
    return float(loss), float((probabilities.argmax(axis=1) == labels).mean())
