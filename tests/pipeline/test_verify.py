"""`loralab verify` on a finished run: what it holds it against, what it says, how it ends."""

import shutil
from pathlib import Path

import pytest
import yaml
from loralab.provenance import sha256_file
from project import PLACES, SMALL
from test_commands import command


@pytest.fixture
def project(finished, tmp_path) -> Path:
    """A copy of the finished project whose config.yaml is the small experiment's."""
    folder = tmp_path / "project"
    shutil.copytree(finished, folder, ignore=shutil.ignore_patterns(".snakemake"))
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    merged = _merged(yaml.safe_load(text), SMALL)
    (folder / "config.yaml").write_text(yaml.safe_dump(merged, sort_keys=False))
    return folder


def _merged(base: dict, changes: dict) -> dict:
    return base | {
        key: _merged(base[key], value) if isinstance(value, dict) else value
        for key, value in changes.items()
    }


def verify(folder: Path, *arguments: str, name: str = "embedded"):
    """Status, lines of the answer, and the error."""
    done = command("verify", "--run", folder / "results" / name, *arguments)
    return done.returncode, done.stdout.decode().splitlines(), done.stderr


def test_a_sound_run_is_called_so_and_named_by_the_hash_of_its_manifest(project):
    status, lines, errors = verify(project)
    assert (status, errors) == (0, "")
    assert lines[0].endswith("config.yaml:")
    assert [line.split() for line in lines[1 : 1 + len(PLACES)]] == [
        [stage, "sound"] for stage in PLACES
    ]
    assert lines[-1] == sha256_file(project / "results/embedded/manifest.json")


def test_a_changed_setting_is_told_with_both_values(project):
    path = project / "config.yaml"
    path.write_text(path.read_text().replace("learning_rate: 0.002", "learning_rate: 0.001"))
    status, lines, errors = verify(project)
    assert status == 1
    said = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines[1:]}
    assert said["train"] == "training.learning_rate was 0.002 and is 0.001"
    assert said["gradcheck"] == "sound"
    assert errors.startswith("loralab: error: ")
    assert f"6 of {len(PLACES)} stages do not stand" in errors
    again = "snakemake makes these again: train, baseline_head_only, evaluate, robustness, "
    again += "explain, report"
    assert errors.rstrip().endswith(again)


def test_the_file_in_experiments_that_makes_the_run_is_found(project):
    (project / "results/embedded").rename(project / "results/mine")
    experiments = project / "experiments"
    experiments.mkdir()
    (experiments / "other.yaml").write_text("experiment: other\n")
    (experiments / "that.yaml").write_text("experiment: mine\n")
    (experiments / "damaged.yaml").write_text("experiment: [\n")
    status, lines, errors = verify(project, name="mine")
    assert "that.yaml over " in lines[0] and "config.yaml" in lines[0]
    # The name is in the report, and nowhere else.
    assert status == 1 and errors.rstrip().endswith("makes these again: report")
    assert lines[len(PLACES)].endswith('experiment was "embedded" and is "mine"')


def test_a_link_to_a_run_is_the_run(project):
    (project / "results/latest").symlink_to("embedded")
    assert verify(project, name="latest")[0] == 0


def test_results_without_the_project_are_held_to_what_they_recorded(project, tmp_path):
    for name in ("results", "resources"):
        shutil.copytree(project / name, tmp_path / "copy" / name)
    status, lines, _ = verify(tmp_path / "copy")
    assert status == 0 and lines[0].endswith("against what its stages recorded:")
    path = tmp_path / "copy/results/embedded/split/split.json"
    path.write_text(path.read_text().replace('"seed": 123', '"seed": 124'))
    status, lines, _ = verify(tmp_path / "copy")
    assert status == 1
    assert "split.json was changed after this stage wrote it" in lines[2]
    assert lines[len(PLACES)].split()[:2] == ["report", "follows"]


def test_results_alone_are_checked_as_far_as_they_go(project, tmp_path):
    shutil.copytree(project / "results", tmp_path / "copy" / "results")
    status, lines, _ = verify(tmp_path / "copy")
    assert status == 1
    assert lines[1].split()[:4] == ["download", "has", "not", "run:"]
    assert "has no manifest.json" in lines[1]
    assert all("was changed" not in line for line in lines)


def test_a_configuration_of_another_experiment_is_refused(project):
    other = ("--config", str(project / "config.yaml"), "--config", "{experiment: other}")
    status, lines, errors = verify(project, *other)
    assert (status, lines) == (1, [])
    assert "makes results/other, not embedded" in errors


def test_a_folder_that_is_no_run_is_said_to_be_none(project):
    (project / "config.yaml").unlink()
    shutil.rmtree(project / "results/embedded")
    status, lines, errors = verify(project)
    assert (status, lines) == (1, [])
    assert "is it the folder of a run?" in errors


def test_what_belongs_to_no_stage_is_noted_and_does_no_harm(project):
    (project / "resources/base/embedded-gpt2/loss_of_another.csv").touch()
    status, lines, _ = verify(project)
    assert status == 0
    assert [line for line in lines if "belongs to no stage" in line and "loss_of_another" in line]
