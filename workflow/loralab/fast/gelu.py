"""GELU in its tanh form, forward and backward, by what is quickest for a dtype and a device.

- bf16 on CPUs: oneDNN's GELU forward, which takes a third of the time of PyTorch's; PyTorch's own
  backward. Either is one pass, and rounds once.
- other dtypes on CPUs: by way of σ, which PyTorch computes several times faster than its GELU.
- GPUs: PyTorch's own.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from loralab.fast.machine import has_onednn_bf16
from loralab.fast.products import ExtendedWeight, Input, LaidOutWeight

_LINEAR = 2 * math.sqrt(2 / math.pi)  # GELU's tanh form is h·σ(2√(2/π)·(h + 0.044715·h³))
_CUBIC = 0.044715 * _LINEAR
_ROWS = 64  # at a time, of which a core's cache holds what is computed on the way


def activate(
    h: Tensor, following: ExtendedWeight | LaidOutWeight, wants_slope: bool
) -> tuple[Input, Tensor]:  # (N, 4C)
    """GELU of h as an input of the product that follows; what its backward pass needs, if that is
    wanted.
    """
    if h.dtype == torch.bfloat16 and not h.is_cuda:
        return following.take(_gelu_in_bf16(h)), h
    room = following.room(h.shape[0])
    if wants_slope and _keeps_slope(h):
        return room, _put_gelu(h, room.x)
    torch.ops.aten.gelu.out(h, approximate="tanh", out=room.x)
    return room, h


def activate_backward(dactive: Tensor, saved: Tensor) -> Tensor:  # (N, 4C) -> (N, 4C)
    """The gradient of GELU's input."""
    if _keeps_slope(dactive):
        return dactive.mul_(saved)
    return torch.ops.aten.gelu_backward.default(dactive, saved, approximate="tanh")


def _keeps_slope(h: Tensor) -> bool:
    """Whether the derivative is kept for the backward pass, in place of h."""
    return not h.is_cuda and h.dtype != torch.bfloat16


def _gelu_in_bf16(h: Tensor) -> Tensor:  # (N, 4C) -> (N, 4C)
    """By oneDNN, which has GELU only as what follows a product: here a convolution of one place
    that multiplies each channel by 1.
    """
    if not has_onednn_bf16():
        return functional.gelu(h, approximate="tanh")
    rows, width = h.shape
    image = h.view(1, 1, rows, width).permute(0, 3, 1, 2)  # a batch of one, channels last
    one_by_one = [0, 0], [1, 1], [1, 1]  # padding, stride, dilation
    active = torch.ops.mkldnn._convolution_pointwise.default(
        image, _ones(width), None, *one_by_one, width, "gelu", [], "tanh"
    )
    return active.permute(0, 2, 3, 1).view(rows, width)


@lru_cache(maxsize=1)
def _ones(width: int) -> Tensor:
    return torch.ones(width, 1, 1, 1, dtype=torch.bfloat16)


def _put_gelu(h: Tensor, into: Tensor) -> Tensor:
    """Put GELU of h (N, 4C) into `into`; its derivative."""
    slope = torch.empty_like(h)
    for parts in zip(*(whole.split(_ROWS) for whole in (h, into, slope)), strict=True):
        _put_gelu_and_slope(*parts)
    return slope


def _put_gelu_and_slope(h: Tensor, into: Tensor, slope: Tensor) -> None:
    """Put GELU of h into `into`, and its derivative there into `slope`.

    With z = h·(2√(2/π) + c·h²), GELU is h·σ(z), and its derivative
    σ(z) + 3·(z - ⅔·2√(2/π)·h)·σ'(z).
    """
    z = torch.addcmul(h.new_full((1,), _LINEAR), h, h, value=_CUBIC).mul_(h)
    torch.mul(h, torch.sigmoid(z, out=slope), out=into)
    z.add_(h, alpha=-2 / 3 * _LINEAR)
    slope.add_(torch.ops.aten.sigmoid_backward(z, slope), alpha=3)
