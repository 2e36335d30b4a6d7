"""Where tensors live and how many threads work on them."""

import ctypes
from contextlib import suppress

import torch
from threadpoolctl import threadpool_limits

from loralab.errors import LoralabError


def use_threads(threads: int) -> None:
    """Let torch, and whatever else computes in this process, use this many CPU threads.

    The last bits of a sum depend on them: scikit-learn's, too, which would otherwise follow the
    machine.
    """
    torch.set_num_threads(threads)
    threadpool_limits(threads)


def give_freed_memory_back() -> None:
    """Let the system have what glibc or mimalloc, whichever is there, holds of freed memory."""
    for name, everything in (("malloc_trim", 0), ("mi_collect", True)):
        with suppress(AttributeError, OSError, TypeError):
            ctypes.CDLL(None)[name](everything)


def keep_freed_memory() -> None:
    """Let the C library keep the large blocks that are freed, for the next step to take.

    It gives them back to the system otherwise, which maps and clears their pages anew at each step:
    a tenth of a training's time. What is free at the moment of this call, after a model was built,
    is given back. Where the library is not glibc, nothing changes; `allocator.py` has a better one.
    """
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD in malloc.h
    give_freed_memory_back()
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(mmap_threshold, 32 * 2**20)  # the largest that glibc takes
        library.mallopt(trim_threshold, 2**31 - 1)


def choose_device(wanted: str) -> torch.device:
    """The device that `training.device` names; `auto` takes cuda, else mps, else the CPU.

    Raises LoralabError where the named one is not there.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if not present[wanted]:
        usable = ", ".join(name for name, there in present.items() if there)
        raise LoralabError(
            f"training.device is {wanted}, which PyTorch {torch.__version__} does not find on this "
            f"machine; usable here: {usable} (or auto)"
        )
    return torch.device(wanted)


def describe_device(device: torch.device) -> str:
    """The device as a report names it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def peak_device_memory(device: torch.device) -> int | None:
    """Largest memory in bytes that tensors took on a CUDA device, None elsewhere."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
