"""Trained adapters on disk, in the files that PEFT writes, with the head beside them.

What PEFT has no place for is in the file's own metadata: the plan with query, key and value apart,
the labels, the head's bias (PEFT finds it in the final norm), and hashes of the base model and of
the tensors. So a file written here is read back bit for bit, and one that PEFT wrote is read too.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from loralab.errors import LoralabError, raise_all
from loralab.model import adapter_metadata
from loralab.model.adapter_metadata import AdapterMetadata, read_adapter_metadata
from loralab.model.checkpoints import READABLE
from loralab.model.checks import misfits, not_finite, plan_misfits
from loralab.model.gpt2 import GPT2, replace_head
from loralab.model.head_bias import head_with_norm, norm_bias_with
from loralab.model.lora import (
    TRAINED,
    LoRALinear,
    PlannedAdapter,
    adapter_layers,
    adapter_state,
    alpha_for,
    inject,
    load_adapter_state,
    row_lengths,
)
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
    if len(labels) != model.head.out_features or len(set(labels)) != len(labels) or len(labels) < 2:
        raise LoralabError(
            f"a head of {model.head.out_features} outputs cannot have the labels {labels}"
        )
    plan, state = _flat_adapters(model)
    tensors = to_peft(plan, state, lambda path: row_lengths(model.get_submodule(path).weight).cpu())
    tensors |= {f"{HEAD}weight": model.head.weight.detach().cpu().contiguous()}
    _check_tensors(tensors, tensors, (torch.float32,), "the adapter that is to be saved")
    tensors |= _norm_tensors(model)
    bias = None if model.head.bias is None else model.head.bias.tolist()
    metadata = AdapterMetadata(labels, plan, bias, model.base_sha256).signed(tensors)
    dropout = max((layer.dropout.p for _, layer in adapter_layers(model)), default=0.0)
    saved_modules = ["score"] if model.head.bias is None else ["score", "ln_f"]
    settings = write_settings(fuse(plan), dropout, str(base_name), saved_modules)
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(tensors, folder / ADAPTER_FILE, adapter_metadata.KEY, metadata.to_json())
    write_json(folder / ADAPTER_CONFIG_FILE, settings)


def _norm_tensors(model: GPT2) -> dict[str, Tensor]:
    """The final norm, where it carries the head's bias for PEFT, whose head has none."""
    if model.head.bias is None:
        return {}
    weight, bias = (p.detach().cpu().float() for p in model.ln_f.parameters())
    carried = norm_bias_with(model.head.bias.cpu(), model.head.weight.cpu(), bias)
    return {f"{NORM}weight": weight.contiguous(), f"{NORM}bias": carried}


def _flat_adapters(model: GPT2) -> tuple[list[PlannedAdapter], dict[str, Tensor]]:
    """Plan and tensors of a model's adapters; nested ones count as one of their summed rank."""
    plan, state = [], {}
    trained = {name: tensor.cpu() for name, tensor in adapter_state(model).items()}
    for name, layers in _nested_adapters(model).items():
        first, rank = layers[0], sum(layer.rank for layer in layers)
        if {layer.scaling for layer in layers} != {first.scaling}:
            raise LoralabError(f"{name}: adapters nested at unlike scalings have no common one")
        alpha = first.alpha if len(layers) == 1 else alpha_for(first.variant, rank, first.scaling)
        sides = first.in_features, first.out_features
        plan.append(PlannedAdapter(name, *sides, rank, alpha, first.variant))
        state |= {f"{name}.{t}": trained[f"{name}.{t}"] for t in TRAINED[first.variant]}
        paths = [name + ".base" * depth for depth in range(len(layers))]
        state[f"{name}.lora_A"] = torch.cat([trained[f"{path}.lora_A"] for path in paths])
        state[f"{name}.lora_B"] = torch.cat([trained[f"{path}.lora_B"] for path in paths], dim=1)
    if len({entry.variant for entry in plan}) != 1:
        raise LoralabError("PEFT's format holds adapters of one variant; found none or several")
    return plan, state


def _nested_adapters(model: GPT2) -> dict[str, list[LoRALinear]]:
    """The adapters of each adapted layer, from the outermost in, by the layer's name."""
    nested: dict[str, list[LoRALinear]] = {}
    for name, layer in adapter_layers(model):
        nested.setdefault(re.sub(r"(\.base)+$", "", name), []).append(layer)
    return nested


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
    pickled = folder / "adapter_model.bin"
    if pickled.is_file() and not path.exists():
        raise LoralabError(
            f"{path} is missing; {pickled.name} beside it is a pickle, which loralab never opens: "
            "save the adapter again with a PEFT that writes safetensors"
        )
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
    _check_tensors(tensors, expected, (torch.float32,), str(path))
    problems = _config_disagreements(fused, settings, tensors)
    raise_all(problems, str(folder / ADAPTER_CONFIG_FILE))
    if not metadata.is_signed_for(tensors):
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
        labels = _rows(tensors.get(f"{HEAD}weight"))
        expected |= _expected_head(model, labels, norm=any(n.startswith(NORM) for n in head))
        if f"{HEAD}bias" in head:
            expected[f"{HEAD}bias"] = torch.empty(labels, device="meta")
    problems = _config_disagreements(fused, settings, tensors)
    raise_all(problems, str(folder / ADAPTER_CONFIG_FILE))
    _check_tensors(tensors, expected, READABLE, str(path))
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
    source: str,
) -> None:
    problems = misfits(tensors, expected)
    fitting = {n: t for n, t in tensors.items() if n in expected and t.shape == expected[n].shape}
    problems += [
        f"tensor {name} holds {tensor.dtype}, expected {' or '.join(map(str, types))}"
        for name, tensor in fitting.items()
        if tensor.dtype not in types
    ]
    # As float32, which is what they become: a larger number of float64 is infinite there.
    problems += not_finite({n: t.float() for n, t in fitting.items() if t.dtype in types})
    raise_all(sorted(problems), source)


def _rows(tensor: Tensor | None) -> int:
    """The rows of a matrix; at least 1, so that whatever is none is found not to fit."""
    return max(1, len(tensor)) if tensor is not None and tensor.ndim == 2 else 1


def _config_disagreements(
    fused: list[PlannedAdapter], settings: PeftSettings, tensors: Mapping[str, Tensor]
) -> list[str]:
    """What `adapter_config.json` says of the layers and the tensors do not."""
    problems = []
    for entry in fused:
        name = entry.module
        rank, scaling = settings.rank_of(name), settings.scaling_of(name)
        a = tensors.get(next(iter(expected_tensors([entry]))))
        found = entry.rank if a is None else _rows(a)
        if settings.targets(name) is False:
            problems.append(f"{name} is not among the layers targeted there")
        elif settings.dora != (entry.variant == "dora"):
            problems.append(f"use_dora is {settings.dora} there, {name} is a {entry.variant} here")
        elif rank != found:
            problems.append(f"{name} has rank {rank} there, its tensors have {found}")
        elif not math.isclose(scaling, entry.scaling, rel_tol=1e-6):
            problems.append(f"{name} is scaled by {scaling:g} there, by {entry.scaling:g} here")
    return problems


def _check_base(
    model: GPT2, plan: list[PlannedAdapter], base_sha256: str | None, path: Path
) -> None:
    problems = plan_misfits(model, plan, TRAINED)
    raise_all(problems, f"{path} was made for another base model")
    if base_sha256 and model.base_sha256 and base_sha256 != model.base_sha256:
        raise LoralabError(
            f"{path} was trained on another base model of the same shape: on weights with the "
            f"SHA-256 {base_sha256[:12]}…, these have {model.base_sha256[:12]}…"
        )
