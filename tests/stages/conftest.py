"""Stages run as commands in a folder of their own, on a base model small enough for a test."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from loralab.config import build
from loralab.config_file import load_mapping, merge
from loralab.model.checkpoints import save_base
from loralab.model.gpt2 import GPT2, initialise
from loralab.model.shapes import GPT2Shape
from loralab.model.tokenizer import train_bpe, write_tokenizer
from loralab.stages.layout import Layout
from loralab.stages.runner import Job

CONFIG = str(Path(__file__).parents[2] / "config.yaml")
SMALL = {
    "data": {"embedded": {"messages": 20, "spam": 5}},
    "lora": {"rank": 2, "alpha": 4},
    "training": {"epochs": 1, "batch_size": 4, "max_length": 32, "device": "cpu"},
}
SHAPE = GPT2Shape(vocabulary=260, context=32, width=16, layers=2, heads=2)


@pytest.fixture
def run_stage(tmp_path: Path, small_config) -> Callable[..., subprocess.CompletedProcess]:
    """Run a stage as a command in `tmp_path`, with its log in the file `log`.

    `sabotage` is code that runs before it and finds the stage as `STAGE`, its module as `module`.
    """

    def run(name: str, *arguments: str, sabotage: str = "") -> subprocess.CompletedProcess:
        arguments = arguments or small_config()
        module = f"loralab.stages.{name}"
        code = f"import {module} as module\nSTAGE = module.STAGE\n{sabotage}\nmodule.main(STAGE)"
        start = ["-c", code] if sabotage else ["-m", module]
        command = [sys.executable, *start, *arguments, "--log", "log"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    return run


@pytest.fixture
def small_config() -> Callable[..., list[str]]:
    """The arguments that give a stage the small configuration with changes."""

    def arguments(**changes) -> list[str]:
        return ["--config", CONFIG, "--config", json.dumps(merge(SMALL, changes))]

    return arguments


@pytest.fixture
def files(tmp_path: Path) -> Callable[[], set[str]]:
    """What lies in `tmp_path`, the log aside."""

    def found() -> set[str]:
        paths = (path for path in tmp_path.rglob("*") if path.is_file())
        return {path.relative_to(tmp_path).as_posix() for path in paths} - {"log"}

    return found


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    """A stage's job in `tmp_path`, for calling its `run` without a command."""

    def build_job(**changes) -> Job:
        config = build(merge(load_mapping([CONFIG]), merge(SMALL, changes)))
        layout = Layout(config, tmp_path / "results", tmp_path / "resources")
        folder = tmp_path / "out"
        folder.mkdir()
        state = tmp_path / "state"
        return Job(config, layout, folder, threads=1, identity="a test", state=state)

    return build_job


@pytest.fixture
def new_base() -> Callable[..., GPT2]:
    def base(shape: GPT2Shape = SHAPE) -> GPT2:
        model = GPT2(shape)
        initialise(model, torch.Generator().manual_seed(1))
        return model

    return base


@pytest.fixture
def saved_base(new_base, tmp_path: Path) -> Path:
    """The tiny base model where the stages look for it."""
    folder = tmp_path / "resources" / "base" / "embedded-gpt2"
    folder.mkdir(parents=True)
    save_base(new_base(), folder)
    return folder


@pytest.fixture
def saved_tokenizer(tmp_path: Path) -> Callable[[int], Path]:
    """A tokenizer of a given size where the stages look for it."""

    def save(size: int = SHAPE.vocabulary) -> Path:
        folder = tmp_path / "resources" / "tokenizer" / "embedded-bpe"
        folder.mkdir(parents=True)
        write_tokenizer(train_bpe(["now call me now, call me"] * 9, size), folder)
        return folder

    return save


@pytest.fixture
def saved_splits(tmp_path: Path) -> Path:
    """Eight messages to train on and two to validate with, where the stages look for them."""
    folder = tmp_path / "results" / "embedded" / "split"
    folder.mkdir(parents=True)
    for name, n in {"train": 8, "validation": 2}.items():
        rows = [f"{i},{('ham', 'spam')[i % 2]},{'call me now'[i:]}" for i in range(n)]
        (folder / f"{name}.csv").write_text("\n".join(["id,label,text", *rows]) + "\n")
    return folder


@pytest.fixture
def ready_to_train(saved_base, saved_tokenizer, saved_splits, tmp_path: Path) -> None:
    """All that the stage `train` reads."""
    saved_tokenizer()
    check = tmp_path / "results" / "embedded" / "gradcheck" / "gradients.json"
    check.parent.mkdir(parents=True)
    check.write_text("{}")
