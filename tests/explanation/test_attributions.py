"""Attributions add up, are exact where that is known, and depend on nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from loralab.errors import LoralabError
from loralab.explanation import attributions as module
from loralab.explanation.attributions import (
    attribute,
    integrated_gradients,
    occlusion,
    rank_correlation,
    readable_token,
)
from loralab.model.lora import merge
from scipy.stats import spearmanr

PADDING = 63  # of the tiny classifier


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- functions of which the answer is known ---------------------------------------------------


def test_of_a_linear_function_both_ways_give_weight_times_way():
    weight, embeddings, absent = drawn(5, 3), drawn(5, 3, seed=1), drawn(3, seed=2)
    expected = (weight * (embeddings - absent)).sum(dim=1).numpy()

    def linear(inputs):
        return (weight * inputs).sum(dim=(1, 2)) + 7

    found = integrated_gradients(linear, embeddings, absent.expand(5, 3), panels=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(occlusion(linear, embeddings, absent, 5), expected, rtol=1e-9)


def test_of_a_product_the_gradient_is_that_of_the_whole_way_not_of_its_end():
    """x₁·x₂ from zero: each has half of it, by the integral; the gradient at the end says all."""
    embeddings = torch.tensor([[2.0], [3.0]], dtype=torch.float64)
    absent = torch.zeros(2, 1, dtype=torch.float64)
    product = lambda inputs: inputs[:, 0, 0] * inputs[:, 1, 0]  # noqa: E731
    np.testing.assert_allclose(integrated_gradients(product, embeddings, absent, 1), [3, 3])
    np.testing.assert_allclose(occlusion(product, embeddings, absent[0], 2), [6, 6])


def test_what_does_nothing_gets_nothing():
    embeddings, baseline = drawn(4, 3), drawn(3, seed=1)
    of_the_third = lambda inputs: torch.tanh(inputs[:, 2].sum(dim=1))  # noqa: E731
    values = integrated_gradients(of_the_third, embeddings, baseline.expand(4, 3), 4)
    left_out = occlusion(of_the_third, embeddings, baseline, 4)
    for found in (values, left_out):
        assert list(np.flatnonzero(found)) == [2]
    assert values[2] == pytest.approx(left_out[2])


@pytest.mark.parametrize("tokens_a_pass", [1, 7, 10_000])
def test_how_many_inputs_go_together_does_not_matter(monkeypatch, tokens_a_pass):
    weight, embeddings, baseline = drawn(4, 3, seed=5), drawn(4, 3), drawn(3, seed=1)
    curved = lambda inputs: torch.tanh((weight * inputs).sum(dim=(1, 2)))  # noqa: E731
    expected = integrated_gradients(curved, embeddings, baseline.expand(4, 3), 2)
    left_out = occlusion(curved, embeddings, baseline, 4)
    monkeypatch.setattr(module, "TOKENS_A_PASS", tokens_a_pass)
    found = integrated_gradients(curved, embeddings, baseline.expand(4, 3), 2)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(occlusion(curved, embeddings, baseline, 4), left_out, rtol=1e-12)


# --- a classifier -----------------------------------------------------------------------------


@torch.no_grad()
def log_odds(model, ids, label):
    logits = model.classify(ids[None], torch.tensor([len(ids)]))[0]
    others = [place for place in range(len(logits)) if place != label]
    return float(logits[label] - torch.logsumexp(logits[others], dim=0))


@pytest.mark.parametrize("labels", [2, 3])
def test_the_attributions_add_up_to_the_difference_of_the_log_odds(new_classifier, ids, labels):
    model = new_classifier(labels)
    for label in range(labels):
        found = attribute(model, ids, label)
        absent = torch.full_like(ids, PADDING)
        assert found.output == pytest.approx(log_odds(model, ids, label))
        assert found.baseline_output == pytest.approx(log_odds(model, absent, label))
        assert found.difference == found.output - found.baseline_output != 0
        assert found.complete and found.gap <= max(1e-3 * abs(found.difference), 1e-4)
        assert found.values.sum() == pytest.approx(found.difference, abs=2 * found.gap + 1e-12)


def test_more_panels_bring_the_gap_to_nothing(new_classifier, ids, monkeypatch):
    monkeypatch.setattr(module, "NODES", 1)
    gaps = []
    for panels in (1, 4, 16):
        monkeypatch.setattr(module, "PANELS", (panels,))
        found = attribute(new_classifier(), ids, 1)
        assert found.steps == panels
        gaps.append(found.gap)
    assert gaps[0] > 10 * gaps[1] > 100 * gaps[2] > 0  # the midpoint rule: by 16 each time


def test_what_does_not_add_up_is_refined_and_then_called_so(new_classifier, ids, monkeypatch):
    monkeypatch.setattr(module, "NODES", 1)
    assert attribute(new_classifier(), ids, 1).steps > 2
    monkeypatch.setattr(module, "TOLERANCE", 0.0)
    monkeypatch.setattr(module, "FLOOR", 0.0)
    found = attribute(new_classifier(), ids, 1)
    assert found.steps == 64 and not found.complete and found.gap > 0


def test_of_two_labels_one_gains_what_the_other_loses(new_classifier, ids):
    model = new_classifier()
    first, second = attribute(model, ids, 0), attribute(model, ids, 1)
    np.testing.assert_allclose(first.values, -second.values, atol=1e-12)
    np.testing.assert_allclose(first.occlusion, -second.occlusion, atol=1e-12)


def test_a_token_that_makes_the_answer_has_its_sign(new_classifier, ids):
    """The head reads the last position; a head turned round turns every sign round."""
    model = new_classifier()
    before = attribute(model, ids, 1)
    last = before.occlusion[-1]
    assert last == pytest.approx(
        log_odds(model, ids, 1) - log_odds(model, torch.cat([ids[:-1], torch.tensor([63])]), 1)
    )
    with torch.no_grad():
        model.head.weight.neg_()
        model.head.bias.neg_()
    np.testing.assert_allclose(attribute(model, ids, 1).values, -before.values, atol=1e-12)


def test_a_token_that_is_the_baseline_already_contributes_exactly_nothing(new_classifier, ids):
    ids[3] = PADDING
    found = attribute(new_classifier(), ids, 1)
    assert found.values[3] == 0 and abs(found.occlusion[3]) < 1e-12
    assert np.count_nonzero(found.values) == len(ids) - 1


def test_padding_that_is_read_has_no_part_in_the_sum(new_classifier, ids):
    padded = torch.cat([ids, torch.full((11,), PADDING)])
    model = new_classifier()
    found = attribute(model, padded, 1, len(ids))
    assert len(found.values) == len(found.occlusion) == len(ids)
    assert found.output == pytest.approx(log_odds(model, padded, 1))
    assert found.output != pytest.approx(log_odds(model, ids, 1))
    assert found.complete


def test_one_token_has_the_whole_difference(new_classifier):
    found = attribute(new_classifier(), torch.tensor([5]), 1)
    assert found.complete
    assert found.values[0] == pytest.approx(found.difference, abs=1e-3)
    assert found.occlusion[0] == pytest.approx(found.difference)


def test_the_same_message_has_the_same_attributions_and_the_model_is_left_as_it_was(
    new_classifier, ids
):
    model = new_classifier()
    before = log_odds(model, ids, 1)
    first, second = attribute(model, ids, 1), attribute(model, ids, 1)
    assert np.array_equal(first.values, second.values)
    assert np.array_equal(first.occlusion, second.occlusion)
    assert log_odds(model, ids, 1) == before
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.wte._forward_hooks


@pytest.mark.parametrize("variant", ["lora", "rslora", "dora"])
def test_merging_changes_no_attribution(new_classifier, ids, variant):
    model = new_classifier(variant=variant)
    apart = attribute(model, ids, 1)
    merge(model)
    np.testing.assert_allclose(attribute(model, ids, 1).values, apart.values, atol=1e-10)


def test_a_model_in_training_is_refused(new_classifier, ids):
    with pytest.raises(ValueError, match="training mode"):
        attribute(new_classifier().train(), ids, 1)


def test_logits_that_are_not_finite_are_told(new_classifier, ids):
    model = new_classifier()
    model.head.weight.data[0] = float("nan")
    with pytest.raises(LoralabError, match="not finite"):
        attribute(model, ids, 1)
    assert not model.wte._forward_hooks


# --- for readers ------------------------------------------------------------------------------


@given(arrays(int, st.tuples(st.just(2), st.integers(3, 20)), elements=st.integers(0, 9)))
def test_the_rank_correlation_is_scipys(pair):
    found = rank_correlation(*pair.astype(float))
    if min(len(set(row)) for row in pair.tolist()) < 2:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(*pair).statistic)


def test_of_two_tokens_a_rank_correlation_says_nothing():
    assert rank_correlation(np.array([1.0, 2.0]), np.array([2.0, 1.0])) is None


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (b" win", " win"),
        ("\u00a3".encode(), "\u00a3"),
        (b"\n\t", r"\n\t"),
        ("\u200b".encode(), r"\u200b"),
        ("\u0085".encode(), r"\u0085"),
        (b"\x85", r"\x85"),
        (b"\xf0\x9f", r"\xf0\x9f"),
        (b"\\n", r"\\n"),
    ],
)
def test_a_token_is_shown_on_one_line_without_losing_its_bytes(token, shown):
    assert readable_token(token) == shown
