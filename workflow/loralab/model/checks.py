"""What keeps tensors, plans and numbers that come from outside from being used."""

import math
from collections.abc import Container, Mapping, Sequence

from torch import Tensor, nn

LARGEST = 2**31  # of a number in a file: no rank, side or alpha is beyond it


def misfits(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """A line for each tensor that is missing, unexpected, or not of the expected shape."""
    problems = [f"tensor {name} is missing" for name in expected if name not in found]
    problems += [f"tensor {name} is unexpected" for name in found if name not in expected]
    for name, wanted in expected.items():
        if name in found and found[name].shape != wanted.shape:
            has, shape = list(found[name].shape), list(wanted.shape)
            problems.append(f"tensor {name} has the shape {has}, expected {shape}")
    return problems


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """A line for each tensor that holds NaN or infinity."""
    return [
        f"tensor {name} holds NaN or infinity"
        for name, tensor in tensors.items()
        if not tensor.isfinite().all()
    ]


def plan_misfits(model: nn.Module, plan: Sequence, variants: Container[str]) -> list[str]:
    """A line for each entry of a plan that the model has no such layer for, or that is no adapter.

    Entries are `loralab.model.lora.PlannedAdapter`, which imports this; any module with
    `in_features` and `out_features` counts as a layer.
    """
    modules = dict(model.named_modules())
    problems, seen = [], set()
    for entry in plan:
        layer = modules.get(entry.module)
        has = getattr(layer, "in_features", None), getattr(layer, "out_features", None)
        if None in has:
            problems.append(f"{entry.module} is adapted and is no linear layer of the base model")
        elif has != (entry.in_features, entry.out_features):
            wanted = f"{entry.in_features} to {entry.out_features}"
            problems.append(f"{entry.module} is {wanted}, in the base model {has[0]} to {has[1]}")
        elif entry.variant not in variants or not is_count(entry.rank):
            problems.append(f"{entry.module}: there is no {entry.variant} of rank {entry.rank}")
        elif entry.module in seen:
            problems.append(f"{entry.module} is listed twice")
        seen.add(entry.module)
    return problems


def is_count(value: object) -> bool:
    """Whether the value is a whole number above 0 that some layer could have."""
    return type(value) is int and 1 <= value <= LARGEST


def is_number(value: object) -> bool:
    """Whether the value is a finite number that some layer could be scaled by."""
    return type(value) in (int, float) and abs(value) <= LARGEST and math.isfinite(value)
