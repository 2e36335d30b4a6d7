"""Pretraining a small GPT-2 as a language model: the base that needs no download."""

import logging
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from loralab.config import Pretraining
from loralab.errors import LoralabError
from loralab.model.gpt2 import GPT2
from loralab.randomness import stream_seed
from loralab.training.schedules import learning_rate_factor

log = logging.getLogger(__name__)

WARMUP = 0.05  # share of the steps
LAST_RATE = 0.1  # of the peak learning rate
GRADIENT_CLIP = 1.0
BETAS = (0.9, 0.95)
HELD_OUT = 0.02  # share of the sequences
EVALUATIONS = 10  # held-out losses over the whole training


def pretrain(model: GPT2, tokens: np.ndarray, settings: Pretraining, seed: int) -> list[dict]:
    """Train all of `model` to predict the next of `tokens`; one row per step.

    Embedding and head share their weights, as GPT-2's do. A few sequences are held out; their loss
    is in some of the rows. Raises LoralabError where the tokens do not fill a batch.
    """
    model.head.weight = model.wte.weight
    sequences = _sequences(tokens, model.shape.context)
    held_out = max(1, round(HELD_OUT * len(sequences)))
    train, test = sequences[held_out:], sequences[:held_out]
    batches = list(_batches(len(train), settings, seed))
    if not batches:
        raise LoralabError(
            f"{len(tokens)} tokens fill no batch of {settings.batch_size} sequences; raise "
            "base.pretraining.messages or lower base.pretraining.batch_size"
        )
    optimizer = _optimizer(model, settings)
    rows: list[dict] = []
    every = math.ceil(len(batches) / EVALUATIONS)
    for step, batch in enumerate(tqdm(batches, desc="pretraining", unit="step", disable=None)):
        factor = learning_rate_factor(step, len(batches), "cosine", WARMUP)
        rate = settings.learning_rate * (LAST_RATE + (1 - LAST_RATE) * factor)
        loss = _step(model, optimizer, train[batch], rate)
        rows.append({"step": step + 1, "tokens": (step + 1) * train[batch].numel()})
        rows[-1] |= {"learning_rate": rate, "loss": loss, "held_out_loss": None}
        if (step + 1) % every == 0 or step + 1 == len(batches):
            rows[-1]["held_out_loss"] = _held_out_loss(model, test, settings.batch_size)
            held_out_loss = rows[-1]["held_out_loss"]
            log.info("step %d/%d held-out loss %.3f", step + 1, len(batches), held_out_loss)
    model.head.weight = torch.nn.Parameter(model.wte.weight.detach().clone())
    return rows


def _sequences(tokens: np.ndarray, context: int) -> Tensor:
    """The tokens cut into rows of the full context, (n, T)."""
    count = len(tokens) // context
    return torch.from_numpy(tokens[: count * context].astype(np.int64)).view(count, context)


def _batches(sequences: int, settings: Pretraining, seed: int) -> Iterator[np.ndarray]:
    for epoch in range(settings.epochs):
        stream = stream_seed(seed, f"pretraining/batches/{epoch}")
        order = np.random.default_rng(stream).permutation(sequences)
        for start in range(0, sequences - settings.batch_size + 1, settings.batch_size):
            yield order[start : start + settings.batch_size]


def _optimizer(model: GPT2, settings: Pretraining) -> torch.optim.Optimizer:
    """AdamW with weight decay on matrices alone."""
    parameters = list(model.parameters())
    matrices = [parameter for parameter in parameters if parameter.dim() > 1]
    vectors = [parameter for parameter in parameters if parameter.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=BETAS, fused=True)


def _step(
    model: GPT2, optimizer: torch.optim.Optimizer, ids: Tensor, learning_rate: float
) -> float:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.zero_grad(set_to_none=True)
    loss = language_model_loss(model, ids)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_CLIP)
    optimizer.step()
    if not math.isfinite(loss.item()):
        raise LoralabError("pretraining diverged; lower base.pretraining.learning_rate")
    return loss.item()


def language_model_loss(model: GPT2, ids: Tensor) -> Tensor:
    """Mean cross-entropy, in nats, of each token given those before it."""
    logits = model(ids[:, :-1])  # (B, T - 1, vocabulary)
    return functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


@torch.no_grad()
def _held_out_loss(model: GPT2, sequences: Tensor, batch_size: int) -> float:
    parts = sequences.split(batch_size)
    total = sum(language_model_loss(model, part).item() * len(part) for part in parts)
    return total / len(sequences)
