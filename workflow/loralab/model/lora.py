"""LoRA: x ↦ W₀x + b + s·B·A·x, with W₀ and b frozen (Hu et al., 2021).

A, of the shape (rank, in), begins at random and B, (out, rank), at zero, so that an injected model
computes what it did before. The variants differ in the scaling s and in what else is trained:

    lora     s = α/r
    rslora   s = α/√r (Kalajdzievski, 2023)
    dora     s = α/r and, with V = W₀ + s·B·A, x ↦ (m/‖V‖)⊙Vx + b: the lengths m of V's rows, at
             first those of W₀'s, are trained apart from their directions; ‖V‖ is a constant in the
             backward pass (Liu et al., 2024, section 4.3)

`plan_adapters` lists what will be adapted before anything is touched; that plan drives injection,
counts, files and report. Below: the layer, the plan, injection and freezing, merging, state.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from loralab.config import Lora
from loralab.errors import LoralabError, raise_all
from loralab.model.checks import misfits, not_finite, plan_misfits
from loralab.model.gpt2 import GPT2
from loralab.model.targets import choose

_PAIR = ("lora_A", "lora_B")
TRAINED = {"lora": _PAIR, "rslora": _PAIR, "dora": (*_PAIR, "lora_magnitude")}  # by variant


def scaling_of(variant: str, rank: int, alpha: float) -> float:
    """s, by which the product B·A is multiplied."""
    return alpha / math.sqrt(rank) if variant == "rslora" else alpha / rank


def alpha_for(variant: str, rank: int, scaling: float) -> float:
    """α, which at this rank gives this scaling."""
    return scaling * math.sqrt(rank) if variant == "rslora" else scaling * rank


class LoRALinear(nn.Module):
    """A frozen linear layer with an adapter beside it, or merged into its weight.

    Args:
        base: the layer to adapt; its parameters are frozen here.
        rank: r, at least 1.
        alpha: α, which with the rank gives the scaling.
        variant: `lora`, `rslora` or `dora`.
        dropout: on the input of B·A alone, while training.
        generator: source of A's initial values.
    """

    def __init__(
        self,
        base: "nn.Linear | LoRALinear",
        rank: int,
        alpha: float,
        variant: str = "lora",
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.in_features, self.out_features = base.in_features, base.out_features
        self.rank, self.alpha, self.variant = rank, alpha, variant
        self.scaling = scaling_of(variant, rank, alpha)
        self.dropout = nn.Dropout(dropout)
        self.enabled = True
        self.register_buffer("kept_weight", None)  # W₀ while merged
        device = self.weight.device
        # Kaiming uniform with a = √5, as the lab and PEFT have it, is uniform in ±1/√in.
        bound = 1 / math.sqrt(self.in_features)
        initial = torch.empty(rank, self.in_features, device="cpu" if generator else device)
        initial.uniform_(-bound, bound, generator=generator)
        self.lora_A = nn.Parameter(initial.to(device))  # (rank, in)
        self.lora_B = nn.Parameter(torch.zeros(self.out_features, rank, device=device))
        lengths = nn.Parameter(row_lengths(self.weight)) if variant == "dora" else None
        self.register_parameter("lora_magnitude", lengths)  # (out,)
        self.train(base.training)

    @property
    def weight(self) -> Tensor:  # (out, in)
        return self.base.weight

    @property
    def bias(self) -> Tensor | None:  # (out,)
        return self.base.bias

    @property
    def merged(self) -> bool:
        return self.kept_weight is not None

    def forward(self, x: Tensor) -> Tensor:  # (..., in) -> (..., out)
        if self.merged and self.training and torch.is_grad_enabled():
            raise LoralabError("merged adapters cannot be trained; unmerge them first")
        if self.merged and not self.enabled and isinstance(self.base, nn.Linear):
            return functional.linear(x, self.kept_weight, self.bias)
        output = self.base(x)
        if self.merged or not self.enabled:
            return output
        # Adapters stay in float32; beside a bf16 layer they are cast as they are used.
        low = functional.linear(self.dropout(x), self.lora_A.to(x.dtype))  # (..., rank)
        update = self.scaling * functional.linear(low, self.lora_B.to(x.dtype))  # (..., out)
        if self.lora_magnitude is None:
            return output + update
        gain = self._gain(self._adapted_weight())  # (out,)
        unbiased = output if self.bias is None else output - self.bias
        # At the start the gain is 1 and the update 0: what is added is exactly nothing.
        return output + (gain - 1).to(x.dtype) * unbiased + gain.to(x.dtype) * update

    def merged_weight(self) -> Tensor:
        """The weight (out, in) that computes the same without an adapter, at least in float32."""
        weight = self._adapted_weight()
        return weight if self.lora_magnitude is None else self._gain(weight)[:, None] * weight

    def _adapted_weight(self) -> Tensor:
        """V = W₀ + s·B·A, (out, in)."""
        wide = torch.promote_types(self.weight.dtype, torch.float32)
        return self.weight.to(wide) + self.scaling * (self.lora_B.to(wide) @ self.lora_A.to(wide))

    def _gain(self, adapted: Tensor) -> Tensor:
        """m/‖V‖, (out,). A row of zeros has no direction and stays zero."""
        lengths = row_lengths(adapted)
        return self.lora_magnitude / lengths.clamp_min(torch.finfo(lengths.dtype).tiny)

    def extra_repr(self) -> str:
        """What the printed structure says of the adapter."""
        return ", ".join(f"{n}={tuple(getattr(self, n).shape)}" for n in TRAINED[self.variant])


def row_lengths(weight: Tensor) -> Tensor:  # (out, in) -> (out,)
    """The Euclidean length of each row, at least in float32, without a gradient."""
    wide = torch.promote_types(weight.dtype, torch.float32)
    return torch.linalg.vector_norm(weight.detach().to(wide), dim=1)


@dataclass(frozen=True)
class PlannedAdapter:
    """One linear layer that will be adapted, by its dotted path in the model."""

    module: str
    in_features: int
    out_features: int
    rank: int
    alpha: float
    variant: str = "lora"

    @property
    def parameters(self) -> int:
        """Numbers that are trained here: A, B and for `dora` the length of each row."""
        lengths = self.out_features if self.variant == "dora" else 0
        return self.rank * (self.in_features + self.out_features) + lengths

    @property
    def scaling(self) -> float:
        return scaling_of(self.variant, self.rank, self.alpha)


def plan_adapters(model: GPT2, lora: Lora) -> list[PlannedAdapter]:
    """List the linear layers of the blocks that `lora` adapts, in the model's order.

    Head and embeddings are never among them. Raises LoralabError where a pattern matches nothing,
    where no layer is left, or where a rank exceeds a layer's smaller side.
    """
    layers = {
        name: (module.in_features, module.out_features)
        for name, module in model.h.named_modules(prefix="h")
        if isinstance(module, (nn.Linear, LoRALinear)) and not name.endswith(".base")
    }
    chosen = choose(layers, lora)
    return [PlannedAdapter(n, *layers[n], *chosen[n], lora.variant) for n in chosen]


def planned_names(plan: Sequence[PlannedAdapter]) -> list[str]:
    """The dotted names of all that a plan trains; a layer listed twice is adapted in itself."""
    names, before = [], Counter()
    for e in plan:
        path = e.module + ".base" * before[e.module]
        names += [f"{path}.{tensor}" for tensor in TRAINED[e.variant]]
        before[e.module] += 1
    return names


def inject(
    model: GPT2,
    plan: Sequence[PlannedAdapter],
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
    *,
    exist_ok: bool = False,
    nest: bool = False,
) -> None:
    """Freeze the whole model, then put an adapter beside every planned layer.

    Where there are adapters already this raises LoralabError before anything is touched, unless
    `exist_ok` finds those of an identical plan, which stay as they are, or `nest` puts new ones
    around them, which is the lab's mistake made on purpose.
    """
    present = present_plan(model)
    dropouts = {layer.dropout.p for _, layer in adapter_layers(model)}
    if exist_ok and present == list(plan) and dropouts == {dropout}:
        return
    if present and (not nest or "dora" in {entry.variant for entry in [*present, *plan]}):
        raise LoralabError(
            f"{present[0].module} and {len(present) - 1} more already have adapters; injecting "
            "twice would nest them and train twice the rank that is reported"
        )
    raise_all(plan_misfits(model, plan, TRAINED), "the plan does not fit the model")
    model.requires_grad_(False)
    for e in plan:
        layer = model.get_submodule(e.module)
        adapter = LoRALinear(layer, e.rank, e.alpha, e.variant, dropout, generator)
        model.set_submodule(e.module, adapter)
    for _, parameter in adapter_parameters(model):
        parameter.requires_grad_(True)


def present_plan(model: nn.Module) -> list[PlannedAdapter]:
    """What a model's adapters amount to as a plan, in the model's order."""
    return [
        PlannedAdapter(name, a.in_features, a.out_features, a.rank, a.alpha, a.variant)
        for name, a in adapter_layers(model)
    ]


@torch.no_grad()
def merge(model: nn.Module) -> None:
    """Put every adapter into the weight beside it, computed in float32; twice is as once.

    Raises LoralabError, and leaves nothing merged, where a merged weight is not finite.
    """
    for _, layer in reversed(list(adapter_layers(model))):  # a nested adapter before its outer one
        if not layer.merged:
            merged = layer.merged_weight().to(layer.weight.dtype)
            layer.kept_weight, layer.weight.data = layer.weight.data, merged
    if problems := not_finite({f"{n}.weight": a.weight for n, a in adapter_layers(model)}):
        unmerge(model)
        raise_all(problems, "the adapters cannot be merged")


def unmerge(model: nn.Module) -> None:
    """Put back every weight as it was before, bit for bit: subtracting would round."""
    for _, layer in adapter_layers(model):
        if layer.merged:
            layer.weight.data, layer.kept_weight = layer.kept_weight, None


def unload(model: nn.Module) -> None:
    """Take the adapter layers away and leave plain ones, with the weights as they are now."""
    for name, layer in reversed(list(adapter_layers(model))):  # a nested one before its outer one
        model.set_submodule(name, layer.base)


@contextmanager
def disabled(model: nn.Module) -> Iterator[None]:
    """Inside this context the model computes what its base does, merged or not."""
    before = [(layer, layer.enabled) for _, layer in adapter_layers(model)]
    for layer, _ in before:
        layer.enabled = False
    try:
        yield
    finally:
        for layer, enabled in before:
            layer.enabled = enabled


def adapter_layers(model: nn.Module) -> Iterator[tuple[str, LoRALinear]]:
    """Every adapter with its dotted path, an outer one before one nested in it."""
    return ((n, module) for n, module in model.named_modules() if isinstance(module, LoRALinear))


def adapter_parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Every tensor that adapters train, with its dotted name."""
    for name, layer in adapter_layers(model):
        for tensor in TRAINED[layer.variant]:
            yield f"{name}.{tensor}", getattr(layer, tensor)


def adapter_state(model: nn.Module) -> dict[str, Tensor]:
    """A copy of every tensor that adapters train, by its dotted name."""
    return {name: tensor.detach().clone() for name, tensor in adapter_parameters(model)}


@torch.no_grad()
def load_adapter_state(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Fill the adapters. Raises LoralabError, before anything is touched, that names misfits."""
    if any(layer.merged for _, layer in adapter_layers(model)):
        raise LoralabError("merged adapters cannot be filled; unmerge them first")
    parameters = dict(adapter_parameters(model))
    raise_all(misfits(state, parameters), "the state does not fit the adapters")
    for name, parameter in parameters.items():
        parameter.copy_(state[name])
