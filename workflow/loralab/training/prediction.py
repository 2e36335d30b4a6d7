"""Logits and probabilities of texts, the same whatever batch a text is in."""

from collections.abc import Iterator

import numpy as np
import torch

from loralab.errors import LoralabError
from loralab.fast.network import FastClassifier
from loralab.model.gpt2 import GPT2
from loralab.training.batches import EncodedTexts, collate, packed_batch

TOKENS_A_PASS = 4096  # of packed texts, but for a longer one: the processor is full, memory small


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
    _check_finite(logits)
    return logits


def predict_packed(
    network: FastClassifier, texts: EncodedTexts, batch_size: int | None = None
) -> np.ndarray:
    """As `predict`, by the fast path: packed, by as many tokens as fill the processor."""
    logits = predict_packed_logits(network, texts, batch_size)
    return torch.softmax(torch.from_numpy(logits), dim=-1).numpy()


def predict_packed_logits(
    network: FastClassifier, texts: EncodedTexts, batch_size: int | None = None
) -> np.ndarray:
    """As `predict_logits`, by the fast path; a pass has at most `batch_size` texts."""
    head, shape = network.model.head, network.model.shape
    logits = np.zeros((len(texts), head.out_features))
    for rows in _passes(texts.lengths, batch_size or len(texts)):
        packed = packed_batch(texts, rows, shape, network.rows_multiple, head.weight.device)
        logits[rows] = network.logits(packed).cpu().double().numpy()
    _check_finite(logits)
    return logits


def _passes(lengths: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Rows of like length, as many as make up a pass."""
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        tokens = np.cumsum(lengths[order[start : start + batch_size]])
        count = max(1, int(np.searchsorted(tokens, TOKENS_A_PASS, side="right")))
        yield order[start : start + count]
        start += count


def _check_finite(logits: np.ndarray) -> None:
    if not np.isfinite(logits).all():
        raise LoralabError("the model's logits are not finite; its adapter is spoilt")


def loss_and_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Mean cross-entropy in nats, and the share of labels predicted."""
    chosen = probabilities[np.arange(len(labels)), labels]
    loss = -np.log(np.maximum(chosen, np.finfo(float).tiny)).mean()
    return float(loss), float((probabilities.argmax(axis=1) == labels).mean())
