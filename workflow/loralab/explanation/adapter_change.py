"""What adapters changed: the size and the shape of ΔW, the change of each adapted layer's weight.

ΔW is the merged weight minus the weight before, whatever the adapter's variant: for `dora` the
lengths of the rows count too, and nested adapters count together.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from loralab.model.lora import LoRALinear, adapter_layers


@dataclass(frozen=True)
class AdapterChange:
    """The change ΔW of one layer beside its weight W."""

    module: str
    variant: str
    rank: int  # of the adapter, nested ones summed: a bound of ΔW's rank, but for DoRA
    norm: float  # ‖ΔW‖, Frobenius
    relative_norm: float | None  # ‖ΔW‖/‖W‖; None where W is zero
    effective_rank: float | None  # None where nothing changed


def adapter_changes(model: nn.Module) -> list[AdapterChange]:
    """The change of every adapted layer, in the model's order.

    `model` has its adapters merged; in float64, as rounding is a change too. Raises ValueError
    where an adapter is not merged.
    """
    outer = [(n, layer) for n, layer in adapter_layers(model) if not n.endswith(".base")]
    return [_change(name, layer) for name, layer in outer]


@torch.no_grad()
def _change(module: str, layer: LoRALinear) -> AdapterChange:
    nested = [layer]
    while isinstance(nested[-1].base, LoRALinear):
        nested.append(nested[-1].base)
    if not all(adapter.merged for adapter in nested):
        raise ValueError(f"{module} is not merged: its weight is the one before the change")
    before = nested[-1].kept_weight  # the innermost was merged first
    values = torch.linalg.svdvals(layer.weight - before).cpu().numpy()
    norm, weight_norm = float(np.linalg.norm(values)), float(torch.linalg.norm(before))
    return AdapterChange(
        module,
        layer.variant,
        sum(adapter.rank for adapter in nested),
        norm,
        norm / weight_norm if weight_norm else None,
        effective_rank(values),
    )


def effective_rank(values: np.ndarray) -> float | None:
    """e to the entropy of the singular values as shares of their sum (Roy and Vetterli, 2007).

    1 where all lies in one direction, k where k directions share alike; None where all are zero.
    """
    if not values.any():
        return None
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
