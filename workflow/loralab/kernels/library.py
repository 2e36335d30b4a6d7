"""Passes over numbers as compiled loops: finds them, or has them compiled, and calls them.

`passes.py`, `adapters.py`, `attention.py` and `strips.py` have the loops, `compiler.py` compiles
them.

Compiled code lies where Python puts its own, in `__pycache__`, by what it follows from. Kernels run
in the threads that PyTorch has: others would take turns on the same cores with those, which stay
awake for a while. OpenMP's own entry for a parallel region calls them.
"""

import atexit
import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from array import array
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from importlib.util import cache_from_source
from pathlib import Path

import llvmlite.binding as llvm
import torch
from torch import Tensor

from loralab.errors import LoralabError
from loralab.kernels import (  # noqa: F401 (they declare the kernels)
    adapters,
    attention,
    passes,
    strips,
)
from loralab.kernels.declared import (
    KERNELS,
    OPENMP,
    Integers,
    Products,
    Whole,
    WholeProducts,
    Wide,
    argument_kinds,
)

SOURCES = Path(__file__).parent


class Library:
    """The kernels for two dtypes, of products and of all else, run by so many threads."""

    def __init__(self, products: torch.dtype, wide: torch.dtype, threads: int):
        self._threads = threads
        dtypes = {Products: products, Wide: wide, Integers: torch.int64}
        sizes = {kind: (dtype, dtype.itemsize) for kind, dtype in dtypes.items()}
        sizes |= {Whole: (wide, 0), WholeProducts: (products, 0)}  # no further for the next row
        openmp = ctypes.PyDLL(torch._C.__file__)
        self._run = openmp.GOMP_parallel
        self._run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        self._run.restype = None
        for name in OPENMP:
            address = ctypes.cast(getattr(openmp, name), ctypes.c_void_p).value
            llvm.add_symbol(name, address)
        self._engine = _load(_compiled(str(products)[6:], str(wide)[6:]))
        self._kernels = {
            name: (
                self._engine.get_function_address(name),
                [sizes.get(kind, (int, 0)) for kind in argument_kinds(function)],
            )
            for name, function in KERNELS.items()
        }

    def __call__(self, name: str, rows: int, *arguments: Tensor | int) -> None:
        """Run a kernel on so many rows: of matrices one after the other, of vectors the whole.

        Raises TypeError for an array of another dtype, or whose rows are not contiguous.
        """
        address, kinds = self._kernels[name]
        numbers = [rows]
        for argument, (dtype, size) in zip(arguments, kinds, strict=True):
            if dtype is int:
                numbers.append(argument)
                continue
            steps = argument.stride()
            if argument.dtype is not dtype:
                raise TypeError(f"{name}: an array of {argument.dtype}, not of {dtype}")
            if steps[-1] != 1:
                raise TypeError(f"{name}: an array whose rows do not lie in one piece")
            numbers.append(argument.data_ptr())
            numbers.append(steps[0] * size if len(steps) == 2 else 0)
        given = array("q", numbers)
        self._run(address, given.buffer_info()[0], self._threads, 0)


def _load(compiled: Path) -> llvm.ExecutionEngine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(compiled.read_bytes()))
    engine.finalize_object()
    return engine


def _compiled(products: str, wide: str) -> Path:
    """The file of compiled kernels, made where it is not there.

    Raises LoralabError where they cannot be compiled.
    """
    file = _cache_folder() / f"kernels.{products}-{wide}.{_digest()[:16]}.o"
    if not file.exists():
        command = [sys.executable, "-m", __name__, products, wide, str(file)]
        path = os.pathsep.join([str(SOURCES.parents[1]), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": path}  # these very sources
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            why = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise LoralabError(
                f"the fast path's kernels could not be compiled by Numba: {why[-1]}; "
                "LORALAB_COMPILE=0 does without them"
            )
    return file


def _cache_folder() -> Path:
    """Where Python puts this module's compiled code, or a folder of this process alone."""
    folder = Path(cache_from_source(__file__)).parent
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder if os.access(folder, os.W_OK) else _own_folder()


@lru_cache
def _own_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="loralab-kernels-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@lru_cache
def _digest() -> str:
    """Of all that compiled code follows from."""
    digest = hashlib.sha256()
    for source in sorted(SOURCES.glob("*.py")):
        digest.update(source.read_bytes())
    processor = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    digest.update(repr((version("numba"), version("llvmlite"), *processor)).encode())
    return digest.hexdigest()


@lru_cache
def library(products: torch.dtype, wide: torch.dtype, threads: int) -> Library:
    return Library(products, wide, threads)


def _main(products: str, wide: str, file: str) -> None:
    """Compile, in a process for it, so that this one never has a compiler's memory."""
    from loralab.kernels.compiler import compile_kernels

    partial = Path(f"{file}.{os.getpid()}")
    partial.write_bytes(compile_kernels(products, wide))
    partial.replace(file)


if __name__ == "__main__":
    _main(*sys.argv[1:])
