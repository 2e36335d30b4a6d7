"""A contestant in a process of its own, so that its peak memory is its own."""

import ctypes
import multiprocessing
import os
import resource
import signal
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from loralab.allocator import mimalloc_environment
from loralab.model.devices import give_freed_memory_back
from loralab.training.labelled import LabelledTexts

from benchmarks.conditions import Conditions
from benchmarks.contestants import CONTESTANTS

SPAWN = multiprocessing.get_context("spawn")


class ContestantFailed(Exception):
    """Why a contestant could not be built or go on, in one line."""


class Worker:
    """The parent's end: starts the process, waits until the contestant is built, hands it work."""

    def __init__(self, name: str, train: LabelledTexts, conditions: Conditions):
        self.pipe, theirs = SPAWN.Pipe()
        arguments = (theirs, name, train, conditions)
        self.process = SPAWN.Process(target=_work, args=arguments, daemon=True)
        with patch.dict(os.environ, _environment(name)):
            self.process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self.details = self._answer()

    def take(self, batches: list[np.ndarray]) -> dict:
        """One optimiser step on each batch: `seconds`, and `peak_memory_bytes` until then."""
        with suppress(OSError):  # where the process is gone, the answer says how it ended
            self.pipe.send(batches)
        return self._answer()

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.join()

    def _answer(self) -> dict:
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            raise ContestantFailed(
                f"its process ended with status {self.process.exitcode}"
                + (" (killed: memory ran out?)" if self.process.exitcode == -9 else "")
            ) from None
        if "failure" in answer:
            raise ContestantFailed(answer["failure"])
        return answer


def _environment(name: str) -> dict[str, str]:
    """What is set for the process: for loralab's what its pipeline sets for its jobs."""
    ours = CONTESTANTS[name].family == "loralab"
    return mimalloc_environment(os.environ) if ours else {}


def _work(pipe: Connection, name: str, train: LabelledTexts, conditions: Conditions) -> None:
    """The process: build, then take batches until stopped."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    torch.set_num_threads(conditions.threads)
    on_gpu = conditions.device == "cuda"
    try:
        loop = CONTESTANTS[name].build(train, conditions)
        _forget_peak_memory(on_gpu)
        pipe.send(getattr(loop, "details", {}) | {"allocator": _allocator_in_use()})
        while True:
            pipe.send(_timed(loop, pipe.recv(), on_gpu))
            give_freed_memory_back()  # for others to compute in while this one waits
    except EOFError:
        return  # the parent is gone
    except Exception as error:  # whatever a package raises is for the parent to tell
        reason = " ".join(str(error).split()) or "no reason given"
        pipe.send({"failure": f"{type(error).__name__}: {reason[:300]}"})


def _allocator_in_use() -> str:
    return "mimalloc" if hasattr(ctypes.CDLL(None), "mi_version") else "the C library's"


def _timed(loop, batches: list[np.ndarray], on_gpu: bool) -> dict:
    if not on_gpu:
        loop.take(batches[-1:])  # the largest: takes again what memory was given back
    _synchronise(on_gpu)
    started = time.perf_counter()
    loop.take(batches)
    _synchronise(on_gpu)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak_memory_bytes": _peak_memory(on_gpu)}


def _synchronise(on_gpu: bool) -> None:
    if on_gpu:
        torch.cuda.synchronize()


def _forget_peak_memory(on_gpu: bool) -> None:
    """Count the peak from here on: building a model may take more than training it."""
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):  # Linux alone has it; elsewhere building counts
        Path("/proc/self/clear_refs").write_text("5")


def _peak_memory(on_gpu: bool) -> int:
    """Bytes: what tensors took of the GPU, else what was resident of this process."""
    if on_gpu:
        return torch.cuda.max_memory_allocated()
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
