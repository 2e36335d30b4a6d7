"""Each kernel against PyTorch, over outputs that are not a number before, for awkward sizes."""

import math

import numpy as np
import pytest
import torch
from loralab.kernels.adapters import PART, SCRATCH, TILE
from loralab.kernels.declared import MOST_SHARES
from loralab.kernels.library import library
from torch.nn import functional

THREADS = 2
EVERYTHING = (0, 0, 0)  # dropout's keys and threshold where nothing is dropped
DTYPES = {"float64": torch.float64, "float32": torch.float32, "bf16": torch.bfloat16}
ROUNDING = {torch.float64: 1e-12, torch.float32: 3e-6, torch.bfloat16: 2**-8}
SIZES = [(1, 1), (3, 17), (5, TILE - 1), (9, TILE), (4, 2 * TILE + 5)]  # rows, width


@pytest.fixture(params=DTYPES)
def products(request):
    return DTYPES[request.param]


@pytest.fixture
def wide(products):
    return torch.promote_types(products, torch.float32)


@pytest.fixture
def run(products, wide):
    return library(products, wide, THREADS)


@pytest.fixture
def drawn():
    generator = torch.Generator().manual_seed(1)

    def draw(*shape, dtype):
        """Rows that lie apart, as those of a part of a matrix do."""
        *rest, width = shape
        whole = torch.randn(*rest, width + 3, generator=generator, dtype=torch.float64).to(dtype)
        return whole[..., :width] if rest else whole[:width].clone()

    return draw


def nothing(*shape, dtype):
    return torch.full(shape, torch.nan, dtype=dtype)


def close(found, expected, times=1.0):
    limit = times * ROUNDING[found.dtype]
    torch.testing.assert_close(found.double(), expected.double(), rtol=limit, atol=limit)


@pytest.mark.parametrize(("rows", "width"), SIZES)
def test_gelu_and_its_gradient(run, products, drawn, rows, width):
    h = (3 * drawn(rows, width, dtype=products)).detach()
    dactive = drawn(rows, width, dtype=products)
    exact = h.double().requires_grad_()
    functional.gelu(exact, approximate="tanh").backward(dactive.double())
    active, dh = (nothing(rows, width, dtype=products) for _ in range(2))
    run("gelu", rows, width, h, active)
    run("gelu_backward", rows, width, dactive, h, dh)
    close(active, functional.gelu(exact, approximate="tanh").detach(), 2)
    close(dh, exact.grad, 2)


def test_in_bf16_gelu_of_every_number_is_rounded_once():
    h = torch.arange(2**16, dtype=torch.int32).to(torch.int16).view(torch.bfloat16).view(-1, 64)
    active, slope = torch.empty_like(h), torch.empty_like(h)
    run = library(torch.bfloat16, torch.float32, THREADS)
    run("gelu", len(h), 64, h, active)
    run("gelu_backward", len(h), 64, torch.ones_like(h), h, slope)
    exact = h.double().requires_grad_()
    expected = functional.gelu(exact, approximate="tanh")
    expected.sum().backward()
    plain = (h > -5) & (h.abs() > 2**-120) & h.isfinite()
    expected, found = expected.detach(), active.double()
    error = (found - expected).abs()[plain] / expected.abs()[plain]
    assert error.max() < 2**-8
    assert (found - expected).abs()[h <= -5].nan_to_num().max() < 1e-5
    finite = h.isfinite() & (h.abs() < 2**40)  # beyond, the cube of h is not finite
    assert (slope.double() - exact.grad).abs()[finite].max() < 2**-8
    assert active[h.isnan()].isnan().all() and slope[h.isnan()].isnan().all()


@pytest.mark.parametrize(("rows", "width"), SIZES)
def test_norm_and_its_gradient(run, products, wide, drawn, rows, width):
    x, dx = (drawn(rows, width, dtype=wide) for _ in range(2))
    weight, bias = (drawn(width, dtype=wide) for _ in range(2))
    dy = drawn(rows, width, dtype=products)
    epsilon = torch.tensor([1e-5], dtype=wide)
    y, into = nothing(rows, width, dtype=products), nothing(rows, width, dtype=wide)
    mean, scale = (nothing(rows, 1, dtype=wide) for _ in range(2))
    run("norm", rows, width, x, weight, bias, epsilon, y, mean, scale)
    run("norm_backward", rows, width, dy, x, weight, mean, scale, dx, into)
    exact = x.double().requires_grad_()
    expected = functional.layer_norm(
        exact, (width,), weight.double(), bias.double(), epsilon.item()
    )
    expected.backward(dy.double())
    close(y, expected.detach(), 4)
    close(into, exact.grad + dx.double(), 100 if width > 1 else 1e3)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("width", [1000, 999])
def test_dropout_drops_its_share_scales_up_the_rest_and_is_the_same_again(
    run, products, wide, share, width
):
    threshold = round(share * 2**16) << 16
    selection = (123456789, 987654321, threshold)
    rows = 1001
    x = torch.full((rows, width), 2.0, dtype=wide)
    zero = torch.zeros_like(x)
    into, total = (nothing(rows, width, dtype=wide) for _ in range(2))
    back = nothing(rows, width, dtype=products)
    run("dropped", rows, width, x, into, *selection)
    run("added", rows, width, zero, x.to(products), total, *selection)
    run("dropped_backward", rows, width, x, back, *selection)
    assert (into == 0).double().mean().item() == pytest.approx(share, abs=3e-3)
    scale = 1 / (1 - threshold / 2**32)
    assert into.unique().tolist() == pytest.approx([0.0, 2 * scale])
    assert torch.equal(total, into) and torch.equal(back, into.to(products))


def selected(rows, width, key, other_key, share=0.5):
    ones = torch.ones(rows, width)
    into = torch.empty_like(ones)
    run = library(torch.float32, torch.float32, THREADS)
    run("dropped", rows, width, ones, into, key, other_key, round(share * 2**16) << 16)
    return (into > 0).double()


def test_selections_are_not_correlated_with_neighbours_nor_with_those_of_other_keys():
    keys = [(1, 2), (2, 2), (1, 3), (2**31, 2), (1, 2**31 + 2), (1, 2 + 0x9E3779B9)]
    masks = [selected(512, 768, *pair) - 0.5 for pair in keys]
    limit = 4.5 / math.sqrt(masks[0].numel())  # standard deviations of a mean product
    one = masks[0].flatten() * 2
    for distance in (1, 2, 16, 384, 768):
        assert abs((one[distance:] * one[:-distance]).mean()) < limit
    for place, mask in enumerate(masks):
        assert abs(mask.mean() * 2) < limit
        for other in masks[:place]:
            assert abs((mask * other).mean() * 4) < limit
    by_row, by_column = (masks[0].sum(dim=d) / math.sqrt(s) * 2 for d, s in ((1, 768), (0, 512)))
    for sums in (by_row, by_column):
        assert sums.var().item() == pytest.approx(1, abs=6 * math.sqrt(2 / len(sums)))


LAYERS = {
    "one adapter": (40, [(4, 24, True)]),
    "three of several ranks over three tiles": (
        2 * TILE + 5,
        [(8, TILE + 3, True), (3, 7, True), (17, 2 * TILE, True)],
    ),
    "the second of two layers": (TILE, [(0, 11, False), (9, 12, True)]),
}


class Layer:
    """Numbers of a layer with adapters, as kernels want them; all in float64 besides."""

    def __init__(self, description, rows, products, wide, drawn):
        self.width, layers = description
        parts, first, column, start = [], 0, 0, 0
        for rank, outputs, has_adapter in layers:
            if has_adapter:
                parts.append((first, rank, column, outputs, start))
                first, start = first + rank, start + rank * outputs
            column += outputs
        assert len(parts[0]) == PART
        self.rank, self.outputs, self.each = first, column, parts
        self.parts = torch.tensor(parts).flatten()
        self.a = drawn(self.rank * self.width, dtype=wide)
        self.b = drawn(start, dtype=wide)
        self.x, self.dx = (drawn(rows, self.width, dtype=products) for _ in range(2))
        self.y, self.dy = (drawn(rows, self.outputs, dtype=products) for _ in range(2))
        self.low, self.dlow = (torch.randn(rows, self.rank, dtype=wide) for _ in range(2))
        self.bias = drawn(self.outputs, dtype=products)
        self.scratch = nothing(THREADS * SCRATCH, dtype=wide)

    def exact(self):
        """For each adapter its ranks, its columns, A, and the scaled B transposed."""
        whole = self.a.double().view(self.rank, self.width)
        for first, rank, column, outputs, start in self.each:
            ranks, columns = slice(first, first + rank), slice(column, column + outputs)
            b = self.b[start : start + rank * outputs].double().view(rank, outputs)
            yield ranks, columns, whole[ranks], b


@pytest.mark.parametrize(("rows", "has_bias"), [(1, 1), (2, 0), (7, 1), (16, 0)])
@pytest.mark.parametrize("layer", LAYERS)
def test_adapters_beside_a_product(run, products, wide, drawn, layer, rows, has_bias):
    of = Layer(LAYERS[layer], rows, products, wide, drawn)
    adapters, step = len(of.each), len(of.a) + len(of.b)
    y, dx = of.y.clone(), of.dx.clone()
    low, dlow = (nothing(rows, of.rank, dtype=wide) for _ in range(2))
    gradients = torch.ones(THREADS, step, dtype=wide)
    da, db = gradients[0, : len(of.a)], gradients[0, len(of.a) :]
    given = (adapters, of.parts)
    run(
        "adapter_inputs",
        rows,
        *(of.width, *given, of.x, of.x.stride(0), of.a, low, of.rank, of.scratch, *EVERYTHING),
    )
    run(
        "adapter_updates",
        rows,
        *(*given, of.low, of.rank, of.b, of.bias, has_bias, y, y.stride(0), of.scratch),
    )
    run(
        "adapter_updates_backward",
        rows,
        *(*given, of.dy, of.dy.stride(0), of.low, of.rank, of.b, db, step, dlow, of.scratch),
    )
    run(
        "adapter_inputs_backward",
        rows,
        *(of.width, *given, of.dlow, of.rank, of.x, of.x.stride(0), of.a, da, step),
        *(dx, dx.stride(0), 1, of.scratch, *EVERYTHING),
    )
    expected_y, expected_dx = of.y.double(), of.dx.double()
    x, dy = of.x.double(), of.dy.double()
    found_a, found_b = gradients.double().sum(dim=0).split([len(of.a), len(of.b)])
    expected_a, expected_b = [], []
    for ranks, columns, a, b in of.exact():
        close(low[:, ranks], x @ a.t(), 30)
        close(dlow[:, ranks], dy[:, columns] @ b.t(), 30)
        expected_y[:, columns] += of.low[:, ranks].double() @ b
        expected_y[:, columns] += has_bias * of.bias[columns].double()
        expected_dx += of.dlow[:, ranks].double() @ a
        expected_a.append((of.dlow[:, ranks].double().t() @ x).flatten())
        expected_b.append((of.low[:, ranks].double().t() @ dy[:, columns]).flatten())
    close(y, expected_y, 30 if products != torch.bfloat16 else 1)
    close(dx, expected_dx, 30 if products != torch.bfloat16 else 1)
    close((found_a - THREADS).to(wide), torch.cat(expected_a), 30)
    close((found_b - THREADS).to(wide), torch.cat(expected_b), 30)


@pytest.mark.parametrize("layer", LAYERS)
def test_where_no_gradient_of_the_input_is_wanted_it_is_not_touched(
    run, products, wide, drawn, layer
):
    of = Layer(LAYERS[layer], 6, products, wide, drawn)
    x, da = of.x.clone(), torch.zeros(THREADS, len(of.a), dtype=wide)
    given = (of.width, len(of.each), of.parts, of.dlow, of.rank, x, x.stride(0), of.a, da[0])
    run(
        "adapter_inputs_backward",
        6,
        *(*given, len(of.a), x, x.stride(0), 0, of.scratch, *EVERYTHING),
    )
    assert torch.equal(x, of.x)
    expected = torch.cat(
        [(of.dlow[:, ranks].double().t() @ x.double()).flatten() for ranks, *_ in of.exact()]
    )
    close(da.sum(dim=0), expected, 30)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_each_adapter_sees_a_selection_of_its_own_and_its_gradient_the_same(
    run, products, wide, share
):
    """With A of ones, of x = 1 in one place each, `low` tells what is kept of it."""
    width = 2 * TILE + 5
    parts = torch.tensor([(0, 1, 0, 4, 0), (1, 1, 4, 4, 4)]).flatten()
    selection = (5, 6, round(share * 2**16) << 16)
    x = torch.eye(width, dtype=products)
    a, scratch = torch.ones(2 * width, dtype=wide), torch.zeros(THREADS * SCRATCH, dtype=wide)
    low = nothing(width, 2, dtype=wide)
    run("adapter_inputs", width, width, 2, parts, x, width, a, low, 2, scratch, *selection)
    scale = 1 / (1 - share)
    assert low.unique().tolist() == pytest.approx([0.0, scale])
    kept = low > 0
    assert kept.double().mean().item() == pytest.approx(1 - share, abs=0.06)
    both = (kept[:, 0] & kept[:, 1]).double().mean().item()
    assert both == pytest.approx((1 - share) ** 2, abs=0.08)
    dlow, dx = torch.ones(width, 2, dtype=wide), torch.zeros(width, width, dtype=products)
    da = torch.zeros(THREADS, 2 * width, dtype=wide)
    given = (width, 2, parts, dlow, 2, x, width, a, da[0], 2 * width)
    run("adapter_inputs_backward", width, *given, dx, width, 1, scratch, *selection)
    close(da.sum(dim=0).view(2, width), low.t())
    close(dx.diagonal(), low.sum(dim=1), 2)


def test_what_is_not_a_number_stays_so(run, products, wide):
    bad = torch.zeros(2, 40, dtype=wide)
    bad[0, 3] = torch.nan
    into = torch.zeros_like(bad)
    run("dropped", 2, 40, bad, into, 1, 2, 2**31)
    assert into[0, 3].isnan() and into[1].isfinite().all()
    active = torch.zeros(2, 40, dtype=products)
    run("gelu", 2, 40, bad.to(products), active)
    assert active[0, 3].isnan() and active[1].isfinite().all()


def test_random_bits_are_those_of_numpy():
    """The selection is a function of keys and place alone, on whatever processor."""
    from loralab.kernels.scalars import random_bits

    with np.errstate(over="ignore"):
        bits = random_bits(np.arange(300, dtype=np.uint32), np.uint32(77), np.uint32(99))
    kept = selected(3, 100, 77, 99).flatten().bool().numpy()
    assert np.array_equal(kept, bits >= 2**31)


def test_a_few_threads_alone_have_scratch_and_gradients_of_their_own():
    """With more of them than that, the others take no rows."""
    run = library(torch.float32, torch.float32, 2 * MOST_SHARES)
    rows, outputs, rank = 3 * MOST_SHARES + 1, 24, 4
    parts = torch.tensor([0, rank, 0, outputs, 0])
    drawn = torch.Generator().manual_seed(2)
    dy, low, b = (
        torch.randn(shape, generator=drawn)
        for shape in ((rows, outputs), (rows, rank), (rank, outputs))
    )
    shares = torch.zeros((MOST_SHARES + 1) * rank * outputs)
    scratch = torch.zeros((MOST_SHARES + 1) * SCRATCH)
    dlow = nothing(rows, rank, dtype=torch.float32)
    given = (1, parts, dy, outputs, low, rank, b.flatten(), shares, rank * outputs, dlow)
    run("adapter_updates_backward", rows, *given, scratch)
    close(dlow, dy @ b.t(), 30)
    *taken, beyond = shares.view(-1, rank, outputs)
    close(sum(taken), low.t() @ dy, 30)
    assert (beyond == 0).all() and (scratch[-SCRATCH:] == 0).all()
