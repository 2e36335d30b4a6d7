"""pyproject.toml, requirements and environment.yml say the same."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pinned(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def test_every_requirement_is_pinned_to_one_version():
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = (ROOT / name).read_text().splitlines()
        kept = [line for line in lines if not line.startswith(("#", "-r "))]
        assert kept and all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", line) for line in kept)


def test_pins_satisfy_what_the_package_declares():
    versions = pinned("requirements.txt") | pinned("requirements-dev.txt")
    for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(versions[requirement.name]), line


def test_runtime_dependencies_are_in_requirements_txt():
    versions = pinned("requirements.txt")
    assert versions["torch"] == "2.13.0"
    assert {Requirement(line).name for line in PROJECT["dependencies"]} <= versions.keys()


def test_the_conda_environment_installs_the_same_pins_on_a_python_that_the_package_allows():
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    python = next(d for d in dependencies if isinstance(d, str) and d.startswith("python="))
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.partition("=")[2])
    pip = next(d["pip"] for d in dependencies if isinstance(d, dict))
    assert pip == ["-r requirements.txt", "-e ."]
