"""The dtype of the products follows from what the CPU has and oneDNN may use."""

import pytest
import torch
from loralab.fast import machine
from loralab.fast.machine import can_compile, has_avx512, products_dtype, rows_multiple

CPU = torch.device("cpu")


@pytest.fixture
def cpu(monkeypatch):
    """A CPU with these instructions, and a limit on what oneDNN may use."""

    def has(amx: bool, bf16: bool, limit: str | None = None):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
        for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
            monkeypatch.delenv(name, raising=False)
        if limit:
            monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
        return products_dtype("bf16", CPU)

    return has


def test_bf16_is_multiplied_in_bf16_where_the_cpu_can(cpu):
    assert cpu(amx=True, bf16=True) == (torch.bfloat16, "bf16 by AMX")
    assert cpu(amx=False, bf16=True) == (torch.bfloat16, "bf16 by AVX512")
    dtype, reason = cpu(amx=False, bf16=False)
    assert dtype == torch.float32 and "no bf16 instructions" in reason


@pytest.mark.parametrize(
    ("limit", "dtype"),
    [
        ("AVX512_CORE", torch.float32),
        ("avx2", torch.float32),
        ("AVX512_CORE_BF16", torch.bfloat16),
        ("AVX512_CORE_AMX", torch.bfloat16),
        ("DEFAULT", torch.bfloat16),
    ],
)
def test_what_onednn_may_not_use_is_not_counted_on(cpu, limit, dtype):
    assert cpu(amx=True, bf16=True, limit=limit)[0] == dtype


def test_float32_stays_float32_and_a_gpu_has_bf16(cpu):
    assert products_dtype("float32", CPU)[0] == torch.float32
    cpu(amx=False, bf16=False)
    assert products_dtype("bf16", torch.device("cuda"))[0] == torch.bfloat16


def test_rows_are_rounded_up_where_onednn_multiplies():
    assert rows_multiple(torch.bfloat16) == 32
    assert rows_multiple(torch.float32) == rows_multiple(torch.float64) == 1


def test_vectors_are_as_wide_as_pytorchs(monkeypatch):
    for capability, wide in (("AVX512", True), ("AVX2", False), ("DEFAULT", False)):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda c=capability: c)
        assert has_avx512() is wide


def test_loops_are_compiled_on_cpus_where_there_are_numba_and_a_known_openmp(monkeypatch):
    can_compile.cache_clear()
    assert can_compile(CPU)
    assert not can_compile(torch.device("cuda"))
    for name, value in (("find_spec", lambda name: None), ("ctypes", NoOpenMP)):
        can_compile.cache_clear()
        with monkeypatch.context() as patched:
            patched.setattr(machine, name, value)
            assert not can_compile(CPU)
    can_compile.cache_clear()
    monkeypatch.setenv("LORALAB_COMPILE", "0")
    assert not can_compile(CPU)
    can_compile.cache_clear()


class NoOpenMP:
    """In place of ctypes: a library without an entry for parallel regions."""

    @staticmethod
    def PyDLL(path):
        return object()
