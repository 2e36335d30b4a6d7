"""A finished run as a classifier: base model, adapter, tokenizer and labels together."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tiktoken
import torch

from loralab.config import Config
from loralab.errors import LoralabError
from loralab.model.adapters import load_adapter
from loralab.model.checkpoints import load_base
from loralab.model.gpt2 import GPT2
from loralab.model.tokenizer import encode, load_tokenizer
from loralab.stages.encoding import PRECISIONS, check_sizes
from loralab.stages.layout import Layout
from loralab.training.batches import EncodedTexts
from loralab.training.loop import pad_length
from loralab.training.prediction import predict, predict_logits


@dataclass(frozen=True)
class Classifier:
    """A trained classifier, ready to predict."""

    model: GPT2
    tokenizer: tiktoken.Encoding
    labels: list[str]
    config: Config

    def probabilities(self, texts: list[str]) -> np.ndarray:
        """Probability of each label for each text, (n, labels)."""
        return predict(self.model, *self._batches(texts))

    def logits(self, texts: list[str]) -> np.ndarray:
        """Logit of each label for each text, (n, labels)."""
        return predict_logits(self.model, *self._batches(texts))

    def _batches(self, texts: list[str]) -> tuple[EncodedTexts, int, int | None]:
        training = self.config.training
        encoded = [encode(self.tokenizer, text, training.max_length) for text in texts]
        batch_size = self.config.evaluation.batch_size
        return EncodedTexts.from_lists(encoded), batch_size, pad_length(training)


def load_classifier(
    layout: Layout, device: torch.device, adapter: Path | None = None
) -> Classifier:
    """Read a finished run. `layout.config` needs what the stage `evaluate` reads.

    `adapter` is the folder of another adapter for the same base model, in place of the run's.
    """
    config = layout.config
    tokenizer = load_tokenizer(layout.tokenizer)
    # The weights that training saw, computed with in float32: in bf16 a text's probabilities would
    # change with the texts that share its batch.
    model = load_base(layout.base, dtype=PRECISIONS[config.training.precision]).float()
    check_sizes(model, tokenizer, config.training.max_length)
    folder = adapter or layout.run / "train" / "adapter"
    labels = load_adapter(model, folder)
    if len(labels) < 2:
        raise LoralabError(
            f"{folder} has {len(labels)} labels; a classifier's adapter has two or more"
        )
    return Classifier(model.to(device).eval(), tokenizer, labels, config)
