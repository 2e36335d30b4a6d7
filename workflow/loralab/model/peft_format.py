"""Adapters in the names and shapes of PEFT's LoRA for GPT-2.

PEFT adapts the fused `c_attn` with one A; here query, key and value have adapters apart. On the way
out the three A are stacked to (Σr, in) and the three B stand on the diagonal of a (3·out, Σr)
matrix, which says the same at the same scaling. On the way in each projection gets a copy of the
one A and its own rows of B. A plan of PEFT's layers is here called fused.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from loralab.model.checkpoints import PROJECTIONS
from loralab.model.lora import PlannedAdapter, alpha_for
from loralab.model.peft_settings import PeftSettings
from loralab.model.shapes import GPT2Shape, linear_layers

TRUNK = "base_model.model.transformer."
HEAD = "base_model.model.score."
NORM = f"{TRUNK}ln_f."

# What each tensor of an adapter is called after the name of its layer.
SUFFIXES = {
    "lora_A": "lora_A.weight",
    "lora_B": "lora_B.weight",
    "lora_magnitude": "lora_magnitude_vector",
}
_LAYER = re.compile(
    rf"{re.escape(TRUNK)}(h\.\d+\.(?:attn\.c_attn|attn\.c_proj|mlp\.c_fc|mlp\.c_proj))"
    r"\.(?:lora_[AB]\.weight|lora_magnitude_vector)"
)


# --- plans ----------------------------------------------------------------------------------


def fuse(plan: Sequence[PlannedAdapter]) -> list[PlannedAdapter]:
    """The plan as PEFT sees it: query, key and value of an attention are one layer `c_attn`."""
    return [_fused(name, entries) for name, entries in _by_peft_layer(plan).items()]


def split(fused: Sequence[PlannedAdapter]) -> list[PlannedAdapter]:
    """The plan with each `c_attn` as query, key and value, each of the whole rank."""
    plan = []
    for entry in fused:
        attention, _, kind = entry.module.rpartition(".")
        if kind == "c_attn":
            out = entry.out_features // len(PROJECTIONS)
            names = [f"{attention}.{projection}" for projection in PROJECTIONS]
            plan += [replace(entry, module=name, out_features=out) for name in names]
        else:
            plan.append(entry)
    return plan


def _by_peft_layer(plan: Sequence[PlannedAdapter]) -> dict[str, list[PlannedAdapter]]:
    layers: dict[str, list[PlannedAdapter]] = {}
    for entry in plan:
        attention, _, kind = entry.module.rpartition(".")
        name = f"{attention}.c_attn" if kind in PROJECTIONS else entry.module
        layers.setdefault(name, []).append(entry)
    return layers


def _fused(name: str, entries: list[PlannedAdapter]) -> PlannedAdapter:
    first = entries[0]
    if first.module == name:
        return first
    rank = sum(entry.rank for entry in entries)
    alpha = alpha_for(first.variant, rank, first.scaling)
    out = len(PROJECTIONS) * first.out_features
    return replace(first, module=name, out_features=out, rank=rank, alpha=_whole(alpha))


def _whole(value: float) -> float:
    """16.0 as 16: PEFT documents alpha as a whole number."""
    return round(value) if math.isclose(value, round(value), rel_tol=1e-12) else value


# --- tensors ----------------------------------------------------------------------------------


def expected_tensors(fused: Sequence[PlannedAdapter]) -> dict[str, Tensor]:
    """Every tensor of the adapters by PEFT's name, as a shape without numbers."""
    tensors = {}
    for entry in fused:
        shapes = {
            "lora_A": (entry.rank, entry.in_features),
            "lora_B": (entry.out_features, entry.rank),
        }
        if entry.variant == "dora":
            shapes["lora_magnitude"] = (entry.out_features,)
        for tensor, shape in shapes.items():
            tensors[_name(entry.module, tensor)] = torch.empty(shape, device="meta")
    return tensors


def to_peft(
    plan: Sequence[PlannedAdapter],
    state: Mapping[str, Tensor],
    row_lengths: Callable[[str], Tensor],
) -> dict[str, Tensor]:
    """Adapters apart (a plan, and its tensors by dotted names) as PEFT's tensors.

    `row_lengths` gives those of a layer's weight, (out,): for `dora`, where some projections of an
    attention are adapted and others not.
    """
    tensors = {}
    for name, entries in _by_peft_layer(plan).items():
        a = torch.cat([state[f"{entry.module}.lora_A"] for entry in entries])
        b = torch.zeros(_fused(name, entries).out_features, len(a))
        for entry, rows, columns, factor in _places(entries):
            b[rows, columns] = factor * state[f"{entry.module}.lora_B"]
        tensors |= {_name(name, "lora_A"): a, _name(name, "lora_B"): b}
        if entries[0].variant == "dora":
            tensors[_name(name, "lora_magnitude")] = _magnitude(name, state, row_lengths)
    return tensors


def from_peft(
    plan: Sequence[PlannedAdapter], tensors: Mapping[str, Tensor], shared_a: bool
) -> dict[str, Tensor]:
    """The tensors of adapters apart, by dotted names, out of PEFT's.

    `shared_a` tells whether the projections of an attention share the whole A, as PEFT trains it,
    or each have their own rows of it, as `to_peft` writes it.
    """
    state = {}
    for name, entries in _by_peft_layer(plan).items():
        a, b = tensors[_name(name, "lora_A")], tensors[_name(name, "lora_B")]
        for entry, rows, columns, factor in _places(entries, shared_a):
            state[f"{entry.module}.lora_A"] = a[columns]
            state[f"{entry.module}.lora_B"] = b[rows, columns] / factor
            if entry.variant == "dora":
                magnitude = tensors[_name(name, "lora_magnitude")]
                state[f"{entry.module}.lora_magnitude"] = magnitude[rows]
    return state


def _name(layer: str, tensor: str) -> str:
    return f"{TRUNK}{layer}.{SUFFIXES[tensor]}"


def _places(
    entries: list[PlannedAdapter], shared_a: bool = False
) -> Iterator[tuple[PlannedAdapter, slice, slice, float]]:
    """Each entry of one PEFT layer, its rows and columns of B, and what its B is multiplied by.

    The factor is 1 unless projections of one attention differ in their scaling.
    """
    start = 0
    for entry in entries:
        kind = entry.module.rpartition(".")[2]
        place = PROJECTIONS.index(kind) if kind in PROJECTIONS else 0
        rows = slice(place * entry.out_features, (place + 1) * entry.out_features)
        columns = slice(None) if shared_a else slice(start, start + entry.rank)
        start += entry.rank
        same = entry.scaling == entries[0].scaling
        yield entry, rows, columns, 1.0 if same else entry.scaling / entries[0].scaling


def _magnitude(
    name: str, state: Mapping[str, Tensor], row_lengths: Callable[[str], Tensor]
) -> Tensor:
    attention, _, kind = name.rpartition(".")
    parts = [f"{attention}.{p}" for p in PROJECTIONS] if kind == "c_attn" else [name]
    trained = [state.get(f"{part}.lora_magnitude") for part in parts]
    pairs = zip(parts, trained, strict=True)
    return torch.cat([row_lengths(part) if own is None else own for part, own in pairs])


def read_fused_plan(
    settings: PeftSettings, tensors: Mapping[str, Tensor], shape: GPT2Shape
) -> list[PlannedAdapter]:
    """The plan of the layers that the settings target, for a base of this shape.

    Where they do not say, of those whose adapters are among `tensors`.
    """
    layers = linear_layers(shape).items()
    possible = fuse([PlannedAdapter(name, *sides, 1, 1) for name, sides in layers])
    found = {match.group(1) for name in tensors if (match := _LAYER.fullmatch(name))}
    variant = "dora" if settings.dora else "rslora" if settings.rslora else "lora"
    plan = []
    for entry in possible:
        targeted = settings.targets(entry.module)
        if entry.module in found if targeted is None else targeted:
            rank = settings.rank_of(entry.module)
            # Not the file's own: rslora and dora together are dora here, scaled as rslora.
            alpha = _whole(alpha_for(variant, rank, settings.scaling_of(entry.module)))
            plan.append(replace(entry, rank=rank, alpha=alpha, variant=variant))
    return plan
