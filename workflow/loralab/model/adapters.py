"""Trained adapters on disk, in the files that PEFT writes, with the head beside them.

What PEFT has no place for is in the file's own metadata: the plan with query, key and value apart,
the labels, the head's bias (PEFT finds it in the final norm), and hashes of the base model and of
the tensors. So a file written here is read back bit for bit, and one that PEFT wrote is read too.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from loralab.errors import LoralabError, raise_all
from loralab.model import adapter_metadata
from loralab.model.adapter_metadata import AdapterMetadata, read_adapter_metadata
from loralab.model.checkpoints import READABLE
from loralab.model.gpt2 import GPT2, replace_head
from loralab.model.head_bias import head_with_norm, norm_bias_with
from loralab.model.lora import (
    TRAINED,
    LoRALinear,
    PlannedAdapter,
    adapter_layers,
    adapter_state,
    inject,
    load_adapter_state,
    row_lengths,
)
from loralab.model.misfits import misfits, not_finite
from loralab.model.peft_format import (
    HEAD,
    NORM,
    expected_tensors,
    from_peft,
    fuse,
    read_fused_plan,
    split,
    to_peft,
)
from loralab.model.peft_settings import PeftSettings, read_settings, write_settings
from loralab.model.tensor_files import read_safetensors, write_safetensors
from loralab.model.tensor_hashes import tensors_sha256
from loralab.provenance import read_json, write_json

ADAPTER_FILE = "adapter_model.safetensors"
ADAPTER_CONFIG_FILE = "adapter_config.json"


@dataclass(frozen=True)
class SavedAdapter:
    """What an adapter's files say: a plan, its tensors by dotted names, a head and its labels."""

    plan: list[PlannedAdapter]
    state: dict[str, Tensor]
    head: dict[str, Tensor]  # `weight` (labels, C) and perhaps `bias` (labels,); empty without one
    labels: list[str]


# --- writing ----------------------------------------------------------------------------------


def save_adapter(model: GPT2, labels: list[str], base_name: str, folder: Path) -> None:
    """Write `adapter_model.safetensors` and `adapter_config.json`.

    Raises LoralabError where PEFT's format cannot express the model.
    """
    plan, state = _flat_adapters(model)
    tensors = to_peft(plan, state, lambda path: row_lengths(model.get_submodule(path).weight).cpu())
    tensors |= _head_tensors(model)
    bias = None if model.head.bias is None else model.head.bias.tolist()
    metadata = AdapterMetadata(labels, plan, bias, model.base_sha256, tensors_sha256(tensors))
    dropout = max((layer.dropout.p for _, layer in adapter_layers(model)), default=0.0)
    saved_modules = ["score"] if model.head.bias is None else ["score", "ln_f"]
    settings = write_settings(fuse(plan), dropout, base_name, saved_modules)
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(tensors, folder / ADAPTER_FILE, adapter_metadata.KEY, metadata.to_json())
    write_json(folder / ADAPTER_CONFIG_FILE, settings)


def _head_tensors(model: GPT2) -> dict[str, Tensor]:
    """The head as PEFT finds it: without a bias, which the final norm carries."""
    weight, bias = model.head.weight.detach().cpu(), model.head.bias
    tensors = {f"{HEAD}weight": weight.contiguous()}
    if bias is not None:
        norm_weight, norm_bias = (p.detach().cpu().float() for p in model.ln_f.parameters())
        carried = norm_bias_with(bias.detach().cpu(), weight, norm_bias)
        tensors |= {f"{NORM}weight": norm_weight.contiguous(), f"{NORM}bias": carried}
    return tensors


def _flat_adapters(model: GPT2) -> tuple[list[PlannedAdapter], dict[str, Tensor]]:
    """Plan and tensors of a model's adapters; nested ones count as one of their summed rank."""
    plan, state = [], {}
    trained = {name: tensor.cpu() for name, tensor in adapter_state(model).items()}
    for name, layer in adapter_layers(model):
        if name.endswith(".base"):
            continue
        nested = [name]
        while isinstance(model.get_submodule(f"{nested[-1]}.base"), LoRALinear):
            nested.append(f"{nested[-1]}.base")
        rank = len(nested) * layer.rank
        alpha = layer.alpha * (math.sqrt(len(nested)) if layer.variant == "rslora" else len(nested))
        sides = layer.in_features, layer.out_features
        plan.append(PlannedAdapter(name, *sides, rank, alpha, layer.variant))
        state |= {f"{name}.{t}": trained[f"{name}.{t}"] for t in TRAINED[layer.variant]}
        state[f"{name}.lora_A"] = torch.cat([trained[f"{path}.lora_A"] for path in nested])
        state[f"{name}.lora_B"] = torch.cat([trained[f"{path}.lora_B"] for path in nested], dim=1)
    if not plan:
        raise LoralabError("there is no adapter to save: the plan is empty")
    return plan, state


# --- reading ----------------------------------------------------------------------------------


def load_adapter(model: GPT2, folder: Path) -> list[str]:
    """Put a saved adapter and its head onto a base model; return its labels in order.

    The adapter may be one that PEFT wrote, whose labels are then called LABEL_0 and so on, as in
    transformers; one for a language model has no head and no labels. Raises LoralabError, before
    the model is touched, that names whatever does not fit.
    """
    saved = read_adapter(model, folder)
    inject(model, saved.plan)
    load_adapter_state(model, saved.state)
    if saved.head:
        replace_head(model, len(saved.head["weight"]), bias="bias" in saved.head)
        model.head.load_state_dict(saved.head)
    return saved.labels


def read_adapter(model: GPT2, folder: Path) -> SavedAdapter:
    """Read and check an adapter for a base model, which is left as it is."""
    path, config_path = folder / ADAPTER_FILE, folder / ADAPTER_CONFIG_FILE
    tensors = read_safetensors(path)
    settings = read_settings(read_json(config_path), str(config_path))
    metadata = read_adapter_metadata(path)
    if metadata is None:
        return _read_foreign(model, tensors, settings, folder)
    return _read_own(model, tensors, settings, metadata, folder)


def _read_own(
    model: GPT2,
    tensors: dict[str, Tensor],
    settings: PeftSettings,
    metadata: AdapterMetadata,
    folder: Path,
) -> SavedAdapter:
    path = folder / ADAPTER_FILE
    plan, labels, bias = metadata.plan, metadata.labels, metadata.head_bias
    _check_base(model, plan, metadata.base_sha256, path)
    fused = fuse(plan)
    expected = expected_tensors(fused) | _expected_head(model, len(labels), bias is not None)
    _check_tensors(tensors, expected, (torch.float32,), path)
    config_path = folder / ADAPTER_CONFIG_FILE
    if settings.dora != (plan[0].variant == "dora"):
        raise LoralabError(
            f"{config_path}: use_dora is {settings.dora} there, the adapter is of the variant "
            f"{plan[0].variant}"
        )
    raise_all(_rank_problems(fused, settings, tensors), str(config_path))
    if tensors_sha256(tensors) != metadata.tensors_sha256:
        raise LoralabError(f"{path} was changed after it was written; train again")
    head = {"weight": tensors[f"{HEAD}weight"]}
    if bias is not None:
        head["bias"] = torch.tensor(bias)
    return SavedAdapter(plan, from_peft(plan, tensors, shared_a=False), head, labels)


def _read_foreign(
    model: GPT2, tensors: dict[str, Tensor], settings: PeftSettings, folder: Path
) -> SavedAdapter:
    path = folder / ADAPTER_FILE
    fused = read_fused_plan(settings, tensors, model.shape)
    expected = expected_tensors(fused)
    head = {name: tensor for name, tensor in tensors.items() if name.startswith((HEAD, NORM))}
    if head or settings.classifies:
        labels = len(tensors.get(f"{HEAD}weight", ()))
        expected |= _expected_head(model, labels, norm=any(n.startswith(NORM) for n in head))
        if f"{HEAD}bias" in head:
            expected[f"{HEAD}bias"] = torch.empty(labels, device="meta")
    raise_all(_rank_problems(fused, settings, tensors), str(folder / ADAPTER_CONFIG_FILE))
    _check_tensors(tensors, expected, READABLE, path)
    if not fused:
        raise LoralabError(f"{path} holds no adapter of a GPT-2 layer")
    plan = split(fused)
    state = from_peft(plan, {n: tensor.float() for n, tensor in tensors.items()}, shared_a=True)
    weights = _foreign_head(model, {n: tensor.float() for n, tensor in head.items()})
    labels = [f"LABEL_{place}" for place in range(len(weights.get("weight", ())))]
    return SavedAdapter(plan, state, weights, labels)


def _foreign_head(model: GPT2, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weight and perhaps bias of a head, with a final norm that was trained folded into it."""
    if not tensors:
        return {}
    weight, bias = tensors[f"{HEAD}weight"], tensors.get(f"{HEAD}bias")
    if f"{NORM}weight" in tensors:
        base = {name: p.detach().cpu() for name, p in model.ln_f.named_parameters()}
        trained = {name: tensors[NORM + name] for name in base}
        weight, bias = head_with_norm(weight, bias, base, trained)
    return {"weight": weight} | ({} if bias is None else {"bias": bias})


def _expected_head(model: GPT2, labels: int, norm: bool) -> dict[str, Tensor]:
    width = model.shape.width
    expected = {f"{HEAD}weight": torch.empty(labels, width, device="meta")}
    if norm:
        expected |= {NORM + n: torch.empty(width, device="meta") for n in ("weight", "bias")}
    return expected


def _check_tensors(
    tensors: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    types: tuple[torch.dtype, ...],
    path: Path,
) -> None:
    problems = misfits(tensors, expected)
    fitting = {n: t for n, t in tensors.items() if n in expected and t.shape == expected[n].shape}
    problems += [
        f"tensor {name} holds {tensor.dtype}, expected {' or '.join(map(str, types))}"
        for name, tensor in fitting.items()
        if tensor.dtype not in types
    ]
    problems += not_finite({n: t for n, t in fitting.items() if t.dtype in types})
    raise_all(sorted(problems), str(path))


def _rank_problems(
    fused: list[PlannedAdapter], settings: PeftSettings, tensors: Mapping[str, Tensor]
) -> list[str]:
    """Layers of which `adapter_config.json` says another rank or scaling than the tensors."""
    problems = []
    for entry, expected in ((e, expected_tensors([e])) for e in fused):
        name = next(iter(expected))
        found = len(tensors[name]) if name in tensors else entry.rank
        if settings.rank_of(entry.module) != found:
            wanted = settings.rank_of(entry.module)
            problems.append(f"{entry.module} has rank {wanted} there, its tensors have {found}")
        elif not math.isclose(settings.scaling_of(entry.module), entry.scaling, rel_tol=1e-6):
            there = settings.scaling_of(entry.module)
            problems.append(
                f"{entry.module} is scaled by {there:g} there, by {entry.scaling:g} here"
            )
    return problems


def _check_base(
    model: GPT2, plan: list[PlannedAdapter], base_sha256: str | None, path: Path
) -> None:
    modules = dict(model.named_modules())
    problems = []
    for entry in plan:
        layer = modules.get(entry.module)
        if not isinstance(layer, nn.Linear | LoRALinear):
            problems.append(f"{entry.module} is adapted and is no linear layer of the base model")
        elif (layer.in_features, layer.out_features) != (entry.in_features, entry.out_features):
            has = f"{layer.in_features} to {layer.out_features}"
            wanted = f"{entry.in_features} to {entry.out_features}"
            problems.append(f"{entry.module} is {wanted}, in the base model {has}")
    raise_all(problems, f"{path} was made for another base model")
    if base_sha256 and model.base_sha256 and base_sha256 != model.base_sha256:
        raise LoralabError(
            f"{path} was trained on another base model of the same shape: on weights with the "
            f"SHA-256 {base_sha256[:12]}…, these have {model.base_sha256[:12]}…"
        )
