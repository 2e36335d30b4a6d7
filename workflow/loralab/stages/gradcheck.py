"""Stage `gradcheck`: see that gradients flow where they must and nowhere else, or fail."""

import dataclasses
import logging

import pandas as pd
import torch
from torch.nn import functional

from loralab.data.messages import write_table
from loralab.errors import raise_all
from loralab.model.checkpoints import load_base
from loralab.model.classifier import add_adapters, add_head
from loralab.model.devices import use_threads
from loralab.model.gpt2 import GPT2
from loralab.model.gradient_check import (
    TensorGradient,
    gradient_problems,
    gradients,
    parameter_hashes,
    step_problems,
    summarise,
)
from loralab.model.lora import planned_names
from loralab.model.random_streams import generator
from loralab.provenance import write_json
from loralab.randomness import stream_seed
from loralab.reporting.gradient_figures import gradient_flow
from loralab.stages.plan_file import read_plan
from loralab.stages.runner import Job, Stage, main
from loralab.training.optimizer import build_optimizer
from loralab.training.pretraining import language_model_loss

log = logging.getLogger(__name__)

# The lab's batch: 2 × 256 random ids below 1000.
BATCH, LENGTH, LARGEST_ID = 2, 256, 1000
# What the check asks for holds at any rate, and at any that LoRA+ gives B.
LEARNING_RATE, B_RATIO = 1e-3, 2.0


def run(job: Job) -> None:
    """Write `gradients.csv`, `gradients.json` and the figure; raise where anything is wrong."""
    use_threads(job.threads)
    config = job.config
    torch.manual_seed(stream_seed(config.seed, "gradcheck/dropout"))
    model = load_base(job.layout.base, config.training.dropout)
    add_adapters(model, config.lora, config.seed)
    model.train()
    ids = _random_ids(model, config.seed)
    # What the plan lists and not what the model holds: a second injection is to be found out.
    plan = read_plan(job.layout.folder("inject") / "plan.csv", config.lora.variant)
    adapters = set(planned_names(plan))
    before = parameter_hashes(model)
    before_head = gradients(model, language_model_loss(model, ids))
    problems = gradient_problems(model, before_head, adapters)
    add_head(model, len(config.data.labels), config.head.bias, config.seed)
    before |= {name: h for name, h in parameter_hashes(model).items() if name.startswith("head.")}
    with_head, unchanged, more = _check_classifier(
        model, ids, adapters, len(config.data.labels), before
    )
    _write(job, before_head, with_head, unchanged, problems + more)


def _check_classifier(
    model: GPT2, ids: torch.Tensor, adapters: set[str], labels: int, before: dict[str, str]
) -> tuple[list[TensorGradient], bool, list[str]]:
    """Gradients at the first step, whether steps left the frozen tensors alone, what is wrong."""
    trainable = adapters | {f"head.{name}" for name, _ in model.head.named_parameters()}

    def loss() -> torch.Tensor:
        lengths = torch.full((BATCH,), ids.shape[1])
        return functional.cross_entropy(model.classify(ids, lengths), torch.arange(BATCH) % labels)

    found = gradients(model, loss())
    problems = gradient_problems(model, found, trainable)
    # The training's own, but for the weight decay, which would move a tensor without a gradient.
    optimizer = build_optimizer(model, LEARNING_RATE, B_RATIO, weight_decay=0.0)
    unchanged, moved = step_problems(model, optimizer, loss, trainable, before)
    return found, unchanged, problems + moved


def _random_ids(model: GPT2, seed: int) -> torch.Tensor:
    shape = model.shape
    size = (BATCH, min(LENGTH, shape.context))
    largest = min(LARGEST_ID, shape.vocabulary)
    return torch.randint(largest, size, generator=generator(seed, "gradcheck/ids"))


def _write(
    job: Job,
    before_head: list[TensorGradient],
    with_head: list[TensorGradient],
    unchanged: bool,
    problems: list[str],
) -> None:
    models = {"language_model": before_head, "classifier": with_head}
    rows = [
        {"model": name, **dataclasses.asdict(row)}
        for name, found in models.items()
        for row in found
    ]
    table = pd.DataFrame(rows)
    # A frozen layer lies inside its adapter; the reader knows it by the layer's own name.
    table["parameter"] = table["parameter"].str.replace(
        r"\.base\.(weight|bias)$", r".\1", regex=True
    )
    write_table(table, job.folder / "gradients.csv")
    summary = {name: summarise(found) for name, found in models.items()}
    summary |= {"frozen_unchanged_after_step": unchanged, "passed": not problems}
    summary |= {"problems": problems}
    write_json(job.folder / "gradients.json", summary)
    if problems:  # what is written here goes when the stage fails; the log keeps the evidence
        log.error("%s", summary)
    raise_all(problems, "the gradient check failed")
    gradient_flow(job.folder / "gradients.csv", output=job.folder / "gradients.png")


STAGE = Stage(
    name="gradcheck",
    summary="Check on the experiment's own model that exactly the right tensors get gradients.",
    inputs=lambda layout: [
        *layout.base_files,
        layout.folder("inject") / "plan.csv",
    ],
    outputs=("gradients.csv", "gradients.json", "gradients.png"),
    run=run,
)

if __name__ == "__main__":
    main(STAGE)
