"""The machine: its names, and how fast it multiplies matrices of the model's shapes."""

import os
import platform
import signal
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from benchmarks.conditions import Conditions
from benchmarks.worker import SPAWN

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
SHAPES = ((768, 2304), (768, 3072), (3072, 768))  # (in, out) of GPT-2 124M's wide layers
ROWS = {"cpu": (256, 1024), "cuda": (2048, 16384)}
SECONDS = 0.1  # of repetitions per shape
TELLING_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16", "asimd", "bf16")


def describe_machine(conditions: Conditions) -> dict:
    """Processor, instruction sets, GPU, versions, date and load."""
    on_gpu = conditions.device == "cuda"
    flags = (_cpuinfo("flags") or _cpuinfo("Features") or "").split()
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "processor": _cpuinfo("model name") or platform.processor() or platform.machine(),
        "instructions": [flag for flag in TELLING_FLAGS if flag in flags],
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if on_gpu else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load_average_at_start": round(os.getloadavg()[0], 2),
    }


def _cpuinfo(field: str) -> str | None:
    """The first processor's value of a field, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    values = [
        line.partition(":")[2].strip() for line in lines if line.split(":")[0].strip() == field
    ]
    return values[0] if values else None


class MatrixRates:
    """The best GFLOP/s of a matrix product by precision, measured in a process of its own.

    Each call of `measure` may better them: a shared machine is not equally quiet at all times.
    """

    def __init__(self, conditions: Conditions):
        self.conditions = conditions
        # The parent ends the process; an interrupt from the keyboard reaches it, too.
        ignore = {"initializer": signal.signal, "initargs": (signal.SIGINT, signal.SIG_IGN)}
        self.pool = ProcessPoolExecutor(1, mp_context=SPAWN, **ignore)
        self.best = dict.fromkeys(DTYPES, 0.0)

    def __enter__(self) -> "MatrixRates":
        return self

    def __exit__(self, *_) -> None:
        self.pool.shutdown()

    def measure(self) -> None:
        """Measure once more."""
        found = self.pool.submit(_measure, self.conditions).result()
        self.best = {name: max(rate, found[name]) for name, rate in self.best.items()}


def _measure(conditions: Conditions) -> dict[str, float]:
    torch.set_num_threads(conditions.threads)
    device = torch.device(conditions.device)
    shapes = [(rows, *shape) for rows in ROWS[device.type] for shape in SHAPES]
    return {
        name: max(_rate(*shape, dtype, device) for shape in shapes)
        for name, dtype in DTYPES.items()
    }


def _rate(rows: int, width: int, out: int, dtype: torch.dtype, device: torch.device) -> float:
    """GFLOP/s of the product (rows, width) by (width, out), warm."""
    x = torch.randn(rows, width, device=device, dtype=dtype)
    weight = torch.randn(out, width, device=device, dtype=dtype)
    seconds = _fastest(lambda: torch.nn.functional.linear(x, weight), device.type == "cuda")
    return 2 * rows * width * out / seconds / 1e9


def _fastest(call: Callable[[], object], on_gpu: bool) -> float:
    """Seconds of a call at its fastest among as many as fill the time, but for the first."""
    calls = 20 if on_gpu else 1  # that are clocked together: a launch must not count
    finish = torch.cuda.synchronize if on_gpu else lambda: None
    call()
    finish()
    times: list[float] = []
    while calls * sum(times) < SECONDS:
        started = time.perf_counter()
        for _ in range(calls):
            call()
        finish()
        times.append((time.perf_counter() - started) / calls)
    return min(times)
