"""`loralab verify`: is every file of a run what it should be, and what is stale and why."""

import argparse
import os
from contextlib import suppress
from pathlib import Path

from loralab.commands.finished_run import folder_of, recorded_settings
from loralab.config import build
from loralab.config_file import default_threads, load_mapping, restore_types, validate
from loralab.errors import LoralabError
from loralab.provenance import MANIFEST, sha256_file
from loralab.stages.layout import Layout
from loralab.stages.steps import changes_of, expected_fingerprints, places_of, steps_of
from loralab.verification import (
    NEVER_RAN,
    examine,
    examine_as_recorded,
    strangers,
)


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Say what the command takes."""
    parser = commands.add_parser(
        "verify", help="is every file of a run what it should be; what is stale and why"
    )
    parser.add_argument("--run", type=Path, required=True, help="folder, as results/embedded")
    parser.add_argument(
        "--config",
        action="append",
        metavar="SOURCE",
        help="what the run should be made with: a YAML file or an inline mapping; repeat it, later "
        "over earlier, beginning with config.yaml (default: the project's file for the run)",
    )
    parser.set_defaults(act=verify)


def verify(options: argparse.Namespace) -> None:
    """Say of each stage whether it stands. Raises LoralabError where one must run again."""
    run = folder_of(options.run)
    sources = options.config or _config_of(run)
    layout, reasons = _by_config(run, sources) if sources else _by_record(run)
    basis = " over ".join(map(_name, reversed(sources))) if sources else "what its stages recorded"
    print(f"{options.run} against {basis}:")
    places = places_of(layout)
    width = max(map(len, places))
    for step, why in reasons.items():
        place = os.path.relpath(places[step])
        said = [f"{w}: {place} has no manifest.json" if w == NEVER_RAN else w for w in why]
        print(f"  {step:<{width}} {'; '.join(said) or 'sound'}")
    for path in strangers(places):
        print(f"  note: {os.path.relpath(path)} belongs to no stage: left over, or put there")
    stale = [step for step, why in reasons.items() if why]
    if stale:
        raise LoralabError(
            f"{options.run}: {len(stale)} of {len(reasons)} stages do not stand; "
            f"snakemake makes these again: {', '.join(stale)}"
        )
    print(f"sound; SHA-256 of {options.run / MANIFEST}, which names every file by its own:")
    print(sha256_file(run / MANIFEST))


def _config_of(run: Path) -> list[str]:
    """The project's configuration files that make an experiment of the run's name."""
    project = run.parent.parent
    default = project / "config.yaml"
    if not default.is_file():
        return []
    chains = [[default], *([default, path] for path in sorted(project.glob("experiments/*.yaml")))]
    for chain in chains:
        sources = [str(path) for path in chain]
        with suppress(LoralabError):  # a file that is damaged makes no experiment
            if load_mapping(sources).get("experiment") == run.name:
                return sources
    return []


def _by_config(run: Path, sources: list[str]) -> tuple[Layout, dict[str, list[str]]]:
    mapping = restore_types(load_mapping(sources))
    validate(mapping)
    if mapping["experiment"] != run.name:
        raise LoralabError(
            f"the configuration makes results/{mapping['experiment']}, not {run.name}; "
            "name the files of this run with --config"
        )
    layout = _layout(run, mapping)
    expected = expected_fingerprints(steps_of(mapping, layout), default_threads())
    return layout, examine(places_of(layout), expected)


def _by_record(run: Path) -> tuple[Layout, dict[str, list[str]]]:
    layout = _layout(run, recorded_settings(run))
    return layout, examine_as_recorded(places_of(layout), changes_of(layout))


def _layout(run: Path, settings: dict) -> Layout:
    config = build(settings | {"experiment": run.name})
    return Layout(config, results=run.parent, resources=run.parent.parent / "resources")


def _name(source: str) -> str:
    return source if source.lstrip().startswith("{") else os.path.relpath(source)
