"""Products by strips against PyTorch's in float64, over outputs that are not a number before."""

import pytest
import torch
from loralab.kernels.library import library
from loralab.kernels.strips import DEPTH, PANEL, STRIP

DTYPES = {torch.float32: 1e-6, torch.float64: 1e-15}
HEIGHTS = [*range(1, 2 * PANEL + 2), 100, 256]
NO_PARTS = torch.empty(0, dtype=torch.int64)


def in_strips(weight):  # (depth, columns)
    return weight.view(len(weight), -1, STRIP).transpose(0, 1).reshape(-1, len(weight) * STRIP)


def product(x, weight, bias, threads=2, adapters=(0, NO_PARTS, None, None)):
    y = torch.full((len(x), weight.shape[1] + 5), torch.nan, dtype=x.dtype)
    count, parts, low, b = adapters
    low, b = (x if e is None else e for e in (low, b))
    sizes = (weight.shape[1] // STRIP, len(x), x.shape[1])
    given = (x, x.stride(0), in_strips(weight), bias, y, y.stride(0))
    run = library(x.dtype, x.dtype, threads)
    run("product", *sizes, *given, count, parts, low, low.stride(0), b)
    assert y[:, weight.shape[1] :].isnan().all()  # nothing beyond
    return y[:, : weight.shape[1]]


@pytest.fixture
def drawn():
    generator = torch.Generator().manual_seed(1)

    def draw(*shape, dtype=torch.float32):
        """Rows that lie apart."""
        whole = torch.randn(*shape[:-1], shape[-1] + 3, generator=generator, dtype=torch.float64)
        whole = whole.to(dtype)
        return whole[..., : shape[-1]] if len(shape) > 1 else whole[: shape[-1]].clone()

    return draw


def close(found, expected):
    distance = (found.double() - expected).norm() / expected.norm()
    return distance < DTYPES[found.dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("height", HEIGHTS)
def test_products_of_any_number_of_rows(drawn, height, dtype):
    x, weight = drawn(height, 50, dtype=dtype), drawn(50, 3 * STRIP, dtype=dtype).contiguous()
    bias = drawn(3 * STRIP, dtype=dtype)
    assert close(product(x, weight, bias), x.double() @ weight.double() + bias.double())


@pytest.mark.parametrize("depth", [1, 2, DEPTH - 1, DEPTH, DEPTH + 1, 3 * DEPTH + 7])
def test_products_of_any_depth(drawn, depth):
    x, weight, bias = drawn(20, depth), drawn(depth, STRIP).contiguous(), drawn(STRIP)
    assert close(product(x, weight, bias), x.double() @ weight.double() + bias.double())


def test_a_row_is_the_same_to_the_last_bit_among_others_and_in_any_number_of_threads(drawn):
    x, weight, bias = drawn(61, 500), drawn(500, 5 * STRIP).contiguous(), drawn(5 * STRIP)
    expected = product(x, weight, bias)
    for threads in (1, 3, 16):
        assert torch.equal(product(x, weight, bias, threads), expected)
    for row in (0, 7, 60):
        assert torch.equal(product(x[row : row + 1], weight, bias)[0], expected[row])


def test_products_are_about_as_exact_as_those_of_pytorch(drawn):
    x, weight, bias = drawn(64, 3072), drawn(3072, STRIP).contiguous(), torch.zeros(STRIP)
    expected = x.double() @ weight.double()
    own = (product(x, weight, bias) - expected).norm()
    assert own < 2 * (x @ weight - expected).norm()


@pytest.mark.parametrize("dtype", DTYPES)
def test_updates_of_adapters_are_added_to_their_columns(drawn, dtype):
    x, weight = drawn(33, 70, dtype=dtype), drawn(70, 6 * STRIP, dtype=dtype).contiguous()
    bias, low = drawn(6 * STRIP, dtype=dtype), drawn(33, 7, dtype=dtype)
    widths = 2 * STRIP, STRIP
    b = drawn(3 * widths[0] + 4 * widths[1], dtype=dtype)
    parts = [[0, 3, STRIP, widths[0], 0], [3, 4, 5 * STRIP, widths[1], 3 * widths[0]]]
    expected = x.double() @ weight.double() + bias.double()
    for start, rank, column, width, begin in parts:
        update = low[:, start : start + rank].double()
        update = update @ b[begin : begin + rank * width].view(rank, width).double()
        expected[:, column : column + width] += update
    adapters = (2, torch.tensor(parts).flatten(), low, b)
    assert close(product(x, weight, bias, adapters=adapters), expected)


def test_what_is_not_a_number_stays_in_its_row(drawn):
    x, weight, bias = drawn(30, 40), drawn(40, STRIP).contiguous(), drawn(STRIP)
    x[17, 3] = torch.nan
    assert product(x, weight, bias).isnan().all(dim=1).nonzero().tolist() == [[17]]
