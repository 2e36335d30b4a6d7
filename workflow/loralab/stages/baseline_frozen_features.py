"""Stage `baseline_frozen_features`."""

import numpy as np
import torch
from torch import nn

from loralab.evaluation.baselines import Labelled, fit_baseline
from loralab.model.checkpoints import load_base
from loralab.model.devices import choose_device, use_threads
from loralab.model.gpt2 import GPT2
from loralab.stages.baseline_files import OUTPUTS, write_baseline
from loralab.stages.encoding import PRECISIONS
from loralab.stages.inference import float32_network
from loralab.stages.labels import read_splits
from loralab.stages.model_baseline import encoded_splits, model_inputs
from loralab.stages.runner import Job, Stage, main
from loralab.training.batches import EncodedTexts
from loralab.training.prediction import predict_packed_logits

NAME = "frozen_features"
SUMMARY = "Logistic regression on the base model's last hidden state, with nothing trained in it."


def run(job: Job) -> None:
    """Read the base model's hidden states, fit on train, choose on validation, predict."""
    use_threads(job.threads)
    config = job.config
    model = load_base(job.layout.base, dtype=PRECISIONS[config.training.precision]).float()
    model.to(choose_device(config.training.device))
    tables = read_splits(job.layout)
    found = {
        name: Labelled(_features(model, split.inputs, config.evaluation.batch_size), split.labels)
        for name, split in encoded_splits(job, tables).items()
    }
    predict, choice = fit_baseline(
        NAME, found["train"], found.get("validation"), len(config.data.labels), config.seed
    )
    write_baseline(job, SUMMARY, choice, tables, lambda split: predict(found[split].inputs))


def _features(model: GPT2, texts: EncodedTexts, batch_size: int) -> np.ndarray:
    """The normalised hidden state at the token that the head would read, (n, width)."""
    width = model.shape.width
    # Logits of a head that is the identity are the hidden states themselves.
    model.head = nn.Linear(width, width, bias=False, device=model.wte.weight.device)
    model.head.weight.data = torch.eye(width, device=model.wte.weight.device)
    return predict_packed_logits(float32_network(model.eval()), texts, batch_size)


STAGE = Stage(
    name=f"baseline_{NAME}",
    summary=SUMMARY,
    inputs=model_inputs,
    outputs=OUTPUTS,
    run=run,
    memory_advice="lower evaluation.batch_size or training.max_length",
)

if __name__ == "__main__":
    main(STAGE)
