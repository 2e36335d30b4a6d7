"""A finished run as a classifier: base model, adapter, tokenizer and labels together."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tiktoken
import torch

from loralab.config import Config
from loralab.errors import LoralabError
from loralab.fast.network import FastClassifier
from loralab.model.adapters import load_adapter
from loralab.model.checkpoints import load_base
from loralab.model.gpt2 import GPT2
from loralab.model.lora import merge
from loralab.model.tokenizer import encode, load_tokenizer
from loralab.stages.encoding import PADDING, PRECISIONS, check_sizes
from loralab.stages.layout import Layout
from loralab.training.batches import EncodedTexts
from loralab.training.prediction import predict_packed


@dataclass(frozen=True)
class Classifier:
    """A trained classifier, ready to predict: `network` has the model's merged weights."""

    model: GPT2
    network: FastClassifier
    tokenizer: tiktoken.Encoding
    labels: list[str]
    config: Config

    def probabilities(self, texts: list[str]) -> np.ndarray:
        """Probability of each label for each text, (n, labels)."""
        return predict_packed(self.network, self.encode(texts), self.config.evaluation.batch_size)

    def encode(self, texts: list[str]) -> EncodedTexts:
        """The texts as the model reads them."""
        max_length = self.config.training.max_length
        padded = self.config.head.position == PADDING
        return EncodedTexts.from_lists(encode(self.tokenizer, t, max_length, padded) for t in texts)


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
    folder = adapter or layout.adapter
    labels = load_adapter(model, folder)
    if len(labels) < 2:
        raise LoralabError(
            f"{folder} has {len(labels)} labels; a classifier's adapter has two or more"
        )
    merge(model.to(device).eval())
    return Classifier(model, float32_network(model), tokenizer, labels, config)


def float32_network(model: GPT2) -> FastClassifier:
    """A model that is not trained any more, in the form that predicts fastest."""
    return FastClassifier(model, torch.float32, trained=False)
