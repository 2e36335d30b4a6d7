"""The whole pipeline, driven by Snakemake itself, on an experiment small enough for a test."""

import json
import os
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
import yaml
from loralab.provenance import sha256_file

ROOT = Path(__file__).parents[2]
SMALL = {
    "data": {"embedded": {"messages": 400, "spam": 120}},
    "tokenizer": {"embedded": {"messages": 600, "size": 400}},
    "base": {
        "shape": {"vocabulary": 400, "width": 16, "layers": 2, "heads": 2},
        "pretraining": {"messages": 600},
    },
    "lora": {"rank": 2, "alpha": 4},
    "training": {"epochs": 1},
}


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Snakemake in a copy of the project."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def jobs(folder: Path, *arguments: str) -> set[str]:
    """The rules that a dry run would execute."""
    dry = snakemake(folder, "--dry-run", "--configfile", "small.yaml", *arguments)
    assert dry.returncode == 0, dry.stderr
    lines = (dry.stdout + dry.stderr).splitlines()
    named = {
        line.split()[1].rstrip(":") for line in lines if line.startswith(("rule ", "localrule "))
    }
    return named - {"all"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A project folder in which a small experiment has run."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("Snakefile", "config.yaml", "environment.yml"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "profiles", folder / "profiles")
    (folder / "workflow").mkdir()
    for name in ("rules", "schemas"):
        shutil.copytree(ROOT / "workflow" / name, folder / "workflow" / name)
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL), encoding="utf-8")
    done = snakemake(folder, "--configfile", "small.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_one_command_leads_from_nothing_to_a_report_with_all_its_figures(finished):
    run = finished / "results" / "embedded"
    report = (run / "report.md").read_text(encoding="utf-8")
    assert "Test accuracy" in report.splitlines()[2]
    figures = [part.split(")")[0] for part in report.split("](")[1:]]
    assert len(figures) >= 11
    assert all((run / figure).is_file() for figure in figures)
    for question in ("Q1", "Q2", "Q3", "Q4", "Q5"):
        assert f"### {question}." in report


def test_every_stage_leaves_a_manifest_that_agrees_with_its_outputs(finished):
    manifests = [p for p in finished.rglob("manifest.json") if ".snakemake" not in p.parts]
    assert len(manifests) == 9
    for path in manifests:
        outputs = json.loads(path.read_text())["outputs"]
        assert outputs
        for name, entry in outputs.items():
            assert sha256_file(path.parent / name) == entry["sha256"]


def test_the_claims_ledger_holds_the_published_figures_beside_the_right_ones(finished):
    path = finished / "results" / "embedded" / "inject" / "claims.json"
    claims = {claim["id"]: claim for claim in json.loads(path.read_text())}
    expected = {
        "injection.trainable": (1_327_104, 1_327_104, "reproduced"),
        "injection.total": (164_364_288, 164_364_288, "reproduced"),
        "classifier.trainable": (2_655_746, 1_328_642, "corrected"),
        "classifier.total": (127_095_554, 125_768_450, "corrected"),
        "classifier.percent": (2.09, 1.06, "corrected"),
        "double_injection.trainable": (2_655_746, 2_655_746, "reproduced"),
        "double_injection.total": (127_095_554, 127_095_554, "reproduced"),
        "gradients.with": (288, 144, "corrected"),
        "gradients.without": (197, 197, "reproduced"),
        "double_injection.gradients.with": (288, 288, "reproduced"),
        "head.explains_increase": (1_328_642, 1_538, "refuted"),
    }
    found = {k: (c["published"], c["measured"], c["verdict"]) for k, c in claims.items()}
    assert {name: found[name] for name in expected} == expected


def test_a_second_run_has_nothing_to_do(finished):
    assert jobs(finished) == set()


def test_touching_files_reruns_nothing(finished):
    for name in ("model.safetensors", "train.csv", "messages.tsv", "adapter_model.safetensors"):
        for path in finished.rglob(name):
            path.touch()
    assert jobs(finished) == set()


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        ("training={learning_rate: 0.001}", {"train", "evaluate", "report", "gradcheck"}),
        ("training={epochs: 2}", {"train", "evaluate", "report"}),
        ("evaluation={errors: 3}", {"evaluate", "report"}),
        ("report={examples: [hello]}", {"report"}),
        ("mirror=somewhere", set()),
        ("training={device: cpu, log_every: 3}", set()),
    ],
)
def test_a_changed_setting_reruns_exactly_the_stages_that_read_it(finished, change, stale):
    assert jobs(finished, "--config", change) == stale


def test_a_misspelt_key_names_the_nearest_valid_one(finished):
    failed = snakemake(finished, "--dry-run", "--config", "training={learning_rte: 1}")
    assert failed.returncode != 0
    assert "did you mean training.learning_rate?" in failed.stdout + failed.stderr


def test_classify_gives_a_text_the_probability_that_evaluate_gave_it(finished):
    run = finished / "results" / "embedded"
    predictions = pd.read_csv(run / "evaluation" / "predictions.csv")
    predictions = predictions[predictions["split"] == "test"].head(5)
    texts = pd.read_csv(run / "split" / "test.csv").set_index("id")["text"]
    chosen = [texts[number] for number in predictions["id"]]
    command = [sys.executable, "-m", "loralab.cli", "classify", "--run", run, *chosen]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=finished.parent)
    answered = pd.read_csv(StringIO(done.stdout))
    assert (answered["p_spam"] - predictions["p_spam"].to_numpy()).abs().max() < 1e-5
    assert list(answered["predicted"]) == list(predictions["predicted"])


def test_missing_weights_name_the_file_its_hash_and_how_to_supply_it(finished, tmp_path):
    pinned = {"source": "url", "urls": ["http://127.0.0.1:9/model.safetensors"], "sha256": "a" * 64}
    mapping = yaml.safe_load((ROOT / "config.yaml").read_text())
    mapping["base"] |= pinned | {"name": "absent", "size": "gpt2"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(mapping))
    command = [sys.executable, "-m", "loralab.stages.weights", "--config", "config.yaml"]
    failed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert failed.returncode == 1
    last = failed.stderr.strip().splitlines()[-1]
    assert "model.safetensors" in last and "a" * 64 in last and "mirror" in last
    assert "127.0.0.1:9" in last and "Traceback" not in failed.stderr
    assert not list(tmp_path.rglob("*.safetensors"))
