"""Tiny classifiers with random weights, in float64."""

from collections.abc import Callable

import pytest
import torch
from loralab.model.classifier import add_adapters, add_head
from loralab.model.gpt2 import GPT2
from loralab.model.shapes import GPT2Shape

SHAPE = GPT2Shape(vocabulary=64, context=32, width=16, layers=2, heads=2)
PADDING = SHAPE.end_of_text


@pytest.fixture
def new_classifier(lora) -> Callable[..., GPT2]:
    """A classifier whose every tensor is random, its adapters' among them, as after training."""

    def build(labels: int = 2, **settings) -> GPT2:
        drawn = torch.Generator().manual_seed(1)
        model = GPT2(SHAPE)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(0.0, 0.2, generator=drawn)
        add_adapters(model, lora(**{"rank": 2, "alpha": 4} | settings), seed=3)
        add_head(model, labels, bias=True, seed=3)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith("lora_B"):
                    parameter.normal_(0.0, 0.2, generator=drawn)
                if name.endswith("lora_magnitude"):
                    parameter.mul_(torch.empty_like(parameter).uniform_(0.5, 2, generator=drawn))
        return model.double().eval()

    return build


@pytest.fixture
def ids() -> torch.Tensor:
    return torch.randint(PADDING, (9,), generator=torch.Generator().manual_seed(4))
