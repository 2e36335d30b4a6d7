"""What the tests of twins share: forms and leakage of texts that are in memory."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from loralab.data.leakage import leakage
from loralab.data.texts_on_disk import TextsOnDisk
from loralab.data.twin_forms import TwinForms

SCRATCH = Path(tempfile.gettempdir())


def on_disk(texts: Sequence[str]) -> TextsOnDisk:
    return TextsOnDisk.write(texts, SCRATCH)


def forms_of(texts: Sequence[str]) -> TwinForms:
    return TwinForms.of(texts, SCRATCH)


def leaked(train: Sequence[str], test: Sequence[str]) -> dict[str, dict[str, float]]:
    places = np.arange(len(train) + len(test))
    return leakage(forms_of([*train, *test]), places[: len(train)], places[len(train) :])
