"""The configuration as frozen dataclasses, and which of it each stage reads.

`STAGE_SETTINGS` is the one table of what each stage reads. The rules derive their parameters from
it, and a stage is handed a `Config` that holds exactly those leaves: reading any other is an error,
so that no setting can change a result without making it stale.
"""

import copy
from dataclasses import dataclass, fields, is_dataclass
from functools import reduce
from typing import Any, get_type_hints


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
    licence: str | None
    citation: str | None
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
    seed: int | None
    balance: str
    fractions: Fractions
    train_share: float


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
class Layers(Section):
    first: int
    last: int | None


@dataclass(frozen=True)
class Lora(Section):
    variant: str
    rank: int
    alpha: float
    rank_pattern: dict[str, int]
    alpha_pattern: dict[str, float]
    dropout: float
    targets: str | list[str]
    exclude: list[str]
    layers: Layers
    injections: int
    fan_in: str


@dataclass(frozen=True)
class Head(Section):
    bias: bool
    position: str


@dataclass(frozen=True)
class Training(Section):
    epochs: int
    batch_size: int
    accumulation: int
    learning_rate: float
    loraplus_lr_ratio: float
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
    engine: str
    device: str
    save_every: float
    log_every: int


@dataclass(frozen=True)
class Evaluation(Section):
    batch_size: int
    baselines: list[str]
    false_alarms: float
    errors: int


@dataclass(frozen=True)
class Sweep(Section):
    values: dict[str, list]
    combine: str
    runs: dict[str, dict]
    seeds: int
    baselines: list[str]


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
    sweep: Sweep
    report: Report


SPLIT_NAMES = ("train", "validation", "test")

# Settings that a stage may read but that never make a result stale: where the same bytes are
# found, what the run is called (but for the report, which prints it), on which device, how often it
# is saved and how often it speaks.
RUNTIME_SETTINGS = (
    *("experiment", "mirror"),
    *("training.device", "training.save_every", "training.log_every"),
)

# What each stage reads, and so what makes it stale. A section's name stands for all its leaves.
# Where a stage needs the place of a resource only, it lists that resource's name.
_MODEL = ("seed", "base.name", "data.labels", "lora", "head", "training.dropout")
_TEXTS = ("seed", "data.labels")
_FROZEN = ("seed", "tokenizer.name", "base.name", "data.labels", "evaluation.batch_size")
_TRAINED = (*_FROZEN, "head", "training")
# Each baseline is a stage of its own, `baseline_<name>`, so that none reruns for another's sake.
BASELINES = {
    **dict.fromkeys(("majority", "tfidf_words", "tfidf_characters", "naive_bayes"), _TEXTS),
    "frozen_features": (*_FROZEN, "head.position", "training.precision", "training.max_length"),
    **dict.fromkeys(("head_only", "last_block", "full"), _TRAINED),
}
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
    "gradcheck": _MODEL,
    "train": (*_MODEL, "tokenizer.name", "training"),
    **{f"baseline_{name}": settings for name, settings in BASELINES.items()},
    "evaluate": (
        *("seed", "tokenizer.name", "base.name", "data.labels"),
        *("head.position", "training.precision", "training.max_length", "evaluation"),
    ),
    "robustness": (
        *("seed", "tokenizer.name", "base.name", "head.position"),
        *("training.precision", "training.max_length", "evaluation.batch_size"),
    ),
    "explain": (
        *("tokenizer.name", "base.name", "head.position"),
        *("training.precision", "training.max_length"),
    ),
    "sweep": (
        *("seed", "data.labels", "split", "lora", "head", "training", "evaluation.baselines"),
        "sweep",
    ),
    "report": (
        *("experiment", "seed", "data.dataset", "data.source", "data.parser", "split"),
        *("tokenizer.name", "base.name", "base.source", "lora", "head", "training"),
        *("evaluation.batch_size", "evaluation.baselines", "sweep", "report"),
    ),
}


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


def flat(value: object, name: str = "") -> dict[str, object]:
    """The leaves of a nested mapping by their dotted keys, each below `name`.

    An empty mapping within is a leaf.
    """
    if not isinstance(value, dict) or (name and not value):
        return {name: value}
    below = f"{name}." if name else ""
    return {k: leaf for key, v in value.items() for k, leaf in flat(v, f"{below}{key}").items()}


def nested(leaves: dict[str, object]) -> dict:
    """The mapping whose leaves these are, by their dotted keys: what `flat` takes apart."""
    mapping: dict = {}
    for key, value in leaves.items():
        *sections, last = key.split(".")
        reduce(lambda part, name: part.setdefault(name, {}), sections, mapping)[last] = value
    return mapping


def stage_settings(mapping: dict, stage: str) -> dict:
    """Exactly the settings that decide what `stage` computes."""
    selected = select(mapping, STAGE_SETTINGS[stage])
    if isinstance(selected.get("training"), dict):
        runtime = [key.removeprefix("training.") for key in RUNTIME_SETTINGS]
        selected["training"] = {k: v for k, v in selected["training"].items() if k not in runtime}
    if stage == "split" and mapping["split"]["seed"] is not None:
        del selected["seed"]  # a split with a seed of its own outlives a change of this one
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
