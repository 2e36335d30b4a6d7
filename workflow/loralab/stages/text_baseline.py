"""What the stages of the baselines that read nothing but texts have in common."""

from functools import partial

import numpy as np
import pandas as pd

from loralab.data.messages import read_table
from loralab.evaluation.baselines import Labelled, fit_baseline
from loralab.stages.baseline_files import OUTPUTS, write_baseline
from loralab.stages.labels import label_indices
from loralab.stages.runner import Job, Stage


def text_baseline(name: str, summary: str) -> Stage:
    """The stage of a baseline of `loralab.evaluation.baselines`."""
    return Stage(
        name=f"baseline_{name}",
        summary=summary,
        inputs=lambda layout: list(layout.split_files.values()),
        outputs=OUTPUTS,
        run=partial(_run, name, summary),
        memory_advice="leave it out of evaluation.baselines",
    )


def _run(name: str, summary: str, job: Job) -> None:
    """Fit on train, choose on validation, predict validation and test."""
    labels = job.config.data.labels
    tables = {name: read_table(path) for name, path in job.layout.split_files.items()}
    labelled = {name: _labelled(table, labels) for name, table in tables.items() if len(table)}
    predict, choice = fit_baseline(
        name, labelled["train"], labelled.get("validation"), len(labels), job.config.seed
    )
    write_baseline(job, summary, choice, tables, lambda split: predict(labelled[split].inputs))


def _labelled(table: pd.DataFrame, labels: list[str]) -> Labelled:
    return Labelled(np.array(table["text"], dtype=object), label_indices(table, labels))
