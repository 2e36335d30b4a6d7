"""What errors say, and which of them mean that memory ran out."""

import errno
import os

import pytest
import torch
from loralab.errors import LoralabError, explain, is_out_of_memory, raise_all


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 4 bytes"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_a_lack_of_memory_is_known_on_every_device(error, expected):
    assert is_out_of_memory(error) is expected


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_what_the_system_refuses_is_told_with_the_place_and_what_to_do(number):
    told = explain(OSError(number, os.strerror(number), "some/file"))
    assert told.startswith(f"some/file: {os.strerror(number)}; ")


def test_an_error_without_a_place_is_told_by_its_words():
    assert explain(OSError(errno.EIO, "Input/output error")) == "Input/output error"
    assert explain(OSError("no number")) == "no number"


def test_many_problems_are_listed_up_to_twenty():
    with pytest.raises(LoralabError) as caught:
        raise_all([f"problem {n}" for n in range(25)], "context")
    lines = str(caught.value).splitlines()
    assert lines[0] == "context:" and len(lines) == 22 and lines[-1] == "  - … and 5 more"
