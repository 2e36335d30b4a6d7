"""Training steps by PyTorch's own autograd, on the model as `gpt2.py` and `lora.py` write it."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from loralab.config import Training
from loralab.model.gpt2 import GPT2
from loralab.randomness import stream_seed
from loralab.training.batches import EncodedTexts, collate, pad_length
from loralab.training.labelled import LabelledTexts
from loralab.training.optimizer import build_optimizer, set_learning_rate
from loralab.training.prediction import predict
from loralab.training.resume import (
    fill_optimizer,
    optimizer_tensors,
    random_tensors,
    restore_random,
)

EVALUATION_BATCH = 32  # messages a forward pass; only in bf16 do the last digits depend on it


class PlainEngine:
    """Padded batches, one step after the other; whatever requires a gradient is trained.

    `stride` is the number of steps that one call of `take` should be given.
    """

    stride = 1

    def __init__(self, model: GPT2, train: LabelledTexts, settings: Training, seed: int):
        self.model, self.train, self.settings = model, train, settings
        self.device = model.head.weight.device
        self.trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = build_optimizer(
            model, settings.learning_rate, settings.loraplus_lr_ratio, settings.weight_decay
        )
        torch.manual_seed(stream_seed(seed, "training/dropout"))

    def take(self, step: int, batches: list[np.ndarray], rates: list[float]) -> list[dict]:
        """Take the optimiser steps from `step` (from 0) on, each on the rows of its batch.

        Returns of each its loss, gradient norm and counts. One that is not finite is the last; it
        is not taken, and leaves the state as it was.
        """
        self.model.train()
        taken = []
        for rows, rate in zip(batches, rates, strict=True):
            random = random_tensors(self.device)
            taken.append(self._step(rows, rate))
            if not is_finite(taken[-1]):
                restore_random(random, self.device)
                break
        return taken

    def _step(self, rows: np.ndarray, rate: float) -> dict:
        set_learning_rate(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        parts = np.array_split(rows, min(self.settings.accumulation, len(rows)))
        done = [self._accumulate(part, len(rows)) for part in parts]
        clip = self.settings.gradient_clip or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.trainable, clip)
        sums = {key: sum(part[key] for part in done) for key in done[0]}
        taken = {"examples": len(rows), "gradient_norm": norm.item()} | sums
        # A step that is not finite would spoil the adapters before anyone could read them.
        if is_finite(taken):
            self.optimizer.step()
        return taken

    def _accumulate(self, rows: np.ndarray, batch: int) -> dict:
        """Add the gradient of these rows' share of a batch's mean loss; that share, and counts."""
        padding_id, pad_to = self.model.shape.end_of_text, pad_length(self.settings)
        ids, lengths = collate(self.train.texts, rows, padding_id, pad_to, self.device)
        labels = torch.from_numpy(self.train.labels[rows]).to(self.device)
        logits = self.model.classify(ids, lengths)
        loss = functional.cross_entropy(logits, labels) * (len(rows) / batch)
        loss.backward()
        return {
            "tokens": int(lengths.sum()),
            "loss": loss.item(),
            "correct": int((logits.argmax(dim=-1) == labels).sum()),
        }

    def predict(self, texts: EncodedTexts) -> np.ndarray:
        """Probability of each label for each text, (n, labels), by the model as it is now."""
        return predict(self.model, texts, EVALUATION_BATCH, pad_length(self.settings))

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on."""
        trained = {f"trained.{i}": p.detach() for i, p in enumerate(self.trainable)}
        return trained | optimizer_tensors(self.optimizer) | random_tensors(self.device)

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        for i, parameter in enumerate(self.trainable):
            parameter.copy_(tensors[f"trained.{i}"])
        fill_optimizer(self.optimizer, tensors)
        restore_random(tensors, self.device)

    def close(self) -> None:
        """Nothing is to be given back."""


def is_finite(step: dict) -> bool:
    """Whether a step's loss and gradient norm are numbers."""
    return math.isfinite(step["loss"]) and math.isfinite(step["gradient_norm"])
