"""A merged classifier as transformers' `GPT2ForSequenceClassification` opens it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loralab.model.checkpoints import CONFIG_FILE, WEIGHTS_FILE, base_config, to_file_layout
from loralab.model.gpt2 import GPT2
from loralab.model.head_bias import norm_bias_with
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


def export_classifier(model: GPT2, labels: list[str], folder: Path) -> None:
    """Write `model.safetensors` and `config.json` of a model without adapters beside its layers.

    The head's bias, which transformers has none of, goes into the final norm's. Raises LoralabError
    where it cannot.
    """
    tensors = to_file_layout(model)
    if model.head.bias is not None:
        carried = norm_bias_with(model.head.bias, model.head.weight, model.ln_f.bias)
        tensors["ln_f.bias"] = carried.to(model.ln_f.bias.dtype)
    tensors = {f"transformer.{name}": tensor.cpu() for name, tensor in tensors.items()}
    tensors["score.weight"] = model.head.weight.detach().cpu()
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
