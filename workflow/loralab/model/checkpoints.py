"""Base models on disk, in the layout of `openai-community/gpt2` on the Hugging Face hub.

There, attention's query, key and value are one fused layer `c_attn`, and the weights of linear
layers are stored as (in, out), transposed against PyTorch's (out, in). Only safetensors are read:
nothing is ever unpickled.
"""

import re
from pathlib import Path

import torch
from torch import Tensor

from loralab.errors import LoralabError, raise_all
from loralab.model.checks import is_count, misfits, not_finite
from loralab.model.gpt2 import GPT2, NORM_EPSILON
from loralab.model.shapes import GPT2Shape
from loralab.model.tensor_files import read_safetensors, write_safetensors
from loralab.model.tensor_hashes import tensors_sha256
from loralab.provenance import read_json, write_json

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"

# What GPT-2 is, where transformers would compute something else.
FIXED = {
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "layer_norm_epsilon": NORM_EPSILON,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}

# Stored as (in, out).
TRANSPOSED = (
    *("attn.c_attn.weight", "attn.c_proj.weight"),
    *("mlp.c_fc.weight", "mlp.c_proj.weight"),
)
PROJECTIONS = ("q_proj", "k_proj", "v_proj")  # what c_attn fuses, in this order

READABLE = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

# Buffers that some files carry and that hold nothing learnt.
_IGNORED = re.compile(r"h\.\d+\.attn\.(masked_)?bias")


def to_file_layout(model: GPT2) -> dict[str, Tensor]:
    """The base model's tensors under the hub's names and in its shapes, without the head.

    Raises LoralabError where it has any tensor that GPT-2 has not, as those of adapters.
    """
    with torch.device("meta"):
        own = GPT2(model.shape).state_dict()
    foreign = [name for name in model.state_dict() if name not in own and name != "head.bias"]
    if foreign:
        raise LoralabError(
            f"a base model has no {foreign[0]}; merge its adapters and unload them first"
        )
    tensors = {}
    for name, tensor in model.state_dict().items():
        block, _, kind = name.rpartition(".attn.")
        if kind.startswith("q_proj"):
            suffix = kind.removeprefix("q_proj.")
            parts = [model.get_parameter(f"{block}.attn.{p}.{suffix}") for p in PROJECTIONS]
            tensors[f"{block}.attn.c_attn.{suffix}"] = _stacked([part.detach() for part in parts])
        elif not kind.startswith(PROJECTIONS) and not name.startswith("head."):
            tensors[name] = tensor
    return {name: _turned(name, tensor) for name, tensor in tensors.items()}


def _stacked(parts: list[Tensor]) -> Tensor:
    """The parts along their first axis; of parts that are shapes alone, their shape."""
    if parts[0].is_meta:  # where `cat` would load PyTorch's compiler, a second's work
        return parts[0].new_empty(sum(len(part) for part in parts), *parts[0].shape[1:])
    return torch.cat(parts)


def from_file_layout(tensors: dict[str, Tensor], model: GPT2, source: str) -> dict[str, Tensor]:
    """The state of `model`, whose shapes decide, from learnt tensors in the hub's layout.

    The head becomes a copy of the token embedding. Raises LoralabError that names every missing,
    unexpected and misshapen tensor.
    """
    problems = misfits(tensors, to_file_layout(model))
    raise_all(problems, f"{source} is no GPT-2 of base.size or base.shape")
    state = {}
    for name, tensor in tensors.items():
        block, fused, suffix = name.partition(".attn.c_attn.")
        if fused:
            for projection, part in zip(PROJECTIONS, _turned(name, tensor).chunk(3), strict=True):
                state[f"{block}.attn.{projection}.{suffix}"] = part.contiguous()
        else:
            state[name] = _turned(name, tensor)
    return state | {"head.weight": state["wte.weight"].clone()}


def read_learnt_tensors(path: Path) -> dict[str, Tensor]:
    """What was learnt in a file of the hub's layout, by names without the prefix `transformer.`.

    Raises LoralabError where the file is damaged, a tensor is there twice or is no floating point.
    """
    named: dict[str, Tensor] = {}
    problems, output = [], None
    for full_name, tensor in read_safetensors(path).items():
        name = full_name.removeprefix("transformer.")
        if _IGNORED.fullmatch(name):
            continue
        if name == "lm_head.weight":
            output = tensor
            continue
        if name in named:
            problems.append(f"tensor {name} is there twice")
        if tensor.dtype not in READABLE:
            problems.append(f"tensor {name} holds {tensor.dtype}, no floating point")
        named[name] = tensor
    if output is not None and not torch.equal(output, named.get("wte.weight", output)):
        problems.append("tensor lm_head.weight is not wte.weight, which GPT-2 uses again")
    raise_all(problems, str(path))
    return named


def _turned(name: str, tensor: Tensor) -> Tensor:
    """Transposed where the file's layout is (in, out); the same function leads there and back."""
    return tensor.T.contiguous() if name.endswith(TRANSPOSED) else tensor


def save_base(model: GPT2, folder: Path) -> None:
    """Write `model.safetensors` and `config.json`."""
    tensors = to_file_layout(model)
    write_safetensors(tensors, folder / WEIGHTS_FILE, "format", "pt")
    write_base_config(model.shape, folder)


def write_base_config(shape: GPT2Shape, folder: Path) -> None:
    """Write `config.json` of a language model."""
    write_json(folder / CONFIG_FILE, base_config(shape) | {"architectures": ["GPT2LMHeadModel"]})


def base_config(shape: GPT2Shape) -> dict:
    """What transformers' GPT2Config reads of every GPT-2 of this shape."""
    return {
        **{key: FIXED[key] for key in ("model_type", "activation_function", "layer_norm_epsilon")},
        "vocab_size": shape.vocabulary,
        "n_positions": shape.context,
        "n_ctx": shape.context,
        "n_embd": shape.width,
        "n_layer": shape.layers,
        "n_head": shape.heads,
        "bos_token_id": shape.end_of_text,
        "eos_token_id": shape.end_of_text,
    }


def read_base_shape(folder: Path) -> GPT2Shape:
    """The shape that `config.json` tells."""
    path = folder / CONFIG_FILE
    config = read_json(path)
    if not isinstance(config, dict):
        raise LoralabError(f"{path} holds no mapping; it should be a GPT-2 configuration")
    other = [key for key, value in FIXED.items() if config.get(key, value) != value]
    problems = [f"{key} is {config[key]!r}, expected {FIXED[key]!r}" for key in other]
    raise_all(problems, f"{path} describes another network than GPT-2")
    keys = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
    unfit = [key for key in keys if not is_count(config.get(key))]
    raise_all([f"{key} is no whole number above 0" for key in unfit], str(path))
    if config["n_embd"] % config["n_head"]:
        raise LoralabError(f"{path}: n_embd {config['n_embd']} is no multiple of n_head")
    return GPT2Shape(*(config[key] for key in keys))


def load_base(folder: Path, dropout: float = 0.0, dtype: torch.dtype = torch.float32) -> GPT2:
    """Read a base model, its weights in `dtype`. Raises LoralabError where the file is unfit."""
    path = folder / WEIGHTS_FILE
    with torch.device("meta"):
        model = GPT2(read_base_shape(folder), dropout)
    tensors = read_learnt_tensors(path)
    state = from_file_layout(tensors, model, str(path))
    state = {name: tensor.to(dtype) for name, tensor in state.items()}
    raise_all(not_finite(state), str(path))
    model.load_state_dict(state, strict=True, assign=True)
    model.base_sha256 = tensors_sha256(tensors)
    return model
