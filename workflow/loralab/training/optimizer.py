"""AdamW over what a model trains, with LoRA+'s own learning rate for every B."""

import torch

from loralab.model.gpt2 import GPT2
from loralab.model.lora import adapter_layers


def build_optimizer(
    model: GPT2, learning_rate: float, b_ratio: float, weight_decay: float
) -> torch.optim.AdamW:
    """AdamW over the parameters that require gradients.

    LoRA+ (Hayou et al., 2024) trains every B at a multiple, `b_ratio`, of the rate of A and all
    else; where it is not 1 they are a second group. Each group keeps its multiple as `lr_ratio`,
    for `set_learning_rate`.
    """
    ratios = {id(layer.lora_B): b_ratio for _, layer in adapter_layers(model)}
    groups: dict[float, list[torch.nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups.setdefault(ratios.get(id(parameter), 1.0), []).append(parameter)
    optimizer = torch.optim.AdamW(
        [{"params": parameters, "lr_ratio": ratio} for ratio, parameters in groups.items()],
        weight_decay=weight_decay,
    )
    set_learning_rate(optimizer, learning_rate)
    return optimizer


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give A and all else this rate, and every B its multiple of it."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_ratio"]
