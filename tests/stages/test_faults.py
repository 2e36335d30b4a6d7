"""A full disk, a read-only folder, too little memory, a clock that jumps: one line each."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

MANY = {"data": {"embedded": {"messages": 400, "spam": 120}}}


@pytest.fixture
def on_a_disk(tmp_path: Path, small_config) -> Callable[..., subprocess.CompletedProcess]:
    """Run a stage with one folder on a disk of its own, which has so many KiB left, or is `ro`.

    What is on that disk afterwards goes to the standard output, a line a file.
    """
    probe = ["unshare", "--map-root-user", "--mount", "true"]
    if not shutil.which("unshare") or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("needs unshare, of util-linux, and a system that allows it")
    script = """
        cp -r "$0" "$1"; mount -t tmpfs tmpfs "$0"; cp -r "$1/." "$0/"
        used=$(df -k --output=used "$0" | tail -1)
        case $2 in ro) limit=ro;; *) limit=size=$((used + $2))k;; esac
        mount -o "remount,$limit" "$0" || exit 99
        disk=$0; shift 2; "$@"; status=$?
        find "$disk" -type f; exit $status
    """

    def run(stage: str, folder: str, left: int | str, **changes) -> subprocess.CompletedProcess:
        disk = tmp_path / folder
        disk.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", f"loralab.stages.{stage}", *small_config(**changes)]
        inside = ["unshare", "--map-root-user", "--mount", "sh", "-c", script]
        arguments = [*inside, disk, tmp_path / "kept", str(left), *command]
        return subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True)

    return run


@pytest.fixture
def messages(run_stage, small_config) -> None:
    """Messages where the stages look for them."""
    done = run_stage("download", *small_config(**MANY))
    assert done.returncode == 0, done.stderr


def one_line(failed: subprocess.CompletedProcess) -> str:
    """The one line of a stage that failed."""
    lines = failed.stderr.splitlines()
    said = [line for line in lines if line.startswith("loralab ")]
    assert failed.returncode == 1 and len(said) == 1, failed.stderr
    assert "Traceback" not in failed.stderr and "internal error" not in said[0]
    return said[0]


@pytest.mark.parametrize("left", [4, 24, 60])
def test_a_full_disk_is_said_and_nothing_half_written_is_left(on_a_disk, messages, left):
    failed = on_a_disk("split", "results", left, **MANY)
    assert "No space left on device; free some space" in one_line(failed)
    assert failed.stdout == ""


def test_a_full_disk_keeps_the_outputs_that_were_there(
    on_a_disk, messages, run_stage, small_config
):
    assert run_stage("split", *small_config(**MANY)).returncode == 0
    failed = on_a_disk("split", "results", 4, **MANY)
    assert "No space left on device" in one_line(failed)
    assert len(failed.stdout.splitlines()) == 8


@pytest.mark.parametrize("left", [4, 40])
def test_a_disk_too_small_for_the_adapter_or_the_curves_is_said(on_a_disk, ready_to_train, left):
    failed = on_a_disk("train", "results", left)
    assert "No space left on device" in one_line(failed)
    assert "embedded/train" not in failed.stdout


def test_a_disk_too_small_for_the_state_is_said(on_a_disk, ready_to_train):
    failed = on_a_disk("train", "state", 8, training={"save_every": 0})
    assert "training.part cannot be written" in one_line(failed)
    assert "No space left on device" in one_line(failed)
    assert failed.stdout == ""


def test_a_folder_that_may_not_be_written_is_named(on_a_disk, messages):
    failed = on_a_disk("split", "results", "ro", **MANY)
    words = "results/embedded: Read-only file system; run in a folder that may be written"
    assert one_line(failed) == f"loralab split: error: {words}"


FAILS = """
import dataclasses
def fail(job):
    {statement}
STAGE = dataclasses.replace(STAGE, run=fail)
"""


def test_too_little_memory_names_the_settings_to_change(ready_to_train, run_stage, files):
    before = files()
    too_much = FAILS.format(statement="import torch; torch.empty(1 << 60, dtype=torch.uint8)")
    failed = run_stage("train", sabotage=too_much)
    line = one_line(failed)
    assert "memory does not suffice (" in line and "can't allocate memory" in line
    assert "raise training.accumulation, lower training.batch_size" in line
    assert len(failed.stderr.splitlines()) == 1 and files() == before


def test_another_runtime_error_is_not_taken_for_a_lack_of_memory(run_stage):
    failed = run_stage("download", sabotage=FAILS.format(statement="raise RuntimeError('shapes')"))
    assert "internal error (RuntimeError: shapes)" in failed.stderr


def test_a_stage_leaves_the_saved_state_of_others_alone(run_stage, small_config, tmp_path):
    """The report's folder is the one that holds all others."""
    kept = tmp_path / "state/train/results/embedded/train/training.safetensors"
    kept.parent.mkdir(parents=True)
    kept.write_text("hours of work")
    own = tmp_path / "state/download/resources/data/embedded-sms/x.part"
    own.parent.mkdir(parents=True)
    own.write_text("some bytes")
    assert run_stage("download").returncode == 0
    assert kept.exists() and not own.exists()
    states = {f"state/{stage}/results/embedded" for stage in ("train", "report")}
    assert len(states) == 2


def test_a_clock_that_jumps_back_leaves_no_negative_time(run_stage, tmp_path):
    jump = """
import time
now = iter(range(10**9, 0, -3600))
time.time = lambda: next(now)
"""
    done = run_stage("download", sabotage=jump)
    assert (done.returncode, done.stderr) == (0, "")
    manifest = tmp_path / "resources/data/embedded-sms/manifest.json"
    assert 0 <= json.loads(manifest.read_text())["seconds"] < 60


def test_a_training_that_diverges_keeps_the_state_before_it(
    ready_to_train, run_stage, small_config, files
):
    """The loss of the fifth step is no number; the state of the fourth is kept, and is sound."""
    diverge = """
from loralab.training.fast_engine import FastEngine
accumulate, calls = FastEngine._accumulate, []
def spoilt(self, *arguments):
    calls.append(arguments)
    found = accumulate(self, *arguments)
    if len(calls) == 5:
        self.flat.gradients[0] = float("nan")
    return found
FastEngine._accumulate = spoilt
"""
    config = small_config(training={"epochs": 3})
    before = files()
    failed = run_stage("train", *config, sabotage=diverge)
    line = one_line(failed)
    assert "training diverged at step 5: loss 0." in line
    assert "gradient norm nan, learning rate 0.0" in line and "lower training.learning_rate" in line
    kept = "state/train/results/embedded/train/training.safetensors"
    assert line.endswith(f"The state before that step is kept in {kept}")
    assert files() - before == {kept}
