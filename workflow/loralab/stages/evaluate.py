"""Stage `evaluate`: predict every split, measure, and set baselines beside it."""

import numpy as np
import pandas as pd
import torch

from loralab.data.messages import read_table, write_table
from loralab.evaluation.baselines import majority, tfidf
from loralab.evaluation.metrics import evaluate
from loralab.model.checkpoints import load_base
from loralab.model.classifier import add_head
from loralab.model.devices import choose_device, use_threads
from loralab.model.tokenizer import load_tokenizer
from loralab.provenance import write_json
from loralab.reporting import figures
from loralab.stages.encoding import PRECISIONS, read_labelled
from loralab.stages.inference import load_classifier
from loralab.stages.runner import Job, Stage, main
from loralab.training.loop import pad_length, train_classifier
from loralab.training.prediction import predict

SPLITS = ("train", "validation", "test")


def run(job: Job) -> None:
    """Write predictions, metrics, baselines, the most confident errors and the figures."""
    use_threads(job.threads)
    device = choose_device(job.config.training.device)
    classifier = load_classifier(job.layout, device)
    labels = classifier.labels
    tables = {name: read_table(job.layout.run / "split" / f"{name}.csv") for name in SPLITS}
    tables = {name: table for name, table in tables.items() if len(table)}
    predictions, measured = [], {}
    for name, table in tables.items():
        found = classifier.probabilities(list(table["text"]))
        predictions.append(_prediction_table("split", name, table, found, labels))
        measured[name] = evaluate(found, _indices(table, labels), labels)
    everything = pd.concat(predictions)
    write_table(everything, job.folder / "predictions.csv")
    _write_errors(job, everything, tables)
    _write_baselines(job, tables, labels, measured, device)
    _draw(job, labels)


def _indices(table: pd.DataFrame, labels: list[str]) -> np.ndarray:
    return np.array([labels.index(label) for label in table["label"]], dtype=np.int64)


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


def _write_baselines(
    job: Job, tables: dict, labels: list[str], measured: dict, device: torch.device
) -> None:
    """Metrics and test predictions of every baseline, beside the adapter's own metrics."""
    train, test = tables["train"], tables["test"]
    truth, train_labels = _indices(test, labels), _indices(train, labels)
    texts = list(train["text"]), list(test["text"])
    make = {
        "majority": lambda: majority(train_labels, len(labels), len(test)),
        "tfidf": lambda: tfidf(texts[0], train_labels, len(labels), texts[1]),
        "head_only": lambda: _head_only(job, labels, device),
    }
    # An empty table first, so that no baseline at all still leaves a file with its columns.
    nobody = np.zeros((0, len(labels)))
    rows, metrics = [_prediction_table("baseline", "", test[:0], nobody, labels)], {}
    for name in job.config.evaluation.baselines:
        found = make[name]()
        rows.append(_prediction_table("baseline", name, test, found, labels))
        metrics[name] = evaluate(found, truth, labels)
    write_table(pd.concat(rows), job.folder / "baseline_predictions.csv")
    summary = {"labels": labels, "positive": labels[1] if len(labels) == 2 else None}
    write_json(job.folder / "metrics.json", {**summary, "splits": measured, "baselines": metrics})


def _head_only(job: Job, labels: list[str], device: torch.device) -> np.ndarray:
    """The experiment's own recipe with no adapter: only the head is trained."""
    config, settings = job.config, job.config.training
    tokenizer = load_tokenizer(job.layout.tokenizer)
    model = load_base(job.layout.base, settings.dropout, PRECISIONS[settings.precision])
    model.requires_grad_(False)
    add_head(model, len(labels), config.head.bias, config.seed)
    model.to(device)
    train, validation, test = (
        read_labelled(path, tokenizer, labels, settings.max_length)[1]
        for path in (job.layout.run / "split" / f"{name}.csv" for name in SPLITS)
    )
    train_classifier(model, train, validation, settings, config.seed)
    return predict(model, test.texts, config.evaluation.batch_size, pad_length(settings))


def _draw(job: Job, labels: list[str]) -> None:
    folder = job.folder
    predictions, baselines = folder / "predictions.csv", folder / "baseline_predictions.csv"
    positive = labels[1] if len(labels) == 2 else None
    metrics = folder / "metrics.json"
    figures.confusion_matrices(metrics, output=folder / "confusion.png")
    figures.roc_curves(predictions, baselines, positive, output=folder / "roc.png")
    curve = folder / "precision_recall.png"
    figures.precision_recall_curves(predictions, baselines, positive, output=curve)
    figures.calibration(predictions, output=folder / "calibration.png")
    figures.baseline_comparison(metrics, output=folder / "baselines.png")


STAGE = Stage(
    name="evaluate",
    summary="Predict every split, measure it, and set baselines beside it.",
    inputs=lambda layout: [
        *(layout.run / "split" / f"{name}.csv" for name in SPLITS),
        layout.run / "train" / "adapter" / "adapter_model.safetensors",
        layout.run / "train" / "manifest.json",
        layout.tokenizer / "vocab.bpe",
        layout.tokenizer / "encoder.json",
        layout.base / "model.safetensors",
        layout.base / "manifest.json",
    ],
    outputs=(
        *("predictions.csv", "metrics.json", "errors.csv", "baseline_predictions.csv"),
        *("confusion.png", "roc.png", "precision_recall.png", "calibration.png"),
        "baselines.png",
    ),
    run=run,
)

if __name__ == "__main__":
    main(STAGE)
