"""A finished run as a classifier: base model, adapter, tokenizer and labels together."""

from dataclasses import dataclass

import numpy as np
import tiktoken
import torch

from loralab.config import Config
from loralab.model.adapters import load_adapter
from loralab.model.checkpoints import load_base
from loralab.model.gpt2 import GPT2
from loralab.model.tokenizer import encode, load_tokenizer
from loralab.stages.encoding import PRECISIONS, check_sizes
from loralab.stages.layout import Layout
from loralab.training.batches import EncodedTexts
from loralab.training.loop import pad_length
from loralab.training.prediction import predict


@dataclass(frozen=True)
class Classifier:
    """A trained classifier, ready to predict."""

    model: GPT2
    tokenizer: tiktoken.Encoding
    labels: list[str]
    config: Config

    def probabilities(self, texts: list[str]) -> np.ndarray:
        """Probability of each label for each text, (n, labels)."""
        training = self.config.training
        encoded = [encode(self.tokenizer, text, training.max_length) for text in texts]
        flat = EncodedTexts.from_lists(encoded)
        batch_size = self.config.evaluation.batch_size
        return predict(self.model, flat, batch_size, pad_length(training))


def load_classifier(layout: Layout, device: torch.device) -> Classifier:
    """Read a finished run. `layout.config` needs what the stage `evaluate` reads."""
    config = layout.config
    tokenizer = load_tokenizer(layout.tokenizer)
    # The weights that training saw, computed with in float32: in bf16 a text's probabilities would
    # change with the texts that share its batch.
    model = load_base(layout.base, dtype=PRECISIONS[config.training.precision]).float()
    check_sizes(model, tokenizer, config.training.max_length)
    labels = load_adapter(model, layout.run / "train" / "adapter")
    return Classifier(model.to(device).eval(), tokenizer, labels, config)
