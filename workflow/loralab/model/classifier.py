"""From a base model to the classifier that is trained: adapters, then the head."""

import math

import torch
from torch import nn

from loralab.config import Lora
from loralab.model.gpt2 import GPT2, replace_head
from loralab.model.lora import PlannedAdapter, adapter_layers, inject, plan_adapters
from loralab.model.random_streams import generator


def add_adapters(model: GPT2, lora: Lora, seed: int) -> list[PlannedAdapter]:
    """Plan and inject; return the plan, which lists every layer once for each injection.

    With two injections the second goes around the first.
    """
    plan = plan_adapters(model, lora)
    inject(model, plan, lora.dropout, generator(seed, "model/adapters"))
    if lora.injections == 2:
        second = generator(seed, "model/adapters/second")
        inject(model, plan, lora.dropout, second, nest=True)
    if lora.fan_in == "rank":
        _widen(model)
    return plan * lora.injections


@torch.no_grad()
def _widen(model: nn.Module) -> None:
    """Let every A begin uniform in ±1/√rank in place of ±1/√in.

    So it begins where A is written as (in, rank): PyTorch's Kaiming initialisation takes the second
    side for the fan-in. With 768 inputs and rank 8 that is 9.8 times as wide.
    """
    for _, layer in adapter_layers(model):
        layer.lora_A.mul_(math.sqrt(layer.in_features / layer.rank))


def count_parameters(model: nn.Module) -> dict[str, float]:
    """How many numbers are `trainable`, how many there are in `total`, and the `percent`."""
    total = sum(parameter.numel() for parameter in model.parameters())
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {"trainable": trainable, "total": total, "percent": round(100 * trainable / total, 2)}


def add_head(model: GPT2, labels: int, bias: bool, seed: int) -> None:
    """Replace the head by a new one onto the labels, drawn from its own stream."""
    replace_head(model, labels, bias, generator(seed, "model/head"))
