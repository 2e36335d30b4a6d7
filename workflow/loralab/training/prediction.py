"""Logits and probabilities of texts, the same whatever batch a text is in."""

import numpy as np
import torch

from loralab.errors import LoralabError
from loralab.model.gpt2 import GPT2
from loralab.training.batches import EncodedTexts, collate


def predict(
    model: GPT2, texts: EncodedTexts, batch_size: int, pad_to: int | None = None
) -> np.ndarray:
    """Probability of each label for each text, (n, labels), in the order given."""
    logits = predict_logits(model, texts, batch_size, pad_to)
    return torch.softmax(torch.from_numpy(logits), dim=-1).numpy()


@torch.no_grad()
def predict_logits(
    model: GPT2, texts: EncodedTexts, batch_size: int, pad_to: int | None = None
) -> np.ndarray:
    """Logit of each label for each text, (n, labels), in the order given.

    Texts are sorted by length, so that batches hardly pad. The model is left as it was: in
    training mode or not.
    """
    device = model.head.weight.device
    was_training = model.training
    model.eval()
    order = np.argsort(texts.lengths, kind="stable")
    logits = np.zeros((len(texts), model.head.out_features))
    padding_id = model.shape.end_of_text
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        ids, lengths = collate(texts, rows, padding_id, pad_to, device)
        # On the CPU, since Apple's GPUs have no double precision.
        logits[rows] = model.classify(ids, lengths).cpu().double().numpy()
    model.train(was_training)
    if not np.isfinite(logits).all():
        raise LoralabError("the model's logits are not finite; its adapter is spoilt")
    return logits


def loss_and_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Mean cross-entropy in nats, and the share of labels predicted."""
    chosen = probabilities[np.arange(len(labels)), labels]
    loss = -np.log(np.maximum(chosen, np.finfo(float).tiny)).mean()
    return float(loss), float((probabilities.argmax(axis=1) == labels).mean())
