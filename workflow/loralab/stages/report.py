"""Stage `report`: render what the other stages wrote, and classify the examples."""

import dataclasses

from loralab.model.devices import choose_device, use_threads
from loralab.provenance import write_json
from loralab.reporting.report import (
    OWN_STAGES,
    Folders,
    completed_claims,
    read_artifacts,
    render_report,
)
from loralab.stages.inference import load_classifier
from loralab.stages.layout import Layout
from loralab.stages.runner import Job, Stage, main


def run(job: Job) -> None:
    """Write `report.md` and the claims ledger as it stands after training, `claims.json`."""
    use_threads(job.threads)
    layout, config = job.layout, job.config
    settings = {
        "seed": config.seed,
        "lora": dataclasses.asdict(config.lora),
        "head": {"bias": config.head.bias},
        "training": dataclasses.asdict(config.training),
        "data": {"source": config.data.source, "parser": config.data.parser},
        "split": {"protocol": config.split.protocol},
        "base": {"source": config.base.source, "name": config.base.name},
    }
    found = read_artifacts(Folders(layout.run, layout.dataset, layout.tokenizer, layout.base))
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


def _inputs(layout: Layout):
    run = layout.run
    return [
        layout.dataset / "source.json",
        layout.dataset / "manifest.json",
        *layout.tokenizer_files,
        *layout.base_files,
        *layout.adapter_files,
        *(run / stage / "manifest.json" for stage in OWN_STAGES if stage != "train"),
        run / "split" / "split.json",
        run / "inject" / "parameters.json",
        run / "inject" / "claims.json",
        run / "inject" / "structure_before.txt",
        run / "inject" / "structure_after.txt",
        run / "gradcheck" / "gradients.json",
        run / "train" / "history.csv",
        run / "train" / "training.json",
        run / "evaluate" / "metrics.json",
        run / "evaluate" / "errors.csv",
    ]


STAGE = Stage(
    name="report",
    summary="Write the markdown report from what the other stages left.",
    inputs=_inputs,
    outputs=("report.md", "claims.json"),
    run=run,
)

if __name__ == "__main__":
    main(STAGE)
