"""Stage `robustness`: the stress set, and test messages without artefacts, a baseline beside."""

import numpy as np
import pandas as pd

from loralab.data.messages import write_table
from loralab.data.perturbations import MASKS, masked
from loralab.data.stress import read_stress_set, why_not_stressed
from loralab.evaluation.baselines import Predict
from loralab.evaluation.comparison import mcnemar
from loralab.evaluation.robustness import answers_by_label, before_and_after
from loralab.model.devices import choose_device, use_threads
from loralab.model.tokenizer import count_cut
from loralab.provenance import write_json
from loralab.reporting.inputs import ADAPTER
from loralab.reporting.robustness_figures import robustness
from loralab.stages.inference import Classifier, load_classifier
from loralab.stages.labels import label_indices, read_splits
from loralab.stages.predictions import prediction_table
from loralab.stages.runner import Job, Stage, main
from loralab.stages.text_baseline import fit_on_texts

BASELINE = "tfidf_characters"

Answers = dict[str, np.ndarray]  # by the system's name, (n, labels) probabilities


def run(job: Job) -> None:
    """Write what both systems answer, what follows of it, and the figure."""
    use_threads(job.threads)
    classifier = load_classifier(job.layout, choose_device(job.config.training.device))
    labels = classifier.labels
    splits = read_splits(job.layout)
    baseline, _ = fit_on_texts(BASELINE, splits, labels, job.config.seed)
    systems = {
        ADAPTER: lambda texts: classifier.probabilities(list(texts)),
        BASELINE: baseline,
    }
    parts = _parts(splits["test"], labels)
    answers = {name: _answer(systems, table, labels) for name, table in parts.items()}
    summary = {
        "labels": labels,
        "max_length": job.config.training.max_length,
        "why_not_stressed": why_not_stressed(labels),
        "stress": _stress_summary(parts["stress"], answers["stress"], classifier),
        "probe": _probe_summary(parts, answers, labels),
    }
    write_json(job.folder / "robustness.json", summary)
    write_table(_prediction_table(parts, answers, labels), job.folder / "predictions.csv")
    robustness(job.folder / "robustness.json", output=job.folder / "robustness.png")


def _parts(test: pd.DataFrame, labels: list[str]) -> dict[str, pd.DataFrame]:
    """Texts to answer, with `id` and `label`: the stress set, the test messages, these masked.

    The stress set is empty where it does not apply; what is masked has the messages that a mask
    touches alone, and in `row` their places in the test split.
    """
    stress = read_stress_set()[: 0 if why_not_stressed(labels) else None]
    parts = {"stress": stress, "test": test}
    for name, patterns in MASKS.items():
        texts = masked(test["text"], patterns)
        rows = np.array(list(texts), dtype=np.int64)
        parts[f"masked_{name}"] = test.iloc[rows].assign(text=list(texts.values()), row=rows)
    return parts


def _answer(systems: dict[str, Predict], table: pd.DataFrame, labels: list[str]) -> Answers:
    if table.empty:
        return {name: np.zeros((0, len(labels))) for name in systems}
    return {name: predict(table["text"]) for name, predict in systems.items()}


def _stress_summary(stress: pd.DataFrame, answers: Answers, classifier: Classifier) -> list[dict]:
    """A row a kind, then one of all texts; none where the set does not apply."""
    kinds = {kind: np.flatnonzero(stress["kind"] == kind) for kind in stress["kind"].unique()}
    if kinds:
        kinds["all"] = np.arange(len(stress))
    longest, tokenizer = classifier.config.training.max_length, classifier.tokenizer
    return [
        _stress_row(kind, stress.iloc[rows], _at(answers, rows), classifier.labels)
        | {"cut": count_cut(tokenizer, stress["text"].iloc[rows], longest)}
        for kind, rows in kinds.items()
    ]


def _stress_row(kind: str, table: pd.DataFrame, answers: Answers, labels: list[str]) -> dict:
    truth = label_indices(table, labels)
    predicted = _predicted(answers)
    return {
        "kind": kind,
        **_counts(table, labels),
        "systems": {s: answers_by_label(truth, found, labels) for s, found in predicted.items()},
        "comparison": mcnemar(predicted[ADAPTER] == truth, predicted[BASELINE] == truth),
    }


def _probe_summary(
    parts: dict[str, pd.DataFrame], answers: dict[str, Answers], labels: list[str]
) -> dict:
    """Both systems on the test messages as they are, and a row a mask on those that it touches."""
    truth, predicted = label_indices(parts["test"], labels), _predicted(answers["test"])
    return {
        **_counts(parts["test"], labels),
        "systems": {s: answers_by_label(truth, found, labels) for s, found in predicted.items()},
        "masks": [
            _mask_row(name, parts[f"masked_{name}"], predicted, answers[f"masked_{name}"], labels)
            for name in MASKS
        ],
    }


def _mask_row(
    name: str, table: pd.DataFrame, before: Answers, answers: Answers, labels: list[str]
) -> dict:
    truth, rows = label_indices(table, labels), table["row"].to_numpy()
    return {
        "mask": name,
        **_counts(table, labels),
        "systems": {
            system: before_and_after(truth, before[system][rows], after, labels)
            for system, after in _predicted(answers).items()
        },
    }


def _counts(table: pd.DataFrame, labels: list[str]) -> dict:
    """How many texts there are, and how many of each label that occurs."""
    counts = {label: int((table["label"] == label).sum()) for label in labels}
    return {"n": len(table), "by_label": {label: n for label, n in counts.items() if n}}


def _predicted(answers: Answers) -> Answers:
    return {system: found.argmax(axis=1) for system, found in answers.items()}


def _at(answers: Answers, rows: np.ndarray) -> Answers:
    return {system: found[rows] for system, found in answers.items()}


def _prediction_table(
    parts: dict[str, pd.DataFrame], answers: dict[str, Answers], labels: list[str]
) -> pd.DataFrame:
    """Every answer: columns `system,part,id,label,predicted,p_<label>…`."""
    tables = []
    for part, table in parts.items():
        for system, found in answers[part].items():
            rows = prediction_table("part", part, table, found, labels)
            rows.insert(0, "system", system)
            tables.append(rows)
    return pd.concat(tables)


STAGE = Stage(
    name="robustness",
    summary="Answer the stress set and the test messages without artefacts, a baseline beside.",
    inputs=lambda layout: [
        *layout.split_files.values(),
        *layout.adapter_files,
        *layout.tokenizer_files,
        *layout.base_files,
    ],
    outputs=("robustness.json", "predictions.csv", "robustness.png"),
    run=run,
    memory_advice="lower evaluation.batch_size or training.max_length",
)

if __name__ == "__main__":
    main(STAGE)
