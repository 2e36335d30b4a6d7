"""Which parameters get a gradient, how large, and whether that is as it must be.

At the first step every B is zero, so the gradient of every A is exactly zero and that of every B
is not: a check that asks only whether some gradients exist cannot fail. This one asks of every
tensor what it must have, then takes real optimiser steps and looks at what moved and stayed finite.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from loralab.model.checks import not_finite
from loralab.model.lora import adapter_layers
from loralab.model.tensor_hashes import tensor_sha256

STEPS = 3  # B moves at the first step, A from the second on


@dataclass(frozen=True)
class TensorGradient:
    """One parameter tensor after a backward pass. `norm` is 0 where there is no gradient."""

    parameter: str
    trainable: bool
    gradient: bool
    norm: float


def gradients(model: nn.Module, loss: Tensor) -> list[TensorGradient]:
    """Backward from `loss`; what every parameter tensor received. Gradients are left in place."""
    model.zero_grad(set_to_none=True)
    loss.backward()
    return [
        TensorGradient(
            name,
            parameter.requires_grad,
            parameter.grad is not None,
            0.0 if parameter.grad is None else parameter.grad.norm().item(),
        )
        for name, parameter in model.named_parameters()
    ]


def summarise(rows: list[TensorGradient]) -> dict[str, int]:
    """Tensors by whether they are trainable and whether they have a gradient."""
    return {
        "trainable_with_gradient": sum(r.trainable and r.gradient for r in rows),
        "trainable_without_gradient": sum(r.trainable and not r.gradient for r in rows),
        "frozen_with_gradient": sum(r.gradient and not r.trainable for r in rows),
        "frozen_without_gradient": sum(not r.trainable and not r.gradient for r in rows),
        "zero_at_start": sum(r.trainable and r.gradient and r.norm == 0 for r in rows),
    }


def gradient_problems(
    model: nn.Module, rows: list[TensorGradient], expected: set[str]
) -> list[str]:
    """What is wrong at the first step; `expected` names the tensors that must be trainable."""
    layers = dict(adapter_layers(model))
    problems = [
        f"{name}.lora_B is not zero at the start"
        for name, layer in layers.items()
        if layer.lora_B.any()
    ]
    zero_b = {f"{name}.lora_A" for name in layers}
    for row in rows:
        problems += _tensor_problems(row, row.parameter in expected, row.parameter in zero_b)
    absent = expected - {row.parameter for row in rows}
    return problems + [f"{name} should be trainable and is not there" for name in sorted(absent)]


def _tensor_problems(row: TensorGradient, expected: bool, behind_zero_b: bool) -> list[str]:
    name = row.parameter
    if not expected:
        if row.trainable:
            return [f"{name} is trainable and should be frozen"]
        return [f"{name} is frozen and has a gradient"] if row.gradient else []
    if not row.trainable:
        return [f"{name} is frozen and should be trainable"]
    if not row.gradient:
        return [f"{name} is trainable and has no gradient"]
    if not math.isfinite(row.norm):
        return [f"{name} has a gradient that is not finite"]
    if behind_zero_b and row.norm != 0:
        return [f"{name} has a gradient, which at the start is exactly zero"]
    if not behind_zero_b and row.norm == 0:
        return [f"{name} has a gradient of exactly zero"]
    return []


def step_problems(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[], Tensor],
    expected: set[str],
    before: Mapping[str, str],
) -> tuple[bool, list[str]]:
    """Take real optimiser steps; whether all else stayed, and what is wrong.

    `before` is `parameter_hashes` from before anything was computed. Every tensor among `expected`
    must have moved and be finite, every other must keep its bytes.
    """
    for _ in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()
    after = parameter_hashes(model)
    changed = {name for name, content in after.items() if content != before.get(name)}
    strayed = sorted(changed - expected)
    problems = [f"{name} is frozen and was changed by an optimiser step" for name in strayed]
    still = sorted(expected & after.keys() - changed)
    problems += [f"{name} did not move in {STEPS} optimiser steps" for name in still]
    spoilt = not_finite({n: p for n, p in model.named_parameters() if n in expected})
    return not strayed, problems + [f"{line} after {STEPS} optimiser steps" for line in spoilt]


def parameter_hashes(model: nn.Module) -> dict[str, str]:
    """SHA-256 of every parameter tensor, by its name."""
    return {name: tensor_sha256(parameter) for name, parameter in model.named_parameters()}
