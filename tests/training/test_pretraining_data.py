"""What pretraining trains on and what it is judged by; what an epoch's accuracy counts."""

import numpy as np
import pytest
import torch
from loralab.config import Pretraining
from loralab.training.batches import EncodedTexts
from loralab.training.labelled import LabelledTexts
from loralab.training.loop import train_classifier
from loralab.training.pretraining import pretrain

CONTEXT, SEQUENCES = 32, 100


@pytest.fixture
def tokens() -> np.ndarray:
    """A text that cannot be foretold, only learnt by heart, of 100 sequences that all differ."""
    return np.random.default_rng(1).integers(0, 64, CONTEXT * SEQUENCES)


def rows_of(ids: torch.Tensor) -> set[tuple[int, ...]]:
    return {tuple(row) for row in ids.tolist()}


@pytest.fixture
def watched(new_base, tokens):
    """Sequences that pretraining reads with gradients and without, and its rows."""
    model, read = new_base(), {True: set(), False: set()}
    forward = model.forward

    def watch(ids):
        read[torch.is_grad_enabled()] |= rows_of(ids)
        return forward(ids)

    model.forward = watch
    settings = Pretraining(
        messages=1, epochs=30, batch_size=7, learning_rate=1e-2, weight_decay=0.0
    )
    rows = pretrain(model, tokens, settings, seed=1)
    return read[True], read[False], rows


def test_held_out_text_is_never_trained_on_and_all_other_text_is(watched, tokens):
    trained, held_out, _ = watched
    everything = rows_of(torch.from_numpy(tokens).view(SEQUENCES, CONTEXT)[:, :-1])
    assert len(everything) == SEQUENCES
    assert len(held_out) == 2
    assert trained == everything - held_out


def test_text_learnt_by_heart_does_not_lower_the_held_out_loss(watched):
    _, _, rows = watched
    assert rows[-1]["loss"] < np.log(64) - 0.5
    assert rows[-1]["held_out_loss"] > np.log(64) - 0.1


# An epoch's accuracy, of a model that is known to answer the second label to everything


@pytest.fixture
def stubborn(new_classifier):
    model = new_classifier()
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.tensor([-5.0, 5.0]))
    return model


def answers(*labels: int) -> LabelledTexts:
    encoded = [[n + 1] for n in range(len(labels))]
    return LabelledTexts(EncodedTexts.from_lists(encoded), np.array(labels))


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_an_epochs_accuracies_are_the_shares_answered_rightly(stubborn, settings, batch_size):
    still = settings(epochs=2, learning_rate=0.0, batch_size=batch_size)
    train, validation = answers(1, 1, 0, 1, 1, 1, 0, 1), answers(0, 0, 1, 0, 0)
    run = train_classifier(stubborn, train, validation, still, seed=1)
    for epoch in run.epochs:
        assert epoch["train_accuracy"] == epoch["running_accuracy"] == 6 / 8
        assert epoch["validation_accuracy"] == 1 / 5
        # Wrong answers cost 10 nats, right ones none.
        assert epoch["train_loss"] == pytest.approx(10 * 2 / 8, abs=1e-3)
        assert epoch["validation_loss"] == pytest.approx(10 * 4 / 5, abs=1e-3)
