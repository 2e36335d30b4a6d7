"""Base models on disk, in the layout of `openai-community/gpt2` on the Hugging Face hub.

There, attention's query, key and value are one fused layer `c_attn`, and the weights of linear
layers are stored as (in, out), transposed against PyTorch's (out, in). Only safetensors are read:
nothing is ever unpickled.
"""

import hashlib
import json
import re
from pathlib import Path

import pandas as pd
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from loralab.errors import LoralabError, raise_all
from loralab.model.gpt2 import GPT2, GPT2Shape
from loralab.provenance import read_json, write_json

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"

# Stored as (in, out).
TRANSPOSED = (
    *("attn.c_attn.weight", "attn.c_proj.weight"),
    *("mlp.c_fc.weight", "mlp.c_proj.weight"),
)
PROJECTIONS = ("q_proj", "k_proj", "v_proj")  # what c_attn fuses, in this order

READABLE = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

# Buffers and copies that some files carry and that hold nothing learnt.
_IGNORED = re.compile(r"h\.\d+\.attn\.(masked_)?bias|lm_head\.weight")


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file, by name. Raises LoralabError where it is damaged."""
    try:
        return safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise LoralabError(f"{path} is missing; run the stage that writes it") from None
    except safetensors.SafetensorError as error:
        raise LoralabError(
            f"{path} is no sound safetensors file ({error}); fetch or build it again"
        ) from None


def write_safetensors(tensors: dict[str, Tensor], path: Path, key: str, value: str) -> None:
    """Write tensors with one entry of metadata, the same bytes for the same content.

    Of several entries safetensors writes a random order, so that there may be only one. Its files
    are readable to their owner alone, which would shut out whoever shares the folder.
    """
    safetensors.torch.save_file(tensors, path, metadata={key: value})
    path.chmod(0o644)


def to_file_layout(model: GPT2) -> dict[str, Tensor]:
    """The base model's tensors under the hub's names and in its shapes, without the head."""
    tensors = {}
    for name, tensor in model.state_dict().items():
        block, _, kind = name.rpartition(".attn.")
        if kind.startswith("q_proj"):
            suffix = kind.removeprefix("q_proj.")
            parts = [model.get_parameter(f"{block}.attn.{p}.{suffix}") for p in PROJECTIONS]
            tensors[f"{block}.attn.c_attn.{suffix}"] = torch.cat([part.detach() for part in parts])
        elif not kind.startswith(PROJECTIONS) and not name.startswith("head."):
            tensors[name] = tensor
    return {name: _turned(name, tensor) for name, tensor in tensors.items()}


def from_file_layout(tensors: dict[str, Tensor], model: GPT2, source: str) -> dict[str, Tensor]:
    """The state of `model`, whose shapes decide, from tensors in the hub's layout.

    The head becomes a copy of the token embedding. Raises LoralabError that names every missing,
    unexpected and misshapen tensor, and those that hold no floating-point numbers.
    """
    named = _by_plain_name(tensors, source)
    expected = {name: list(tensor.shape) for name, tensor in to_file_layout(model).items()}
    raise_all(_differences(named, expected), f"{source} is no GPT-2 of base.size or base.shape")
    state = {}
    for name, tensor in named.items():
        block, fused, suffix = name.partition(".attn.c_attn.")
        if fused:
            for projection, part in zip(PROJECTIONS, _turned(name, tensor).chunk(3), strict=True):
                state[f"{block}.attn.{projection}.{suffix}"] = part.contiguous()
        else:
            state[name] = _turned(name, tensor)
    return state | {"head.weight": state["wte.weight"].clone()}


def _by_plain_name(tensors: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """The tensors that hold what was learnt, by their names without a prefix."""
    named: dict[str, Tensor] = {}
    problems = []
    for full_name, tensor in tensors.items():
        name = full_name.removeprefix("transformer.")
        if _IGNORED.fullmatch(name):
            continue
        if name in named:
            problems.append(f"tensor {name} is there twice")
        if tensor.dtype not in READABLE:
            problems.append(f"tensor {name} holds {tensor.dtype}, no floating point")
        named[name] = tensor
    raise_all(problems, source)
    return named


def _turned(name: str, tensor: Tensor) -> Tensor:
    """Transposed where the file's layout is (in, out); the same function leads there and back."""
    return tensor.T.contiguous() if name.endswith(TRANSPOSED) else tensor


def _differences(found: dict[str, Tensor], expected: dict[str, list[int]]) -> list[str]:
    problems = [f"tensor {name} is missing" for name in expected if name not in found]
    problems += [f"tensor {name} is unexpected" for name in found if name not in expected]
    for name, shape in expected.items():
        if name in found and list(found[name].shape) != shape:
            has = list(found[name].shape)
            problems.append(f"tensor {name} has the shape {has}, expected {shape}")
    return problems


def save_base(model: GPT2, folder: Path) -> None:
    """Write `model.safetensors` and `config.json`."""
    tensors = to_file_layout(model)
    write_safetensors(tensors, folder / WEIGHTS_FILE, "format", "pt")
    write_base_config(model.shape, folder)


def write_base_config(shape: GPT2Shape, folder: Path) -> None:
    """Write `config.json` with the keys that transformers' GPT2Config reads."""
    write_json(
        folder / CONFIG_FILE,
        {
            "architectures": ["GPT2LMHeadModel"],
            "model_type": "gpt2",
            "activation_function": "gelu_new",
            "layer_norm_epsilon": 1e-5,
            "vocab_size": shape.vocabulary,
            "n_positions": shape.context,
            "n_ctx": shape.context,
            "n_embd": shape.width,
            "n_layer": shape.layers,
            "n_head": shape.heads,
            "bos_token_id": shape.vocabulary - 1,
            "eos_token_id": shape.vocabulary - 1,
        },
    )


def read_base_shape(folder: Path) -> GPT2Shape:
    """The shape that `config.json` tells."""
    path = folder / CONFIG_FILE
    config = read_json(path)
    if not isinstance(config, dict):
        raise LoralabError(f"{path} holds no mapping; it should be a GPT-2 configuration")
    keys = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
    unfit = [key for key in keys if not isinstance(config.get(key), int) or config[key] < 1]
    raise_all([f"{key} is no whole number above 0" for key in unfit], str(path))
    if config["n_embd"] % config["n_head"]:
        raise LoralabError(f"{path}: n_embd {config['n_embd']} is no multiple of n_head")
    return GPT2Shape(*(config[key] for key in keys))


def load_base(folder: Path, dropout: float = 0.0, dtype: torch.dtype = torch.float32) -> GPT2:
    """Read a base model, its weights in `dtype`. Raises LoralabError where the file is unfit."""
    path = folder / WEIGHTS_FILE
    with torch.device("meta"):
        model = GPT2(read_base_shape(folder), dropout)
    state = from_file_layout(read_safetensors(path), model, str(path))
    not_finite = [name for name, tensor in state.items() if not tensor.isfinite().all()]
    raise_all([f"tensor {name} holds NaN or infinity" for name in not_finite], str(path))
    model.load_state_dict({k: v.to(dtype) for k, v in state.items()}, strict=True, assign=True)
    return model


def tensor_table(path: Path) -> pd.DataFrame:
    """A row for each tensor of a safetensors file: `tensor,shape,dtype,sha256` (of its bytes)."""
    rows = [
        {
            "tensor": name,
            "shape": "x".join(map(str, tensor.shape)),
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "sha256": tensor_sha256(tensor),
        }
        for name, tensor in sorted(read_safetensors(path).items())
    ]
    return pd.DataFrame(rows, columns=["tensor", "shape", "dtype", "sha256"])


def tensor_sha256(tensor: Tensor) -> str:
    """SHA-256 of a tensor's bytes, in row-major order and as the machine stores numbers."""
    raw = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
    return hashlib.sha256(raw.numpy()).hexdigest()


def frozen_hash(model: nn.Module) -> str:
    """SHA-256 over the names and the contents of every frozen tensor."""
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            digest.update(f"{name}={tensor_sha256(parameter)}\n".encode())
    return digest.hexdigest()


def read_metadata(path: Path, key: str) -> dict:
    """The JSON object that a safetensors file carries under `key` of its own metadata."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            found = json.loads((file.metadata() or {})[key])
    except (KeyError, ValueError):
        raise LoralabError(f"{path} has no {key} metadata; it was not written by loralab") from None
    except (safetensors.SafetensorError, OSError) as error:
        raise LoralabError(f"{path} is no sound safetensors file ({error})") from None
    if not isinstance(found, dict):
        raise LoralabError(f"{path} has damaged {key} metadata; train again")
    return found
