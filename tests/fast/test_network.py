"""The fast path computes what the plain model does; its gradients are those of autograd."""

import math

import numpy as np
import pytest
import torch
from loralab.fast.network import FastClassifier
from loralab.fast.products import OneDNNWeight, Weight
from loralab.fast.striped_weight import StripedWeight
from loralab.model.classifier import add_adapters, add_head
from loralab.model.gpt2 import GPT2, initialise
from loralab.model.lora import adapter_parameters, merge
from loralab.model.shapes import GPT2Shape
from loralab.training.batches import EncodedTexts, collate, packed_batch
from torch.nn import functional

SHAPE = GPT2Shape(vocabulary=64, context=32, width=32, layers=3, heads=2)
LENGTHS = {
    "of different lengths": [5, 9, 3, 9, 1],
    "of one length, a multiple of 16 together": [4, 4, 4, 4],
    "one message": [7],
    "one token": [1],
    "of a length of which a message is padded": [30, 25, 30],
}
ADAPTERS = {
    "everywhere": {},
    "rslora": {"variant": "rslora"},
    "of some layers": {"targets": ["q_proj", "v_proj", "mlp.c_proj"]},
    "of values alone": {"targets": ["v_proj"]},
    "from the second block on": {"layers": {"first": 1, "last": None}},
    "in the last block alone": {"layers": {"first": 2, "last": None}},
    "in the first block alone": {"layers": {"first": 0, "last": 0}},
    "of several ranks and scalings": {
        "rank_pattern": {"k_proj": 5, "mlp.c_fc": 2},
        "alpha_pattern": {"v_proj": 3.0, "attn.c_proj": 11.0},
    },
}


@pytest.fixture
def new_model(lora):
    """A float64 classifier whose adapters already do something."""

    def build(dropout=0.0, bias=True, **changes):
        model = GPT2(SHAPE, dropout)
        initialise(model, torch.Generator().manual_seed(1))
        if changes.get("targets") != []:
            add_adapters(model, lora(rank=4, alpha=8.0, **changes), seed=2)
        else:
            model.requires_grad_(False)
        add_head(model, 3, bias, seed=2)
        drawn = torch.Generator().manual_seed(3)
        with torch.no_grad():
            model.wte.weight.mul_(10)
            for _, parameter in adapter_parameters(model):
                parameter.normal_(0, 0.3, generator=drawn)
        return model.double()

    return build


@pytest.fixture(params=["compiled loops", "PyTorch"])
def passes(request, monkeypatch):
    """By which of the two the passes between the products are made."""
    is_compiled = request.param == "compiled loops"
    monkeypatch.setattr("loralab.fast.network.can_compile", lambda _: is_compiled)
    return request.param


def a_batch(lengths):
    drawn = np.random.default_rng(4)
    texts = EncodedTexts.from_lists([drawn.integers(0, 63, n).tolist() for n in lengths])
    rows = np.arange(len(lengths))
    labels = torch.from_numpy(drawn.integers(0, 3, len(lengths)))
    return texts, rows, labels


def plain_gradients(model, texts, rows, labels):
    ids, lengths = collate(texts, rows, SHAPE.end_of_text, None, torch.device("cpu"))
    logits = model.classify(ids, lengths)
    loss = functional.cross_entropy(logits, labels)
    loss.backward()
    trained = {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}
    return loss.detach(), logits.detach(), trained


def fast_gradients(model, texts, rows, labels, seed=None, dtype=torch.float64):
    network = FastClassifier(model, dtype)
    network.refresh()
    packed = packed_batch(texts, rows, SHAPE, 16)
    shares = torch.full((len(rows),), 1 / len(rows), dtype=dtype)
    loss, logits = network.add_gradients(packed, labels, shares, network.passes(seed))
    trained = {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}
    return loss, logits, trained, network, packed


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("adapters", ADAPTERS)
def test_loss_logits_and_gradients_are_those_of_autograd(new_model, passes, adapters, lengths):
    batch = a_batch(LENGTHS[lengths])
    loss, logits, gradients = plain_gradients(new_model(**ADAPTERS[adapters]), *batch)
    found = fast_gradients(new_model(**ADAPTERS[adapters]), *batch)
    torch.testing.assert_close(found[0], loss, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found[1], logits, rtol=1e-11, atol=1e-12)
    assert found[2].keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(found[2][name], gradient, rtol=1e-9, atol=1e-12, msg=name)
    network, packed = found[3:]
    torch.testing.assert_close(network.logits(packed), logits, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("way", "dtype", "limit"),
    [(OneDNNWeight, torch.float32, 3e-4), (StripedWeight, torch.float64, 1e-10)],
)
@pytest.mark.parametrize("adapters", ADAPTERS)
def test_weights_that_are_laid_out_have_the_same_gradients(
    new_model, adapters, way, dtype, limit, monkeypatch
):
    monkeypatch.setattr("loralab.fast.compiled_linear.way_of_holding", lambda *_: way)
    texts, rows, labels = a_batch([5, 9, 3, 9, 1])
    loss, logits, gradients = plain_gradients(new_model(**ADAPTERS[adapters]), texts, rows, labels)
    model = new_model(**ADAPTERS[adapters]).to(dtype)
    found = fast_gradients(model, texts, rows, labels, dtype=dtype)
    assert model.h[0].mlp.c_fc.weight.numel() == 0  # until it is released
    torch.testing.assert_close(found[0].double(), loss, rtol=limit, atol=limit)
    torch.testing.assert_close(found[1].double(), logits, rtol=limit, atol=limit)
    for name, gradient in gradients.items():
        distance = (found[2][name] - gradient).norm() / gradient.norm()
        assert distance < limit, name


@pytest.mark.parametrize("bias", [True, False])
def test_the_head_alone_is_trained_where_nothing_is_adapted(new_model, bias):
    batch = a_batch([5, 9, 3])
    loss, _, gradients = plain_gradients(new_model(targets=[], bias=bias), *batch)
    found = fast_gradients(new_model(targets=[], bias=bias), *batch)
    torch.testing.assert_close(found[0], loss, rtol=1e-12, atol=1e-12)
    assert set(found[2]) == {"head.weight", "head.bias"} - ({"head.bias"} if not bias else set())
    for name, gradient in gradients.items():
        torch.testing.assert_close(found[2][name], gradient, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dropouts", [(0.3, 0.0), (0.0, 0.3), (0.2, 0.3)])
def test_gradients_under_dropout_are_those_of_the_loss_with_the_same_selections(
    new_model, passes, dropouts
):
    base, adapter = dropouts
    texts, rows, labels = a_batch([5, 9, 3, 7])

    def loss_and_gradients(moved_by):
        model = build()
        with torch.no_grad():
            for (_, parameter), step in zip(trained(model), moved_by, strict=True):
                parameter.add_(step)
        return fast_gradients(model, texts, rows, labels, seed=7)[:3:2]

    def build():
        model = new_model(dropout=base)
        for module in model.modules():
            if hasattr(module, "lora_A"):
                module.dropout.p = adapter
        return model

    def trained(model):
        return [(n, p) for n, p in model.named_parameters() if p.requires_grad]

    drawn = torch.Generator().manual_seed(5)
    names = trained(build())
    way = [torch.randn(p.shape, generator=drawn, dtype=p.dtype) for _, p in names]
    _, gradients = loss_and_gradients([0 * w for w in way])
    slope = sum((gradients[n] * w).sum() for (n, _), w in zip(names, way, strict=True))
    step = 1e-6
    ahead, behind = (loss_and_gradients([s * step * w for w in way])[0] for s in (1, -1))
    assert slope.item() == pytest.approx(((ahead - behind) / (2 * step)).item(), rel=1e-5)
    kept_all = fast_gradients(build(), texts, rows, labels)[0]
    assert not math.isclose(ahead.item(), kept_all.item(), rel_tol=1e-3)


def test_gradients_add_up_over_calls(new_model):
    texts, rows, labels = a_batch([5, 9, 3])
    _, _, once, network, packed = fast_gradients(new_model(), texts, rows, labels)
    shares = torch.full((len(rows),), 1 / len(rows), dtype=torch.float64)
    network.add_gradients(packed, labels, shares, network.passes())
    for name, parameter in network.model.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, 2 * once[name])


def test_merged_adapters_count_as_the_weight(new_model):
    texts, rows, _ = a_batch([5, 9, 3])
    model = new_model()
    ids, lengths = collate(texts, rows, SHAPE.end_of_text, None, torch.device("cpu"))
    expected = model.classify(ids, lengths).detach()
    merge(model)
    network = FastClassifier(model, torch.float64, trained=False)
    found = network.logits(packed_batch(texts, rows, SHAPE, 16))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("way", [Weight, OneDNNWeight, StripedWeight])
def test_released_parameters_are_tensors_of_their_own_with_the_same_values(
    new_model, way, monkeypatch
):
    monkeypatch.setattr("loralab.fast.compiled_linear.way_of_holding", lambda *_: way)
    model = new_model().float()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    network = FastClassifier(model, torch.float32)
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters() if p.numel())
    network.flat.values.add_(1)
    network.release()
    for name, parameter in model.named_parameters():
        expected = before[name] + 1 if parameter.requires_grad else before[name]
        assert torch.equal(parameter, expected)
        if parameter.requires_grad:
            assert parameter.is_contiguous() and parameter.grad is None
            assert parameter.untyped_storage().nbytes() == parameter.nbytes
