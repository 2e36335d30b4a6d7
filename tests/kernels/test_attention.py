"""Attention of packed messages against PyTorch's, over memory that is not a number before."""

import pytest
import torch
from loralab.kernels.attention import scratch_of_attention
from loralab.kernels.library import library
from loralab.kernels.strips import STRIP

THREADS, HEADS = 2, 3
DTYPES = {"float64": torch.float64, "float32": torch.float32, "bf16": torch.bfloat16}
LIMITS = {torch.float64: 1e-13, torch.float32: 3e-6, torch.bfloat16: 2**-7}
EVERYTHING = (0, 0, 0)  # dropout's keys and threshold where nothing is dropped
ROWS = {"of several lengths": [3, 1, 70, 33], "of one": [32, 32], "one message": [6]}
DROPOUT = (123, 4567, 2**30)  # a quarter


class Case:
    """Messages of so many rows, the last of which each have a row of padding where there is room,
    and of each head so many numbers.
    """

    def __init__(self, rows, width, products, last_alone):
        self.rows, self.width, self.last_alone = rows, width, last_alone
        self.products, self.wide = products, torch.promote_types(products, torch.float32)
        self.starts = torch.tensor([0, *rows]).cumsum(0)
        self.last = torch.tensor([self.starts[m] + max(n - 2, 0) for m, n in enumerate(rows)])
        self.longest, self.messages = max(rows), len(rows)
        self.step = self.longest + -self.longest % STRIP
        generator = torch.Generator().manual_seed(1)
        asked = self.messages if last_alone else sum(rows)

        def draw(count, columns):
            whole = torch.randn(count, columns + 3, generator=generator, dtype=torch.float64)
            return whole.to(products)[:, :columns]  # rows that lie apart

        self.qkv = draw(sum(rows), 3 * HEADS * width)
        self.dmixed = draw(asked, HEADS * width)
        queries = 1 if last_alone else self.longest
        self.probabilities = self.nothing(self.messages * HEADS * queries * self.step)
        self.run = library(products, self.wide, THREADS)

    def nothing(self, *shape, dtype=None):
        return torch.full(shape, torch.nan, dtype=dtype or self.wide)

    def call(self, name, *arrays, selection=EVERYTHING):
        """Run a kernel; what it has to write into is the last array, with columns beyond."""
        room = scratch_of_attention(self.longest, self.width)
        scratch = self.nothing(THREADS * room + 1)
        sizes = (self.messages, HEADS, self.width, self.longest, int(self.last_alone))
        *given, into = arrays
        self.run(
            name,
            self.messages * HEADS,
            *(*sizes, self.starts, self.last),
            *(e for a in given for e in ((a, a.stride(0)) if a.dim() == 2 else (a,))),
            *(into, into.stride(0), scratch, room, *selection),
        )
        assert scratch[-1].isnan()  # nothing beyond
        assert into[:, -2:].isnan().all()
        return into[:, :-2]

    def forward(self, selection=EVERYTHING):
        into = self.nothing(len(self.dmixed), HEADS * self.width + 2, dtype=self.products)
        return self.call("attention", self.qkv, self.probabilities, into, selection=selection)

    def backward(self, selection=EVERYTHING):
        into = self.nothing(len(self.qkv), 3 * HEADS * self.width + 2, dtype=self.products)
        given = (self.dmixed, self.qkv, self.probabilities)
        return self.call("attention_backward", *given, into, selection=selection)

    def factors(self, selection):
        """Of dropout, for each head of a message: (heads, messages, queries, step)."""
        shape = (HEADS, self.messages, -1, self.step)
        ones = torch.ones(len(self.probabilities) // self.step, self.step, dtype=self.wide)
        into = torch.empty_like(ones)
        self.run("dropped", *ones.shape, ones, into, *selection)
        return into.view(shape).double()

    def expected(self, selection=EVERYTHING):
        """The same by autograd in float64: output and gradient."""
        qkv = self.qkv.double().requires_grad_()
        factors, outputs = self.factors(selection), []
        for message, rows in enumerate(self.rows):
            begin = self.starts[message]
            parts = qkv[begin : begin + rows].view(rows, 3, HEADS, self.width)
            q, k, v = parts.permute(1, 2, 0, 3)
            scores = q @ k.transpose(1, 2) / self.width**0.5
            hidden = torch.ones(rows, rows).triu(1).bool()
            seen = torch.softmax(scores.masked_fill(hidden, -torch.inf), dim=-1)
            if self.last_alone:
                place = self.last[message] - begin
                seen = seen[:, place : place + 1]
            seen = seen * factors[:, message, : seen.shape[1], :rows]
            outputs.append((seen @ v).transpose(0, 1).flatten(1))
        mixed = torch.cat(outputs)
        mixed.backward(self.dmixed.double())
        return mixed.detach(), qkv.grad


def close(found, expected):
    distance = (found.double() - expected).norm() / expected.norm()
    return distance < LIMITS[found.dtype]


@pytest.fixture(params=DTYPES)
def products(request):
    return DTYPES[request.param]


@pytest.mark.parametrize("last_alone", [False, True])
@pytest.mark.parametrize("selection", [EVERYTHING, DROPOUT])
@pytest.mark.parametrize("width", [5, 32, 40])
@pytest.mark.parametrize("rows", ROWS)
def test_attention_and_its_gradient(products, rows, width, selection, last_alone):
    case = Case(ROWS[rows], width, products, last_alone)
    mixed, dqkv = case.expected(selection)
    assert close(case.forward(selection), mixed)
    assert close(case.backward(selection), dqkv)


def test_rows_that_nobody_asked_or_could_see_have_gradients_of_zero(products):
    case = Case([5, 9], 8, products, last_alone=True)
    case.forward()
    dq, dk, dv = case.backward().split(HEADS * 8, dim=1)
    asked = torch.zeros(14, dtype=torch.bool).index_fill(0, case.last, True)
    assert (dq[~asked] == 0).all() and (dq[asked] != 0).any(dim=1).all()
    assert (dk[case.last + 1] == 0).all() and (dv[case.last + 1] == 0).all()


def test_what_is_not_a_number_stays_in_its_message_and_head(products):
    case = Case([4, 40, 3], 8, products, last_alone=False)
    case.qkv[10, 8:16] = torch.nan  # a query of the second message's second head
    bad = case.forward().isnan().view(47, HEADS, 8).any(dim=2)
    assert bad.nonzero().tolist() == [[10, 1]]


@pytest.mark.parametrize("threads", [1, 3, 64])
def test_results_do_not_depend_on_the_number_of_threads(threads, monkeypatch):
    case = Case([3, 50, 7], 16, torch.float32, last_alone=False)
    expected = case.forward(DROPOUT), case.backward(DROPOUT)
    monkeypatch.setattr(f"{__name__}.THREADS", threads)
    again = Case([3, 50, 7], 16, torch.float32, last_alone=False)
    assert torch.equal(again.forward(DROPOUT), expected[0])
    assert torch.equal(again.backward(DROPOUT), expected[1])
