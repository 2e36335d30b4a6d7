"""A tiny adapted model and a task that it can learn: the first token tells the label."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from loralab.config import Training
from loralab.model.classifier import add_adapters, add_head
from loralab.model.gpt2 import GPT2, initialise
from loralab.model.shapes import GPT2Shape
from loralab.training.batches import EncodedTexts
from loralab.training.fast_engine import FastEngine
from loralab.training.labelled import LabelledTexts
from loralab.training.plain_engine import PlainEngine

SHAPE = GPT2Shape(vocabulary=64, context=32, width=16, layers=2, heads=2)


@pytest.fixture
def new_base() -> Callable[[], GPT2]:
    def build() -> GPT2:
        model = GPT2(SHAPE)
        initialise(model, torch.Generator().manual_seed(1))
        return model

    return build


@pytest.fixture
def new_classifier(new_base, lora) -> Callable[..., GPT2]:
    def build(dropout: float = 0.0) -> GPT2:
        model = new_base()
        with torch.no_grad():
            model.wte.weight.mul_(25)
        add_adapters(model, lora(rank=4, alpha=8.0, dropout=dropout), seed=2)
        add_head(model, labels=2, bias=True, seed=2)
        return model

    return build


@pytest.fixture
def task() -> LabelledTexts:
    """Sixty texts of 1 to 12 tokens; ids below 32 first make label 0, the others label 1."""
    drawn = np.random.default_rng(3)
    encoded = [drawn.integers(0, 63, size=drawn.integers(1, 13)).tolist() for _ in range(60)]
    labels = np.array([int(ids[0] >= 32) for ids in encoded])
    return LabelledTexts(EncodedTexts.from_lists(encoded), labels)


@pytest.fixture(params=["plain", "fast"])
def engine(request) -> str:
    """Either engine: whatever holds of a training holds of both."""
    return request.param


@pytest.fixture
def engine_class(engine) -> type:
    return {"plain": PlainEngine, "fast": FastEngine}[engine]


@pytest.fixture
def settings(engine) -> Callable[..., Training]:
    def build(**changes) -> Training:
        defaults = {
            "epochs": 4,
            "batch_size": 8,
            "accumulation": 1,
            "learning_rate": 5e-3,
            "loraplus_lr_ratio": 1.0,
            "weight_decay": 0.01,
            "schedule": "constant",
            "warmup": 0.0,
            "gradient_clip": 1.0,
            "dropout": 0.0,
            "max_length": 16,
            "padding": "dynamic",
            "drop_last": False,
            "early_stopping": None,
            "precision": "float32",
            "engine": engine,
            "device": "cpu",
            "save_every": 30.0,
            "log_every": 10,
        }
        return Training(**defaults | changes)

    return build
