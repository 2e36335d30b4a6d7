"""The same numbers as loralib, the reference implementation of the paper's authors."""

import loralib
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loralab.model.lora import LoRALinear, merge
from torch import nn

sides = st.integers(1, 48)


def _drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(sides, sides, st.integers(1, 8), st.integers(1, 64), st.integers(0, 99))
def test_forward_and_merged_weight_are_those_of_loralib(inputs, outputs, rank, alpha, seed):
    theirs = loralib.Linear(inputs, outputs, r=rank, lora_alpha=alpha)
    ours = LoRALinear(nn.Linear(inputs, outputs), rank, alpha)
    with torch.no_grad():
        for place, (mine, other) in enumerate(
            [
                (ours.base.weight, theirs.weight),
                (ours.base.bias, theirs.bias),
                (ours.lora_A, theirs.lora_A),
                (ours.lora_B, theirs.lora_B),
            ]
        ):
            drawn = _drawn(seed + place, *mine.shape)
            mine.copy_(drawn)
            other.copy_(drawn)
    x = _drawn(seed + 9, 5, inputs)
    tolerance = {"atol": 1e-5 * alpha, "rtol": 1e-5}
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), **tolerance)
        theirs.eval()
        merge(nn.Sequential(ours))
        torch.testing.assert_close(ours.weight, theirs.weight, **tolerance)
        torch.testing.assert_close(ours(x), theirs(x), **tolerance)


@pytest.mark.parametrize("enabled", [[True, True, True], [True, False, True], [False, True, False]])
def test_query_key_and_value_apart_are_loralibs_merged_linear(enabled):
    width, rank = 12, 3
    theirs = loralib.MergedLinear(width, 3 * width, r=rank, lora_alpha=6, enable_lora=enabled)
    with torch.no_grad():
        theirs.lora_B.copy_(_drawn(1, *theirs.lora_B.shape))
    x = _drawn(2, 4, width)
    parts, adapted = [], 0
    for place in range(3):
        layer = nn.Linear(width, width)
        rows = slice(place * width, (place + 1) * width)
        layer.weight.data, layer.bias.data = theirs.weight[rows].data, theirs.bias[rows].data
        if enabled[place]:
            layer = LoRALinear(layer, rank, 6)
            layer.lora_A.data = theirs.lora_A[adapted * rank : (adapted + 1) * rank].data
            layer.lora_B.data = theirs.lora_B[adapted * width : (adapted + 1) * width].data
            adapted += 1
        parts.append(layer(x))
    torch.testing.assert_close(torch.cat(parts, dim=-1), theirs(x), atol=1e-5, rtol=1e-5)


def test_what_loralib_marks_as_trainable_is_what_we_train():
    theirs, ours = loralib.Linear(6, 5, r=2), LoRALinear(nn.Linear(6, 5), 2, 1)
    loralib.mark_only_lora_as_trainable(theirs)
    trained = {name for name, parameter in theirs.named_parameters() if parameter.requires_grad}
    assert trained == {name for name, p in ours.named_parameters() if p.requires_grad}
