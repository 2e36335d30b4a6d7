"""Stage `weights`: the base model, fetched, copied, pretrained here or drawn at random."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from loralab.config import Base
from loralab.data.corpus import generate_unlabelled_text
from loralab.data.messages import write_table
from loralab.errors import LoralabError
from loralab.fetching.pinned import Pinned, check_sha256, fetch
from loralab.model.checkpoints import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    load_base,
    save_base,
    write_base_config,
)
from loralab.model.devices import keep_freed_memory, use_threads
from loralab.model.gpt2 import GPT2, initialise
from loralab.model.random_streams import generator
from loralab.model.shapes import base_shape
from loralab.model.tensor_files import read_safetensors
from loralab.model.tensor_hashes import tensor_table
from loralab.model.tokenizer import load_tokenizer
from loralab.reporting.pretraining_figures import pretraining_loss
from loralab.stages.runner import Job, Stage, main, named_for_the_user
from loralab.training.pretraining import pretrain


def run(job: Job) -> None:
    """Write `model.safetensors`, `config.json` and `tensors.csv`; a loss curve if pretrained."""
    use_threads(job.threads)
    keep_freed_memory()
    make = {"url": _fetched, "file": _copied, "embedded": _pretrained, "random": _random}
    make[job.config.base.source](job)
    base = job.config.base
    origin = f"base.file {base.file}" if base.source == "file" else f"{WEIGHTS_FILE} of {base.name}"
    with named_for_the_user(job.folder / WEIGHTS_FILE, origin):
        load_base(job.folder)  # every tensor there, of its shape, and finite
    table = tensor_table(read_safetensors(job.folder / WEIGHTS_FILE))
    write_table(table, job.folder / "tensors.csv")


def _fetched(job: Job) -> None:
    base = job.config.base
    wanted = Pinned(tuple(base.urls), base.sha256, "base.urls")
    fetch(wanted, job.folder / WEIGHTS_FILE, job.config.mirror, job.state)
    write_base_config(base_shape(base), job.folder)


def _copied(job: Job) -> None:
    base = job.config.base
    source = Path(base.file)
    if base.sha256:
        check_sha256(source, base.sha256, f"base.file {source}")
    shutil.copyfile(source, job.folder / WEIGHTS_FILE)
    write_base_config(base_shape(base), job.folder)


def _random(job: Job) -> None:
    save_base(_initial_model(job.config.base), job.folder)


def _initial_model(base: Base) -> GPT2:
    model = GPT2(base_shape(base))
    initialise(model, generator(base.seed, "base/weights"))
    return model


def _pretrained(job: Job) -> None:
    """Messages end to end, `<|endoftext|>` between them, read as one long text."""
    base = job.config.base
    tokenizer = load_tokenizer(job.layout.tokenizer)
    model = _initial_model(base)
    if tokenizer.n_vocab != base.shape.vocabulary:
        raise LoralabError(
            f"base.shape.vocabulary is {model.shape.vocabulary}, the tokenizer "
            f"{job.config.tokenizer.name} has {tokenizer.n_vocab} tokens; make them agree"
        )
    texts = generate_unlabelled_text(base.seed, base.pretraining.messages)
    encoded = tokenizer.encode_ordinary_batch(texts, num_threads=job.threads)
    tokens = np.concatenate([[*ids, tokenizer.eot_token] for ids in encoded])
    rows = pretrain(model, tokens, base.pretraining, base.seed)
    write_table(pd.DataFrame(rows), job.folder / "loss.csv")
    pretraining_loss(job.folder / "loss.csv", output=job.folder / "loss.png")
    save_base(model, job.folder)


def _inputs(layout) -> list[Path]:
    base = layout.config.base
    if base.source == "embedded":
        return layout.tokenizer_files
    return [Path(base.file)] if base.source == "file" else []


STAGE = Stage(
    name="weights",
    summary="Fetch or copy the base model, pretrain a small one, or draw random weights.",
    inputs=_inputs,
    outputs=(WEIGHTS_FILE, CONFIG_FILE, "tensors.csv"),
    run=run,
    memory_advice="lower base.pretraining.batch_size or base.shape",
)

if __name__ == "__main__":
    main(STAGE)
