"""What every baseline leaves: its predictions, and what it chose for itself."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from loralab.data.messages import write_table
from loralab.evaluation.baselines import Choice
from loralab.provenance import write_json
from loralab.stages.predictions import prediction_table
from loralab.stages.runner import Job

OUTPUTS = ("predictions.csv", "baseline.json")
PREDICTED = ("validation", "test")


def write_baseline(
    job: Job,
    summary: str,
    choice: Choice | None,
    tables: dict[str, pd.DataFrame],
    probabilities: Callable[[str], np.ndarray],
) -> None:
    """Write the predictions of validation and test, and the choice with all that was tried.

    Args:
        job: the stage's.
        summary: what the baseline is, in a sentence.
        choice: what it chose for itself, if anything.
        tables: the messages of each split, by its name.
        probabilities: from a split's name to those of its messages, (n, labels).
    """
    found = [
        prediction_table("split", name, tables[name], probabilities(name), job.config.data.labels)
        for name in PREDICTED
        if len(tables[name])
    ]
    write_table(pd.concat(found), job.folder / "predictions.csv")
    write_json(job.folder / "baseline.json", {"summary": summary, "choice": _told(choice)})


def _told(choice: Choice | None) -> dict | None:
    if choice is None:
        return None
    tried = [{"value": value, "log_loss": loss} for value, loss in choice.tried.items()]
    return {
        "setting": choice.setting,
        "value": choice.value,
        "chosen_on": choice.messages,
        "tried": tried,
    }
