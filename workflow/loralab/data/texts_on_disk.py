"""Texts end to end in a file, read by their places: memory holds three numbers for each."""

import os
import tempfile
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

_CODEC = ("utf-8", "surrogatepass")


@dataclass
class TextsOnDisk:
    """n texts: text i is the `sizes[i]` bytes from `starts[i]` on, `lengths[i]` characters."""

    file: BinaryIO
    starts: np.ndarray  # (n,) int64
    sizes: np.ndarray  # (n,) int32
    lengths: np.ndarray  # (n,) int32

    @classmethod
    def write(cls, texts: Iterable[str] = (), folder: Path | None = None) -> "TextsOnDisk":
        """In a file without a name, in `folder` or the system's own, that ends with the process."""
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open as long as the texts are
        found = cls(file, *(np.zeros(0, dtype) for dtype in (np.int64, np.int32, np.int32)))
        found.extend(texts)
        return found

    def extend(self, texts: Iterable[str]) -> None:
        """Put more after those that are in the file."""
        sizes, lengths = array("i"), array("i")
        begin = self.file.seek(0, os.SEEK_END)
        for text in texts:
            sizes.append(self.file.write(text.encode(*_CODEC)))
            lengths.append(len(text))
        self.file.flush()
        ends = begin + np.cumsum(sizes, dtype=np.int64)
        self.starts = np.concatenate([self.starts, ends - sizes])
        self.sizes = np.concatenate([self.sizes, sizes])
        self.lengths = np.concatenate([self.lengths, lengths])

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, places: np.ndarray) -> "TextsOnDisk":
        """The texts at these places, in the same file."""
        return TextsOnDisk(self.file, self.starts[places], self.sizes[places], self.lengths[places])

    def read(self, places: np.ndarray) -> list[str]:
        """The texts at these places, each read once."""
        different, which = np.unique(places, return_inverse=True)
        spans = zip(self.starts[different].tolist(), self.sizes[different].tolist(), strict=True)
        handle = self.file.fileno()
        found = [os.pread(handle, size, start).decode(*_CODEC) for start, size in spans]
        return [found[i] for i in which.tolist()]
