"""LoRA (Hu et al., 2021): x ↦ W₀x + b + (α/r)·B·A·x, with W₀ and b frozen.

A has the shape (rank, in) and begins at random, B has the shape (out, rank) and begins at zero, so
an injected model computes what it did before. `plan_adapters` lists what will be adapted before
anything is touched; that plan drives injection, counts, files and report.
"""

import difflib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from loralab.errors import LoralabError, raise_all
from loralab.model.gpt2 import GPT2

ALL_LINEAR = "all-linear"


class LoRALinear(nn.Module):
    """A frozen linear layer with an adapter beside it.

    Args:
        base: the layer to adapt; its parameters are frozen here.
        rank: r, at least 1 and at most the smaller side of the layer.
        alpha: numerator of the scaling α/r.
        dropout: on the adapter's input alone, while training.
        generator: source of A's initial values.
    """

    def __init__(
        self,
        base: "nn.Linear | LoRALinear",
        rank: int,
        alpha: float,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.in_features, self.out_features = base.in_features, base.out_features
        self.scaling = alpha / rank
        self.dropout = nn.Dropout(dropout)
        device = next(base.parameters()).device
        # Kaiming uniform with a = √5, as the lab and PEFT have it, is uniform in ±1/√in.
        bound = 1 / math.sqrt(self.in_features)
        initial = torch.empty(rank, self.in_features, device="cpu" if generator else device)
        initial.uniform_(-bound, bound, generator=generator)
        self.lora_A = nn.Parameter(initial.to(device))  # (rank, in)
        self.lora_B = nn.Parameter(torch.zeros(self.out_features, rank, device=device))

    def forward(self, x: Tensor) -> Tensor:  # (..., in) -> (..., out)
        # Adapters stay in float32; beside a bf16 layer they are cast as they are used.
        low = functional.linear(self.dropout(x), self.lora_A.to(x.dtype))  # (..., rank)
        return self.base(x) + self.scaling * functional.linear(low, self.lora_B.to(x.dtype))

    def extra_repr(self) -> str:
        """What the printed structure says of the adapter."""
        rank = self.lora_A.shape[0]
        return f"lora_A=({rank}, {self.in_features}), lora_B=({self.out_features}, {rank})"


@dataclass(frozen=True)
class PlannedAdapter:
    """One linear layer that will be adapted, by its dotted path in the model."""

    module: str
    in_features: int
    out_features: int
    rank: int
    alpha: float

    @property
    def parameters(self) -> int:
        """Numbers in A and B together."""
        return self.rank * (self.in_features + self.out_features)


def plan_adapters(
    model: GPT2, targets: str | list[str], rank: int, alpha: float
) -> list[PlannedAdapter]:
    """List the linear layers of the blocks to adapt, in the model's order.

    `targets` is `all-linear`, or endings of dotted paths: `c_proj` names two layers of each block,
    `attn.c_proj` one. The head and the embeddings are never among them. Raises LoralabError where
    a target matches nothing, with near misses, or where the rank exceeds a layer's smaller side.
    """
    layers = {
        name: module
        for name, module in model.h.named_modules(prefix="h")
        if isinstance(module, (nn.Linear, LoRALinear)) and not name.endswith(".base")
    }
    chosen = list(layers) if targets == ALL_LINEAR else _matching(list(layers), targets)
    plan = [
        PlannedAdapter(name, layers[name].in_features, layers[name].out_features, rank, alpha)
        for name in chosen
    ]
    _check_rank(plan)
    return plan


def _matching(names: list[str], targets: list[str]) -> list[str]:
    endings = sorted({name.split(".", 2)[2] for name in names})
    unmatched = [t for t in targets if not any(_ends_with(name, t) for name in names)]
    near = {t: difflib.get_close_matches(t, endings, n=3, cutoff=0.0) for t in unmatched}
    raise_all(
        [f"{t!r} matches no layer; the nearest are {', '.join(near[t])}" for t in unmatched],
        "lora.targets",
    )
    return [name for name in names if any(_ends_with(name, target) for target in targets)]


def _ends_with(name: str, target: str) -> bool:
    return name == target or name.endswith("." + target)


def _check_rank(plan: list[PlannedAdapter]) -> None:
    for entry in plan:
        largest = min(entry.in_features, entry.out_features)
        if entry.rank > largest:
            raise LoralabError(
                f"lora.rank {entry.rank} exceeds {largest}, the smaller side of {entry.module} "
                f"({entry.in_features} to {entry.out_features}); lower it"
            )


def inject(
    model: GPT2,
    plan: list[PlannedAdapter],
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
    nest: bool = False,
) -> None:
    """Freeze the whole model, then put an adapter beside every planned layer.

    Raises LoralabError, before anything is touched, where a planned layer has an adapter already;
    only `nest` puts one around another, which is the lab's mistake made on purpose.
    """
    adapted = [e.module for e in plan if isinstance(model.get_submodule(e.module), LoRALinear)]
    if adapted and not nest:
        raise LoralabError(
            f"{adapted[0]} and {len(adapted) - 1} more already have adapters; injecting twice "
            "would nest them and train twice the rank that is reported"
        )
    trained_before = [parameter for _, parameter in adapter_parameters(model)]
    model.requires_grad_(False)
    for entry in plan:
        layer = model.get_submodule(entry.module)
        adapter = LoRALinear(layer, entry.rank, entry.alpha, dropout, generator)
        model.set_submodule(entry.module, adapter)
    for parameter in trained_before:
        parameter.requires_grad_(True)


def adapter_layers(model: nn.Module) -> Iterator[tuple[str, LoRALinear]]:
    """Every adapter with its dotted path."""
    for name, module in model.named_modules():
        if isinstance(module, LoRALinear):
            yield name, module


def adapter_parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Every A and B with its dotted name."""
    for name, layer in adapter_layers(model):
        yield f"{name}.lora_A", layer.lora_A
        yield f"{name}.lora_B", layer.lora_B


def count_parameters(model: nn.Module) -> dict[str, float]:
    """How many numbers are `trainable`, how many there are in `total`, and the `percent`."""
    total = sum(parameter.numel() for parameter in model.parameters())
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {"trainable": trainable, "total": total, "percent": round(100 * trainable / total, 2)}
