"""What an adapter file of loralab says of itself beside its tensors, in its own metadata."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from loralab.errors import LoralabError
from loralab.model.checks import is_count, is_number
from loralab.model.lora import TRAINED, PlannedAdapter
from loralab.model.tensor_files import read_metadata
from loralab.model.tensor_hashes import tensors_sha256

KEY = "loralab"


@dataclass(frozen=True)
class AdapterMetadata:
    """What PEFT's format has no place for, so that reading the file back guesses nothing."""

    labels: list[str]  # in the order of the head's outputs
    plan: list[PlannedAdapter]  # with query, key and value apart
    head_bias: list[float] | None  # which PEFT finds in the final norm
    base_sha256: str | None  # of the weights that were adapted, where they came from a file
    sha256: str = ""  # of all this and the file's tensors

    def signed(self, tensors: Mapping[str, Tensor]) -> "AdapterMetadata":
        """The same with the hash of all of it and of the tensors."""
        return dataclasses.replace(self, sha256=self._hash(tensors))

    def is_signed_for(self, tensors: Mapping[str, Tensor]) -> bool:
        """Whether neither this nor the tensors were changed since."""
        return self.sha256 == self._hash(tensors)

    def _hash(self, tensors: Mapping[str, Tensor]) -> str:
        said = dataclasses.replace(self, sha256=tensors_sha256(tensors)).to_json()
        return hashlib.sha256(said.encode()).hexdigest()

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
        and (bias is None or (len(bias) == len(labels) and all(map(is_number, bias))))
        and isinstance(metadata.base_sha256, str | None)
        and isinstance(metadata.sha256, str)
    )


def _is_sound_entry(entry: PlannedAdapter) -> bool:
    return (
        isinstance(entry.module, str)
        and all(map(is_count, (entry.in_features, entry.out_features, entry.rank)))
        and is_number(entry.alpha)
        and entry.alpha != 0
        and entry.variant in TRAINED
    )
