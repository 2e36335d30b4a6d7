"""Training a classifier: it learns, repeats exactly, stops in time and says where it diverged."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from loralab.errors import LoralabError
from loralab.model.lora import adapter_layers
from loralab.training.batches import EncodedTexts
from loralab.training.labelled import LabelledTexts
from loralab.training.loop import train_classifier
from loralab.training.prediction import loss_and_accuracy, predict


def _flipped(task: LabelledTexts) -> LabelledTexts:
    """The same texts with the opposite labels: what is learnt of one is wrong of the other."""
    return dataclasses.replace(task, labels=1 - task.labels)


def _same(first, second) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours | theirs)


def test_a_separable_task_is_learnt(new_classifier, task, settings):
    model = new_classifier()
    before, _ = loss_and_accuracy(predict(model, task.texts, 8), task.labels)
    run = train_classifier(model, task, None, settings(epochs=16), seed=1)
    after, accuracy = loss_and_accuracy(predict(model, task.texts, 8), task.labels)
    assert after < before / 3
    assert accuracy > 0.95
    assert run.epochs[-1]["train_loss"] == pytest.approx(after, abs=1e-6)
    assert run.epochs[-1]["validation_loss"] is None
    assert run.best_epoch == 16


def test_two_runs_leave_identical_tensors_and_a_third_seed_others(new_classifier, task, settings):
    models = [new_classifier(dropout=0.1) for _ in range(3)]
    runs = [
        train_classifier(model, task, None, settings(), seed)
        for model, seed in zip(models, (1, 1, 2), strict=True)
    ]
    assert _same(models[0], models[1])
    assert not _same(models[0], models[2])
    losses = [[row["loss"] for row in run.history] for run in runs]
    assert losses[0] == losses[1] != losses[2]


def test_frozen_weights_keep_their_bytes_and_every_adapter_moves(
    new_classifier, task, settings, frozen_hash
):
    model = new_classifier()
    before = frozen_hash(model)
    initial = {name: layer.lora_A.clone() for name, layer in adapter_layers(model)}
    train_classifier(model, task, None, settings(epochs=1), seed=1)
    assert frozen_hash(model) == before
    for name, layer in adapter_layers(model):
        assert layer.lora_B.any()
        assert not torch.equal(layer.lora_A, initial[name])


def test_history_has_a_row_a_step_that_adds_up(new_classifier, task, settings):
    run = train_classifier(new_classifier(), task, task, settings(epochs=2), seed=1)
    assert [row["step"] for row in run.history] == list(range(1, 17))
    assert [row["epoch"] for row in run.history] == [1] * 8 + [2] * 8
    assert sum(row["examples"] for row in run.history) == 2 * len(task)
    assert sum(row["tokens"] for row in run.history) == 2 * len(task.texts.tokens)
    assert [row["epoch"] for row in run.epochs] == [1, 2]
    first = run.history[:8]
    expected = sum(row["loss"] for row in first) / 8
    assert run.epochs[0]["running_loss"] == pytest.approx(expected)
    assert run.epochs[0]["running_accuracy"] == sum(row["correct"] for row in first) / 60
    assert run.epochs[0]["validation_loss"] == run.epochs[0]["train_loss"]


def test_the_schedule_decides_the_learning_rate_of_each_step(new_classifier, task, settings):
    chosen = settings(epochs=1, schedule="linear", warmup=0.25, learning_rate=8e-3)
    run = train_classifier(new_classifier(), task, None, chosen, seed=1)
    rates = [row["learning_rate"] for row in run.history]
    assert rates == pytest.approx([4e-3, 8e-3] + [8e-3 * (1 - k / 6) for k in range(6)])


def test_gradients_are_clipped_where_that_is_asked_for(new_classifier, task, settings):
    ends = []
    for clip in (None, 1e6, 1e-3):
        model = new_classifier()
        chosen = settings(epochs=1, gradient_clip=clip, weight_decay=0.0)
        run = train_classifier(model, task, None, chosen, seed=1)
        assert run.history[0]["gradient_norm"] > 1e-2
        ends.append(model)
    assert _same(ends[0], ends[1])
    assert not _same(ends[0], ends[2])


def test_padding_as_in_the_lab_gives_the_same_loss_for_the_same_batch(
    new_classifier, task, settings
):
    one_batch = {"epochs": 1, "batch_size": 60}
    losses = [
        train_classifier(
            new_classifier(), task, None, settings(padding=padding, **one_batch), seed=1
        ).history[0]["loss"]
        for padding in ("dynamic", "lab")
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


@pytest.mark.parametrize("clip", [1.0, None])
def test_a_diverging_run_raises_and_names_the_step(new_classifier, task, settings, clip):
    model = new_classifier()
    chosen = settings(learning_rate=1e30, gradient_clip=clip)
    with pytest.raises(LoralabError, match=r"diverged at step 2: .*lower\s+training.learning_rate"):
        train_classifier(model, task, None, chosen, seed=1)


def test_a_step_that_is_not_finite_leaves_the_adapters_as_they_were(
    new_classifier, task, settings, engine_class, monkeypatch
):
    model, untouched = new_classifier(), new_classifier()
    accumulate = engine_class._accumulate

    def spoilt(self, *arguments):
        found = accumulate(self, *arguments)
        model.head.weight.grad.fill_(math.nan)
        return found

    monkeypatch.setattr(engine_class, "_accumulate", spoilt)
    with pytest.raises(LoralabError, match="diverged at step 1"):
        train_classifier(model, task, None, settings(), seed=1)
    assert _same(model, untouched)


def test_early_stopping_stops_and_restores_the_best_epoch(new_classifier, task, settings):
    stopped, one_epoch = new_classifier(), new_classifier()
    run = train_classifier(
        stopped, task, _flipped(task), settings(epochs=9, early_stopping=2), seed=1
    )
    train_classifier(one_epoch, task, None, settings(epochs=1), seed=1)
    assert (run.best_epoch, len(run.epochs)) == (1, 3)
    assert _same(stopped, one_epoch)


def test_without_early_stopping_the_last_epoch_is_kept(new_classifier, task, settings):
    watched, unwatched = new_classifier(), new_classifier()
    run = train_classifier(watched, task, _flipped(task), settings(), seed=1)
    train_classifier(unwatched, task, None, settings(), seed=1)
    assert (run.best_epoch, len(run.epochs)) == (4, 4)
    assert _same(watched, unwatched)


def test_too_few_messages_for_a_batch_are_an_error(new_classifier, settings):
    few = LabelledTexts(EncodedTexts.from_lists([[1], [2]]), np.array([0, 1]))
    with pytest.raises(LoralabError, match="2 messages make no full batch of 8"):
        train_classifier(new_classifier(), few, None, settings(drop_last=True), seed=1)


def test_dropout_acts_whatever_mode_the_model_comes_in(new_classifier, task, settings):
    training, evaluating = new_classifier(dropout=0.5).train(), new_classifier(dropout=0.5).eval()
    for model in (training, evaluating):
        train_classifier(model, task, None, settings(epochs=1), seed=1)
    assert _same(training, evaluating)


def test_the_optimiser_steps_at_the_rates_of_the_schedule(new_classifier, task, settings):
    steady, falling = new_classifier(), new_classifier()
    train_classifier(steady, task, None, settings(schedule="constant"), seed=1)
    run = train_classifier(falling, task, None, settings(schedule="linear"), seed=1)
    assert not _same(steady, falling)
    # A step of AdamW moves a number by little more than its rate, and B begins at zero.
    reach = sum(row["learning_rate"] for row in run.history)
    assert all(layer.lora_B.abs().max() < 1.01 * reach for _, layer in adapter_layers(falling))
