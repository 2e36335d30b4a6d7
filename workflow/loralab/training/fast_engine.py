"""Training steps on the CPU by the fast path: packed tokens, one flat vector of what is trained."""

import math

import numpy as np
import torch
from torch import Tensor

from loralab.config import Training
from loralab.fast.network import FastClassifier
from loralab.fast.parameters import flat_optimizer
from loralab.fast.passes import Passes
from loralab.model.gpt2 import GPT2
from loralab.randomness import stream_seed
from loralab.training.batches import EncodedTexts, packed_batch
from loralab.training.labelled import LabelledTexts
from loralab.training.optimizer import set_learning_rate
from loralab.training.plain_engine import is_finite
from loralab.training.prediction import predict_packed
from loralab.training.resume import fill_optimizer, optimizer_tensors

# A batch of more tokens is computed in parts, whose gradients add up: it bounds the memory that the
# tape takes. Each part reads all weights and makes all calls anew: not many, then.
TOKENS_A_PART = 416


class FastEngine:
    """As `PlainEngine`, but that dropout is drawn anew from seed and step."""

    stride = 1

    def __init__(
        self,
        model: GPT2,
        train: LabelledTexts,
        settings: Training,
        seed: int,
        dtype: torch.dtype,
        is_captured: bool = False,
    ):
        self.train, self.settings, self.seed = train, settings, seed
        self.network = FastClassifier(model, dtype, is_captured=is_captured)
        self.flat = self.network.flat
        self.optimizer = flat_optimizer(
            self.flat,
            settings.learning_rate,
            settings.loraplus_lr_ratio,
            settings.weight_decay,
            rates_on_device=is_captured,
        )

    def take(self, step: int, batches: list[np.ndarray], rates: list[float]) -> list[dict]:
        """As `PlainEngine.take`."""
        taken = []
        for place, (rows, rate) in enumerate(zip(batches, rates, strict=True)):
            taken.append(self._step(step + place, rows, rate))
            if not is_finite(taken[-1]):
                break
        return taken

    def _step(self, step: int, rows: np.ndarray, rate: float) -> dict:
        set_learning_rate(self.optimizer, rate)
        self.network.refresh()
        self.flat.gradients.zero_()
        passes = self.network.passes(stream_seed(self.seed, f"training/dropout/{step}"))
        done = [self._accumulate(part, len(rows), passes) for part in self._parts(rows)]
        clip = self.settings.gradient_clip or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self._trained(), clip)
        sums = {key: sum(part[key] for part in done) for key in done[0]}
        taken = {"examples": len(rows), "gradient_norm": norm.item()} | sums
        if is_finite(taken):
            self.optimizer.step()
        return taken

    def _trained(self) -> list[Tensor]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def _parts(self, rows: np.ndarray) -> list[np.ndarray]:
        tokens = self.train.texts.lengths[rows].sum()
        parts = max(self.settings.accumulation, -(-tokens // TOKENS_A_PART))
        return np.array_split(rows, min(parts, len(rows)))

    def _accumulate(self, rows: np.ndarray, batch: int, passes: Passes) -> dict:
        """Add the gradient of these rows' share of a batch's mean loss; that share, and counts."""
        texts, network = self.train.texts, self.network
        packed = packed_batch(texts, rows, network.model.shape, network.rows_multiple)
        labels = torch.from_numpy(self.train.labels[rows])
        shares = torch.full((len(rows),), 1 / batch, dtype=self.flat.values.dtype)
        # Not only without gradients, but without what PyTorch keeps about each tensor for them.
        with torch.inference_mode(not passes.needs_autograd):
            loss, logits = network.add_gradients(packed, labels, shares, passes)
        return {
            "tokens": int(texts.lengths[rows].sum()),
            "loss": loss.item(),
            "correct": int((logits.argmax(dim=-1) == labels).sum()),
        }

    def predict(self, texts: EncodedTexts) -> np.ndarray:
        """As `PlainEngine.predict`."""
        self.network.refresh()
        return predict_packed(self.network, texts)

    def state(self) -> dict[str, Tensor]:
        """As `PlainEngine.state`."""
        return {"trained.0": self.flat.values} | optimizer_tensors(self.optimizer)

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """As `PlainEngine.restore`."""
        self.flat.values.copy_(tensors["trained.0"])
        fill_optimizer(self.optimizer, tensors)

    def close(self) -> None:
        """Give the model its weights and parameters again."""
        self.network.release()
