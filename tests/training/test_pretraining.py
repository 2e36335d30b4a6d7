"""Pretraining: the loss falls, runs repeat exactly, embedding and head stay one."""

import numpy as np
import pytest
import torch
from loralab.config import Pretraining
from loralab.errors import LoralabError
from loralab.training.pretraining import language_model_loss, pretrain

SETTINGS = Pretraining(messages=1, epochs=2, batch_size=4, learning_rate=1e-2, weight_decay=0.1)
TOKENS = np.tile(np.arange(7), 32 * 10)  # 70 sequences of the context


@pytest.fixture
def pretrained(new_base):
    model = new_base()
    return model, pretrain(model, TOKENS, SETTINGS, seed=1)


def test_the_loss_falls_on_train_and_held_out_sequences(pretrained):
    _, rows = pretrained
    held_out = [row["held_out_loss"] for row in rows if row["held_out_loss"] is not None]
    assert rows[0]["loss"] == pytest.approx(np.log(64), abs=0.3)
    assert rows[-1]["loss"] < rows[0]["loss"] / 2
    assert held_out[-1] < held_out[0] / 2
    assert rows[-1]["held_out_loss"] == held_out[-1]


def test_rows_count_steps_and_tokens(pretrained):
    _, rows = pretrained
    assert [row["step"] for row in rows] == list(range(1, 35))
    assert rows[-1]["tokens"] == 34 * 4 * 32
    assert max(row["learning_rate"] for row in rows) == pytest.approx(1e-2)


def test_head_is_a_copy_of_the_embedding_in_memory_of_its_own(pretrained):
    model, _ = pretrained
    assert torch.equal(model.head.weight, model.wte.weight)
    assert model.head.weight.data_ptr() != model.wte.weight.data_ptr()


def test_every_parameter_moves(new_base, pretrained):
    model, _ = pretrained
    before = dict(new_base().named_parameters())
    # Tokens that never occur still move: the head shares their embeddings.
    still = {name for name, p in model.named_parameters() if torch.equal(p, before[name])}
    # Softmax ignores what all keys share, so that this gradient is rounding alone.
    assert still <= {"h.0.attn.k_proj.bias", "h.1.attn.k_proj.bias"}


def test_two_runs_leave_identical_tensors_and_another_seed_others(new_base, pretrained):
    model, rows = pretrained
    again, other = new_base(), new_base()
    assert pretrain(again, TOKENS, SETTINGS, seed=1) == rows
    pretrain(other, TOKENS, SETTINGS, seed=2)
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
    assert not torch.equal(other.wte.weight, model.wte.weight)


def test_too_few_tokens_are_an_error(new_base):
    with pytest.raises(LoralabError, match="96 tokens fill no batch of 4 sequences"):
        pretrain(new_base(), TOKENS[:96], SETTINGS, seed=1)


def test_divergence_is_an_error(new_base):
    wild = Pretraining(messages=1, epochs=2, batch_size=4, learning_rate=1e30, weight_decay=0.0)
    with pytest.raises(LoralabError, match="pretraining diverged"):
        pretrain(new_base(), TOKENS, wild, seed=1)


def test_language_model_loss_is_that_of_the_next_token(new_base):
    model, ids = new_base(), torch.tensor([[1, 2, 3, 4]])
    with torch.no_grad():
        logs = torch.log_softmax(model(ids), dim=-1)[0]
        expected = -(logs[0, 2] + logs[1, 3] + logs[2, 4]) / 3
        torch.testing.assert_close(language_model_loss(model, ids), expected)


def test_the_model_left_behind_has_the_last_held_out_loss(pretrained):
    model, rows = pretrained
    held_out = torch.from_numpy(TOKENS[:32]).view(1, 32)
    with torch.no_grad():
        found = language_model_loss(model, held_out).item()
    assert found == pytest.approx(rows[-1]["held_out_loss"], abs=1e-5)


def test_the_held_out_loss_weighs_every_sequence_alike(new_base):
    tokens = np.random.default_rng(1).integers(0, 64, 32 * 250)  # 5 of 250 sequences are held out
    settings = Pretraining(
        messages=1, epochs=1, batch_size=4, learning_rate=1e-30, weight_decay=0.0
    )
    model = new_base()
    rows = pretrain(model, tokens, settings, seed=1)
    with torch.no_grad():
        expected = language_model_loss(model, torch.from_numpy(tokens).view(250, 32)[:5])
    assert rows[-1]["held_out_loss"] == pytest.approx(expected.item(), abs=1e-5)
