"""Tiny models with random weights; an oracle, where there is one, is transformers or PEFT."""

from collections.abc import Callable

import pytest
import torch
from loralab.config import Lora
from loralab.model.classifier import add_adapters, add_head
from loralab.model.gpt2 import GPT2, GPT2Shape

SHAPE = GPT2Shape(vocabulary=64, context=32, width=16, layers=2, heads=2)


def _base(shape: GPT2Shape = SHAPE, dropout: float = 0.0) -> GPT2:
    """A model whose every tensor is random, so that none can be swapped or skipped unnoticed."""
    drawn = torch.Generator().manual_seed(1)
    model = GPT2(shape, dropout).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.2, generator=drawn)
        model.head.weight.copy_(model.wte.weight)
    return model


@pytest.fixture
def new_base() -> Callable[..., GPT2]:
    return _base


@pytest.fixture
def base() -> GPT2:
    return _base()


@pytest.fixture
def new_classifier() -> Callable[..., GPT2]:
    """An adapted model with a two-label head; `trained` gives every B random values."""

    def build(
        rank: int = 4,
        targets: str | list[str] = "all-linear",
        injections: int = 1,
        bias: bool = True,
        trained: bool = True,
    ) -> GPT2:
        model = _base()
        add_adapters(model, Lora(rank, 2.0 * rank, 0.0, targets, injections), seed=3)
        add_head(model, labels=2, bias=bias, seed=3)
        drawn = torch.Generator().manual_seed(2)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if trained and name.endswith("lora_B"):
                    parameter.normal_(0.0, 0.2, generator=drawn)
        return model.eval()

    return build


@pytest.fixture
def ids() -> torch.Tensor:
    """Four rows of nine token ids; none is the last id, which pads."""
    return torch.randint(63, (4, 9), generator=torch.Generator().manual_seed(4))


@pytest.fixture
def lengths() -> torch.Tensor:
    return torch.tensor([9, 1, 5, 7])
