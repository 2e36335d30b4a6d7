"""Which way of taking training steps is used: the plain one, or one that is fast."""

from typing import Protocol

import numpy as np
from torch import Tensor

from loralab.config import Training
from loralab.errors import LoralabError
from loralab.fast.machine import products_dtype
from loralab.model.gpt2 import GPT2
from loralab.model.lora import LoRALinear, adapter_layers
from loralab.training.batches import EncodedTexts
from loralab.training.fast_engine import FastEngine
from loralab.training.graph_engine import GraphEngine
from loralab.training.labelled import LabelledTexts
from loralab.training.plain_engine import PlainEngine


class Engine(Protocol):
    """What the loop asks of an engine; `PlainEngine` says what each does."""

    stride: int
    description: dict

    def take(self, step: int, batches: list[np.ndarray], rates: list[float]) -> list[dict]: ...
    def predict(self, texts: EncodedTexts) -> np.ndarray: ...
    def state(self) -> dict[str, Tensor]: ...
    def restore(self, tensors: dict[str, Tensor]) -> None: ...
    def close(self) -> None: ...


def build_engine(model: GPT2, train: LabelledTexts, settings: Training, seed: int) -> Engine:
    """The engine that `training.engine` names; `auto` takes the fast one where it can be had.

    Raises LoralabError where the fast one is asked for and cannot be had.
    """
    obstacle = why_not_fast(model)
    if settings.engine == "fast" and obstacle:
        raise LoralabError(
            f"training.engine is fast, which cannot train {obstacle}; set it to auto or plain"
        )
    if settings.engine == "plain" or obstacle:
        engine = PlainEngine(model, train, settings, seed)
        reason = f"the fast one cannot train {obstacle}" if obstacle else "asked for"
        compute = str(model.wte.weight.dtype).removeprefix("torch.")
        engine.description = {"name": "plain", "reason": reason, "compute": compute}
        return engine
    device = model.head.weight.device
    dtype, reason = products_dtype(settings.precision, device)
    make = GraphEngine if device.type == "cuda" else FastEngine
    engine = make(model, train, settings, seed, dtype)
    compute = str(dtype).removeprefix("torch.")
    passes = "compiled" if engine.network.is_compiled else "PyTorch"
    engine.description = {
        "name": "fast",
        "reason": reason,
        "compute": compute,
        "products": engine.network.multiplier,
        "passes": passes,
    }
    return engine


def why_not_fast(model: GPT2) -> str | None:
    """What keeps the fast path from training this model, or None."""
    device = model.head.weight.device.type
    if device not in ("cpu", "cuda"):
        return f"on the device {device}"
    layers = [layer for _, layer in adapter_layers(model)]
    if any(layer.variant == "dora" for layer in layers):
        return "adapters of the variant dora"
    if any(isinstance(layer.base, LoRALinear) for layer in layers):
        return "adapters within adapters"
    known = {*model.head.parameters(), *(p for e in layers for p in (e.lora_A, e.lora_B))}
    if any(p.requires_grad and p not in known for p in model.parameters()):
        return "weights of the base model"
    if not all(parameter.requires_grad for parameter in known):
        return "a part of the adapters or of the head alone"
    return None
