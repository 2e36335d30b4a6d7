"""Balancing the classes and splitting messages into train, validation and test.

Messages are a table with the columns `id`, which rises, and `label`; others are carried along.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from loralab.data.grouping import assign_groups, group_messages
from loralab.data.twin_forms import TwinForms
from loralab.errors import LoralabError, raise_all
from loralab.randomness import stream_seed

LAB_TRAIN_SHARE = 0.8


@dataclass(frozen=True)
class Splits:
    """The messages kept after balancing, and the table of each split, by name."""

    balanced: int
    tables: dict[str, pd.DataFrame]


def split_by_class(
    messages: pd.DataFrame,
    labels: list[str],
    fractions: dict[str, float],
    seed: int,
    undersample: bool,
) -> Splits:
    """Split every class by the same fractions, at random, after balancing if wanted.

    Rows keep the order of the source file. Raises LoralabError where a class has too few messages
    to put at least one in each split with a fraction above 0.
    """
    _check_enough(messages, labels, fractions)
    if undersample:
        messages = _undersample(messages, labels, seed)
    names, shares = _shares(fractions)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    generator = np.random.default_rng(stream_seed(seed, "split/assign"))
    for label in labels:
        rows = generator.permutation(np.flatnonzero(messages["label"] == label))
        ends = np.cumsum(_apportion(len(rows), shares))
        for name, part in zip(names, np.split(rows, ends[:-1]), strict=True):
            parts[name].append(part)
    return _splits(messages, {name: np.concatenate(part) for name, part in parts.items()})


def split_by_group(
    messages: pd.DataFrame,
    forms: TwinForms,
    labels: list[str],
    fractions: dict[str, float],
    seed: int,
    undersample: bool,
) -> Splits:
    """As `split_by_class`, of the same messages, but near-duplicates stay together.

    `forms` are those of the messages, in their order. Groups are those of the messages kept after
    balancing; `assign_groups` says how far the sizes may be from `fractions`. Raises LoralabError
    where a class has too few messages, or too few groups, to put at least one in each split with a
    fraction above 0.
    """
    _check_enough(messages, labels, fractions)
    messages = messages.reset_index(drop=True)
    if undersample:
        messages = _undersample(messages, labels, seed)
    names, shares = _shares(fractions)
    groups = group_messages(forms, messages.index.to_numpy())
    counts = _counts(messages["label"], groups, labels)
    targets = np.stack([_apportion(total, shares) for total in counts.sum(axis=0)], axis=1)
    generator = np.random.default_rng(stream_seed(seed, "split/groups"))
    splits = assign_groups(counts, targets, generator)
    _check_every_label(names, labels, counts, splits)
    rows = {name: np.flatnonzero(splits[groups] == i) for i, name in enumerate(names)}
    return _splits(messages, rows)


def first_share(train: pd.DataFrame, labels: list[str], share: float, seed: int) -> pd.DataFrame:
    """The first `share` of each class in a random order, at least one message; rows keep theirs.

    What a smaller share keeps, a larger one keeps too: the points of a learning curve are nested.
    """
    generator = np.random.default_rng(stream_seed(seed, "split/train_share"))
    kept = []
    for label in labels:
        rows = generator.permutation(np.flatnonzero(train["label"] == label))
        kept.append(rows[: max(1, math.floor(share * len(rows) + 0.5))])
    return train.iloc[np.sort(np.concatenate(kept))].reset_index(drop=True)


def _shares(fractions: dict[str, float]) -> tuple[list[str], np.ndarray]:
    names = [name for name, fraction in fractions.items() if fraction > 0]
    return names, np.array([fractions[name] for name in names])


def _splits(messages: pd.DataFrame, rows: dict[str, np.ndarray]) -> Splits:
    tables = {name: messages.iloc[np.sort(part)] for name, part in rows.items()}
    return Splits(len(messages), {name: t.reset_index(drop=True) for name, t in tables.items()})


def _counts(column: pd.Series, groups: np.ndarray, labels: list[str]) -> np.ndarray:
    """How many messages of each label each group holds, (groups, labels)."""
    counts = np.zeros((groups.max() + 1, len(labels)), dtype=np.int64)
    np.add.at(counts, (groups, pd.Categorical(column, categories=labels).codes), 1)
    return counts


def _undersample(messages: pd.DataFrame, labels: list[str], seed: int) -> pd.DataFrame:
    """As many messages of every class as the smallest has, chosen at random."""
    generator = np.random.default_rng(stream_seed(seed, "split/balance"))
    smallest = min((messages["label"] == label).sum() for label in labels)
    kept = [
        generator.permutation(np.flatnonzero(messages["label"] == label))[:smallest]
        for label in labels
    ]
    return messages.iloc[np.sort(np.concatenate(kept))]


def _apportion(total: int, shares: np.ndarray) -> np.ndarray:
    """Whole numbers that add up to `total`, by the method of largest remainders."""
    exact = total * shares
    counts = np.floor(exact + 1e-9).astype(int)
    by_remainder = np.argsort(counts - exact, kind="stable")
    counts[by_remainder[: total - counts.sum()]] += 1
    return counts


def _check_enough(messages: pd.DataFrame, labels: list[str], fractions: dict[str, float]) -> None:
    names, shares = _shares(fractions)
    problems = []
    for label in labels:
        found = int((messages["label"] == label).sum())
        empty = [n for n, count in zip(names, _apportion(found, shares), strict=True) if not count]
        if empty:
            problems.append(
                f"class {label!r} has {found} messages, which leaves none for {', '.join(empty)}; "
                "add messages or change split.fractions"
            )
    raise_all(problems, "too few messages to split")


def _check_every_label(
    names: list[str], labels: list[str], counts: np.ndarray, splits: np.ndarray
) -> None:
    problems = []
    for label, found in zip(labels, counts.T, strict=True):
        missing = [name for i, name in enumerate(names) if not found[splits == i].any()]
        if missing:
            problems.append(
                f"the {found.sum()} messages of class {label!r} fall into {(found > 0).sum()} "
                f"groups of near-duplicates, which leaves none for {', '.join(missing)}; add "
                "messages, or set split.protocol to stratified and mind the leakage"
            )
    raise_all(problems, "too few groups to split")


def split_as_the_lab(messages: pd.DataFrame, labels: list[str], seed: int) -> Splits:
    """The lab's pandas steps, to the same messages in the same order.

    All of the second label (spam) and as many of the first (ham), sampled; concatenated, shuffled
    and cut at four fifths. Raises LoralabError where there are fewer of the first than the second.
    """
    common, rare = (messages[messages["label"] == label] for label in labels)
    if len(common) < len(rare):
        raise LoralabError(
            f"split.protocol lab keeps all {len(rare)} of {labels[1]!r} and samples as many of "
            f"{labels[0]!r}, of which there are only {len(common)}; swap data.labels"
        )
    sampled = common.sample(len(rare), random_state=seed)
    balanced = pd.concat([rare, sampled]).reset_index(drop=True)
    shuffled = balanced.sample(frac=1, random_state=seed).reset_index(drop=True)
    cut = int(LAB_TRAIN_SHARE * len(shuffled))
    if cut == 0:
        raise LoralabError(f"{len(shuffled)} messages are too few for split.protocol lab")
    test = shuffled[cut:].reset_index(drop=True)
    return Splits(len(shuffled), {"train": shuffled[:cut], "test": test})
