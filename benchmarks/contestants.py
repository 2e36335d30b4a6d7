"""Who is measured: each with its precision, how it batches, what it trains, and how it is built."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from loralab.training.labelled import LabelledTexts

from benchmarks.conditions import Conditions
from benchmarks.visits import FIXED, GROUPED, RANDOM


class Loop(Protocol):
    """A training under way."""

    def take(self, batches: list[np.ndarray]) -> None: ...


@dataclass(frozen=True)
class Contestant:
    """A way of training, and what a table says of it."""

    title: str
    family: str  # lab, peft or loralab
    precision: str  # float32 or bf16
    batching: str
    trains: str  # lora, full or head
    build: Callable[[LabelledTexts, Conditions], Loop]


# Packages are imported where they are used: what one contestant needs must not count as another's
# memory.


def _lab(train: LabelledTexts, conditions: Conditions) -> Loop:
    from benchmarks.lab_loop import LabLoop

    return LabLoop(train, conditions)


def _peft(
    train: LabelledTexts, conditions: Conditions, precision: str, stored: torch.dtype
) -> Loop:
    from benchmarks.peers import PeftLoop

    return PeftLoop(train, conditions, precision, stored)


def _loralab(train: LabelledTexts, conditions: Conditions, **choices: str) -> Loop:
    from benchmarks.ours import LoralabLoop

    return LoralabLoop(train, conditions, **choices)


def _peft_contestant(
    precision: str, batching: str, title: str, stored: torch.dtype = torch.float32
) -> Contestant:
    build = partial(_peft, precision=precision, stored=stored)
    return Contestant(f"transformers + PEFT, {title}", "peft", precision, batching, "lora", build)


def _loralab_contestant(precision: str, engine: str, trains: str, title: str) -> Contestant:
    build = partial(_loralab, precision=precision, engine=engine, trains=trains)
    return Contestant(f"loralab, {title}", "loralab", precision, GROUPED, trains, build)


LAB = "lab"
CONTESTANTS = {
    LAB: Contestant("the lab's recipe, float32", "lab", "float32", FIXED, "lora", _lab),
    **{
        f"peft_{precision}_{name}": _peft_contestant(precision, batching, title)
        for precision, title in (("float32", "float32"), ("bf16", "bf16 autocast"))
        for name, batching in (("random", RANDOM), ("grouped", GROUPED))
    },
    "peft_bf16_stored_grouped": _peft_contestant(
        "bf16", GROUPED, "bf16 weights and autocast", torch.bfloat16
    ),
    **{
        f"loralab_{precision}_{engine}": _loralab_contestant(
            precision, engine, "lora", f"{engine} engine, {precision}"
        )
        for precision in ("float32", "bf16")
        for engine in ("plain", "fast")
    },
    "full_float32": _loralab_contestant("float32", "plain", "full", "full fine-tuning, float32"),
    "head_float32": _loralab_contestant("float32", "auto", "head", "head only, float32"),
}
