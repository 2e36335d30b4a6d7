"""The table of all messages as a file whose records are found again by their number.

A split's file is made of the very lines of it, in any order, without reading the others.
"""

import csv
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

HEADER = b"id,label,text\n"


@dataclass(frozen=True)
class Records:
    """n messages in a CSV file: record i is the bytes from `ends[i]` to `ends[i + 1]`."""

    path: Path
    ends: np.ndarray  # (n + 1,) int64

    @classmethod
    def write(cls, tables: Iterable[pd.DataFrame], path: Path) -> "Records":
        """Tables with the columns id, label and text, one after the other, as one file."""
        ends = array("q", [len(HEADER)])
        with path.open("wb") as file:
            file.write(HEADER)
            for table in tables:
                for record in zip(table["id"], table["label"], table["text"], strict=True):
                    ends.append(ends[-1] + file.write(_as_line(record)))
        return cls(path, np.array(ends))

    def copy(self, numbers: np.ndarray, target: Path) -> None:
        """Write the records of these numbers, in their order, as a file of its own."""
        starts, sizes = self.ends[numbers].tolist(), np.diff(self.ends)[numbers].tolist()
        with self.path.open("rb") as source, target.open("wb") as file:
            file.write(HEADER)
            for start, size in zip(starts, sizes, strict=True):
                source.seek(start)
                file.write(source.read(size))


class _Line:
    """What csv writes to, so that writing a row returns it as a line."""

    def write(self, line: str) -> str:
        return line


_PLAIN = csv.writer(_Line(), lineterminator="\n")
_QUOTED = csv.writer(_Line(), lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)


def _as_line(record: tuple[int, str, str]) -> bytes:
    # A reader takes a carriage return for the end of a row unless it is quoted, and not every
    # version of the writer quotes it of itself.
    writer = _QUOTED if any("\r" in field for field in record[1:]) else _PLAIN
    return writer.writerow(record).encode("utf-8")
