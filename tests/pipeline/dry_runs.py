"""Dry runs of Snakemake in processes that have it loaded already: many, in little time."""

import contextlib
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from pathlib import Path

import jsonschema  # noqa: F401
import pytest
import smart_open  # noqa: F401
import snakemake.cli
import snakemake.report  # noqa: F401
from loralab import config_file, provenance, verification  # noqa: F401
from loralab.config import STAGE_SETTINGS
from loralab.model import shapes, targets  # noqa: F401

# What every dry run needs is loaded once, for all processes that follow.
snakemake.cli.get_argument_parser()
config_file.schema()
for _stage in STAGE_SETTINGS:
    provenance.fingerprint(f"loralab.stages.{_stage}", {}, None)


@dataclass(frozen=True)
class DryRun:
    """A dry run in a folder; `package` is where its fingerprints look for the code."""

    folder: Path
    arguments: tuple[str, ...] = ("--configfile", "small.yaml")
    package: Path | None = None


@dataclass(frozen=True)
class Planned:
    """What a dry run said: the rules that it would run, and every line."""

    rules: set[str]
    text: str
    failed: bool


def dry_run(*arguments: str, folder: Path) -> Planned:
    """One dry run."""
    return dry_runs([DryRun(folder, arguments)])[0]


def dry_runs(wanted: list[DryRun]) -> list[Planned]:
    """All dry runs, several at a time, each in a fresh process; their answers in the same order."""
    environment = dict(os.environ)
    return list(_pool().map(_run, wanted, [environment] * len(wanted)))


@cache
def _pool() -> ProcessPoolExecutor:
    """Processes forked from one that has loaded this module and nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        forkserver.ensure_running()
    return ProcessPoolExecutor(os.cpu_count(), mp_context=context, max_tasks_per_child=1)


def _run(wanted: DryRun, environment: dict[str, str]) -> Planned:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(wanted.folder)
    if wanted.package:
        _take_code_from(wanted.package)
    log = Path(f"dry-run-{os.getpid()}.log")
    try:
        with log.open("w") as file, _output_to(file.fileno()):
            status = _status(["--dry-run", "--cores", "2", *wanted.arguments])
        text = log.read_text()
    finally:
        log.unlink()
    lines = [line for line in text.splitlines() if line.startswith(("rule ", "localrule "))]
    rules = {line.split()[1].rstrip(":") for line in lines} - {"all"}
    return Planned(rules, text, failed=status != 0)


def _status(arguments: list[str]) -> int:
    try:
        snakemake.cli.main(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@contextlib.contextmanager
def _output_to(descriptor: int):
    kept = [os.dup(1), os.dup(2)]
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        for place, earlier in zip((1, 2), kept, strict=True):
            os.dup2(earlier, place)


def _take_code_from(package: Path) -> None:
    provenance.PACKAGE_FOLDER = package
    for function in vars(provenance).values():
        if hasattr(function, "cache_clear") and function.__name__ != "_distributions":
            function.cache_clear()
