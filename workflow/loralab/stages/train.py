"""Stage `train`: fit adapters and head, and pass a gate before anything is written."""

import pandas as pd
import torch

from loralab.data.messages import write_table
from loralab.errors import raise_all
from loralab.model.adapters import save_adapter
from loralab.model.checkpoints import load_base
from loralab.model.checks import not_finite
from loralab.model.classifier import add_adapters, add_head
from loralab.model.devices import (
    choose_device,
    describe_device,
    peak_device_memory,
    use_threads,
)
from loralab.model.gpt2 import GPT2
from loralab.model.gradient_check import STEPS as FIRST_STEPS
from loralab.model.gradient_check import parameter_hashes
from loralab.model.tokenizer import load_tokenizer
from loralab.provenance import write_json
from loralab.reporting.training_figures import training_curves
from loralab.stages.encoding import PADDING, PRECISIONS, check_sizes, read_labelled
from loralab.stages.runner import Job, Stage, main, peak_memory_bytes
from loralab.training.loop import LabelledTexts, TrainingRun, train_classifier
from loralab.training.resume import ResumeFile

HISTORY_COLUMNS = [
    *("epoch", "step", "examples", "tokens", "loss"),
    *("learning_rate", "gradient_norm", "seconds"),
]


def run(job: Job) -> None:
    """Write the adapter, the history of every step, `training.json` and the curves."""
    use_threads(job.threads)
    config, settings = job.config, job.config.training
    device = choose_device(settings.device)
    tokenizer = load_tokenizer(job.layout.tokenizer)
    model = load_base(job.layout.base, settings.dropout, PRECISIONS[settings.precision])
    check_sizes(model, tokenizer, settings.max_length)
    add_adapters(model, config.lora, config.seed)
    add_head(model, len(config.data.labels), config.head.bias, config.seed)
    model.to(device)
    train, validation = (
        read_labelled(
            job.layout.folder("split") / f"{name}.csv",
            tokenizer,
            config.data.labels,
            settings.max_length,
            job.folder,
            config.head.position == PADDING,
        )
        for name in ("train", "validation")
    )
    before = parameter_hashes(model)
    # Another device rounds otherwise, so that it is another training.
    resume = ResumeFile(
        job.state, f"{job.identity} on {describe_device(device)}", settings.save_every
    )
    fitted = train_classifier(model, train, validation, settings, config.seed, resume)
    _gate(model, before, steps=len(fitted.history))
    save_adapter(model, config.data.labels, config.base.name, job.folder / "adapter")
    _write(job, fitted, device, _warnings(fitted, train))


def _gate(model: GPT2, before: dict[str, str], steps: int) -> None:
    """What must hold of a trained model whatever its accuracy: what moved, and what did not."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    after = parameter_hashes(model)
    still = [name for name in trained if after[name] == before[name]]
    if steps < FIRST_STEPS:  # at the very first, no A has a gradient yet
        still = [name for name in still if name.endswith("lora_B")]
    problems = [f"{name} did not move" for name in still]
    problems += not_finite(trained)
    changed = [name for name in after if name not in trained and after[name] != before[name]]
    problems += [f"{name} is frozen and changed" for name in changed]
    raise_all(problems, "the trained model is not sound")


def _warnings(fitted: TrainingRun, train: LabelledTexts) -> list[str]:
    """What a reader must know and that does not make the run invalid."""
    labels = torch.from_numpy(train.labels)
    majority = labels.bincount().max().item() / len(labels)
    reached = fitted.epochs[(fitted.best_epoch or 1) - 1]["train_accuracy"]
    if reached > majority:
        return []
    return [
        f"The train accuracy of {reached:.1%} is no better than always answering the most "
        f"frequent label ({majority:.1%}): this model has learnt nothing."
    ]


def _write(job: Job, fitted: TrainingRun, device: torch.device, warnings: list[str]) -> None:
    folder, history = job.folder, fitted.history
    write_table(pd.DataFrame(history)[HISTORY_COLUMNS], folder / "history.csv")
    summary = {
        "epochs": len(fitted.epochs),
        "best_epoch": fitted.best_epoch,
        "steps": len(history),
        "seconds": round(fitted.seconds, 3),
        "seconds_per_epoch": round(fitted.seconds / len(fitted.epochs), 3),
        "tokens_per_second": round(sum(row["tokens"] for row in history) / fitted.seconds, 1),
        "device": describe_device(device),
        "precision": job.config.training.precision,
        "engine": fitted.engine,
        "peak_memory_bytes": peak_device_memory(device) or peak_memory_bytes(),
        "epoch_metrics": fitted.epochs,
        "resumed_from": fitted.resumed_from,
        "warnings": warnings,
    }
    write_json(folder / "training.json", summary)
    training_curves(folder / "history.csv", folder / "training.json", output=folder / "curves.png")


STAGE = Stage(
    name="train",
    summary="Train adapters and head on the training messages.",
    inputs=lambda layout: [
        layout.folder("split") / "train.csv",
        layout.folder("split") / "validation.csv",
        *layout.tokenizer_files,
        *layout.base_files,
        layout.folder("gradcheck") / "gradients.json",
    ],
    outputs=(
        *("adapter/adapter_model.safetensors", "adapter/adapter_config.json"),
        *("history.csv", "training.json", "curves.png"),
    ),
    run=run,
    memory_advice="raise training.accumulation, lower training.batch_size or training.max_length, "
    "or set training.precision to bf16",
)

if __name__ == "__main__":
    main(STAGE)
