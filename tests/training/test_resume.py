"""A training that was interrupted anywhere goes on to be, bit for bit, the one that was not."""

import copy
import math
import os
import signal

import pytest
import torch
from loralab.errors import LoralabError
from loralab.interrupts import deferred_interrupts
from loralab.training import loop
from loralab.training.loop import train_classifier
from loralab.training.resume import ResumeFile

STEPS = 32  # of four epochs of sixty messages in eights


class Killed(BaseException):
    """Stands for the end of the process: nothing of ours may catch it."""


@pytest.fixture
def train(new_classifier, task, settings, tmp_path, monkeypatch):
    """Train a new model, perhaps from what an earlier one left and perhaps killed on the way."""

    def run(killed_after=None, identity="this one", resume=True, every=0.0, **changes):
        model, file = new_classifier(dropout=0.1), ResumeFile(tmp_path / "state", identity, every)
        tell = loop._tell

        def die(fit, bar):
            if len(fit.run.history) == killed_after:
                raise Killed
            tell(fit, bar)

        monkeypatch.setattr(loop, "_tell", die)
        chosen = settings(**changes)
        try:
            fitted = train_classifier(model, task, task, chosen, 1, file if resume else None)
        except Killed:
            fitted = None
        monkeypatch.setattr(loop, "_tell", tell)
        return model, fitted

    return run


def _same(one, other) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(mine[name], theirs[name]) for name in mine | theirs)


def _history(fitted) -> list[dict]:
    """But for the seconds, which no two runs share."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in fitted.history]


def _epochs(fitted) -> list[dict]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in fitted.epochs]


@pytest.mark.parametrize("killed_after", [1, 7, 8, 9, 20, 31, STEPS])
def test_a_training_killed_after_any_step_ends_as_if_it_had_not_been(train, killed_after):
    expected, whole = train(resume=False)
    assert len(whole.history) == STEPS
    assert train(killed_after=killed_after)[1] is None
    model, fitted = train()
    assert fitted.resumed_from == killed_after
    assert _same(model, expected)
    assert _history(fitted) == _history(whole)
    assert _epochs(fitted) == _epochs(whole)


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_training_killed_again_and_again_ends_the_same(train, schedule):
    changes = {"schedule": schedule, "warmup": 0.1, "loraplus_lr_ratio": 4.0, "accumulation": 2}
    expected, whole = train(resume=False, **changes)
    for killed_after in (1, 2, 7, 8, 9, 20, 31):
        train(killed_after=killed_after, **changes)
    model, fitted = train(**changes)
    assert fitted.resumed_from == 31
    assert _same(model, expected) and _history(fitted) == _history(whole)


@pytest.mark.parametrize("killed_after", [12, 20])
def test_early_stopping_remembers_the_best_epoch(train, killed_after, monkeypatch):

    def summary(fit, validation, epoch):
        return {"epoch": epoch, "validation_loss": [0.5, 0.4, 0.6, 0.7][epoch - 1], "seconds": 0.0}

    monkeypatch.setattr(loop, "_epoch_summary", summary)
    expected, whole = train(resume=False, early_stopping=1)
    assert (whole.best_epoch, len(whole.epochs)) == (2, 3)
    train(killed_after=killed_after, early_stopping=1)
    model, fitted = train(early_stopping=1)
    assert (fitted.best_epoch, len(fitted.epochs)) == (2, 3)
    assert _same(model, expected)


def test_what_is_written_seldom_resumes_from_what_was_last_written(train):
    expected, whole = train(resume=False)
    train(killed_after=13, every=1e9)  # written at the end of the first epoch alone
    model, fitted = train(every=1e9)
    assert fitted.resumed_from == 8
    assert _same(model, expected) and _history(fitted) == _history(whole)


def test_a_kill_while_the_state_is_written_leaves_the_one_before(train, monkeypatch):
    expected, _ = train(resume=False)
    replace, calls = os.replace, []

    def die(source, target):
        calls.append(target)
        if len(calls) == 6:
            raise Killed
        replace(source, target)

    monkeypatch.setattr(os, "replace", die)
    train()
    model, fitted = train()
    assert fitted.resumed_from == 5
    assert _same(model, expected)


DAMAGE = {
    "emptied": lambda content: b"",
    "replaced": lambda content: b"{",
    "cut": lambda content: content[:-7],
    "one bit of a tensor": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "one digit of a loss": lambda content: content.replace(b'loss\\": 0.6', b'loss\\": 0.5', 1),
    "a tensor renamed": lambda content: content.replace(b"trained.0", b"trained.x"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_state_that_was_damaged_starts_anew_and_says_so(train, tmp_path, caplog, damage):
    expected, _ = train(resume=False)
    train(killed_after=9)
    path = tmp_path / "state" / "training.safetensors"
    before = path.read_bytes()
    path.write_bytes(DAMAGE[damage](before))
    assert path.read_bytes() != before
    model, fitted = train()
    assert fitted.resumed_from is None
    assert "starting anew" in caplog.text
    assert _same(model, expected)


def test_the_state_of_another_training_is_never_taken_up(train):
    expected, _ = train(resume=False)
    train(killed_after=9, identity="another")
    model, fitted = train()
    assert fitted.resumed_from is None
    assert _same(model, expected)


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_within_a_step_saves_it_and_stops(train, monkeypatch, kind, engine_class):
    expected, _ = train(resume=False)
    step, taken = engine_class._step, []

    def signalled(self, *arguments):
        taken.append(arguments)
        if len(taken) == 5:
            os.kill(os.getpid(), kind)
        return step(self, *arguments)

    monkeypatch.setattr(engine_class, "_step", signalled)
    with pytest.raises(KeyboardInterrupt):
        train(every=1e9)
    assert len(taken) == 5
    model, fitted = train(every=1e9)
    assert fitted.resumed_from == 5
    assert _same(model, expected)


def test_signals_are_held_back_and_handlers_put_back():
    before = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt), deferred_interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts == [signal.SIGTERM]
    with deferred_interrupts() as interrupts:
        assert interrupts == []
    assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("spoilt_part", ["gradient_norm", "loss"])
def test_a_training_that_diverged_goes_on_from_before_that_step_to_the_same_bytes(
    train, monkeypatch, spoilt_part, engine_class
):
    step, taken = engine_class._step, []

    def spoilt(self, *arguments):
        if len(taken) < 4:
            taken.append(step(self, *arguments))
            return taken[-1]
        before = copy.deepcopy(self.state())
        found = step(self, *arguments)
        self.restore(before)  # as if the step had not been taken
        return found | {spoilt_part: math.inf}

    monkeypatch.setattr(engine_class, "_step", spoilt)
    with pytest.raises(
        LoralabError, match=r"diverged at step 5.*is kept in .*training\.safetensors"
    ):
        train(every=3600)
    monkeypatch.setattr(engine_class, "_step", step)
    resumed, fitted = train()
    whole, expected = train(resume=False)
    assert fitted.resumed_from == 4
    assert _same(resumed, whole) and _history(fitted) == _history(expected)


def test_a_training_that_diverges_at_its_first_step_keeps_nothing(
    train, monkeypatch, tmp_path, engine_class
):
    monkeypatch.setattr(engine_class, "_step", lambda *_: {"loss": math.nan, "gradient_norm": 1.0})
    with pytest.raises(LoralabError, match=r"diverged at step 1: loss nan.*training\.warmup$"):
        train()
    assert not list(tmp_path.rglob("*.safetensors"))
