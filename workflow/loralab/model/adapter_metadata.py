"""What an adapter file of loralab says of itself beside its tensors, in its own metadata."""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path

from loralab.errors import LoralabError
from loralab.model.lora import TRAINED, PlannedAdapter
from loralab.model.tensor_files import read_metadata

KEY = "loralab"


@dataclass(frozen=True)
class AdapterMetadata:
    """What PEFT's format has no place for, so that reading the file back guesses nothing."""

    labels: list[str]  # in the order of the head's outputs
    plan: list[PlannedAdapter]  # with query, key and value apart
    head_bias: list[float] | None  # which PEFT finds in the final norm
    base_sha256: str | None  # of the weights that were adapted, where they came from a file
    tensors_sha256: str  # of the file's own tensors

    def to_json(self) -> str:
        """One text, the same for the same content."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


def read_adapter_metadata(path: Path) -> AdapterMetadata | None:
    """The metadata of an adapter file, or None where loralab did not write it.

    Raises LoralabError where they are damaged.
    """
    found = read_metadata(path, KEY)
    if found is None:
        return None
    try:
        plan = [PlannedAdapter(**entry) for entry in found.pop("plan")]
        metadata = AdapterMetadata(plan=plan, **found)
        sound = _is_sound(metadata)
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise LoralabError(f"{path} has damaged {KEY} metadata; train again")
    return metadata


def _is_sound(metadata: AdapterMetadata) -> bool:
    labels, bias = metadata.labels, metadata.head_bias
    return (
        isinstance(labels, list)
        and len(labels) >= 2
        and all(isinstance(label, str) for label in labels)
        and bool(metadata.plan)
        and all(_is_sound_entry(entry) for entry in metadata.plan)
        and len({entry.variant for entry in metadata.plan}) == 1
        and (bias is None or (len(bias) == len(labels) and all(map(_is_number, bias))))
        and isinstance(metadata.base_sha256, str | None)
        and isinstance(metadata.tensors_sha256, str)
    )


def _is_sound_entry(entry: PlannedAdapter) -> bool:
    whole = (entry.in_features, entry.out_features, entry.rank)
    return (
        isinstance(entry.module, str)
        and all(type(number) is int and number >= 1 for number in whole)
        and _is_number(entry.alpha)
        and entry.variant in TRAINED
    )


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
