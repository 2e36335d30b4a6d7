"""Tensors on disk: safetensors alone, so that nothing is ever unpickled."""

import json
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from loralab.errors import LoralabError


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file, by name. Raises LoralabError where it is damaged."""
    try:
        return safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise LoralabError(
            f"{path} is missing; run the stage that writes it, or name another file"
        ) from None
    except OSError as error:
        raise LoralabError(f"{path} cannot be read: {error.strerror or error}") from None
    except safetensors.SafetensorError as error:
        raise LoralabError(
            f"{path} is no sound safetensors file ({error}); fetch or build it again"
        ) from None


def write_safetensors(tensors: dict[str, Tensor], path: Path, key: str, value: str) -> None:
    """Write tensors with one entry of metadata, the same bytes for the same content.

    Of several entries safetensors writes a random order, so that there may be only one. Its files
    are readable to their owner alone, which would shut out whoever shares the folder. Raises
    LoralabError, with nothing left, where the file cannot be written.
    """
    try:
        safetensors.torch.save_file(tensors, path, metadata={key: value})
    except safetensors.SafetensorError as error:
        path.unlink(missing_ok=True)
        raise LoralabError(f"{path} cannot be written ({error}); nothing is lost") from None
    path.chmod(0o644)


def read_metadata(path: Path, key: str) -> dict | None:
    """The JSON object that a safetensors file carries under `key` of its own metadata, or None."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(key)
            found = {} if text is None else json.loads(text)
    except (ValueError, RecursionError):
        found = None
    except (safetensors.SafetensorError, OSError) as error:
        raise LoralabError(f"{path} is no sound safetensors file ({error})") from None
    if not isinstance(found, dict):
        raise LoralabError(f"{path} has damaged {key} metadata; train again")
    return None if text is None else found
