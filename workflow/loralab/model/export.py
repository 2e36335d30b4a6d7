"""A merged classifier as transformers' `GPT2ForSequenceClassification` opens it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from loralab.errors import LoralabError, raise_all
from loralab.model.checkpoints import CONFIG_FILE, WEIGHTS_FILE, base_config, to_file_layout
from loralab.model.checks import not_finite
from loralab.model.gpt2 import GPT2
from loralab.model.head_bias import move_head_bias
from loralab.model.lora import merge, unload
from loralab.model.tensor_files import write_safetensors
from loralab.provenance import write_json


@dataclass(frozen=True)
class LogitChange:
    """How far two computations of the same texts are apart."""

    texts: int
    largest: float
    flipped_labels: int


def logit_change(before: np.ndarray, after: np.ndarray) -> LogitChange:
    """The largest change of a logit, and how many labels it turned; both (n, labels)."""
    flipped = int((before.argmax(axis=1) != after.argmax(axis=1)).sum())
    return LogitChange(len(before), float(np.abs(after - before).max(initial=0.0)), flipped)


def make_exportable(model: GPT2, dtype: torch.dtype) -> None:
    """Merge the adapters, move the head's bias into the final norm, and round to `dtype`.

    All in place and computed in float32: what comes out is the network that transformers has.
    """
    merge(model)
    unload(model)
    move_head_bias(model)
    model.to(dtype)


def export_classifier(model: GPT2, labels: list[str], folder: Path) -> None:
    """Write `model.safetensors` and `config.json` of a model from `make_exportable`.

    Raises LoralabError where it is none, where the labels are not those of its head, or where a
    tensor is not finite.
    """
    if model.head.bias is not None:
        raise LoralabError("a head with a bias cannot be exported; make_exportable comes first")
    if model.head.out_features != len(labels):
        outputs = model.head.out_features
        raise LoralabError(f"a head of {outputs} outputs cannot have {len(labels)} labels")
    tensors = to_file_layout(model)
    tensors = {f"transformer.{name}": tensor.cpu() for name, tensor in tensors.items()}
    tensors["score.weight"] = model.head.weight.detach().cpu()
    raise_all(not_finite(tensors), "the model cannot be exported")
    write_safetensors(tensors, folder / WEIGHTS_FILE, "format", "pt")
    dtype = str(model.ln_f.weight.dtype).removeprefix("torch.")
    config = base_config(model.shape) | {
        "architectures": ["GPT2ForSequenceClassification"],
        "dtype": dtype,
        "id2label": dict(enumerate(labels)),
        "label2id": {label: place for place, label in enumerate(labels)},
        "pad_token_id": model.shape.end_of_text,
    }
    write_json(folder / CONFIG_FILE, config)
