"""Configuration files: read, merged, and checked against the schema before anything runs."""

import copy
import difflib
import json
import logging
import math
import os
import sys
from functools import cache, reduce
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from loralab.config import flat, nested
from loralab.errors import LoralabError, raise_all
from loralab.sweep import REFERENCE, VARIED, may_vary

if TYPE_CHECKING:
    import jsonschema

log = logging.getLogger(__name__)

THREADS_VARIABLE = "LORALAB_THREADS"
GPU_DEVICES = ("/dev/nvidia0", "/dev/kfd", "/dev/dxg")  # Nvidia's, AMD's, Windows' in Linux
SCHEMA_FILE = Path(__file__).parents[1] / "schemas" / "config.schema.yaml"


def default_threads() -> int:
    """CPU threads that a stage computes with where nothing else is said: $LORALAB_THREADS, or 2."""
    text = os.environ.get(THREADS_VARIABLE, "2")
    if not text.isdecimal() or len(text) > 4 or int(text) == 0:
        raise LoralabError(f"${THREADS_VARIABLE} is {text!r}; expected a whole number above 0")
    return int(text)


def takes_gpu(device: str) -> bool:
    """Whether jobs of `training.device` need a GPU; `auto` looks at the machine that plans them."""
    if device == "auto":
        return sys.platform == "darwin" or any(Path(path).exists() for path in GPU_DEVICES)
    return device != "cpu"


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
    restored = _restore(mapping, schema())
    sweep = restored.get("sweep")
    if isinstance(sweep, dict):
        for name in ("values", "runs"):
            restored["sweep"] = sweep = sweep | {name: _restore_varied(sweep.get(name))}
    return restored


def _restore_varied(varied: Any) -> Any:
    """A sweep's `values` or `runs`, each value read as the schema expects that of its setting."""
    if not isinstance(varied, dict):
        return varied
    return {
        key: [_restore_setting(key, value) for value in part]
        if isinstance(part, list)
        else {k: _restore_setting(k, value) for k, value in part.items()}
        if isinstance(part, dict)
        else part
        for key, part in varied.items()
    }


def _restore_setting(key: Any, value: Any) -> Any:
    if not isinstance(key, str):  # of YAML, any scalar may be one
        return value
    return reduce(getitem, key.split("."), _restore(nested({key: value}), schema()))


def _restore(value: Any, expected: dict) -> Any:
    if "$ref" in expected:
        expected = schema()["$defs"][expected["$ref"].removeprefix("#/$defs/")]
    if isinstance(value, dict):
        known, other = expected.get("properties", {}), expected.get("additionalProperties") or {}
        return {key: _restore(part, known.get(key, other)) for key, part in value.items()}
    kinds = expected.get("type", ["string"] if _admits_text(expected) else [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    value = _read(value, kinds)
    if isinstance(value, float) and "integer" in kinds and value.is_integer():
        return int(value)  # JSON Schema takes 2.0 for a whole number; Python does not
    return value


def _read(value: Any, kinds: list[str]) -> Any:
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
    raise_all(_not_finite(mapping), "configuration")
    raise_all(_schema_problems(mapping), "configuration")
    raise_all(_contradictions(mapping), "configuration")


def _not_finite(mapping: dict, where: str = "") -> list[str]:
    """NaN and infinity, which YAML can write and which satisfy every bound or none."""
    problems = []
    for key, value in mapping.items():
        if isinstance(value, dict):
            problems += _not_finite(value, _dotted(where, key))
        elif isinstance(value, float) and not math.isfinite(value):
            problems.append(f"{_dotted(where, key)} is {value}; expected a finite number")
    return problems


def _schema_problems(mapping: dict) -> list[str]:
    # Imported here, so that a GPU machine without jsonschema runs the stages all the same.
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        log.warning("jsonschema is not installed: the settings go unchecked")
        return []
    errors = Draft202012Validator(schema()).iter_errors(mapping)
    errors = sorted(errors, key=lambda error: list(map(str, error.path)))
    lines = [line for error in errors for line in _explain(error)]
    return list(dict.fromkeys(lines))  # of several missing keys each is told by every error


def _explain(error: "jsonschema.ValidationError") -> list[str]:
    where = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties":
        valid = list(error.schema["properties"])
        return [_misspelt(where, key, valid) for key in error.instance if key not in valid]
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        return [f"{_dotted(where, key)} is missing; config.yaml has its default" for key in missing]
    if where == "":
        return [error.message]
    return [f"{where} is {json.dumps(error.instance)}; expected {_expectation(error)}"]


def _misspelt(where: str, key: str, valid: list[str]) -> str:
    nearest = difflib.get_close_matches(str(key), valid, n=1, cutoff=0.0)[0]
    return f"{_dotted(where, key)} is no setting; did you mean {_dotted(where, nearest)}?"


def _dotted(where: str, key: str) -> str:
    return f"{where}.{key}" if where else str(key)


def _expectation(error: "jsonschema.ValidationError") -> str:
    described = error.schema.get("description")
    if described:
        return described
    words = {
        "enum": lambda value: "one of " + ", ".join(map(json.dumps, value)),
        "type": _types,
        "minimum": lambda value: f"at least {value}",
        "maximum": lambda value: f"at most {value}",
        "exclusiveMinimum": lambda value: f"more than {value}",
        "exclusiveMaximum": lambda value: f"less than {value}",
        "minItems": lambda value: f"at least {value} entries",
        "minLength": lambda value: "a text that is not empty",
        "uniqueItems": lambda value: "entries that all differ",
    }
    return words.get(error.validator, lambda value: error.message)(error.validator_value)


def _types(value: str | list[str]) -> str:
    if value == "object":
        return "a mapping (text here is no YAML: in double quotes a backslash is written twice)"
    return " or ".join(value if isinstance(value, list) else [value])


def _contradictions(mapping: dict) -> list[str]:
    """What the schema cannot say: settings that are fine apart and not together."""
    data, split, base = mapping["data"], mapping["split"], mapping["base"]
    tokenizer = mapping["tokenizer"]
    problems = []
    for name, section in (("data", data), ("base", base)):
        problems += _source_problems(name, section, "url", ("urls", "sha256"))
        problems += _source_problems(name, section, "file", ("file",))
    problems += _source_problems("tokenizer", tokenizer, "file", ("folder",))
    for part in ("merges", "vocabulary"):
        keys = (f"{part}.urls", f"{part}.sha256")
        problems += _source_problems("tokenizer", tokenizer, "url", keys)
    if data["member"] and data["source"] == "url" and not data["member_sha256"]:
        problems.append("data.member_sha256 is null; the extracted file must be pinned too")
    if data["parser"] == "lab" and (data["format"] != "tsv" or data["columns"] is None):
        problems.append("data.parser lab reads tsv without a header row; set data.columns")
    if data["label_column"] == data["text_column"]:
        problems.append(f"data.label_column and data.text_column are both {data['text_column']!r}")
    if data["columns"] is not None and data["format"] != "jsonl":
        problems += [
            f"data.{key} {data[key]!r} is not among data.columns, {', '.join(data['columns'])}"
            for key in ("label_column", "text_column")
            if data[key] not in data["columns"]
        ]
    if data["source"] == "embedded" and data["embedded"]["spam"] > data["embedded"]["messages"]:
        problems.append("data.embedded.spam is more than data.embedded.messages")
    if base["source"] == "embedded" and base["size"] != "custom":
        problems.append(f"base.source embedded needs base.size custom; it is {base['size']}")
    if base["size"] == "custom" and mapping["training"]["max_length"] > base["shape"]["context"]:
        problems.append(
            f"training.max_length is {mapping['training']['max_length']}, more than "
            f"base.shape.context, {base['shape']['context']}"
        )
    width = base["shape"]["width"]
    if base["size"] == "custom" and mapping["head"]["bias"] and len(data["labels"]) > width:
        problems.append(
            f"head.bias is true with {len(data['labels'])} data.labels; beyond base.shape.width, "
            f"{width}, PEFT has no place for it: set it to false"
        )
    if mapping["lora"]["injections"] > 1 and mapping["lora"]["variant"] == "dora":
        problems.append(
            "lora.injections 2 is the lab's mistake, which lora.variant dora cannot make"
        )
    if mapping["training"]["accumulation"] > mapping["training"]["batch_size"]:
        parts, size = (mapping["training"][key] for key in ("accumulation", "batch_size"))
        problems.append(f"training.accumulation is {parts}, more than training.batch_size, {size}")
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
    return problems + _sweep_problems(mapping)


def _sweep_problems(mapping: dict) -> list[str]:
    """Settings that a sweep cannot change, and baselines that it cannot train again."""
    sweep, settings = mapping["sweep"], flat(mapping)
    varied = {f"sweep.values.{key}": key for key in sweep["values"]}
    for name, changes in sweep["runs"].items():
        varied |= {f"sweep.runs.{name}.{key}": key for key in changes}
    possible = [key for key in settings if may_vary(key)]
    problems = [
        f"{where} is no setting that a run can change; did you mean "
        f"{difflib.get_close_matches(str(key), possible, n=1, cutoff=0.0)[0]}? It may change those "
        f"of {', '.join(VARIED)} on which a result depends"
        for where, key in varied.items()
        if key not in possible
    ]
    if REFERENCE in sweep["runs"]:
        problems.append(f"sweep.runs.{REFERENCE} is the name of the experiment as it stands")
    missing = [n for n in sweep["baselines"] if n not in mapping["evaluation"]["baselines"]]
    problems += [f"sweep.baselines: {name} is not among evaluation.baselines" for name in missing]
    return problems


def _source_problems(name: str, section: dict, source: str, needed: tuple[str, ...]) -> list[str]:
    """The settings that `source` needs and that are empty, where it is the one chosen."""
    if section["source"] != source:
        return []
    values = {key: reduce(getitem, key.split("."), section) for key in needed}
    return [
        f"{name}.source is {source}, which needs {name}.{key}; it is empty"
        for key, value in values.items()
        if not value
    ]
