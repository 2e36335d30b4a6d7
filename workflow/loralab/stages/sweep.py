"""Stage `sweep`: what the runs of the sweep come to, each arm over its seeds."""

import numpy as np
import pandas as pd

from loralab.data.messages import write_table
from loralab.evaluation.arms import AVERAGED, Arm, summarise
from loralab.evaluation.metrics import evaluate
from loralab.provenance import read_json, write_json
from loralab.reporting.sweep_figures import sweep_curves, sweep_overview
from loralab.stages.labels import label_indices
from loralab.stages.layout import Layout
from loralab.stages.predictions import probabilities_of, read_split
from loralab.stages.runner import Job, Stage, main
from loralab.stages.steps import baselines_of, files_of_runs, folders_of
from loralab.sweep import REFERENCE, curves_of, runs_of

Predictions = dict[str, dict[int, pd.DataFrame]]  # by arm and seed


def run(job: Job) -> None:
    """Write a table of the runs, one of the arms, and the figures."""
    config, labels = job.config, job.config.data.labels
    predictions = _predictions(job.layout, labels)
    arms = {name: _arm(by_seed, labels) for name, by_seed in predictions.items()}
    trainable = _trainable_parameters(job.layout)
    rows = [
        {**row, "trainable_parameters": trainable.get(row["arm"])}
        for row in summarise(arms, REFERENCE, labels, config.seed)
    ]
    write_table(_runs_table(predictions, labels), job.folder / "runs.csv")
    write_table(_arms_table(rows), job.folder / "sweep.csv")
    summary = {
        "reference": REFERENCE,
        "seeds": config.sweep.seeds,
        "baselines": config.sweep.baselines,
        "curves": curves_of(config),
        "arms": rows,
    }
    write_json(job.folder / "sweep.json", summary)
    sweep_overview(job.folder / "sweep.json", output=job.folder / "sweep.png")
    sweep_curves(job.folder / "sweep.json", output=job.folder / "sweep_curves.png")


def _predictions(layout: Layout, labels: list[str]) -> Predictions:
    """The test messages as every run predicts them, and every baseline that has seeds."""
    found: Predictions = {}
    for run in runs_of(layout.config):
        folders = {run.arm: folders_of(run, layout)["evaluate"], **baselines_of(run, layout)}
        for arm, folder in folders.items():
            found.setdefault(arm, {})[run.seed] = read_split(
                folder / "predictions.csv", "test", labels
            )
    return found


def _arm(by_seed: dict[int, pd.DataFrame], labels: list[str]) -> Arm:
    tables = list(by_seed.values())
    return Arm(
        np.stack([probabilities_of(table, labels) for table in tables]),
        label_indices(tables[0], labels),
        tuple(tables[0]["id"]),
    )


def _trainable_parameters(layout: Layout) -> dict[str, int]:
    """How many each arm of the adapter trains, the head included."""
    places = {run.arm: folders_of(run, layout)["inject"] for run in runs_of(layout.config)}
    counts = {arm: read_json(place / "parameters.json") for arm, place in places.items()}
    return {arm: counted["classifier"]["trainable"] for arm, counted in counts.items()}


def _runs_table(predictions: Predictions, labels: list[str]) -> pd.DataFrame:
    """A row a training: what it reached on the test messages."""
    return pd.DataFrame(
        {"arm": arm, "seed": seed, "messages": len(table), **_measured(table, labels)}
        for arm, by_seed in predictions.items()
        for seed, table in by_seed.items()
    )


def _measured(table: pd.DataFrame, labels: list[str]) -> dict[str, float | None]:
    found = evaluate(probabilities_of(table, labels), label_indices(table, labels), labels)
    return {name: found[name] for name in ("accuracy", *AVERAGED)}


def _arms_table(rows: list[dict]) -> pd.DataFrame:
    """The rows of `summarise`, one number a column; what does not apply is left empty."""
    table = pd.DataFrame([_flat_row(row) for row in rows])
    return table.astype({"trainable_parameters": "Int64"})


def _flat_row(row: dict) -> dict:
    accuracy, against = row["accuracy"], row["against"] or {}
    return {
        "arm": row["arm"],
        "seeds": accuracy["n"],
        "messages": row["messages"],
        "trainable_parameters": row["trainable_parameters"],
        "accuracy": accuracy["mean"],
        "sd": accuracy["sd"],
        **_ends("accuracy_ci95_seeds", accuracy["ci95"]),
        **_ends("accuracy_ci95", accuracy["ci95_messages"]),
        **{name: row[name] for name in AVERAGED},
        "difference": against.get("difference"),
        **_ends("difference_ci95", against.get("ci95")),
        "p_value": against.get("p_value"),
        "p_holm": against.get("p_holm"),
    }


def _ends(name: str, interval: list[float] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


STAGE = Stage(
    name="sweep",
    summary="Set the runs of the sweep beside one another, each arm over its seeds.",
    inputs=files_of_runs,
    outputs=("runs.csv", "sweep.csv", "sweep.json", "sweep.png", "sweep_curves.png"),
    run=run,
)

if __name__ == "__main__":
    main(STAGE)
