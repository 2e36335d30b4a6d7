"""SHA-256 of tensors, so that what must not change can be seen not to have."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from loralab.errors import LoralabError

COLUMNS = ["tensor", "shape", "dtype", "sha256"]


def tensor_sha256(tensor: Tensor) -> str:
    """SHA-256 of a tensor's bytes, in row-major order and as the machine stores numbers."""
    raw = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
    return hashlib.sha256(raw.numpy()).hexdigest()


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names and the contents of tensors, in whatever order they come."""
    lines = [f"{name}={tensor_sha256(tensors[name])}\n" for name in sorted(tensors)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def tensor_table(tensors: Mapping[str, Tensor]) -> pd.DataFrame:
    """A row for each tensor: `tensor,shape,dtype,sha256` (of its bytes)."""
    rows = [
        {
            "tensor": name,
            "shape": "x".join(map(str, tensors[name].shape)),
            "dtype": str(tensors[name].dtype).removeprefix("torch."),
            "sha256": tensor_sha256(tensors[name]),
        }
        for name in sorted(tensors)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def read_tensor_table(path: Path) -> pd.DataFrame:
    """A table as `tensor_table` makes it, from a CSV. Raises LoralabError where it is none."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise LoralabError(
            f"{path} cannot be read as a table of tensors: {' '.join(str(error).split())}"
        ) from None
    sound = list(table.columns) == COLUMNS and not table.empty
    if sound:
        table["sha256"] = table["sha256"].str.lower()
        sound = table["sha256"].str.fullmatch("[0-9a-f]{64}").all() and table["tensor"].is_unique
    if not sound:
        raise LoralabError(
            f"{path} is no table of tensors; expected the columns {','.join(COLUMNS)}, a row a "
            "tensor and a hash in each, as in the tensors.csv of a base model"
        )
    return table


def table_differences(found: pd.DataFrame, expected: pd.DataFrame) -> list[str]:
    """A line for each tensor that is missing, unexpected or another, between two such tables."""
    has, wanted = (table.set_index("tensor") for table in (found, expected))
    problems = [f"tensor {name} is missing" for name in wanted.index if name not in has.index]
    problems += [f"tensor {name} is unexpected" for name in has.index if name not in wanted.index]
    for name in wanted.index.intersection(has.index):
        for column, words in (("shape", "the shape"), ("dtype", "the type"), ("sha256", "SHA-256")):
            one, other = has.at[name, column], wanted.at[name, column]
            if one != other:
                problems.append(f"tensor {name} has {words} {one}, expected {other}")
                break
    return problems
