"""Stage `split`: read the messages, balance the classes, split, and measure leakage.

Memory holds a few numbers of each message. Texts stay on disk and are read again where two of them
are compared; a split's file is made of the records of `messages.csv`.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from loralab.config import SPLIT_NAMES
from loralab.data.leakage import leakage
from loralab.data.messages import MessageFormat, message_tables, read_table_in_chunks
from loralab.data.records import Records
from loralab.data.splitting import (
    Splits,
    first_share,
    split_as_the_lab,
    split_by_class,
    split_by_group,
)
from loralab.data.twin_forms import TwinForms
from loralab.provenance import write_json
from loralab.reporting.data_figures import class_counts, message_lengths
from loralab.stages.runner import Job, Stage, main


def run(job: Job) -> None:
    """Write the table of all messages, one of each split, `split.json` and two figures."""
    folder = job.folder
    tables = message_tables(job.layout.messages, _format(job))
    records = Records.write(tables, folder / "messages.csv")
    messages, forms = _read_back(records.path, job.config.data.labels, folder)
    splits = _split(job, messages, forms)
    rows = {name: np.searchsorted(messages["id"], t["id"]) for name, t in splits.tables.items()}
    for name in SPLIT_NAMES:
        records.copy(rows.get(name, np.zeros(0, dtype=np.int64)), folder / f"{name}.csv")
    leaks = leakage(forms, rows["train"], rows["test"])
    write_json(folder / "split.json", _summary(job, messages, splits, leaks))
    message_lengths(folder / "messages.csv", output=folder / "lengths.png")
    class_counts(folder / "split.json", output=folder / "classes.png")


def _format(job: Job) -> MessageFormat:
    data = job.config.data
    return MessageFormat(
        format=data.format,
        columns=data.columns,
        label_column=data.label_column,
        text_column=data.text_column,
        labels=data.labels,
        encoding=data.encoding,
        parser=data.parser,
    )


def _read_back(path: Path, labels: list[str], scratch: Path) -> tuple[pd.DataFrame, TwinForms]:
    """Id and label of each message, and the forms of its text."""
    known: list[pd.DataFrame] = []

    def texts() -> Iterator[str]:
        for table in read_table_in_chunks(path):
            label = pd.Categorical(table["label"], categories=labels)
            known.append(pd.DataFrame({"id": table["id"], "label": label}))
            yield from table["text"]

    forms = TwinForms.of(texts(), scratch)
    return pd.concat(known, ignore_index=True), forms


def _split(job: Job, messages: pd.DataFrame, forms: TwinForms) -> Splits:
    split, labels, seed = job.config.split, job.config.data.labels, _seed(job)
    fractions = {name: getattr(split.fractions, name) for name in SPLIT_NAMES}
    undersample = split.balance == "undersample"
    if split.protocol == "lab":
        splits = split_as_the_lab(messages, labels, seed)
    elif split.protocol == "grouped":
        splits = split_by_group(messages, forms, labels, fractions, seed, undersample)
    else:
        splits = split_by_class(messages, labels, fractions, seed, undersample)
    train = first_share(splits.tables["train"], labels, split.train_share, seed)
    return replace(splits, tables={**splits.tables, "train": train})


def _seed(job: Job) -> int:
    own = job.config.split.seed
    return job.config.seed if own is None else own


def _summary(job: Job, messages: pd.DataFrame, splits: Splits, leaks: dict) -> dict:
    labels = job.config.data.labels
    tables = splits.tables
    is_lab = job.config.split.protocol == "lab"
    return {
        "messages": len(messages),
        "classes": _counts(messages, labels),
        "balance": "undersample" if is_lab else job.config.split.balance,
        "balanced": splits.balanced,
        "splits": {name: {"n": len(t), **_counts(t, labels)} for name, t in tables.items()},
        "protocol": job.config.split.protocol,
        "seed": _seed(job),
        "train_share": job.config.split.train_share,
        "leakage": leaks,
    }


def _counts(table: pd.DataFrame, labels: list[str]) -> dict[str, int]:
    return {label: int((table["label"] == label).sum()) for label in labels}


STAGE = Stage(
    name="split",
    summary="Read the messages, balance the classes, split them and measure leakage.",
    inputs=lambda layout: [layout.messages],
    outputs=(
        *("messages.csv", "train.csv", "validation.csv", "test.csv"),
        *("split.json", "lengths.png", "classes.png"),
    ),
    run=run,
)

if __name__ == "__main__":
    main(STAGE)
