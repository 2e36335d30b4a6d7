"""The head's bias in the final norm, and a trained norm in the head: exact both ways."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loralab.errors import LoralabError
from loralab.model.head_bias import head_with_norm, norm_bias_with


def _drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(1, 8), st.integers(8, 32), st.integers(0, 99))
def test_the_carried_bias_gives_the_same_logits(labels, width, seed):
    weight, bias = _drawn(seed, labels, width), _drawn(seed + 1, labels)
    norm, hidden = _drawn(seed + 2, width), _drawn(seed + 3, 5, width)
    carried = norm_bias_with(bias, weight, norm)
    found = (hidden + carried) @ weight.T
    expected = (hidden + norm) @ weight.T + bias
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=2e-5)


def test_a_bias_of_zero_leaves_the_norm_to_the_bit():
    weight, norm = _drawn(1, 2, 16), _drawn(2, 16)
    assert torch.equal(norm_bias_with(torch.zeros(2), weight, norm), norm)


@pytest.mark.parametrize(
    "weight",
    [torch.ones(2, 16), torch.zeros(2, 16), _drawn(3, 9, 8)],
    ids=["equal rows", "no weight", "more labels than numbers"],
)
def test_dependent_rows_are_refused(weight):
    bias = torch.arange(len(weight)) * 1.0
    with pytest.raises(LoralabError, match="cannot be carried .* rows of its weight"):
        norm_bias_with(bias, weight, torch.zeros(weight.shape[1]))


def test_a_head_that_is_not_finite_is_refused():
    for bias, weight in ((1.0, float("nan")), (float("nan"), 1.0), (float("inf"), 1.0)):
        with pytest.raises(LoralabError, match="not finite cannot be carried"):
            norm_bias_with(torch.full((1,), bias), torch.full((1, 4), weight), torch.zeros(4))


@pytest.mark.parametrize(("seed", "apart"), [(1, 3e-3), (10, 1e-3), (3, 5e-4), (1, 1e-4)])
def test_rows_so_alike_that_float32_would_lose_the_bias_are_refused(seed, apart):
    weight, norm = _drawn(seed, 2, 16), _drawn(seed + 1, 16)
    bias = torch.tensor([1.0, -1.0])
    weight[1] = weight[0] + apart * _drawn(seed + 2, 16)
    with pytest.raises(LoralabError, match="cannot be carried"):
        norm_bias_with(bias, weight, norm)


@pytest.mark.parametrize("gamma", [1e-6, 1e-42])
def test_a_norm_trained_far_from_a_tiny_weight_is_refused(gamma):
    base = {"weight": torch.full((8,), gamma), "bias": torch.ones(8)}
    trained = {"weight": torch.ones(8), "bias": torch.zeros(8)}
    with pytest.raises(LoralabError, match="trained too far from the base's"):
        head_with_norm(_drawn(1, 2, 8), None, base, trained)


@given(st.integers(1, 5), st.integers(1, 16), st.booleans(), st.integers(0, 99))
def test_a_trained_norm_goes_into_the_head(labels, width, biased, seed):
    weight, bias = _drawn(seed, labels, width), _drawn(seed + 1, labels) if biased else None
    base = {"weight": _drawn(seed + 2, width).abs() + 0.1, "bias": _drawn(seed + 3, width)}
    trained = {"weight": _drawn(seed + 4, width), "bias": _drawn(seed + 5, width)}
    normalised = _drawn(seed + 6, 7, width).double()
    new_weight, new_bias = head_with_norm(weight, bias, base, trained)
    expected = (normalised * trained["weight"] + trained["bias"]) @ weight.T.double()
    if biased:
        expected = expected + bias
    found = (normalised * base["weight"] + base["bias"]) @ new_weight.T.double() + new_bias
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


def test_an_untrained_norm_leaves_the_head_to_the_bit():
    weight, bias = _drawn(1, 2, 16), _drawn(2, 2)
    base = {"weight": _drawn(3, 16), "bias": _drawn(4, 16)}
    found_weight, found_bias = head_with_norm(weight, bias, base, base)
    assert torch.equal(found_weight, weight)
    torch.testing.assert_close(found_bias, bias, atol=1e-6, rtol=1e-6)


def test_a_weight_of_zero_stays_or_is_refused():
    base = {"weight": torch.tensor([1.0, 0.0]), "bias": torch.zeros(2)}
    weight, _ = head_with_norm(torch.ones(2, 2), None, base, base)
    assert torch.equal(weight, torch.ones(2, 2))
    trained = {"weight": torch.tensor([1.0, 0.5]), "bias": torch.zeros(2)}
    with pytest.raises(LoralabError, match="trained where the base's weight is zero"):
        head_with_norm(torch.ones(2, 2), None, base, trained)
