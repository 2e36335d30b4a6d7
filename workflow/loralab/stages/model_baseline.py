"""What the stages of the baselines that are trained from the base model have in common.

Each is trained by the experiment's own recipe, adapters aside, with three learning rates around
the experiment's; the lowest loss on the validation messages decides. A rate that suits an adapter
is too high for whole weights and too low for a head alone.
"""

import dataclasses
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from loralab.evaluation.baselines import Labelled, Predict, choose
from loralab.model.checkpoints import load_base
from loralab.model.classifier import add_head
from loralab.model.devices import choose_device, describe_device, use_threads
from loralab.model.gpt2 import GPT2
from loralab.model.tokenizer import encode, load_tokenizer
from loralab.stages.baseline_files import OUTPUTS, write_baseline
from loralab.stages.encoding import PADDING, PRECISIONS
from loralab.stages.inference import float32_network
from loralab.stages.labels import label_indices, read_splits
from loralab.stages.layout import Layout
from loralab.stages.runner import Job, Stage
from loralab.training.batches import EncodedTexts
from loralab.training.labelled import LabelledTexts
from loralab.training.loop import train_classifier
from loralab.training.prediction import predict_packed
from loralab.training.resume import ResumeFile

log = logging.getLogger(__name__)


def model_baseline(
    name: str,
    summary: str,
    rates: tuple[float, ...],
    set_trainable: Callable[[GPT2], None],
    precision: torch.dtype | None = None,
) -> Stage:
    """The stage of a baseline.

    Args:
        name: the baseline's.
        summary: what it is, in a sentence.
        rates: the learning rates to try, as multiples of `training.learning_rate`.
        set_trainable: says which weights learn, of a model whose head is new and learns, and of
            which nothing else does.
        precision: of the base model's weights; None is that of the experiment.
    """
    return Stage(
        name=f"baseline_{name}",
        summary=summary,
        inputs=model_inputs,
        outputs=OUTPUTS,
        run=partial(_run, summary, rates, set_trainable, precision),
        memory_advice="leave it out of evaluation.baselines, or lower training.batch_size",
    )


def model_inputs(layout: Layout) -> list[Path]:
    """What a baseline that needs the base model reads."""
    return [*layout.split_files.values(), *layout.tokenizer_files, *layout.base_files]


def encoded_splits(job: Job, tables: dict[str, pd.DataFrame]) -> dict[str, Labelled]:
    """Those of the splits that have messages, as the model reads them."""
    config, tokenizer = job.config, load_tokenizer(job.layout.tokenizer)
    longest, padded = config.training.max_length, config.head.position == PADDING
    return {
        name: Labelled(
            EncodedTexts.from_lists(encode(tokenizer, t, longest, padded) for t in table["text"]),
            label_indices(table, config.data.labels),
        )
        for name, table in tables.items()
        if len(table)
    }


def _run(
    summary: str,
    rates: tuple[float, ...],
    set_trainable: Callable[[GPT2], None],
    precision: torch.dtype | None,
    job: Job,
) -> None:
    """Train with each rate, keep the best on validation, predict validation and test."""
    use_threads(job.threads)
    rate = job.config.training.learning_rate
    tables = read_splits(job.layout)
    texts = encoded_splits(job, tables)
    predict, choice = choose(
        lambda value, part: _train(job, set_trainable, precision, value, part, texts),
        *("learning rate", [factor * rate for factor in rates]),
        *(texts["train"], texts.get("validation"), job.config.seed),
    )
    write_baseline(job, summary, choice, tables, lambda split: predict(texts[split].inputs))


def _train(
    job: Job,
    set_trainable: Callable[[GPT2], None],
    precision: torch.dtype | None,
    rate: float,
    part: Labelled,
    texts: dict[str, Labelled],
) -> Predict:
    """A model trained on `part` of the messages, as a function from texts to probabilities."""
    config = job.config
    settings = dataclasses.replace(config.training, learning_rate=rate)
    log.info("learning rate %g, %d messages", rate, len(part.labels))
    model = load_base(
        job.layout.base, settings.dropout, precision or PRECISIONS[settings.precision]
    )
    model.requires_grad_(False)
    add_head(model, len(config.data.labels), config.head.bias, config.seed)
    set_trainable(model)
    model.to(choose_device(settings.device))
    resume = _resume_file(job, model, rate, part)
    validation = _as_training_takes(texts["validation"]) if "validation" in texts else None
    train_classifier(model, _as_training_takes(part), validation, settings, config.seed, resume)
    # As the adapter is measured: in float32, whatever it was trained in.
    network = float32_network(model.float())
    return lambda inputs: predict_packed(network, inputs, config.evaluation.batch_size)


def _as_training_takes(labelled: Labelled) -> LabelledTexts:
    return LabelledTexts(labelled.inputs, labelled.labels)


def _resume_file(job: Job, model: GPT2, rate: float, part: Labelled) -> ResumeFile:
    device = describe_device(model.head.weight.device)
    what = f"{job.identity} at {rate!r} with {len(part.labels)} messages on {device}"
    folder = job.state / f"{rate!r}-{len(part.labels)}"
    return ResumeFile(folder, what, job.config.training.save_every)
