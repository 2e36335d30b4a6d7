"""The configuration: validated against the schema once, then read as frozen dataclasses.

`STAGE_SETTINGS` is the one table of what each stage reads. The rules derive their parameters from
it, and a stage is handed a `Config` that holds exactly those leaves: reading any other is an error,
so that no setting can change a result without making it stale.
"""

import copy
import difflib
import json
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import jsonschema
import yaml

from loralab.errors import LoralabError, raise_all

SCHEMA_FILE = Path(__file__).parents[1] / "schemas" / "config.schema.yaml"


class Section:
    """A part of the configuration. May be partial: only the leaves that a stage declares."""

    def __getattr__(self, name: str) -> Any:
        # Reached only where the attribute was never set.
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(
            f"the setting {type(self).__name__.lower()}.{name} is not among those that this stage "
            "declares in loralab.config.STAGE_SETTINGS"
        )


@dataclass(frozen=True)
class EmbeddedCorpus(Section):
    seed: int
    messages: int
    spam: int


@dataclass(frozen=True)
class Data(Section):
    dataset: str
    source: str
    urls: list[str]
    file: str | None
    sha256: str | None
    member: str | None
    member_sha256: str | None
    licence: str
    citation: str
    format: str
    columns: list[str] | None
    label_column: str
    text_column: str
    labels: list[str]
    encoding: str
    parser: str
    embedded: EmbeddedCorpus


@dataclass(frozen=True)
class Fractions(Section):
    train: float
    validation: float
    test: float


@dataclass(frozen=True)
class Split(Section):
    protocol: str
    balance: str
    fractions: Fractions


@dataclass(frozen=True)
class PinnedFile(Section):
    urls: list[str]
    sha256: str | None


@dataclass(frozen=True)
class EmbeddedTokenizer(Section):
    seed: int
    messages: int
    size: int


@dataclass(frozen=True)
class Tokenizer(Section):
    name: str
    source: str
    folder: str | None
    merges: PinnedFile
    vocabulary: PinnedFile
    embedded: EmbeddedTokenizer


@dataclass(frozen=True)
class Shape(Section):
    vocabulary: int
    context: int
    width: int
    layers: int
    heads: int


@dataclass(frozen=True)
class Pretraining(Section):
    messages: int
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float


@dataclass(frozen=True)
class Base(Section):
    name: str
    source: str
    size: str
    shape: Shape
    urls: list[str]
    file: str | None
    sha256: str | None
    seed: int
    pretraining: Pretraining


@dataclass(frozen=True)
class Lora(Section):
    rank: int
    alpha: float
    dropout: float
    targets: str | list[str]
    injections: int


@dataclass(frozen=True)
class Head(Section):
    bias: bool


@dataclass(frozen=True)
class Training(Section):
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    schedule: str
    warmup: float
    gradient_clip: float | None
    dropout: float
    max_length: int
    padding: str
    drop_last: bool
    early_stopping: int | None
    precision: str
    device: str
    log_every: int


@dataclass(frozen=True)
class Evaluation(Section):
    batch_size: int
    baselines: list[str]
    errors: int


@dataclass(frozen=True)
class Report(Section):
    examples: list[str]


@dataclass(frozen=True)
class Config(Section):
    experiment: str
    seed: int
    mirror: str | None
    data: Data
    split: Split
    tokenizer: Tokenizer
    base: Base
    lora: Lora
    head: Head
    training: Training
    evaluation: Evaluation
    report: Report


# Settings that a stage may read but that never make a result stale: where the same bytes are
# found, what the run is called, on which device and how often it speaks.
RUNTIME_SETTINGS = ("experiment", "mirror", "training.device", "training.log_every")

# What each stage reads, and so what makes it stale. A section's name stands for all its leaves.
# Where a stage needs the place of a resource only, it lists that resource's name.
_MODEL = ("seed", "base.name", "data.labels", "lora", "head", "training.dropout")
_MESSAGES = ("tokenizer.name", "training.max_length", "training.padding")
STAGE_SETTINGS = {
    "download": (
        *("data.dataset", "data.format", "data.source", "data.urls", "data.file", "data.sha256"),
        *("data.member", "data.member_sha256", "data.licence", "data.citation", "data.embedded"),
    ),
    "split": (
        *("seed", "data.dataset", "data.format", "data.columns", "data.label_column"),
        *("data.text_column", "data.labels", "data.encoding", "data.parser", "split"),
    ),
    "tokenizer": ("tokenizer",),
    "weights": ("tokenizer.name", "base"),
    "inject": (*_MODEL, "data.dataset"),
    "gradcheck": (*_MODEL, "training.learning_rate", "training.weight_decay"),
    "train": (*_MODEL, *_MESSAGES, "training"),
    "evaluate": (*_MODEL, *_MESSAGES, "training", "evaluation"),
    "report": (
        *("seed", "data.dataset", "data.format", "data.labels", "data.source", "data.parser"),
        *("data.licence", "data.citation", "split", "tokenizer.name", "base.name", "base.source"),
        *("base.size", "lora", "training", "evaluation", "report"),
    ),
}


def load_mapping(sources: list[str]) -> dict:
    """Merge configuration sources, later over earlier, each a YAML file or an inline mapping."""
    merged: dict = {}
    for source in sources:
        merged = merge(merged, _read_source(source))
    return merged


def _read_source(source: str) -> dict:
    inline = source.lstrip().startswith("{")
    try:
        mapping = yaml.safe_load(source if inline else Path(source).read_text(encoding="utf-8"))
    except OSError as error:
        raise LoralabError(f"configuration {source}: {error.strerror}; give a YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise LoralabError(f"configuration {source} is not YAML: {reason}") from None
    if not isinstance(mapping, dict):
        raise LoralabError(f"configuration {source} holds no mapping of keys to values")
    return mapping


def merge(base: dict, changes: dict) -> dict:
    """`base` with `changes` on top: mappings are merged key by key, anything else is replaced."""
    merged = copy.deepcopy(base)
    for key, value in changes.items():
        both_mappings = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both_mappings else copy.deepcopy(value)
    return merged


@cache
def schema() -> dict:
    """The JSON schema of a whole configuration."""
    return yaml.safe_load(SCHEMA_FILE.read_text(encoding="utf-8"))


def restore_types(mapping: dict) -> dict:
    """The mapping with texts read as the numbers, truth values and nulls that the schema expects.

    Snakemake's `--config 'training={epochs: 2}'` hands every nested value over as text, and YAML
    itself reads 5e-4 as text. What cannot be read so is left for `validate` to name.
    """
    return _restore(mapping, schema())


def _restore(value: Any, expected: dict) -> Any:
    if isinstance(value, dict):
        known = expected.get("properties", {})
        return {key: _restore(part, known.get(key, {})) for key, part in value.items()}
    kinds = expected.get("type", ["string"] if _admits_text(expected) else [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if not isinstance(value, str) or ("string" in kinds and "null" not in kinds):
        return value
    read = yaml.safe_load(value) if value in ("null", "true", "false") else _number(value)
    return value if "string" in kinds and read is not None else read


def _admits_text(expected: dict) -> bool:
    """Whether the schema, which names no type, lets a text stand as it is."""
    choices = expected.get("enum", [])
    return not choices or any(isinstance(choice, str) for choice in choices)


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def validate(mapping: dict) -> None:
    """Check a whole configuration. Raises LoralabError with every problem, each by its key."""
    validator = jsonschema.Draft202012Validator(schema())
    errors = sorted(validator.iter_errors(mapping), key=lambda error: list(map(str, error.path)))
    raise_all([line for error in errors for line in _explain(error)], "configuration")
    raise_all(_contradictions(mapping), "configuration")


def _explain(error: jsonschema.ValidationError) -> list[str]:
    where = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties":
        valid = list(error.schema["properties"])
        return [_misspelt(where, key, valid) for key in error.instance if key not in valid]
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        return [f"{_dotted(where, key)} is missing; config.yaml has its default" for key in missing]
    if error.validator == "if" or where == "":
        return [error.message]
    return [f"{where} is {json.dumps(error.instance)}; expected {_expectation(error)}"]


def _misspelt(where: str, key: str, valid: list[str]) -> str:
    nearest = difflib.get_close_matches(str(key), valid, n=1, cutoff=0.0)[0]
    return f"{_dotted(where, key)} is no setting; did you mean {_dotted(where, nearest)}?"


def _dotted(where: str, key: str) -> str:
    return f"{where}.{key}" if where else str(key)


def _expectation(error: jsonschema.ValidationError) -> str:
    described = error.schema.get("description")
    if described:
        return described
    words = {
        "enum": lambda value: "one of " + ", ".join(map(json.dumps, value)),
        "type": lambda value: " or ".join(value if isinstance(value, list) else [value]),
        "minimum": lambda value: f"at least {value}",
        "maximum": lambda value: f"at most {value}",
        "exclusiveMinimum": lambda value: f"more than {value}",
        "exclusiveMaximum": lambda value: f"less than {value}",
        "minItems": lambda value: f"at least {value} entries",
        "minLength": lambda value: "a text that is not empty",
        "uniqueItems": lambda value: "entries that all differ",
        "pattern": lambda value: f"a text of the form {value}",
    }
    return words.get(error.validator, lambda value: error.message)(error.validator_value)


def _contradictions(mapping: dict) -> list[str]:
    """What the schema cannot say: settings that are fine apart and not together."""
    data, split, base = mapping["data"], mapping["split"], mapping["base"]
    tokenizer = mapping["tokenizer"]
    problems = []
    problems += _source_problems("data", data, {"url": ("urls", "sha256"), "file": ("file",)})
    problems += _source_problems("base", base, {"url": ("urls", "sha256"), "file": ("file",)})
    problems += _source_problems("tokenizer", tokenizer, {"file": ("folder",)})
    if tokenizer["source"] == "url":
        for part in ("merges", "vocabulary"):
            present = {"source": "url", **tokenizer[part]}
            needs = {"url": ("urls", "sha256")}
            problems += _source_problems(f"tokenizer.{part}", present, needs)
    if data["member"] and data["source"] == "url" and not data["member_sha256"]:
        problems.append("data.member_sha256 is null; the extracted file must be pinned too")
    if data["parser"] == "lab" and (data["format"] != "tsv" or data["columns"] is None):
        problems.append("data.parser lab reads tsv without a header row; set data.columns")
    if "n" in data["labels"]:
        problems.append("data.labels may not hold 'n', which stands for the number of messages")
    shares = sum(split["fractions"].values())
    if abs(shares - 1) > 1e-9:
        problems.append(f"split.fractions add up to {shares:g}; expected 1")
    if split["protocol"] == "lab" and len(data["labels"]) != 2:
        problems.append(f"split.protocol lab needs two data.labels; found {len(data['labels'])}")
    no_validation = split["protocol"] == "lab" or split["fractions"]["validation"] == 0
    if mapping["training"]["early_stopping"] and no_validation:
        problems.append("training.early_stopping needs a validation set; this split has none")
    if base["size"] == "custom" and base["shape"]["width"] % base["shape"]["heads"]:
        problems.append("base.shape.width is no multiple of base.shape.heads")
    return problems


def _source_problems(name: str, section: dict, needs: dict[str, tuple[str, ...]]) -> list[str]:
    source = section["source"]
    missing = [key for key in needs.get(source, ()) if not section[key]]
    return [f"{name}.source is {source}, which needs {name}.{key}; it is empty" for key in missing]


def select(mapping: dict, keys: tuple[str, ...]) -> dict:
    """The part of a configuration below the dotted `keys`, as a nested mapping."""
    selected: dict = {}
    for key in keys:
        *parents, leaf = key.split(".")
        source, target = mapping, selected
        for parent in parents:
            source, target = source[parent], target.setdefault(parent, {})
        target[leaf] = copy.deepcopy(source[leaf])
    return selected


def stage_settings(mapping: dict, stage: str) -> dict:
    """Exactly the settings that decide what `stage` computes."""
    selected = select(mapping, STAGE_SETTINGS[stage])
    if isinstance(selected.get("training"), dict):
        runtime = [key.removeprefix("training.") for key in RUNTIME_SETTINGS]
        selected["training"] = {k: v for k, v in selected["training"].items() if k not in runtime}
    return selected


def runtime_settings(mapping: dict) -> dict:
    """The settings that never make anything stale."""
    return select(mapping, RUNTIME_SETTINGS)


def build(mapping: dict, section: type = Config) -> Any:
    """A frozen `section` from a (possibly partial) mapping; what is absent cannot be read."""
    instance = object.__new__(section)
    types = get_type_hints(section)
    for field in fields(section):
        if field.name in mapping:
            value = mapping[field.name]
            kind = types[field.name]
            built = build(value, kind) if is_dataclass(kind) else value
            object.__setattr__(instance, field.name, built)
    return instance
