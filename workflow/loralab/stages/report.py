"""Stage `report`: render what the other stages wrote, and classify the examples."""

import dataclasses
from pathlib import Path

from loralab.model.devices import choose_device, use_threads
from loralab.provenance import write_json
from loralab.reporting.report import completed_claims, read_artifacts, render_report
from loralab.stages.inference import load_classifier
from loralab.stages.layout import Layout
from loralab.stages.runner import Job, Stage, main
from loralab.stages.steps import changes_of, places_of
from loralab.sweep import stage_of
from loralab.verification import read_manifest


def run(job: Job) -> None:
    """Write `report.md` and the claims ledger as it stands after training, `claims.json`."""
    use_threads(job.threads)
    layout, config = job.layout, job.config
    settings = {
        "seed": config.seed,
        "lora": dataclasses.asdict(config.lora),
        "head": dataclasses.asdict(config.head),
        "training": dataclasses.asdict(config.training),
        "data": {"source": config.data.source, "parser": config.data.parser},
        "base": {"source": config.base.source, "name": config.base.name},
    }
    found = read_artifacts(_places(layout), changes_of(layout))
    # As it was split: the seed may be the split's own.
    settings["split"] = {key: found["split"][key] for key in ("protocol", "seed", "train_share")}
    claims = completed_claims(found, settings)
    write_json(job.folder / "claims.json", claims)
    text = render_report(config.experiment, found, settings, claims, _examples(job))
    (job.folder / "report.md").write_text(text, encoding="utf-8")


def _examples(job: Job) -> list[dict]:
    texts = job.config.report.examples
    if not texts:
        return []
    device = choose_device(job.config.training.device)
    classifier = load_classifier(job.layout, device)
    probabilities = classifier.probabilities(texts)
    return [
        {"text": text, "predicted": classifier.labels[row.argmax()], "probability": row.max()}
        for text, row in zip(texts, probabilities, strict=True)
    ]


def _places(layout: Layout) -> dict[str, Path]:
    """The folder of every step before this one."""
    return {step: place for step, place in places_of(layout).items() if step != "report"}


def _inputs(layout: Layout) -> list[Path]:
    """Every file of every other stage: the report says whether they hold together."""
    manifests = [read_manifest(place, stage_of(step)) for step, place in _places(layout).items()]
    return [path for manifest in manifests for path in (manifest.path, *manifest.outputs)]


STAGE = Stage(
    name="report",
    summary="Write the markdown report from what the other stages left.",
    inputs=_inputs,
    outputs=("report.md", "claims.json"),
    run=run,
    memory_advice="lower training.max_length, or set training.device to cpu",
)

if __name__ == "__main__":
    main(STAGE)
