"""Trained adapters on disk, in the files and under the names that PEFT uses for GPT-2.

PEFT adapts the fused `c_attn` with one shared A; here query, key and value have adapters apart.
Stacking the three A to (3r, in) and setting the three B on the diagonal of a (3·out, 3r) matrix
says the same exactly, at the same scaling. The head is in the same file; the plan and the labels
are in its metadata, so that reading it back guesses nothing.
"""

import dataclasses
import json
import math
from pathlib import Path

import torch
from torch import Tensor, nn

from loralab.errors import LoralabError, raise_all
from loralab.model.checkpoints import (
    PROJECTIONS,
    read_metadata,
    read_safetensors,
    write_safetensors,
)
from loralab.model.gpt2 import GPT2, replace_head
from loralab.model.lora import LoRALinear, PlannedAdapter, adapter_layers, inject
from loralab.provenance import write_json

ADAPTER_FILE = "adapter_model.safetensors"
ADAPTER_CONFIG_FILE = "adapter_config.json"
METADATA_KEY = "loralab"

_TRUNK = "base_model.model.transformer."
_HEAD = "base_model.model.score."


def save_adapter(model: GPT2, labels: list[str], base_name: str, folder: Path) -> None:
    """Write `adapter_model.safetensors` and `adapter_config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    layers = _flat_adapters(model)
    plan = [_planned(name, a, b, scaling) for name, (a, b, scaling) in layers.items()]
    tensors = {f"{_TRUNK}{name}": tensor for name, tensor in _to_peft(layers).items()}
    for name, parameter in model.head.named_parameters():
        tensors[_HEAD + name] = parameter.detach().cpu().contiguous()
    description = {"labels": labels, "plan": [dataclasses.asdict(entry) for entry in plan]}
    metadata = json.dumps(description, sort_keys=True)
    write_safetensors(tensors, folder / ADAPTER_FILE, METADATA_KEY, metadata)
    dropout = max((layer.dropout.p for _, layer in adapter_layers(model)), default=0.0)
    write_json(folder / ADAPTER_CONFIG_FILE, _peft_config(plan, dropout, base_name))


def load_adapter(model: GPT2, folder: Path) -> list[str]:
    """Put a saved adapter and its head onto a base model; return its labels in order.

    Raises LoralabError that names every missing, unexpected or misshapen tensor.
    """
    path = folder / ADAPTER_FILE
    tensors = read_safetensors(path)
    plan, labels = _read_description(path)
    _check_fits(model, plan, path)
    inject(model, plan)
    replace_head(model, len(labels), bias=_HEAD + "bias" in tensors)
    layers = _flat_adapters(model)
    expected = {_TRUNK + name: tensor for name, tensor in _to_peft(layers).items()}
    expected |= {_HEAD + name: p.detach() for name, p in model.head.named_parameters()}
    raise_all(_differences(tensors, expected), str(path))
    _fill(model, tensors)
    return labels


def _read_description(path: Path) -> tuple[list[PlannedAdapter], list[str]]:
    """The plan and the labels that the file's metadata hold."""
    description = read_metadata(path, METADATA_KEY)
    try:
        plan = [PlannedAdapter(**entry) for entry in description["plan"]]
        labels = [str(label) for label in description["labels"]]
        sound = len(labels) >= 2 and all(_is_sound(entry) for entry in plan)
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise LoralabError(f"{path} has damaged {METADATA_KEY} metadata; train again")
    return plan, labels


def _is_sound(entry: PlannedAdapter) -> bool:
    whole = (entry.in_features, entry.out_features, entry.rank)
    return (
        isinstance(entry.module, str)
        and all(type(number) is int and number >= 1 for number in whole)
        and type(entry.alpha) in (int, float)
        and math.isfinite(entry.alpha)
    )


def _flat_adapters(model: GPT2) -> dict[str, tuple[Tensor, Tensor, float]]:
    """A, B and scaling of every adapted layer; nested adapters as one of their summed rank."""
    flat = {}
    for name, module in model.named_modules():
        if isinstance(module, LoRALinear) and not name.endswith(".base"):
            nested = [module]
            while isinstance(nested[-1].base, LoRALinear):
                nested.append(nested[-1].base)
            a = torch.cat([layer.lora_A.detach().cpu() for layer in nested])
            b = torch.cat([layer.lora_B.detach().cpu() for layer in nested], dim=1)
            flat[name] = (a, b, module.scaling)
    return flat


def _planned(name: str, a: Tensor, b: Tensor, scaling: float) -> PlannedAdapter:
    return PlannedAdapter(name, a.shape[1], b.shape[0], a.shape[0], scaling * a.shape[0])


def _to_peft(layers: dict[str, tuple[Tensor, Tensor, float]]) -> dict[str, Tensor]:
    """PEFT's names and shapes: q, k and v stacked as c_attn, everything else as it is."""
    tensors = {}
    for name, (a, b, _) in layers.items():
        attention, _, kind = name.rpartition(".")
        if kind not in PROJECTIONS:
            tensors |= {f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b}
        elif f"{attention}.c_attn.lora_A.weight" not in tensors:
            a, b = _stack_projections(layers, attention)
            tensors |= {f"{attention}.c_attn.lora_A.weight": a}
            tensors |= {f"{attention}.c_attn.lora_B.weight": b}
    return tensors


def _stack_projections(
    layers: dict[str, tuple[Tensor, Tensor, float]], attention: str
) -> tuple[Tensor, Tensor]:
    """A of (Σr, in) and B of (3·out, Σr): each projection reads its own rows of A alone."""
    present = [(i, *layers[f"{attention}.{p}"][:2]) for i, p in _projections(layers, attention)]
    width = present[0][2].shape[0]
    stacked_a = torch.cat([a for _, a, _ in present])
    stacked_b = torch.zeros(len(PROJECTIONS) * width, stacked_a.shape[0])
    column = 0
    for place, a, b in present:
        stacked_b[place * width : (place + 1) * width, column : column + len(a)] = b
        column += len(a)
    return stacked_a, stacked_b


def _projections(layers: dict, attention: str) -> list[tuple[int, str]]:
    """Those of q, k and v that are adapted in this attention, with their place in c_attn."""
    return [(i, p) for i, p in enumerate(PROJECTIONS) if f"{attention}.{p}" in layers]


def _fill(model: GPT2, tensors: dict[str, Tensor]) -> None:
    """Copy checked tensors into the model's adapters and head."""
    layers = dict(adapter_layers(model))
    with torch.no_grad():
        for name, layer in layers.items():
            a, b = _from_peft(tensors, layers, name)
            layer.lora_A.copy_(a)
            layer.lora_B.copy_(b)
        for name, parameter in model.head.named_parameters():
            parameter.copy_(tensors[_HEAD + name])


def _from_peft(tensors: dict[str, Tensor], layers: dict, name: str) -> tuple[Tensor, Tensor]:
    """A and B of one layer, cut out of c_attn where it is a projection."""
    attention, _, kind = name.rpartition(".")
    if kind not in PROJECTIONS:
        return tuple(tensors[f"{_TRUNK}{name}.lora_{part}.weight"] for part in "AB")
    a, b = (tensors[f"{_TRUNK}{attention}.c_attn.lora_{part}.weight"] for part in "AB")
    ranks = {p: len(layers[f"{attention}.{p}"].lora_A) for _, p in _projections(layers, attention)}
    before = [p for p in ranks if PROJECTIONS.index(p) < PROJECTIONS.index(kind)]
    start = sum(ranks[p] for p in before)
    columns = slice(start, start + ranks[kind])
    width = b.shape[0] // len(PROJECTIONS)
    place = PROJECTIONS.index(kind)
    return a[columns], b[place * width : (place + 1) * width, columns]


def _check_fits(model: GPT2, plan: list[PlannedAdapter], path: Path) -> None:
    modules = dict(model.named_modules())
    problems = []
    for entry in plan:
        layer = modules.get(entry.module)
        wanted = (entry.in_features, entry.out_features)
        if not isinstance(layer, nn.Linear):
            problems.append(f"{entry.module} is adapted and is no linear layer of the base model")
        elif (layer.in_features, layer.out_features) != wanted:
            has = f"{layer.in_features} to {layer.out_features}"
            problems.append(
                f"{entry.module} is {wanted[0]} to {wanted[1]}, in the base model {has}"
            )
    raise_all(problems, f"{path} was made for another base model")


def _differences(found: dict[str, Tensor], expected: dict[str, Tensor]) -> list[str]:
    problems = [f"tensor {name} is missing" for name in expected if name not in found]
    problems += [f"tensor {name} is unexpected" for name in found if name not in expected]
    for name in expected.keys() & found.keys():
        has, wanted = list(found[name].shape), list(expected[name].shape)
        if found[name].dtype != torch.float32:
            problems.append(f"tensor {name} holds {found[name].dtype}, expected torch.float32")
        elif has != wanted:
            problems.append(f"tensor {name} has the shape {has}, expected {wanted}")
        elif not found[name].isfinite().all():
            problems.append(f"tensor {name} holds NaN or infinity")
    return sorted(problems)


def _peft_config(plan: list[PlannedAdapter], dropout: float, base_name: str) -> dict:
    """PEFT's LoraConfig: the ranks that differ go into patterns, by the ends of module names."""
    if not plan:
        raise LoralabError("there is no adapter to save: the plan is empty")
    ranks, alphas = _by_peft_module(plan)
    rank = max(set(ranks.values()), key=list(ranks.values()).count)
    alpha = next(alphas[name] for name in ranks if ranks[name] == rank)
    different = [n for n in ranks if (ranks[n], alphas[n]) != (rank, alpha)]
    return {
        "peft_type": "LORA",
        "task_type": "SEQ_CLS",
        "base_model_name_or_path": base_name,
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": {name: ranks[name] for name in different},
        "alpha_pattern": {name: alphas[name] for name in different},
        "target_modules": sorted(ranks),
        "modules_to_save": ["score"],
        "lora_dropout": dropout,
        "bias": "none",
        "fan_in_fan_out": True,
        "use_rslora": False,
        "use_dora": False,
        "init_lora_weights": True,
        "inference_mode": True,
    }


def _by_peft_module(plan: list[PlannedAdapter]) -> tuple[dict[str, int], dict[str, float]]:
    """Rank and alpha of every PEFT module, named by its full path in the transformer."""
    ranks: dict[str, int] = {}
    for entry in plan:
        attention, _, kind = entry.module.rpartition(".")
        module = f"{attention}.c_attn" if kind in PROJECTIONS else entry.module
        ranks[module] = ranks.get(module, 0) + entry.rank
    scaling = plan[0].alpha / plan[0].rank
    alphas = {module: _whole(scaling * rank) for module, rank in ranks.items()}
    return ranks, alphas


def _whole(value: float) -> float:
    """16.0 as 16: PEFT documents alpha as a whole number."""
    return round(value) if math.isclose(value, round(value), rel_tol=1e-12) else value
