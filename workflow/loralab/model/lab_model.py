"""The published lab's model, measured: a GPT-2 124M with its adapters, of shapes without numbers.

PyTorch's meta device holds shapes alone, so that counts and gradients are those of the real size
whatever base model an experiment uses.
"""

import torch
from torch.nn import functional

from loralab.config import Layers, Lora
from loralab.model.classifier import count_parameters
from loralab.model.gpt2 import GPT2, replace_head
from loralab.model.lora import adapter_layers, inject, plan_adapters
from loralab.model.shapes import SIZES

LABELS = 2
LORA = Lora(
    variant="lora",
    rank=8,
    alpha=16,
    rank_pattern={},
    alpha_pattern={},
    dropout=0.0,
    targets="all-linear",
    exclude=[],
    layers=Layers(first=0, last=None),
    injections=1,
    fan_in="in_features",
)
BATCH, LENGTH = 2, 256  # of the lab's gradient check


def measure_lab_model(injections: int) -> dict:
    """Counts of the lab's model adapted once or, as its notebook did by mistake, twice.

    Returns `modules` adapted, parameters of the `language_model` and of the `classifier` (each
    `trainable`, `total`, `percent`), parameters of the `head`, and parameter tensors
    `with_gradient` and `frozen_without` one after a backward pass of the language model.
    """
    with torch.device("meta"):
        model = _adapted(injections)
        found = {
            "modules": len(list(adapter_layers(model))),
            "language_model": count_parameters(model),
        }
        _backward(model)
        parameters = list(model.parameters())
        found["with_gradient"] = sum(p.grad is not None for p in parameters)
        found["frozen_without"] = sum(p.grad is None and not p.requires_grad for p in parameters)
        replace_head(model, LABELS, bias=True)
        head = sum(parameter.numel() for parameter in model.head.parameters())
        return found | {"classifier": count_parameters(model), "head": head}


def lab_check_passes_with_every_b_frozen() -> bool:
    """The lab's criterion on a model that cannot learn: every B frozen at zero.

    The criterion asks that some trainable tensor have a gradient and some frozen one have none.
    """
    with torch.device("meta"):
        model = _adapted(injections=1)
        for name, parameter in model.named_parameters():
            if name.endswith("lora_B"):
                parameter.requires_grad_(False)
        _backward(model)
        some_have = any(p.grad is not None for p in model.parameters() if p.requires_grad)
        some_lack = any(p.grad is None for p in model.parameters() if not p.requires_grad)
        return some_have and some_lack


def _adapted(injections: int) -> GPT2:
    model = GPT2(SIZES["gpt2"])
    plan = plan_adapters(model, LORA)
    for _ in range(injections):
        inject(model, plan, nest=injections > 1)
    return model


def _backward(model: GPT2) -> None:
    """The lab's check: the cross-entropy of a language model on its batch of token ids."""
    ids = torch.zeros(BATCH, LENGTH, dtype=torch.long)
    functional.cross_entropy(model(ids).flatten(0, 1), ids.flatten()).backward()
