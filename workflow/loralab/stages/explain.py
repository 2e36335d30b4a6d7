"""Stage `explain`: attribute answers to tokens, and measure what the adapter changed."""

import dataclasses

import pandas as pd
import torch

from loralab.data.messages import read_rows, read_table, write_table
from loralab.errors import LoralabError
from loralab.evaluation.metrics import positive_label
from loralab.explanation.adapter_change import adapter_changes
from loralab.explanation.attributions import (
    FLOOR,
    TOLERANCE,
    Attribution,
    attribute,
    rank_correlation,
    readable_token,
)
from loralab.model.devices import choose_device, use_threads
from loralab.model.gpt2 import GPT2
from loralab.model.lora import merge, unload, unmerge
from loralab.model.tokenizer import END_OF_TEXT, count_cut, encode
from loralab.provenance import write_json
from loralab.reporting.explanation_figures import adapter_change, attributions
from loralab.stages.encoding import PADDING
from loralab.stages.inference import Classifier, load_classifier
from loralab.stages.runner import Job, Stage, main

EACH = 3  # wrong answers explained, and as many right ones: what a figure shows on one page


def run(job: Job) -> None:
    """Write the attributions of chosen messages, the change of every layer, and the figures."""
    use_threads(job.threads)
    classifier = load_classifier(job.layout, _device_with_float64(job))
    chosen = _chosen_messages(job)
    _to_float64(classifier.model)
    changes = pd.DataFrame([dataclasses.asdict(c) for c in adapter_changes(classifier.model)])
    write_table(changes, job.folder / "adapter_change.csv")
    unload(classifier.model)  # the weights stay merged
    found = _method(classifier.labels)
    found["messages"] = [_explain(classifier, row) for row in chosen.to_dict("records")]
    write_json(job.folder / "attributions.json", found)
    attributions(job.folder / "attributions.json", output=job.folder / "attributions.png")
    adapter_change(job.folder / "adapter_change.csv", output=job.folder / "adapter_change.png")


def _device_with_float64(job: Job) -> torch.device:
    device = choose_device(job.config.training.device)
    return torch.device("cpu") if device.type == "mps" else device


def _to_float64(model: GPT2) -> None:
    """The same adapters merged anew in float64, so that neither ΔW nor a gap has rounding in it."""
    unmerge(model)
    model.requires_grad_(False).double()
    merge(model)


# --- which messages ---------------------------------------------------------------------------


def _chosen_messages(job: Job) -> pd.DataFrame:
    """The most confident wrong and right answers of the test split, with their texts.

    Among the right ones labels take turns, as the most confident might all have one label; of
    messages alike the one with the smaller id comes first.
    """
    split, evaluate = (job.layout.folder(stage) for stage in ("split", "evaluate"))
    columns, names = ["split", "id", "label", "predicted"], ("split", "label", "predicted")
    rows = read_rows(evaluate / "predictions.csv", columns, dict.fromkeys(names, str))
    test = rows[rows["split"] == "test"]
    test = test.assign(
        confidence=test.filter(regex="^p_").max(axis=1),
        text=test["id"].map(read_table(split / "test.csv").set_index("id")["text"]),
    ).sort_values(["confidence", "id"], ascending=[False, True])
    is_right = test["label"] == test["predicted"]
    right = test[is_right]
    right = right.assign(turn=right.groupby("label").cumcount()).sort_values("turn", kind="stable")
    return pd.concat([test[~is_right].head(EACH), right.head(EACH)])


# --- attributions -----------------------------------------------------------------------------


def _explain(classifier: Classifier, row: dict) -> dict:
    """A message as `attributions.json` has it, its tokens in the order in which they are read."""
    config, tokenizer = classifier.config, classifier.tokenizer
    longest, padded = config.training.max_length, config.head.position == PADDING
    tokens = encode(tokenizer, row["text"], longest)
    ids = torch.tensor(encode(tokenizer, row["text"], longest, padded))
    label = _explained_label(row, classifier.labels)
    device = classifier.model.wte.weight.device
    found = attribute(classifier.model, ids.to(device), classifier.labels.index(label), len(tokens))
    words = [readable_token(tokenizer.decode_single_token_bytes(token)) for token in tokens]
    return {
        **{name: row[name] for name in ("id", "label", "predicted", "confidence")},
        "explained": label,
        "cut": count_cut(tokenizer, [row["text"]], longest) == 1,
        **_numbers(found),
        "tokens": [
            {"token": word, "attribution": value, "occlusion": loss}
            for word, value, loss in zip(words, found.values, found.occlusion, strict=True)
        ],
    }


def _numbers(found: Attribution) -> dict:
    names = ("output", "baseline_output", "difference", "gap", "complete", "steps")
    numbers = {name: getattr(found, name) for name in names}
    return numbers | {"rank_correlation": rank_correlation(found.values, found.occlusion)}


def _explained_label(row: dict, labels: list[str]) -> str:
    """Of two labels always the positive one, so that a sign means the same in every message."""
    name = positive_label(labels) or row["predicted"]
    if name not in labels:
        raise LoralabError(
            f"evaluate/predictions.csv predicts {name!r}, a label that the adapter does not have; "
            "run evaluate again"
        )
    return name


def _method(labels: list[str]) -> dict:
    return {
        "labels": labels,
        "positive": positive_label(labels),
        "each": EACH,
        "method": "integrated gradients",
        "baseline": END_OF_TEXT,
        "tolerance": TOLERANCE,
        "floor": FLOOR,
    }


STAGE = Stage(
    name="explain",
    summary="Attribute answers to tokens, and measure what the adapter changed.",
    inputs=lambda layout: [
        layout.split_files["test"],
        layout.folder("evaluate") / "predictions.csv",
        *layout.adapter_files,
        *layout.tokenizer_files,
        *layout.base_files,
    ],
    outputs=("attributions.json", "adapter_change.csv", "attributions.png", "adapter_change.png"),
    run=run,
    memory_advice="lower training.max_length, or set training.device to cpu",
)

if __name__ == "__main__":
    main(STAGE)
