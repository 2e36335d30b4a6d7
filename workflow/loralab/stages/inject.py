"""Stage `inject`: plan the adapters, inject them, count, and hold the published counts to it."""

import torch

from loralab.model.checkpoints import load_base
from loralab.model.classifier import add_adapters, add_head, count_parameters
from loralab.model.devices import use_threads
from loralab.model.lab_model import lab_check_passes_with_every_b_frozen, measure_lab_model
from loralab.provenance import read_json, write_json
from loralab.reporting.claims import claims_before_training
from loralab.reporting.model_figures import parameter_counts
from loralab.stages.plan_file import write_plan
from loralab.stages.runner import Job, Stage, main


def run(job: Job) -> None:
    """Write the plan, the structure before and after, the counts and the claims ledger."""
    use_threads(job.threads)
    config, folder = job.config, job.folder
    model = load_base(job.layout.base, config.training.dropout)
    before = count_parameters(model)
    (folder / "structure_before.txt").write_text(f"{model}\n", encoding="utf-8")
    plan = add_adapters(model, config.lora, config.seed)
    (folder / "structure_after.txt").write_text(f"{model}\n", encoding="utf-8")
    language_model = count_parameters(model)
    add_head(model, len(config.data.labels), config.head.bias, config.seed)
    write_plan(plan, folder / "plan.csv")
    counts = {
        "adapted_modules": len(plan),
        "ranks": sorted({entry.rank for entry in plan}),
        "alphas": sorted({entry.alpha for entry in plan}),
        "adapter_parameters": language_model["trainable"],
        "head_parameters": _head_parameters(model),
        "language_model": {**language_model, "before": before},
        "classifier": {**count_parameters(model), "before": before},
    }
    write_json(folder / "parameters.json", counts)
    write_json(folder / "claims.json", _claims(job))
    parameter_counts(
        folder / "plan.csv", folder / "parameters.json", output=folder / "parameters.png"
    )


def _claims(job: Job) -> list[dict]:
    return claims_before_training(
        once=measure_lab_model(injections=1),
        twice=measure_lab_model(injections=2),
        check_cannot_fail=lab_check_passes_with_every_b_frozen(),
        split=read_json(job.layout.folder("split") / "split.json"),
        data_sha256=read_json(job.layout.dataset / "source.json")["sha256"],
    )


def _head_parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.head.parameters())


STAGE = Stage(
    name="inject",
    summary="Plan and inject the adapters, count parameters, check the published counts.",
    inputs=lambda layout: [
        *layout.base_files,
        layout.folder("split") / "split.json",
        layout.dataset / "source.json",
    ],
    outputs=(
        *("plan.csv", "parameters.json", "claims.json"),
        *("structure_before.txt", "structure_after.txt", "parameters.png"),
    ),
    run=run,
)

if __name__ == "__main__":
    main(STAGE)
