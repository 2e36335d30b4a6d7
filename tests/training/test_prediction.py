"""A text's probabilities do not depend on what is beside it."""

import numpy as np
import pytest
import torch
from loralab.training.batches import EncodedTexts
from loralab.training.loop import train_classifier
from loralab.training.prediction import loss_and_accuracy, predict

PADDING = 63


@pytest.fixture
def model(new_classifier):
    model = new_classifier(dropout=0.5)
    drawn = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("lora_B") or name.startswith("head"):
                parameter.normal_(0.0, 0.5, generator=drawn)
    return model


@pytest.mark.parametrize("pad_to", [None, 12, 32])
@pytest.mark.parametrize("batch_size", [1, 7, 60])
def test_batch_size_and_padding_change_no_probability(model, task, batch_size, pad_to):
    alone = predict(model, task.texts, batch_size=1)
    found = predict(model, task.texts, batch_size, pad_to)
    np.testing.assert_allclose(found, alone, atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)
    assert np.ptp(alone[:, 0]) > 0.1


def test_on_a_bf16_base_at_least_995_of_1000_labels_are_those_of_float32(
    new_classifier, task, settings
):
    drawn = np.random.default_rng(5)
    ids = [drawn.integers(0, 63, size=drawn.integers(1, 13)).tolist() for _ in range(1000)]
    texts = EncodedTexts.from_lists(ids)
    model = new_classifier()
    train_classifier(model, task, None, settings(epochs=16), seed=1)
    expected = predict(model, texts, 32).argmax(axis=1)
    assert 0.3 < expected.mean() < 0.7
    for parameter in model.parameters():
        if not parameter.requires_grad:
            parameter.data = parameter.data.bfloat16()
    found = predict(model, texts, 32).argmax(axis=1)
    assert (found == expected).sum() >= 995


def test_the_order_of_texts_changes_no_probability(model, task):
    texts = task.texts
    lists = [part.tolist() for part in np.split(texts.tokens, texts.offsets[1:-1])]
    reverse = EncodedTexts.from_lists(lists[::-1])
    found = predict(model, reverse, batch_size=7)[::-1]
    np.testing.assert_allclose(found, predict(model, texts, batch_size=7), atol=1e-5)


def test_a_message_that_holds_the_padding_token_is_read_to_its_own_end(model):
    texts = EncodedTexts.from_lists([[5, PADDING], [PADDING], [5], [PADDING, 7, 8, 9]])
    with torch.no_grad():
        alone = [model.eval()(torch.tensor([ids]))[0, -1] for ids in ([5, 63], [63], [5])]
    expected = torch.softmax(torch.stack(alone).double(), dim=-1).numpy()
    found = predict(model, texts, batch_size=4)[:3]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert abs(found[0] - found[2]).max() > 1e-3


@pytest.mark.parametrize("training", [True, False])
def test_prediction_is_without_dropout_and_leaves_the_mode_alone(model, task, training):
    model.train(training)
    first = predict(model, task.texts, 8)
    assert np.array_equal(predict(model, task.texts, 8), first)
    assert model.training is training


def test_loss_and_accuracy_of_a_worked_example():
    loss, accuracy = loss_and_accuracy(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 0]))
    assert loss == pytest.approx((np.log(2) + np.log(4)) / 2)
    assert accuracy == 0.5


def test_a_probability_of_zero_gives_a_loss_that_is_finite():
    assert np.isfinite(loss_and_accuracy(np.array([[0.0, 1.0]]), np.array([0]))[0])
