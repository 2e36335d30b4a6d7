"""The markdown report: every number in it is read from an artifact."""

import math
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pandas as pd

from loralab.provenance import read_json
from loralab.reporting.claims import with_training_figures

SYSTEM_NAMES = {
    "majority": "the majority class",
    "tfidf": "character TF-IDF + logistic regression",
    "head_only": "head only, no adapter",
}
SIGNIFICANT = 0.05  # p values below it are called a difference
_AS_ENTITIES = {ord(character): f"&#{ord(character)};" for character in "\\`*_[]<>|#&!~"}
OWN_STAGES = ("split", "inject", "gradcheck", "train", "evaluate")


@dataclass(frozen=True)
class Folders:
    """Where the artifacts of a run lie."""

    run: Path
    dataset: Path
    tokenizer: Path
    base: Path


def render_report(experiment: str, folders: Folders, settings: dict, examples: list[dict]) -> str:
    """The report of a run, as markdown.

    `settings` are those the stage reads, as nested mappings; `examples` are texts classified by the
    trained model, each with `text`, `predicted` and `probability`.
    """
    found = _artifacts(folders)
    metrics, split = found["metrics"], found["split"]
    test = metrics["splits"]["test"]
    context = {
        "experiment": experiment,
        "settings": settings,
        "labels": metrics["labels"],
        "test": test,
        "headline": _headline(test),
        "base_sentence": _base_sentence(settings["base"], found["base_config"]),
        "base_folder": folders.base.as_posix(),
        "has_pretraining": (folders.base / "loss.png").is_file(),
        "adapted_layers": _adapted_layers(found["parameters"], settings["lora"]),
        "warnings": _notes(settings) + found["training"]["warnings"],
        "recipe": _recipe(settings),
        "systems": _systems(metrics),
        "answers": _answers(found, settings, split, test),
        "examples": examples,
        **found,
        "claims": with_training_figures(
            *(found["claims"], found["training"], metrics, settings["base"], split["protocol"])
        ),
    }
    return _environment().get_template("report.md.j2").render(context)


def _artifacts(folders: Folders) -> dict:
    run, dataset, base = folders.run, folders.dataset, folders.base
    errors = pd.read_csv(run / "evaluate" / "errors.csv", keep_default_na=False)
    shared = {"download": dataset, "tokenizer": folders.tokenizer, "weights": base}
    places = shared | {stage: run / stage for stage in OWN_STAGES}
    by_stage = {stage: read_json(place / "manifest.json") for stage, place in places.items()}
    manifests = list(by_stage.values())
    packages: dict = {}
    for manifest in manifests:
        packages |= manifest["fingerprint"]["packages"]
    return {
        "source": read_json(dataset / "source.json"),
        "base_config": read_json(base / "config.json"),
        "split": read_json(run / "split" / "split.json"),
        "parameters": read_json(run / "inject" / "parameters.json"),
        "claims": read_json(run / "inject" / "claims.json"),
        "gradients": read_json(run / "gradcheck" / "gradients.json"),
        "training": read_json(run / "train" / "training.json"),
        "metrics": read_json(run / "evaluate" / "metrics.json"),
        "errors": errors.to_dict("records"),
        "structure_before": _one_block(run / "inject" / "structure_before.txt"),
        "structure_after": _one_block(run / "inject" / "structure_after.txt"),
        "manifests": manifests,
        "hashes": _hashes(by_stage),
        "machine": by_stage["train"]["machine"],
        "packages": dict(sorted(packages.items())),
    }


def _hashes(manifests: dict[str, dict]) -> dict[str, str]:
    """SHA-256 of what the result was made of, by a reader's name for it."""
    wanted = {
        "tokenizer, merges": ("tokenizer", "vocab.bpe"),
        "tokenizer, vocabulary": ("tokenizer", "encoder.json"),
        "base model": ("weights", "model.safetensors"),
        "training messages": ("split", "train.csv"),
        "test messages": ("split", "test.csv"),
        "adapter": ("train", "adapter/adapter_model.safetensors"),
        "predictions": ("evaluate", "predictions.csv"),
    }
    return {
        name: manifests[stage]["outputs"][file]["sha256"] for name, (stage, file) in wanted.items()
    }


def _one_block(path: Path) -> str:
    """The lines of the printed structure that show one transformer block."""
    lines = path.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if "Block(" in line)
    indent = len(lines[start]) - len(lines[start].lstrip())
    end = next(i for i in range(start + 1, len(lines)) if lines[i] == " " * indent + ")")
    return "\n".join(line[indent:] for line in lines[start : end + 1])


def _headline(test: dict) -> str:
    low, high = test["accuracy_ci95"]
    right = round(test["accuracy"] * test["n"])
    return (
        f"Test accuracy {percent(test['accuracy'])} ({right} of {test['n']} messages), "
        f"95 % interval {percent(low)} to {percent(high)}."
    )


def _base_sentence(base: dict, shape: dict) -> str:
    size = f"{shape['n_layer']} blocks of width {shape['n_embd']}, {shape['vocab_size']:,} tokens"
    origin = {
        "url": "GPT-2's pretrained weights",
        "file": "weights from a local file",
        "embedded": "a small GPT-2 pretrained by this project on generated text",
        "random": "random weights, never trained",
    }[base["source"]]
    return f"`{base['name']}`: {origin} ({size})"


def _adapted_layers(parameters: dict, lora: dict) -> int:
    """Layers with an adapter; fewer than adapters where they were injected more than once."""
    return parameters["adapted_modules"] // lora["injections"]


def _notes(settings: dict) -> list[str]:
    """What a reader must know before any number."""
    notes, lora = [], settings["lora"]
    if lora["injections"] > 1:
        times = lora["injections"]
        notes.append(
            f"The adapters were injected {times} times, as the lab did by mistake: every layer "
            f"carries {times} of rank {lora['rank']}, which together are one of rank "
            f"{times * lora['rank']} with alpha {times * lora['alpha']:g}."
        )
    if settings["data"]["source"] == "embedded":
        notes.append(
            "The messages are generated by this project as a stand-in: nothing here says how well "
            "the method does on real messages."
        )
    if settings["base"]["source"] == "embedded":
        notes.append(
            "The base model is a small stand-in pretrained on generated text: nothing here says "
            "what GPT-2 would reach."
        )
    if settings["base"]["source"] == "random":
        notes.append(
            "The base model has random weights, never trained: the accuracies show that the "
            "pipeline runs, not what GPT-2 would reach."
        )
    return notes


def _recipe(settings: dict) -> dict[str, str]:
    """The settings of adapter and training, by the names of config.yaml."""
    chosen = {f"lora.{key}": value for key, value in settings["lora"].items()}
    silent = ("device", "log_every")
    training = {k: v for k, v in settings["training"].items() if k not in silent}
    chosen |= {f"training.{key}": value for key, value in training.items()}
    return {key: "none" if value is None else str(value) for key, value in chosen.items()}


def _systems(metrics: dict) -> dict[str, dict]:
    """Every system measured, by the name a reader knows it by."""
    own = {f"LoRA, {name}": found for name, found in metrics["splits"].items()}
    names = {name: f"{SYSTEM_NAMES[name]}, test" for name in metrics["baselines"]}
    return own | {names[name]: found for name, found in metrics["baselines"].items()}


def _answers(found: dict, settings: dict, split: dict, test: dict) -> dict[str, str]:
    return {
        "q1": _structure_answer(found["parameters"], settings["lora"]),
        "q2": _count_answer(found["parameters"]),
        "q3": _head_answer(found["parameters"]),
        "gradients": _gradient_answer(found["gradients"]),
        "q4": _training_answer(found["training"], split),
        "q5": _test_answer(found["metrics"], split, test),
        "baselines": _baseline_answers(found["metrics"]),
    }


def _structure_answer(parameters: dict, lora: dict) -> str:
    return (
        f"{_adapted_layers(parameters, lora)} linear layers became `LoRALinear`: the layer "
        f"itself, now frozen, as `base`, and beside it A and B of rank {lora['rank']}"
        f"{', nested ' + str(lora['injections']) + ' times' if lora['injections'] > 1 else ''}. "
        "Embeddings, norms and the output head are as they were."
    )


def _count_answer(parameters: dict) -> str:
    before, after = parameters["language_model"]["before"], parameters["language_model"]
    return (
        f"Of {after['total']:,} parameters {after['trainable']:,} are trainable, "
        f"{after['percent']} %. Before injection there were {before['total']:,}, all of them "
        "trainable. The head onto the vocabulary is counted apart from the token embedding, as in "
        "the lab."
    )


def _head_answer(parameters: dict) -> str:
    before, after = parameters["language_model"], parameters["classifier"]
    return (
        f"The head onto the vocabulary goes and one of {parameters['head_parameters']:,} "
        f"parameters comes: {after['trainable']:,} of {after['total']:,} are trainable, "
        f"{after['percent']} % instead of {before['percent']} %. The trainable count grows by "
        f"{after['trainable'] - before['trainable']:,}; the share grows mostly because the total "
        f"falls by {before['total'] - after['total']:,}."
    )


def _gradient_answer(gradients: dict) -> str:
    model = gradients["language_model"]
    return (
        f"{'Passed' if gradients['passed'] else 'Failed'}. Before the head: "
        f"{model['trainable_with_gradient']} trainable tensors have a gradient, "
        f"{model['trainable_without_gradient']} have none; {model['frozen_without_gradient']} "
        f"frozen tensors have none, {model['frozen_with_gradient']} have one. At the first step "
        f"{model['zero_at_start']} gradients are exactly zero: those of every A, because every B "
        "is zero. With the head, "
        f"{gradients['classifier']['trainable_with_gradient']} tensors have a gradient and "
        f"{gradients['classifier']['frozen_without_gradient']} frozen ones have none. After real "
        "optimiser steps the frozen weights were "
        f"{'unchanged' if gradients['frozen_unchanged_after_step'] else 'CHANGED'}, and every A "
        "and B had moved."
    )


def _training_answer(training: dict, split: dict) -> str:
    epochs = training["epoch_metrics"]
    kept = epochs[training["best_epoch"] - 1]
    counts = split["splits"]["train"]
    largest = max(v for k, v in counts.items() if k != "n") / counts["n"]
    verdict = "more" if kept["train_accuracy"] > largest else "no more"
    return (
        f"{_trend(epochs)} The adapter is that of epoch {kept['epoch']}"
        f"{' (early stopping)' if kept is not epochs[-1] else ''}; its train accuracy, without "
        f"dropout, is {percent(kept['train_accuracy'])} (running: "
        f"{percent(kept['running_accuracy'])}). Always answering the most frequent label would "
        f"give {percent(largest)}: it has learnt {verdict} than that. {training['steps']} steps "
        f"took {training['seconds']:.1f} s."
    )


def _trend(epochs: list[dict]) -> str:
    """How the losses developed, turning points included."""
    first, last = epochs[0], epochs[-1]
    if len(epochs) == 1:
        return f"The running loss of the one epoch is {number(last['running_loss'])}."
    lowest = min(epochs, key=lambda epoch: epoch["running_loss"])
    text = (
        f"The running loss went from {number(first['running_loss'])} in epoch 1 to "
        f"{number(last['running_loss'])} in epoch {last['epoch']}"
    )
    if lowest is not last:
        text += f", lowest in epoch {lowest['epoch']} ({number(lowest['running_loss'])})"
    if last["validation_loss"] is None:
        return f"{text}."
    best = min(epochs, key=lambda epoch: epoch["validation_loss"])
    if best is last:
        return (
            f"{text}; the validation loss ended at its lowest, {number(best['validation_loss'])}."
        )
    return (
        f"{text}; the validation loss was lowest in epoch {best['epoch']} "
        f"({number(best['validation_loss'])}) and ended at {number(last['validation_loss'])}."
    )


def _test_answer(metrics: dict, split: dict, test: dict) -> str:
    train = metrics["splits"]["train"]
    low, high = test["accuracy_ci95"]
    gap = 100 * (train["accuracy"] - test["accuracy"])
    inside = low <= train["accuracy"] <= high
    leak = split["leakage"]["masked"]
    return (
        f"Test accuracy is {percent(test['accuracy'])}, train {percent(train['accuracy'])}: a gap "
        f"of {gap:.1f} points. The train accuracy lies {'inside' if inside else 'outside'} the "
        f"95 % interval of the test accuracy ({percent(low)} to {percent(high)}). "
        f"{leak['n']} of the {test['n']} test messages ({percent(leak['share'])}) have a masked "
        "twin in train."
    )


def _baseline_answers(metrics: dict) -> list[str]:
    """One sentence a baseline: who was right where the other was wrong, and what follows."""
    return [
        f"Against {SYSTEM_NAMES[name]}: the adapter alone is right on "
        f"{found['only_first_right']} messages, the baseline alone on "
        f"{found['only_second_right']}; exact McNemar p {p_value(found['p_value'])}. "
        + _conclusion(found)
        for name, found in metrics["comparisons"].items()
    ]


def _conclusion(found: dict) -> str:
    if found["p_value"] >= SIGNIFICANT:
        return "These messages do not tell the two apart."
    better = found["only_first_right"] > found["only_second_right"]
    return "The adapter is better." if better else "The baseline is better."


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        trim_blocks=True,
        lstrip_blocks=False,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # markdown, not HTML; `cell` makes texts safe
    )
    filters = {"percent": percent, "number": number, "interval": interval}
    environment.filters |= {**filters, "cell": cell, "figure": figure}
    return environment


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal."""
    return "–" if value is None else f"{100 * value:.1f} %"


def number(value: float | None) -> str:
    """A number with three decimals."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.3f}"


def p_value(value: float) -> str:
    """A p value with its sign of relation, never rounded to zero."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def interval(bounds: list[float]) -> str:
    """The two ends of an interval of shares."""
    return f"{percent(bounds[0])} to {percent(bounds[1])}"


def figure(value: float | str | None) -> str:
    """A claim's number or text: thousands separated, – where there is none."""
    if isinstance(value, int):
        return f"{value:,}"
    return "–" if value is None else cell(str(value))


def cell(text: str) -> str:
    """Any text inside a table cell: nothing in it may end the cell or become markup."""
    return " ".join(str(text).split()).translate(_AS_ENTITIES)
