"""loralab's own training path, as its stage `train` sets it up."""

import numpy as np
from loralab.config import Lora, Training, build
from loralab.config_file import load_mapping
from loralab.errors import LoralabError
from loralab.model.classifier import add_adapters, add_head
from loralab.model.devices import keep_freed_memory
from loralab.model.gpt2 import GPT2, initialise
from loralab.model.random_streams import generator
from loralab.model.shapes import SIZES
from loralab.training.engines import build_engine
from loralab.training.labelled import LabelledTexts
from loralab.training.plain_engine import is_finite

from benchmarks.conditions import (
    BATCH_SIZE,
    GRADIENT_CLIP,
    LEARNING_RATE,
    ROOT,
    SEED,
    WEIGHT_DECAY,
    Conditions,
)


def build_model(dropout: float, precision: str, trains: str, lora: Lora) -> GPT2:
    """GPT-2 124M with random weights and a head; `trains` is lora, full or head."""
    model = GPT2(SIZES["gpt2"], dropout)
    initialise(model, generator(SEED, "benchmarks/weights"))
    if precision == "bf16":
        model.bfloat16()
    if trains == "lora":
        add_adapters(model, lora, SEED)
    elif trains == "head":
        model.requires_grad_(False)
    add_head(model, 2, bias=True, seed=SEED)
    return model


class LoralabLoop:
    """Steps by one of loralab's engines."""

    def __init__(
        self,
        train: LabelledTexts,
        conditions: Conditions,
        precision: str,
        engine: str = "auto",
        trains: str = "lora",
    ):
        defaults = load_mapping([str(ROOT / "config.yaml")])
        settings = {
            "batch_size": BATCH_SIZE,
            "learning_rate": LEARNING_RATE,
            "weight_decay": WEIGHT_DECAY,
            "gradient_clip": GRADIENT_CLIP,
            "dropout": conditions.dropout,
            "precision": precision,
            "engine": engine,
        }
        lora = build(defaults["lora"], Lora)
        model = build_model(conditions.dropout, precision, trains, lora).to(conditions.device)
        training = build(defaults["training"] | settings, Training)
        self.engine = build_engine(model, train, training, SEED)
        keep_freed_memory()
        self.details = self.engine.description
        self.taken = 0

    def take(self, batches: list[np.ndarray]) -> None:
        """One optimiser step on each batch, as many at once as the engine likes."""
        for start in range(0, len(batches), self.engine.stride):
            part = batches[start : start + self.engine.stride]
            done = self.engine.take(self.taken, part, [LEARNING_RATE] * len(part))
            if len(done) < len(part) or not is_finite(done[-1]):
                raise LoralabError(f"step {self.taken + len(done)} is not finite")
            self.taken += len(part)
