"""Tiny models with random weights; an oracle, where there is one, is transformers or PEFT."""

from collections.abc import Callable

import pytest
import torch
from loralab.model.classifier import add_adapters, add_head
from loralab.model.gpt2 import GPT2
from loralab.model.shapes import GPT2Shape

LENGTHS = torch.tensor([9, 1, 5, 7])
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


@pytest.fixture(scope="session")
def new_base() -> Callable[..., GPT2]:
    return _base


@pytest.fixture
def base() -> GPT2:
    return _base()


@pytest.fixture(scope="session")
def new_classifier(lora) -> Callable[..., GPT2]:
    """An adapted model with a two-label head; `trained` gives what begins plain random values."""

    def build(rank: int = 4, bias: bool = True, trained: bool = True, **settings) -> GPT2:
        model = _base()
        add_adapters(model, lora(rank=rank, **{"alpha": 2.0 * rank} | settings), seed=3)
        add_head(model, labels=2, bias=bias, seed=3)
        drawn = torch.Generator().manual_seed(2)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if trained and name.endswith("lora_B"):
                    parameter.normal_(0.0, 0.2, generator=drawn)
                if trained and name.endswith("lora_magnitude"):
                    parameter.mul_(torch.empty_like(parameter).uniform_(0.5, 2, generator=drawn))
        return model.eval()

    return build


@pytest.fixture
def ids() -> torch.Tensor:
    """Four messages of one to nine tokens; the last id pads."""
    ids = torch.randint(63, (4, 9), generator=torch.Generator().manual_seed(4))
    return ids.masked_fill(torch.arange(9) >= LENGTHS[:, None], 63)


@pytest.fixture
def lengths() -> torch.Tensor:
    return LENGTHS
