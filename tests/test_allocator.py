"""Training processes allocate by mimalloc, and compute with it what they compute without."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from loralab.allocator import mimalloc_environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux preloads it")

ROOT = Path(__file__).parents[1]
LOADED = "print('libmimalloc' in open('/proc/self/maps').read())"
# A training whose blocks are large enough for either allocator to take them from its large ones.
TRAINING = """
import hashlib, sys, numpy as np, torch
from loralab.config import Lora, Training, build
from loralab.config_file import load_mapping
from loralab.model.classifier import add_adapters, add_head
from loralab.model.gpt2 import GPT2, initialise
from loralab.model.lora import adapter_state
from loralab.model.shapes import GPT2Shape
from loralab.training.batches import EncodedTexts
from loralab.training.labelled import LabelledTexts
from loralab.training.loop import train_classifier

torch.set_num_threads(2)
drawn = np.random.default_rng(3)
texts = EncodedTexts.from_lists(drawn.integers(0, 511, n).tolist() for n in range(20, 100))
defaults, precision = load_mapping(["config.yaml"]), sys.argv[1]
model = GPT2(GPT2Shape(vocabulary=512, context=128, width=128, layers=2, heads=4), 0.1)
initialise(model, torch.Generator().manual_seed(1))
if precision == "bf16":
    model.bfloat16()
add_adapters(model, build(defaults["lora"], Lora), seed=2)
add_head(model, 2, True, seed=2)
changes = {"engine": "fast", "precision": precision, "dropout": 0.1, "epochs": 1}
settings = build(defaults["training"] | changes, Training)
train_classifier(model, LabelledTexts(texts, np.arange(80) % 2), None, settings, seed=1)
values = b"".join(tensor.numpy().tobytes() for tensor in adapter_state(model).values())
print(hashlib.sha256(values).hexdigest())
"""

# 200 MB taken and freed: MiB that the system gets of it by itself, and when it is given back.
FREED = """
import time, torch
from loralab.model.devices import give_freed_memory_back, keep_freed_memory

def resident():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024

keep_freed_memory()
blocks = [torch.ones(1_000_000 + n) for n in range(50)]
full = resident()
del blocks
time.sleep(1.5)  # mimalloc would give it back after a second
for _ in range(3):
    torch.ones(2_000_000)
kept = resident()
give_freed_memory_back()
print(full - kept, kept - resident())
"""


def said(program: str, *arguments: str, environment: dict[str, str]) -> str:
    """What a Python program prints that is run in this environment."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.strip()


@pytest.fixture
def plain(monkeypatch) -> dict[str, str]:
    """This environment with nothing preloaded."""
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    monkeypatch.delenv("MIMALLOC_PURGE_DELAY", raising=False)
    return dict(os.environ)


def test_a_process_in_its_environment_allocates_by_mimalloc(plain):
    assert said(LOADED, environment=plain) == "False"
    assert said(LOADED, environment=plain | mimalloc_environment(plain)) == "True"


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_training_ends_in_the_same_bits_by_either_allocator(plain, precision):
    preloaded = plain | mimalloc_environment(plain)
    found = {said(TRAINING, precision, environment=each) for each in (plain, preloaded)}
    assert len(found) == 1


@pytest.mark.parametrize("preloads", [False, True])
def test_freed_memory_is_kept_until_it_is_given_back(plain, preloads):
    more = mimalloc_environment(plain) if preloads else {}
    lost, given_back = map(int, said(FREED, environment=plain | more).split())
    assert lost < 20 and given_back > 150


@pytest.mark.parametrize("chosen", ["", "/usr/lib/libjemalloc.so.2"])
def test_whoever_has_set_what_is_preloaded_is_left_alone(chosen):
    assert mimalloc_environment({"LD_PRELOAD": chosen}) == {}


def test_a_delay_that_is_set_already_stays():
    assert set(mimalloc_environment({"MIMALLOC_PURGE_DELAY": "0"})) == {"LD_PRELOAD"}


def test_where_mimalloc_is_not_installed_nothing_is_preloaded(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", missing)
    assert mimalloc_environment({}) == {}


@pytest.mark.parametrize(
    ("folder", "preloads"), [("plain", True), ("with blank", False), ("with:colon", False)]
)
def test_a_path_that_the_loader_would_cut_in_two_is_not_preloaded(
    tmp_path, monkeypatch, folder, preloads
):
    library = tmp_path / folder / "libmimalloc.so"
    library.parent.mkdir()
    library.touch()
    monkeypatch.setattr(metadata, "files", lambda name: [metadata.PackagePath(library.name)])
    monkeypatch.setattr(metadata.PackagePath, "locate", lambda self: library, raising=False)
    assert bool(mimalloc_environment({})) == preloads


def test_where_its_file_is_gone_nothing_is_preloaded(monkeypatch):
    monkeypatch.setattr(metadata, "files", lambda name: [metadata.PackagePath("libmimalloc.so")])
    monkeypatch.setattr(
        metadata.PackagePath, "locate", lambda self: "/gone/libmimalloc.so", raising=False
    )
    assert mimalloc_environment({}) == {}
