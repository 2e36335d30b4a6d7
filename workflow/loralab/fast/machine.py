"""What the machine is good at, and so in which dtype the large products are computed."""

import ctypes
import os
from functools import lru_cache
from importlib.util import find_spec

import torch


def products_dtype(precision: str, device: torch.device) -> tuple[torch.dtype, str]:
    """The dtype of products and frozen weights for `training.precision`, and why in a few words.

    On a CPU without bf16 instructions bf16 products are tens of times slower than float32 ones:
    there the weights, rounded to bf16 all the same, are kept and multiplied in float32.
    """
    if precision == "float32":
        return torch.float32, "float32 asked for"
    if device.type != "cpu":
        return torch.bfloat16, "bf16 on the GPU"
    if _may_use("AMX", torch.cpu._is_amx_tile_supported()):
        return torch.bfloat16, "bf16 by AMX"
    if _may_use("BF16", torch.cpu._is_avx512_bf16_supported()):
        return torch.bfloat16, "bf16 by AVX512"
    return torch.float32, "this CPU has no bf16 instructions: float32"


def rows_multiple(dtype: torch.dtype) -> int:
    """To what the rows of a batch are rounded up for products of this dtype.

    oneDNN, which multiplies in bf16, prepares a product anew for each number of rows, and keeps
    what it prepared: with GPT-2 124M some 15 MB for each. Few different ones, then, and of whole
    AMX tiles.
    """
    return 32 if dtype == torch.bfloat16 else 1


def has_onednn_bf16() -> bool:
    """Whether oneDNN computes in bf16 on this CPU, be it by way of float32."""
    available = torch.backends.mkldnn.is_available()
    return available and _may_use("AVX512", torch.ops.mkldnn._is_mkldnn_bf16_supported())


def has_avx512() -> bool:
    """Whether compiled loops may compute by vectors of 512 bits, as PyTorch does."""
    return torch.backends.cpu.get_cpu_capability() == "AVX512"


@lru_cache
def can_compile(device: torch.device) -> bool:
    """Whether the passes between products can be compiled loops: on a CPU, where there are Numba
    and the OpenMP whose threads run them, GNU's or Intel's, unless LORALAB_COMPILE=0 forbids it.
    """
    if device.type != "cpu" or os.environ.get("LORALAB_COMPILE") == "0":
        return False
    if not (find_spec("numba") and find_spec("llvmlite")):
        return False
    return hasattr(ctypes.PyDLL(torch._C.__file__), "GOMP_parallel")


def _may_use(instructions: str, is_present: bool) -> bool:
    """Whether the CPU has these instructions and oneDNN, which multiplies, may use them."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", "ALL")).upper()
    return is_present and (limit in ("ALL", "DEFAULT") or instructions in limit or "AMX" in limit)
