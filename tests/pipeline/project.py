"""A copy of the project to run Snakemake in, on an experiment small enough for a test."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from dry_runs import dry_run
from loralab.config import build
from loralab.config_file import load_mapping, merge
from loralab.stages.layout import Layout

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "workflow" / "loralab"
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


# Where the stages of the small experiment write, in a project's folder.
PLACES = Layout(build(merge(load_mapping([str(ROOT / "config.yaml")]), SMALL))).places


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Snakemake in a copy of the project."""
    with start_snakemake(folder, *arguments) as running:
        stdout, stderr = running.communicate()
    return subprocess.CompletedProcess(running.args, running.returncode, stdout, stderr)


def start_snakemake(folder: Path, *arguments: str, **options) -> subprocess.Popen:
    """Start Snakemake in a copy of the project."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        command, cwd=folder, env={**os.environ, "PATH": path}, **pipes | options
    )


def jobs(folder: Path, *arguments: str) -> set[str]:
    """The rules that a dry run of the small experiment would execute."""
    planned = dry_run("--configfile", "small.yaml", *arguments, folder=folder)
    assert not planned.failed, planned.text
    return planned.rules


def planned(folder: Path) -> dict[str, dict[str, set[str]]]:
    """The input and output files of every stage's rule, as Snakemake plans them."""
    dry = dry_run("--forceall", "--configfile", "small.yaml", folder=folder)
    rules: dict[str, dict[str, set[str]]] = {}
    for line in dry.text.splitlines():
        if line.startswith("rule "):
            rules[line.split()[1].rstrip(":")] = current = {"input": set(), "output": set()}
        kind, _, paths = line.strip().partition(": ")
        if line.startswith("    ") and kind in ("input", "output"):
            current[kind] = set(paths.split(", "))
    return {rule: files for rule, files in rules.items() if files["output"]}


def copy_of_the_project(folder: Path) -> None:
    """What Snakemake needs of the project, small enough to copy for a test."""
    for name in ("Snakefile", "config.yaml", "environment.yml"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "profiles", folder / "profiles")
    (folder / "workflow").mkdir()
    for name in ("rules", "schemas", "report"):
        shutil.copytree(ROOT / "workflow" / name, folder / "workflow" / name)
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL), encoding="utf-8")
