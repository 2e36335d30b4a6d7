"""The markdown report: every number in it is read from an artifact."""

import math
import re
import unicodedata
from pathlib import Path

import jinja2
import pandas as pd
import yaml

from loralab.config import RUNTIME_SETTINGS, flat, select
from loralab.provenance import MANIFEST, read_json
from loralab.reporting.answers import adapter_sentence, answers
from loralab.reporting.claims import (
    LAB_WEIGHTS_SHA256,
    differences_from_the_lab,
    with_training_figures,
)
from loralab.reporting.evaluation_section import (
    baseline_rows,
    comparison_rows,
    evaluation_sentences,
    moves,
    points_interval,
)
from loralab.reporting.explanation_section import explanation_section
from loralab.reporting.inputs import method_name, read_text_table
from loralab.reporting.numbers import interval, number, percent, points, shown_p
from loralab.reporting.robustness_section import robustness_section
from loralab.reporting.summary import summary
from loralab.reporting.sweep_section import sweep_section
from loralab.verification import examine_as_recorded

_AS_ENTITIES = {ord(character): f"&#{ord(character)};" for character in "\\`*_[]<>|#&!~"}

# Parts of the template that have a file of their own, in their order.
SECTIONS = ("sweep.md.j2", "robustness.md.j2", "explanation.md.j2")


def render_report(
    experiment: str, found: dict, settings: dict, claims: list[dict], examples: list[dict]
) -> str:
    """The report of a run, as markdown.

    Args:
        experiment: its name.
        found: what `read_artifacts` returned.
        settings: those the stage reads, as nested mappings.
        claims: the ledger that `completed_claims` returned.
        examples: texts classified by the trained model, each with `text`, `predicted` and
            `probability`.
    """
    metrics = found["metrics"]
    test = metrics["splits"]["test"]
    context = {
        "experiment": experiment,
        "settings": settings,
        "labels": metrics["labels"],
        "test": test,
        "headline": _headline(test),
        "base_sentence": _base_sentence(settings["base"], found),
        "adapter_sentence": adapter_sentence(found["parameters"], settings["lora"]),
        "warnings": [*found["problems"], *_notes(settings), *found["training"]["warnings"]],
        "recipe": _recipe(settings),
        "systems": _systems(metrics),
        "answers": answers(found, settings),
        "examples": examples,
        **found,
        "claims": claims,
        "sections": SECTIONS,
        "summary": summary(found, settings),
        "moves": moves(test),
        "sentences": evaluation_sentences(metrics),
        "comparisons": comparison_rows(metrics["comparisons"]),
        "baselines": baseline_rows(found["baselines"]),
        "sweep": sweep_section(found["sweep"]) if found["sweep"] else None,
        "robustness": robustness_section(found["robustness"]),
        "explanation": explanation_section(found["attributions"], found["adapter_change"]),
    }
    return _environment().get_template("report.md.j2").render(context)


def completed_claims(found: dict, settings: dict) -> list[dict]:
    """The claims ledger with the figures of this run's training."""
    differences = differences_from_the_lab(
        settings, found["source"]["sha256"], found["hashes"]["base model"]
    )
    injections = settings["lora"]["injections"]
    return with_training_figures(
        found["claims"], found["training"], found["metrics"], differences, injections
    )


def read_artifacts(
    places: dict[str, Path], changes: dict[str, dict[str, object]] | None = None
) -> dict:
    """Everything of an experiment that the report tells, by name.

    Args:
        places: the folder of every step but the report, by its name.
        changes: the settings that the runs of a sweep change, for each of their steps.
    """
    by_step = {step: read_json(place / MANIFEST) for step, place in places.items()}
    by_stage = {step: manifest for step, manifest in by_step.items() if "@" not in step}
    manifests = list(by_stage.values())
    packages: dict = {}
    for manifest in by_step.values():
        packages |= manifest["fingerprint"]["packages"]
    problems = examine_as_recorded(places, changes)
    inject, train, evaluate = (places[stage] for stage in ("inject", "train", "evaluate"))
    return {
        "problems": [
            f"Stage {step}: {reason}." for step, why in problems.items() for reason in why
        ],
        "files": sum(len(manifest["outputs"]) for manifest in by_step.values()),
        "source": read_json(places["download"] / "source.json"),
        "base_folder": places["weights"].as_posix(),
        "base_config": read_json(places["weights"] / "config.json"),
        "split": read_json(places["split"] / "split.json"),
        "parameters": read_json(inject / "parameters.json"),
        "claims": read_json(inject / "claims.json"),
        "gradients": read_json(places["gradcheck"] / "gradients.json"),
        "training": read_json(train / "training.json"),
        "metrics": read_json(evaluate / "metrics.json"),
        "robustness": read_json(places["robustness"] / "robustness.json"),
        "attributions": read_json(places["explain"] / "attributions.json"),
        "adapter_change": pd.read_csv(places["explain"] / "adapter_change.csv"),
        "sweep": read_json(places["sweep"] / "sweep.json") if "sweep" in places else None,
        "baselines": {
            step.removeprefix("baseline_"): read_json(place / "baseline.json")
            for step, place in places.items()
            if step.startswith("baseline_") and "@" not in step
        },
        "history": pd.read_csv(train / "history.csv"),
        "errors": read_text_table(evaluate / "errors.csv").to_dict("records"),
        "structure_before": _printed_blocks(inject / "structure_before.txt")[0],
        "structure_after": next(
            block
            for block in _printed_blocks(inject / "structure_after.txt")
            if "LoRALinear(" in block
        ),
        "runs": _runs_in_sum(by_step),
        "manifests": manifests,
        "hashes": _hashes(by_stage),
        "machine": by_stage["train"]["machine"],
        "packages": dict(sorted(packages.items())),
    }


def _runs_in_sum(by_step: dict[str, dict]) -> dict[str, float]:
    """How many stages the runs of a sweep have to themselves, and their seconds together."""
    of_runs = [manifest for step, manifest in by_step.items() if "@" in step]
    return {"stages": len(of_runs), "seconds": sum(manifest["seconds"] for manifest in of_runs)}


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


def _printed_blocks(path: Path) -> list[str]:
    """The transformer blocks of a printed structure; PyTorch prints like neighbours once."""
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [i for i, line in enumerate(lines) if line.endswith("Block(")]
    indent = len(lines[starts[0]]) - len(lines[starts[0]].lstrip())
    ends = [i for i, line in enumerate(lines) if i > starts[0] and line == " " * indent + ")"]
    return [
        "\n".join(line[indent:] for line in lines[start : end + 1])
        for start, end in zip(starts, ends, strict=False)
    ]


def _headline(test: dict) -> str:
    low, high = test["accuracy_ci95"]
    right = round(test["accuracy"] * test["n"])
    return (
        f"Test accuracy {percent(test['accuracy'])} ({right} of {test['n']} messages), "
        f"95 % interval {percent(low)} to {percent(high)}."
    )


def _base_sentence(base: dict, found: dict) -> str:
    shape = found["base_config"]
    size = f"{shape['n_layer']} blocks of width {shape['n_embd']}, {shape['vocab_size']:,} tokens"
    origin = {
        "url": "weights fetched from a pinned URL",
        "file": "weights from a local file",
        "embedded": "a small GPT-2 pretrained by this project on generated text",
        "random": "random weights, never trained",
    }[base["source"]]
    if found["hashes"]["base model"] == LAB_WEIGHTS_SHA256:
        origin = "OpenAI's pretrained weights of GPT-2 124M"
    return f"`{base['name']}`: {origin} ({size})"


def _notes(settings: dict) -> list[str]:
    """What a reader must know before any number."""
    notes, lora = [], settings["lora"]
    if lora["injections"] > 1:
        times = lora["injections"]
        alpha = (math.sqrt(times) if lora["variant"] == "rslora" else times) * lora["alpha"]
        notes.append(
            f"The adapters were injected {times} times, as the lab did by mistake: every layer "
            f"carries {times} of rank {lora['rank']}, which together are one of rank "
            f"{times * lora['rank']} with alpha {alpha:g}."
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
    chosen = flat(select(settings, ("lora", "training")))
    return {k: _as_written(value) for k, value in chosen.items() if k not in RUNTIME_SETTINGS}


def _as_written(value: object) -> str:
    """A setting as one would write it in config.yaml."""
    if value in (None, [], {}):
        return "none"
    if isinstance(value, list | dict):
        return yaml.safe_dump(value, default_flow_style=True, width=math.inf).strip()
    return str(value)


def _systems(metrics: dict) -> dict[str, dict]:
    """Every system measured, by the name a reader knows it by."""
    own = {f"LoRA, {name}": found for name, found in metrics["splits"].items()}
    names = {name: f"{method_name(name)}, test" for name in metrics["baselines"]}
    return own | {names[name]: found for name, found in metrics["baselines"].items()}


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
    filters |= {"points": points, "points_interval": points_interval, "shown_p": shown_p}
    filters |= {"cell": cell, "code_cell": code_cell, "figure": figure, "one_line": one_line}
    environment.filters |= filters
    return environment


def figure(value: float | str | None) -> str:
    """A claim's number or text: thousands separated, – where there is none."""
    if isinstance(value, int):
        return f"{value:,}"
    return "–" if value is None else cell(str(value))


def one_line(text: str | None) -> str:
    """A text on one line, its control characters as �; empty where there is none."""
    line = " ".join(str(text or "").split())
    return "".join("\ufffd" if unicodedata.category(c) == "Cc" else c for c in line)


def cell(text: str) -> str:
    """Any text inside a table cell: nothing in it may end the cell or become markup."""
    return one_line(text).translate(_AS_ENTITIES)


def code_cell(text: str) -> str:
    """A message inside a table cell, as code: no link, mention, formula or markup comes of it."""
    line = one_line(text).replace("|", r"\|")
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {line} {fence}"
