"""The first steps of an epoch, on the messages of a finished `split`, by a small random model.

Run by `scaling` in a folder of its own: `python -m benchmarks.partial_epoch SETTINGS STEPS`.
"""

import json
import sys
from pathlib import Path

import torch
from loralab.config import Config, Training, build
from loralab.config_file import load_mapping, merge
from loralab.model.classifier import add_adapters, add_head
from loralab.model.devices import keep_freed_memory, use_threads
from loralab.model.gpt2 import GPT2, initialise
from loralab.model.random_streams import generator
from loralab.model.shapes import base_shape
from loralab.model.tokenizer import load_tokenizer
from loralab.stages.encoding import read_labelled
from loralab.stages.layout import Layout
from loralab.training.batches import epoch_batches
from loralab.training.engines import build_engine

from benchmarks.conditions import ROOT


def main(changes: dict, steps: int) -> None:
    """Read, encode, draw an epoch's batches, take the first `steps`."""
    use_threads(2)
    keep_freed_memory()
    mapping = merge(load_mapping([str(ROOT / "config.yaml")]), changes)
    config = build(mapping, Config)
    layout, settings = Layout(config), config.training
    tokenizer = load_tokenizer(layout.tokenizer)
    path, scratch = layout.run / "split" / "train.csv", Path("scratch")
    train = read_labelled(path, tokenizer, config.data.labels, settings.max_length, scratch)
    model = _model(config, settings)
    engine = build_engine(model, train, settings, config.seed)
    lengths, size = train.texts.lengths, settings.batch_size
    batches = epoch_batches(lengths, size, True, settings.drop_last, config.seed, epoch=1)
    for step, rows in enumerate(batches[:steps]):
        engine.take(step, [rows], [settings.learning_rate])


def _model(config: Config, settings: Training) -> GPT2:
    model = GPT2(base_shape(config.base), settings.dropout)
    initialise(model, generator(config.seed, "benchmarks/weights"))
    add_adapters(model, config.lora, config.seed)
    add_head(model, len(config.data.labels), config.head.bias, config.seed)
    return model.to(torch.float32)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]))
