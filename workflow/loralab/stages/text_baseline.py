"""What the stages of the baselines that read nothing but texts have in common."""

from functools import partial

import numpy as np
import pandas as pd

from loralab.evaluation.baselines import Choice, Labelled, Predict, fit_baseline
from loralab.stages.baseline_files import OUTPUTS, write_baseline
from loralab.stages.labels import label_indices, read_splits
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


def fit_on_texts(
    name: str, tables: dict[str, pd.DataFrame], labels: list[str], seed: int
) -> tuple[Predict, Choice | None]:
    """A baseline as a function of texts, fitted on train and chosen on validation.

    Args:
        name: the baseline's.
        tables: the messages of every split, by its name.
        labels: their names, in order.
        seed: of the experiment.
    """
    labelled = {
        split: Labelled(np.array(table["text"], dtype=object), label_indices(table, labels))
        for split, table in tables.items()
        if len(table)
    }
    return fit_baseline(name, labelled["train"], labelled.get("validation"), len(labels), seed)


def _run(name: str, summary: str, job: Job) -> None:
    """Fit, and predict validation and test."""
    tables = read_splits(job.layout)
    predict, choice = fit_on_texts(name, tables, job.config.data.labels, job.config.seed)
    write_baseline(job, summary, choice, tables, lambda split: predict(tables[split]["text"]))
