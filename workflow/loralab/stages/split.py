"""Stage `split`: read the messages, balance the classes, split, and measure leakage."""

from dataclasses import replace

import pandas as pd

from loralab.config import SPLIT_NAMES
from loralab.data.leakage import leakage
from loralab.data.messages import MessageFormat, read_messages, write_table
from loralab.data.splitting import (
    Splits,
    first_share,
    split_as_the_lab,
    split_by_class,
    split_by_group,
)
from loralab.provenance import write_json
from loralab.reporting.data_figures import class_counts, message_lengths
from loralab.stages.runner import Job, Stage, main


def run(job: Job) -> None:
    """Write the table of all messages, one of each split, `split.json` and two figures."""
    data, folder = job.config.data, job.folder
    layout = MessageFormat(
        format=data.format,
        columns=data.columns,
        label_column=data.label_column,
        text_column=data.text_column,
        labels=data.labels,
        encoding=data.encoding,
        parser=data.parser,
    )
    messages = read_messages(job.layout.messages, layout)
    splits = _split(job, messages)
    write_table(messages, folder / "messages.csv")
    for name in SPLIT_NAMES:
        write_table(splits.tables.get(name, messages[:0]), folder / f"{name}.csv")
    write_json(folder / "split.json", _summary(job, messages, splits))
    message_lengths(folder / "messages.csv", output=folder / "lengths.png")
    class_counts(folder / "split.json", output=folder / "classes.png")


def _split(job: Job, messages: pd.DataFrame) -> Splits:
    split, labels, seed = job.config.split, job.config.data.labels, _seed(job)
    if split.protocol == "lab":
        splits = split_as_the_lab(messages, labels, seed)
    else:
        fractions = {name: getattr(split.fractions, name) for name in SPLIT_NAMES}
        by = split_by_group if split.protocol == "grouped" else split_by_class
        splits = by(messages, labels, fractions, seed, split.balance == "undersample")
    train = first_share(splits.tables["train"], labels, split.train_share, seed)
    return replace(splits, tables={**splits.tables, "train": train})


def _seed(job: Job) -> int:
    own = job.config.split.seed
    return job.config.seed if own is None else own


def _summary(job: Job, messages: pd.DataFrame, splits: Splits) -> dict:
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
        "leakage": leakage(tables["train"]["text"], tables["test"]["text"]),
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
