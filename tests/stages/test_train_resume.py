"""The stage `train` as a command, killed without warning: the next run goes on where it was."""

import json
import signal
from pathlib import Path

import pandas as pd
import pytest

OUT = "results/embedded/train"
ADAPTER = f"{OUT}/adapter/adapter_model.safetensors"
# Of 30 epochs of two steps each, saved after each step.
LONG = {"training": {"epochs": 30, "save_every": 0}}

KILLED_WHILE_WRITING = """
import os, signal
from loralab.training.resume import ResumeFile
replace, writes = os.replace, []
def kill(source, target):
    if str(target).endswith("training.safetensors"):
        writes.append(target)
        if len(writes) == {place}:
            os.kill(os.getpid(), signal.{kind})
    replace(source, target)
os.replace = kill
"""


@pytest.fixture
def train(ready_to_train, run_stage, small_config):
    """Run the stage on a project that is ready for it."""
    return lambda sabotage="", **changes: run_stage(
        "train", *small_config(**LONG | changes), sabotage=sabotage
    )


def _history(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / OUT / "history.csv").drop(columns="seconds")


def _summary(folder: Path) -> dict:
    summary = json.loads((folder / OUT / "training.json").read_text())
    for epoch in summary["epoch_metrics"]:
        epoch.pop("seconds")
    return summary


def test_told_to_stop_and_killed_it_goes_on_and_ends_with_the_same_bytes(train, tmp_path, files):
    assert train().returncode == 0
    adapter, history = (tmp_path / ADAPTER).read_bytes(), _history(tmp_path)
    metrics = _summary(tmp_path)["epoch_metrics"]
    assert _summary(tmp_path)["resumed_from"] is None
    assert not (tmp_path / "state" / "train" / OUT).exists()
    (tmp_path / OUT / "manifest.json").unlink()
    before = files()
    told = train(KILLED_WHILE_WRITING.format(place=20, kind="SIGTERM"))
    assert told.returncode == 130
    assert told.stderr == "loralab train: error: interrupted; nothing half-written is left\n"
    assert files() - before == {f"state/train/{OUT}/training.safetensors"}
    killed = train(KILLED_WHILE_WRITING.format(place=41, kind="SIGKILL"))
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / OUT / "manifest.json").exists()
    done = train()
    assert (done.returncode, done.stderr) == (0, "")
    # An epoch has a write for each of its two steps and one before it is measured. SIGTERM comes
    # after the 13th step, whose write it does not hinder; 40 more writes make another 27 steps.
    assert _summary(tmp_path)["resumed_from"] == 40
    assert (tmp_path / ADAPTER).read_bytes() == adapter
    assert _history(tmp_path).equals(history)
    assert _summary(tmp_path)["epoch_metrics"] == metrics
    assert not (tmp_path / "state" / "train" / OUT).exists()
