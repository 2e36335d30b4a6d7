"""Stage `evaluate`: predict every split, measure, and set baselines beside it."""

import logging

import numpy as np
import pandas as pd
import torch

from loralab.data.messages import read_table, write_table
from loralab.data.splitting import SPLIT_NAMES
from loralab.evaluation.baselines import majority, tfidf
from loralab.evaluation.comparison import mcnemar
from loralab.evaluation.metrics import evaluate, positive_label
from loralab.model.checkpoints import load_base
from loralab.model.classifier import add_head
from loralab.model.devices import choose_device, use_threads
from loralab.model.tokenizer import count_cut, load_tokenizer
from loralab.provenance import write_json
from loralab.reporting.calibration_figures import calibration
from loralab.reporting.evaluation_figures import baseline_comparison, confusion_matrices
from loralab.reporting.ranking_figures import precision_recall_curves, roc_curves
from loralab.stages.encoding import PRECISIONS, encode_labelled, label_indices
from loralab.stages.inference import Classifier, float32_network, load_classifier
from loralab.stages.runner import Job, Stage, main
from loralab.training.loop import train_classifier
from loralab.training.prediction import predict_packed

log = logging.getLogger(__name__)


def run(job: Job) -> None:
    """Write predictions, metrics, baselines, the most confident errors and the figures."""
    use_threads(job.threads)
    device = choose_device(job.config.training.device)
    classifier = load_classifier(job.layout, device)
    labels = classifier.labels
    tables = {name: read_table(job.layout.run / "split" / f"{name}.csv") for name in SPLIT_NAMES}
    tables = {name: table for name, table in tables.items() if len(table)}
    predictions, measured, found = [], {}, {}
    for name, table in tables.items():
        found[name] = classifier.probabilities(list(table["text"]))
        predictions.append(_prediction_table("split", name, table, found[name], labels))
        measured[name] = evaluate(found[name], label_indices(table, labels), labels)
    everything = pd.concat(predictions)
    write_table(everything, job.folder / "predictions.csv")
    _write_errors(job, everything, tables)
    baselines = _baselines(job, tables, labels, device)
    _write_baselines(job, tables["test"], labels, baselines)
    truth = label_indices(tables["test"], labels)
    summary = {
        "labels": labels,
        "positive": positive_label(labels),
        "cut": {name: _count_cut(classifier, table) for name, table in tables.items()},
        "splits": measured,
        "baselines": {n: evaluate(p, truth, labels) for n, p in baselines.items()},
        "comparisons": {n: _compare(found["test"], p, truth) for n, p in baselines.items()},
    }
    write_json(job.folder / "metrics.json", summary)
    _draw(job, labels)


def _count_cut(classifier: Classifier, table: pd.DataFrame) -> int:
    """Messages of which the model sees the beginning alone."""
    max_length = classifier.config.training.max_length
    return count_cut(classifier.tokenizer, table["text"], max_length)


def _prediction_table(
    kind: str, name: str, table: pd.DataFrame, probabilities: np.ndarray, labels: list[str]
) -> pd.DataFrame:
    """One row a message: where it is from, its label, the one predicted, every probability."""
    result = pd.DataFrame({kind: name, "id": table["id"], "label": table["label"]})
    result["predicted"] = [labels[index] for index in probabilities.argmax(axis=1)]
    for place, label in enumerate(labels):
        result[f"p_{label}"] = probabilities[:, place]
    return result


def _write_errors(job: Job, predictions: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> None:
    """The test messages that the model got wrong, the most confident first."""
    test = predictions[predictions["split"] == "test"].drop(columns="split")
    probabilities = test.filter(regex="^p_")
    wrong = test[test["label"] != test["predicted"]][["id", "label", "predicted"]]
    wrong = wrong.assign(confidence=probabilities.max(axis=1), text=tables["test"]["text"])
    wrong = wrong.sort_values(["confidence", "id"], ascending=[False, True])
    write_table(wrong.head(job.config.evaluation.errors), job.folder / "errors.csv")


def _baselines(
    job: Job, tables: dict[str, pd.DataFrame], labels: list[str], device: torch.device
) -> dict[str, np.ndarray]:
    """Each baseline's probabilities of the test messages, (n, labels)."""
    train, test = tables["train"], tables["test"]
    train_labels = label_indices(train, labels)
    texts = list(train["text"]), list(test["text"])
    make = {
        "majority": lambda: majority(train_labels, len(labels), len(test)),
        "tfidf": lambda: tfidf(texts[0], train_labels, len(labels), texts[1]),
        "head_only": lambda: _head_only(job, tables, labels, device),
    }
    found = {}
    for name in job.config.evaluation.baselines:
        log.info("baseline %s", name)
        found[name] = make[name]()
    return found


def _write_baselines(
    job: Job, test: pd.DataFrame, labels: list[str], baselines: dict[str, np.ndarray]
) -> None:
    # An empty table first, so that no baseline at all still leaves a file with its columns.
    nobody = _prediction_table("baseline", "", test[:0], np.zeros((0, len(labels))), labels)
    tables = [
        _prediction_table("baseline", name, test, found, labels)
        for name, found in baselines.items()
    ]
    write_table(pd.concat([nobody, *tables]), job.folder / "baseline_predictions.csv")


def _compare(own: np.ndarray, baseline: np.ndarray, truth: np.ndarray) -> dict:
    """The adapter (first) against a baseline (second), on the test messages."""
    return mcnemar(own.argmax(axis=1) == truth, baseline.argmax(axis=1) == truth)


def _head_only(
    job: Job, tables: dict[str, pd.DataFrame], labels: list[str], device: torch.device
) -> np.ndarray:
    """The experiment's own recipe with no adapter: only the head is trained."""
    config, settings = job.config, job.config.training
    tokenizer = load_tokenizer(job.layout.tokenizer)
    model = load_base(job.layout.base, settings.dropout, PRECISIONS[settings.precision])
    model.requires_grad_(False)
    add_head(model, len(labels), config.head.bias, config.seed)
    model.to(device)
    texts = {
        name: encode_labelled(table, tokenizer, labels, settings.max_length)
        for name, table in tables.items()
    }
    train_classifier(model, texts["train"], texts.get("validation"), settings, config.seed)
    # As the adapter is measured: in float32, whatever it was trained in.
    network = float32_network(model.float())
    return predict_packed(network, texts["test"].texts, config.evaluation.batch_size)


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
        *(layout.run / "split" / f"{name}.csv" for name in SPLIT_NAMES),
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
