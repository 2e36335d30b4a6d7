"""Stage `evaluate`: predict every split, measure, and set baselines beside it."""

from typing import Any

import numpy as np
import pandas as pd

from loralab.data.messages import write_table
from loralab.evaluation.calibration import calibrate
from loralab.evaluation.comparison import compare_all
from loralab.evaluation.metrics import evaluate, positive_label
from loralab.evaluation.operating_point import operating_point
from loralab.evaluation.resampling import bootstrap_intervals
from loralab.model.devices import choose_device, use_threads
from loralab.model.tokenizer import count_cut
from loralab.provenance import write_json
from loralab.reporting.calibration_figures import calibration
from loralab.reporting.evaluation_figures import baseline_comparison, confusion_matrices
from loralab.reporting.inputs import ADAPTER
from loralab.reporting.ranking_figures import precision_recall_curves, roc_curves
from loralab.stages.inference import Classifier, load_classifier
from loralab.stages.labels import label_indices, read_splits
from loralab.stages.predictions import prediction_table, read_probabilities
from loralab.stages.runner import Job, Stage, main


def run(job: Job) -> None:
    """Write predictions, metrics, baselines, the most confident errors and the figures."""
    use_threads(job.threads)
    device = choose_device(job.config.training.device)
    classifier = load_classifier(job.layout, device)
    labels = classifier.labels
    tables = {name: table for name, table in read_splits(job.layout).items() if len(table)}
    predictions, found = [], {}
    for name, table in tables.items():
        found[name] = classifier.probabilities(list(table["text"]))
        predictions.append(prediction_table("split", name, table, found[name], labels))
    everything = pd.concat(predictions)
    write_table(everything, job.folder / "predictions.csv")
    _write_errors(job, everything, tables)
    truths = {name: label_indices(table, labels) for name, table in tables.items()}
    baselines = _baselines(job, tables["test"], labels)
    _write_baselines(job, tables["test"], labels, baselines)
    truth, seed = truths["test"], job.config.seed
    validation = found.get("validation"), truths.get("validation")
    wanted = job.config.evaluation.false_alarms
    summary = {
        "labels": labels,
        "positive": positive_label(labels),
        "cut": {name: _count_cut(classifier, table) for name, table in tables.items()},
        "splits": {n: measure(p, truths[n], labels, seed) for n, p in found.items()},
        "baselines": {n: measure(p, truth, labels, seed) for n, p in baselines.items()},
        "comparisons": _against_baselines(found["test"], baselines, truth, labels, seed),
        "between_baselines": compare_all(baselines, truth, labels, seed),
        "calibration": calibrate(validation, (found["test"], truth), labels),
        "operating_point": operating_point(validation, (found["test"], truth), labels, wanted),
    }
    write_json(job.folder / "metrics.json", summary)
    _draw(job, labels)


def _count_cut(classifier: Classifier, table: pd.DataFrame) -> int:
    """Messages of which the model sees the beginning alone."""
    max_length = classifier.config.training.max_length
    return count_cut(classifier.tokenizer, table["text"], max_length)


def _write_errors(job: Job, predictions: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> None:
    """The test messages that the model got wrong, the most confident first."""
    test = predictions[predictions["split"] == "test"].drop(columns="split")
    probabilities = test.filter(regex="^p_")
    wrong = test[test["label"] != test["predicted"]][["id", "label", "predicted"]]
    wrong = wrong.assign(confidence=probabilities.max(axis=1), text=tables["test"]["text"])
    wrong = wrong.sort_values(["confidence", "id"], ascending=[False, True])
    write_table(wrong.head(job.config.evaluation.errors), job.folder / "errors.csv")


def _baselines(job: Job, test: pd.DataFrame, labels: list[str]) -> dict[str, np.ndarray]:
    """Each baseline's probabilities, (n, labels), of the test messages."""
    return {
        name: read_probabilities(folder / "predictions.csv", "test", test, labels)
        for name, folder in job.layout.baselines.items()
    }


def _write_baselines(
    job: Job, test: pd.DataFrame, labels: list[str], baselines: dict[str, np.ndarray]
) -> None:
    # An empty table first, so that no baseline at all still leaves a file with its columns.
    nobody = prediction_table("baseline", "", test[:0], np.zeros((0, len(labels))), labels)
    tables = [
        prediction_table("baseline", name, test, found, labels) for name, found in baselines.items()
    ]
    write_table(pd.concat([nobody, *tables]), job.folder / "baseline_predictions.csv")


def measure(
    probabilities: np.ndarray, truth: np.ndarray, labels: list[str], seed: int
) -> dict[str, Any]:
    """Every metric of one system on one split, and how far each moves with other messages."""
    measured = evaluate(probabilities, truth, labels)
    return measured | {"bootstrap": bootstrap_intervals(probabilities, truth, labels, seed)}


def _against_baselines(
    own: np.ndarray,
    baselines: dict[str, np.ndarray],
    truth: np.ndarray,
    labels: list[str],
    seed: int,
) -> dict[str, dict]:
    """The adapter (first) against each baseline (second), on the test messages."""
    pairs = [(ADAPTER, name) for name in baselines]
    rows = compare_all({ADAPTER: own, **baselines}, truth, labels, seed, pairs)
    return {row["second"]: {**row, **row["mcnemar"]} for row in rows}


def _draw(job: Job, labels: list[str]) -> None:
    folder = job.folder
    predictions, baselines = folder / "predictions.csv", folder / "baseline_predictions.csv"
    positive = positive_label(labels)
    metrics = folder / "metrics.json"
    confusion_matrices(metrics, output=folder / "confusion.png")
    roc_curves(predictions, baselines, positive, output=folder / "roc.png")
    curve = folder / "precision_recall.png"
    precision_recall_curves(predictions, baselines, positive, output=curve)
    calibration(metrics, output=folder / "calibration.png")
    baseline_comparison(metrics, output=folder / "baselines.png")


STAGE = Stage(
    name="evaluate",
    summary="Predict every split, measure it, and set baselines beside it.",
    inputs=lambda layout: [
        *layout.split_files.values(),
        *layout.baseline_files,
        *layout.adapter_files,
        *layout.tokenizer_files,
        *layout.base_files,
    ],
    outputs=(
        *("predictions.csv", "metrics.json", "errors.csv", "baseline_predictions.csv"),
        *("confusion.png", "roc.png", "precision_recall.png", "calibration.png"),
        "baselines.png",
    ),
    run=run,
    memory_advice="lower evaluation.batch_size or training.max_length",
)

if __name__ == "__main__":
    main(STAGE)
