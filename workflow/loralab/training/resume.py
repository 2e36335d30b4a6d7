"""Exact resume: all that the next step of a training depends on, in one file, written atomically.

The order of examples is a pure function of seed and epoch, so that the steps taken tell which batch
comes next. Floats survive JSON unchanged: what resumes is bit for bit what was interrupted.
"""

import json
import logging
import os
import time
from pathlib import Path

import torch
from torch import Tensor

from loralab.errors import LoralabError
from loralab.model.tensor_files import read_metadata, read_safetensors, write_safetensors
from loralab.model.tensor_hashes import tensors_sha256
from loralab.provenance import canonical_json, sha256_text

log = logging.getLogger(__name__)

FILE = "training.safetensors"
KEY = "loralab"
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what AdamW keeps of each parameter


class ResumeFile:
    """Where a training keeps its state, for which training, and how often it writes it.

    Args:
        folder: of this file alone; made when first written.
        identity: names settings, code, packages and inputs: a state of another is never resumed.
        every: seconds between two writes; 0 writes after each step.
    """

    def __init__(self, folder: Path, identity: str, every: float):
        self.path = folder / FILE
        self.identity, self.every = identity, every
        self.written = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether enough time has gone by since the last write."""
        return time.monotonic() - self.written >= self.every

    def write(self, tensors: dict[str, Tensor], progress: dict) -> None:
        """Replace the state by this one; whoever is killed meanwhile leaves the one before."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".part")
        kept = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        said = {"identity": self.identity, **progress}
        text = json.dumps(said | {"sha256": _signature(said, kept)})
        write_safetensors(kept, draft, KEY, text)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(draft, self.path)
        self.written = time.monotonic()

    def read(self) -> tuple[dict[str, Tensor], dict] | None:
        """Tensors and progress of the training of this identity, or None where there are none."""
        if not self.path.is_file():
            return None
        try:
            progress = read_metadata(self.path, KEY) or {}
            if progress.get("identity") != self.identity:
                return None
            tensors, signature = read_safetensors(self.path), progress.pop("sha256", None)
            if signature != _signature(progress, tensors):
                raise LoralabError(f"{self.path} was changed after it was written")
            return tensors, progress
        except LoralabError as error:
            log.warning("starting anew, since the saved training cannot be read: %s", error)
            return None


def _signature(said: dict, tensors: dict[str, Tensor]) -> str:
    return sha256_text(canonical_json(said) + tensors_sha256(tensors))


def optimizer_tensors(optimizer: torch.optim.AdamW) -> dict[str, Tensor]:
    """What AdamW keeps of each parameter, by the parameter's place in its groups."""
    state = optimizer.state_dict()["state"]
    return {f"optimizer.{i}.{name}": kept[name] for i, kept in state.items() for name in _MOMENTS}


def fill_optimizer(optimizer: torch.optim.AdamW, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave."""
    description = optimizer.state_dict()
    places = [i for group in description["param_groups"] for i in group["params"]]
    description["state"] = {
        i: {name: tensors[f"optimizer.{i}.{name}"] for name in _MOMENTS} for i in places
    }
    optimizer.load_state_dict(description)


def random_tensors(device: torch.device) -> dict[str, Tensor]:
    """The state of the random streams that dropout draws from."""
    streams = {"random.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        streams["random.cuda"] = torch.cuda.get_rng_state(device)
    return streams


def restore_random(tensors: dict[str, Tensor], device: torch.device) -> None:
    """Put back what `random_tensors` gave."""
    torch.set_rng_state(tensors["random.cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random.cuda"], device)
