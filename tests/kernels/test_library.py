"""Kernels are compiled once for what they follow from; what goes wrong is said in a line."""

import subprocess
import sys

import pytest
import torch
from loralab.errors import LoralabError
from loralab.kernels import library as module
from loralab.kernels.library import Library, library


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty folder for compiled code, and the compilations that took place."""
    monkeypatch.setattr(module, "_cache_folder", lambda: tmp_path)
    commands, run = [], subprocess.run

    def counted(command, **options):
        commands.append(command)
        return run(command, **options)

    monkeypatch.setattr(module.subprocess, "run", counted)
    return tmp_path, commands


def works(kernels):
    x, into = torch.ones(3, 5), torch.empty(3, 5)
    kernels("gelu", 3, 5, x, into)
    return torch.allclose(into, torch.nn.functional.gelu(x, approximate="tanh"))


def test_kernels_are_compiled_once_and_again_for_another_source(cache, monkeypatch):
    folder, commands = cache
    assert works(Library(torch.float32, torch.float32, 1))
    assert works(Library(torch.float32, torch.float32, 2))
    assert len(commands) == 1 and len(list(folder.iterdir())) == 1
    monkeypatch.setattr(module, "_digest", lambda: "0" * 64)
    assert works(Library(torch.float32, torch.float32, 1))
    assert len(commands) == 2


def test_a_compilation_that_fails_is_reported_and_leaves_nothing(cache, monkeypatch):
    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    with pytest.raises(LoralabError, match="compil"):
        Library(torch.float32, torch.float32, 1)
    assert not list(cache[0].iterdir())


def test_compiled_code_lies_where_python_puts_its_own_or_where_this_process_may(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(module.sys, "pycache_prefix", str(tmp_path))
    folder = module._cache_folder()
    assert tmp_path in folder.parents and folder.is_dir()
    monkeypatch.setattr(module.os, "access", lambda *_: False)
    other = module._cache_folder()
    assert tmp_path not in other.parents and other.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (torch.ones(3, 5, dtype=torch.float64), "torch.float64, not of torch.float32"),
        (torch.ones(5, 3).t(), "rows"),
    ],
)
def test_an_array_that_a_kernel_cannot_read_is_refused(array, message):
    kernels = library(torch.float32, torch.float32, 1)
    with pytest.raises(TypeError, match=message):
        kernels("gelu", 3, 5, array, torch.empty(3, 5))


def test_results_do_not_depend_on_the_number_of_threads():
    x = torch.linspace(-3, 3, 7 * 33).view(7, 33)
    into = [torch.empty_like(x) for _ in range(3)]
    for threads, y in zip((1, 2, 16), into, strict=True):
        library(torch.float32, torch.float32, threads)("gelu", 7, 33, x, y)
    assert torch.equal(into[0], into[1]) and torch.equal(into[0], into[2])


def test_training_does_not_load_the_compiler():
    code = (
        "import sys, torch; from loralab.kernels.library import library; "
        "library(torch.float32, torch.float32, 1); print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
