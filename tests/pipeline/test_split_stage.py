"""The stage `split`: what its settings decide of the files it leaves."""

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from loralab.config import build, runtime_settings, stage_settings
from loralab.config_file import load_mapping, merge, validate
from loralab.data.leakage import leakage
from loralab.data.twin_forms import TwinForms
from loralab.stages import download, split
from loralab.stages.layout import Layout
from loralab.stages.runner import Job, Stage

CONFIG = str(Path(__file__).parents[2] / "config.yaml")
SMALL = {"data": {"embedded": {"messages": 400, "spam": 120}}}


@pytest.fixture(scope="module")
def split_with(tmp_path_factory) -> Callable[..., Path]:
    """Split the small corpus by other settings; the folder that the stage leaves."""
    root = tmp_path_factory.mktemp("project")

    def run(stage: Stage, folder: Path, changes: dict) -> Path:
        mapping = merge(load_mapping([CONFIG]), SMALL | changes)
        validate(mapping)
        config = build(merge(stage_settings(mapping, stage.name), runtime_settings(mapping)))
        folder.mkdir(parents=True)
        layout = Layout(config, root / "results", root / "resources")
        stage.run(Job(config, layout, folder, threads=1, identity="a test", state=root / "state"))
        return folder

    def split_by(experiment_seed: int = 123, **settings) -> Path:
        folder = root / f"split-{len(list(root.glob('split-*')))}"
        return run(split.STAGE, folder, {"seed": experiment_seed, "split": settings})

    run(download.STAGE, root / "resources" / "data" / "embedded-sms", {})
    return split_by


@pytest.fixture(scope="module")
def default(split_with) -> Path:
    return split_with()


def read(folder: Path, name: str) -> bytes:
    return (folder / f"{name}.csv").read_bytes()


def test_by_default_no_two_splits_share_a_twin(default, tmp_path):
    summary = json.loads((default / "split.json").read_text())
    assert (summary["protocol"], summary["seed"], summary["train_share"]) == ("grouped", 123, 1.0)
    assert {name: twins["n"] for name, twins in summary["leakage"].items()} == dict.fromkeys(
        ("exact", "folded", "masked", "near"), 0
    )
    names = ("train", "validation", "test")
    tables = [pd.read_csv(default / f"{name}.csv", keep_default_na=False) for name in names]
    for one, other in combinations(tables, 2):
        forms, rows = TwinForms.of([*one["text"], *other["text"]], tmp_path), np.arange(len(one))
        leaks = leakage(forms, rows, len(one) + np.arange(len(other)))
        assert not any(twins["n"] for twins in leaks.values())


def test_the_stratified_split_of_the_same_messages_leaks(split_with):
    summary = json.loads((split_with(protocol="stratified") / "split.json").read_text())
    assert summary["leakage"]["near"]["n"] >= summary["leakage"]["masked"]["n"] > 0


def test_a_seed_of_its_own_makes_the_same_split_at_every_seed(split_with, default):
    assert read(split_with(7), "test") != read(default, "test")
    fixed = split_with(7, seed=123)
    assert json.loads((fixed / "split.json").read_text())["seed"] == 123
    for name in ("train", "validation", "test"):
        assert read(fixed, name) == read(default, name)


def test_a_share_of_train_touches_neither_validation_nor_test(split_with, default):
    tenth, fifth = (split_with(train_share=share) for share in (0.1, 0.2))
    for name in ("validation", "test"):
        assert read(tenth, name) == read(fifth, name) == read(default, name)
    lines = [set(read(folder, "train").splitlines()) for folder in (tenth, fifth, default)]
    assert lines[0] < lines[1] < lines[2]
    summary = json.loads((tenth / "split.json").read_text())
    assert summary["splits"]["train"]["n"] == len(lines[0]) - 1
    assert summary["train_share"] == 0.1
