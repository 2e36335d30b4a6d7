"""What is compared of texts to find twins: a form of each, by criteria from strict to loose."""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loralab.data.digests import SIZE, digest, numbered
from loralab.data.texts_on_disk import TextsOnDisk

NOTHING = -1  # the number of a form of which nothing is left


def exact(text: str) -> str:
    """The text itself."""
    return text


def folded(text: str) -> str:
    """Lower case, runs of white space as one space, stripped."""
    return re.sub(r"\s+", " ", text.lower()).strip()


def masked(text: str) -> str:
    """HTML entities unescaped, lower case, digits as 0, all but a-z and 0-9 as single spaces."""
    digits_hidden = re.sub(r"[0-9]", "0", html.unescape(text).lower())
    return re.sub(r"[^a-z0-9]+", " ", digits_hidden).strip()


CRITERIA = {"exact": exact, "folded": folded, "masked": masked}


@dataclass(frozen=True)
class TwinForms:
    """The forms of n texts, by criterion.

    `numbers` of two texts, (n,) each, are the same where their forms are, and NOTHING where nothing
    is left of them; `masked` are the masked forms themselves, as edit ratios compare texts.
    """

    numbers: dict[str, np.ndarray]
    masked: TextsOnDisk

    @classmethod
    def of(cls, texts: Iterable[str], scratch: Path) -> "TwinForms":
        """Goes through the texts once. What is kept of them, but for numbers, lies in `scratch`."""
        digests = {name: bytearray() for name in CRITERIA}

        def masked_forms() -> Iterator[str]:
            for text in texts:
                forms = {name: form_of(text) for name, form_of in CRITERIA.items()}
                for name, form in forms.items():
                    digests[name] += digest(form) if form else bytes(SIZE)
                yield forms["masked"]

        found = TextsOnDisk.write(masked_forms(), scratch)
        return cls({name: _numbers(digests.pop(name)) for name in CRITERIA}, found)

    def different(self, rows: np.ndarray) -> np.ndarray:
        """Of these rows, where the first stands of each masked form of which something is left."""
        numbers, firsts = np.unique(self.numbers["masked"][rows], return_index=True)
        return np.sort(firsts[numbers != NOTHING])


def _numbers(digests: bytearray) -> np.ndarray:
    """A number for each digest, and NOTHING for each that is all 0: (n,)."""
    is_left = np.frombuffer(digests, dtype=np.uint64).reshape(-1, 2).any(axis=1)
    return np.where(is_left, numbered(digests), NOTHING)
