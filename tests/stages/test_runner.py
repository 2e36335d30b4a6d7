"""Every stage's frame: refusals before anything is written, one line for whatever goes wrong."""

import json
from pathlib import Path

import pytest
from loralab.provenance import sha256_file

OUT = "resources/data/embedded-sms"
WRITTEN = {f"{OUT}/messages.tsv", f"{OUT}/source.json", f"{OUT}/manifest.json"}
RUNTIME = ("--runtime", '{"mirror": null}')

# Each replaces the stage's `run` by one that has begun to write when it fails.
BROKEN = """
import dataclasses
def broken(job):
    (job.folder / "source.json").write_text("half")
    raise {error}
STAGE = dataclasses.replace(STAGE, run=broken)
"""


@pytest.fixture
def manifest(run_stage, tmp_path: Path) -> dict:
    """The manifest of a stage that ran from its settings."""
    done = run_stage("download")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads((tmp_path / OUT / "manifest.json").read_text())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# The job as it was planned


def test_a_stage_runs_by_the_fingerprint_it_was_planned_with(run_stage, manifest, tmp_path):
    (tmp_path / OUT / "messages.tsv").unlink()
    done = run_stage("download", "--fingerprint", json.dumps(manifest["fingerprint"]), *RUNTIME)
    assert (done.returncode, done.stderr) == (0, "")
    again = json.loads((tmp_path / OUT / "manifest.json").read_text())
    assert again["fingerprint"] == manifest["fingerprint"]
    assert again["outputs"]["messages.tsv"] == manifest["outputs"]["messages.tsv"]


@pytest.mark.parametrize("changed", [{"code": "0" * 64}, {"packages": {"requests": "0.1"}}])
def test_other_code_or_packages_than_planned_are_refused_before_anything_is_written(
    run_stage, manifest, tmp_path, changed
):
    before = contents(tmp_path / OUT)
    planned = manifest["fingerprint"] | changed
    planned["settings"]["data"]["dataset"] = "other"
    done = run_stage("download", "--fingerprint", json.dumps(planned), *RUNTIME)
    assert done.returncode == 1
    assert done.stderr == (
        "loralab download: error: the code or the installed packages changed after this job was "
        "planned; run snakemake again\n"
    )
    assert [path.name for path in (tmp_path / "resources" / "data").iterdir()] == ["embedded-sms"]
    assert contents(tmp_path / OUT) == before


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_fingerprint_that_is_none_is_refused_in_one_line(run_stage, files, text):
    done = run_stage("download", "--fingerprint", text, *RUNTIME)
    assert done.returncode == 1
    assert done.stderr.startswith("loralab download: error: --fingerprint is no JSON")
    assert done.stderr.count("\n") == 1
    assert files() == set()


# Failures


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            "RuntimeError('the disc is on fire')",
            "internal error (RuntimeError: the disc is on fire); the traceback is in the log: log",
        ),
        ("OSError(5, 'Input/output error', 'x.csv')", "x.csv: Input/output error"),
        ("module.LoralabError('mend this')", "mend this"),
    ],
)
def test_a_failing_stage_ends_in_one_line_and_leaves_nothing_half_written(
    run_stage, files, error, line
):
    done = run_stage("download", sabotage=BROKEN.format(error=error))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"loralab download: error: {line}\n"
    assert files() == set()


def test_the_traceback_of_an_unexpected_exception_is_in_the_log(run_stage, tmp_path):
    run_stage("download", sabotage=BROKEN.format(error="RuntimeError('the disc is on fire')"))
    log = (tmp_path / "log").read_text()
    assert "Traceback (most recent call last)" in log
    assert ", in broken" in log and "RuntimeError: the disc is on fire" in log


def test_an_interrupted_stage_ends_with_130_and_leaves_nothing(run_stage, files):
    done = run_stage("download", sabotage=BROKEN.format(error="KeyboardInterrupt"))
    assert done.returncode == 130
    assert done.stderr == ("loralab download: error: interrupted; nothing half-written is left\n")
    assert files() == set()


def test_a_failure_keeps_what_an_earlier_run_left(run_stage, manifest, files, tmp_path):
    before = contents(tmp_path / OUT)
    assert run_stage("download", sabotage=BROKEN.format(error="RuntimeError")).returncode == 1
    assert contents(tmp_path / OUT) == before
    assert files() == WRITTEN


def meanwhile(action: str) -> str:
    """Sabotage that does something at the end of a stage's work."""
    return f"""
import dataclasses, os, pathlib
def edited(job, run=STAGE.run):
    run(job)
    {action}
STAGE = dataclasses.replace(STAGE, run=edited)
"""


LOCAL = {"source": "file", "file": "mine.tsv"}


def test_an_input_that_changes_while_the_stage_runs_is_refused(
    run_stage, small_config, files, tmp_path
):
    (tmp_path / "mine.tsv").write_text("ham\thello\n")
    edit = meanwhile('pathlib.Path("mine.tsv").write_text("ham\\tbye\\n")')
    done = run_stage("download", *small_config(data=LOCAL), sabotage=edit)
    assert done.returncode == 1
    assert "error: mine.tsv changed while the stage ran" in done.stderr
    assert files() == {"mine.tsv"}


def test_an_input_that_is_touched_while_the_stage_runs_is_as_good(
    run_stage, small_config, tmp_path
):
    (tmp_path / "mine.tsv").write_text("ham\thello\n")
    touch = meanwhile('os.utime("mine.tsv", (1, 1))')
    done = run_stage("download", *small_config(data=LOCAL), sabotage=touch)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_stage_that_leaves_out_a_declared_output_fails(run_stage, files):
    forgetful = """
import dataclasses
STAGE = dataclasses.replace(STAGE, outputs=("source.json", "absent.csv"))
"""
    done = run_stage("download", sabotage=forgetful)
    assert done.returncode == 1
    assert done.stderr == ("loralab download: error: the stage ended without writing absent.csv\n")
    assert files() == set()


def test_missing_inputs_are_all_named(run_stage, files):
    done = run_stage("split")
    assert done.returncode == 1
    assert done.stderr == (
        f"loralab split: error: missing input: {OUT}/messages.tsv: run the stages before this one\n"
    )
    assert files() == set()


def test_a_missing_local_file_is_told_from_a_stage_that_has_not_run(run_stage, files):
    config = str(Path(__file__).parents[2] / "config.yaml")
    local = '{data: {source: file, file: "nope {1}.tsv"}}'
    done = run_stage("download", "--config", config, "--config", local)
    assert done.returncode == 1
    assert done.stderr == (
        "loralab download: error: missing input: nope {1}.tsv: the configuration names it, and it "
        "is no file\n"
    )
    assert files() == set()


def test_a_log_that_cannot_be_written_is_refused_in_one_line(run_stage, files, tmp_path):
    (tmp_path / "log").mkdir()
    done = run_stage("download")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("loralab download: error: --log log: ")
    assert files() == set()


def test_a_stage_that_loads_code_outside_its_fingerprint_fails(run_stage, files):
    done = run_stage("download", sabotage="import loralab.data.splitting")
    assert done.returncode == 1
    assert "loralab.stages.download loaded loralab.data" in done.stderr
    assert done.stderr.count("\n") == 1
    assert files() == set()


# The manifest


def test_a_manifest_tells_what_was_made_of_what_when_and_where(run_stage, tmp_path):
    (tmp_path / "mine.tsv").write_text("ham\thello\n")
    local = {"data": {"source": "file", "file": "mine.tsv"}}
    config = str(Path(__file__).parents[2] / "config.yaml")
    run_stage("download", "--config", config, "--config", json.dumps(local))
    folder = tmp_path / OUT
    found = json.loads((folder / "manifest.json").read_text())
    assert set(found) == {
        *("stage", "fingerprint", "inputs", "outputs"),
        *("seconds", "peak_memory_bytes", "machine", "finished", "sha256"),
    }
    assert set(found["machine"]) == {"system", "processor", "cores", "threads", "python"}
    assert (found["stage"], found["machine"]["threads"]) == ("download", 1)
    assert {"code", "packages", "settings", "stage"} <= set(found["fingerprint"])
    assert found["fingerprint"]["settings"]["data"]["file"] == "mine.tsv"
    assert set(found["fingerprint"]["settings"]) == {"data"}
    assert set(found["outputs"]) == {"messages.tsv", "source.json"}
    assert set(found["inputs"]) == {"../../../mine.tsv"}
    for name, entry in (found["inputs"] | found["outputs"]).items():
        path = folder / name
        assert entry == {"sha256": sha256_file(path), "bytes": path.stat().st_size}
    assert 0 < found["seconds"] < 60
    assert found["peak_memory_bytes"] > 1_000_000
