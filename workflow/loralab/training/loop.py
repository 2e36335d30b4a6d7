"""Training a classifier: the step, the epoch, the run."""

import logging
import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from loralab.config import Training
from loralab.errors import Diverged, LoralabError
from loralab.interrupts import deferred_interrupts
from loralab.model.devices import keep_freed_memory
from loralab.model.gpt2 import GPT2
from loralab.training.batches import epoch_batches
from loralab.training.engines import Engine, build_engine
from loralab.training.labelled import LabelledTexts
from loralab.training.plain_engine import is_finite
from loralab.training.prediction import loss_and_accuracy
from loralab.training.resume import ResumeFile
from loralab.training.schedules import learning_rate_factor

log = logging.getLogger(__name__)


@dataclass
class TrainingRun:
    """What a training leaves: a row a step, a summary an epoch, seconds without evaluations."""

    history: list[dict] = field(default_factory=list)
    epochs: list[dict] = field(default_factory=list)
    seconds: float = 0.0
    best_epoch: int | None = None
    resumed_from: int | None = None  # the step, where an earlier, interrupted run was taken up
    engine: dict | None = None  # which one took the steps, why, and in what it computed


@dataclass(frozen=True)
class _Fit:
    """A training under way: what its steps work on, and what has come of them so far."""

    engine: Engine
    train: LabelledTexts
    settings: Training
    seed: int
    steps_per_epoch: int
    best: "_BestState"
    resume: ResumeFile | None
    run: TrainingRun

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole training, were it not to stop early."""
        return self.steps_per_epoch * self.settings.epochs


def train_classifier(
    model: GPT2,
    train: LabelledTexts,
    validation: LabelledTexts | None,
    settings: Training,
    seed: int,
    resume: ResumeFile | None = None,
) -> TrainingRun:
    """Train the parameters of `model` that require gradients, in place.

    With early stopping, the model ends as it was after the epoch of lowest validation loss. With a
    resume file, an interrupted training goes on where it was, and this one is saved as it goes.
    Raises LoralabError where there is no full batch, or the loss or the gradient stops being
    finite; KeyboardInterrupt, with the state saved, at the end of a step in which a signal came.
    """
    steps = _steps_per_epoch(len(train), settings)
    engine = build_engine(model, train, settings, seed)
    keep_freed_memory()
    try:
        fit = _start(engine, model, train, settings, seed, steps, resume)
        run = fit.run
        with tqdm(
            total=fit.steps, initial=len(run.history), desc="training", unit="step", disable=None
        ) as bar:
            while not _is_finished(fit):
                _train_epoch(fit, bar)
                _end_epoch(fit, validation)
        run.best_epoch = fit.best.restore() or len(run.epochs)
    finally:
        engine.close()
    return run


def _steps_per_epoch(messages: int, settings: Training) -> int:
    size = settings.batch_size
    steps = messages // size if settings.drop_last else -(-messages // size)
    if steps == 0:
        raise LoralabError(
            f"{messages} messages make no full batch of {size}; "
            "lower training.batch_size or set training.drop_last to false"
        )
    return steps


def _batches(fit: "_Fit", epoch: int) -> list[np.ndarray]:
    """The rows of each batch of an epoch, counted from 1."""
    lengths, settings = fit.train.texts.lengths, fit.settings
    by_length = settings.padding == "dynamic"
    return epoch_batches(
        lengths, settings.batch_size, by_length, settings.drop_last, fit.seed, epoch
    )


def _start(
    engine: Engine,
    model: GPT2,
    train: LabelledTexts,
    settings: Training,
    seed: int,
    steps_per_epoch: int,
    resume: ResumeFile | None,
) -> _Fit:
    best = _BestState([parameter for parameter in model.parameters() if parameter.requires_grad])
    run = TrainingRun(engine=engine.description)
    fit = _Fit(engine, train, settings, seed, steps_per_epoch, best, resume, run)
    if resume and (saved := resume.read()):
        _take_up(fit, *saved)
    return fit


def _is_finished(fit: _Fit) -> bool:
    epochs, patience = len(fit.run.epochs), fit.settings.early_stopping
    stopped = fit.best.epoch > 0 and patience is not None and epochs - fit.best.epoch >= patience
    if stopped:
        log.info("no lower validation loss since epoch %d: stopping", fit.best.epoch)
    return stopped or epochs == fit.settings.epochs


def _train_epoch(fit: _Fit, bar: tqdm) -> None:
    """Take the steps of the present epoch that are still to be taken."""
    epoch, stride = len(fit.run.epochs) + 1, fit.engine.stride
    taken = len(fit.run.history) - fit.steps_per_epoch * (epoch - 1)
    left = _batches(fit, epoch)[taken:]
    for start in range(0, len(left), stride):
        with deferred_interrupts() as interrupts:
            _take_steps(fit, epoch, left[start : start + stride])
            if fit.resume and (interrupts or fit.resume.due):
                _save(fit)
        _tell(fit, bar)


def _take_steps(fit: _Fit, epoch: int, batches: list[np.ndarray]) -> None:
    """Some steps, with their rows of the history; one that is not finite is not taken."""
    first = len(fit.run.history)
    rates = [_learning_rate(fit, first + place) for place in range(len(batches))]
    started = time.perf_counter()
    taken = fit.engine.take(first, batches, rates)
    seconds = (time.perf_counter() - started) / len(taken)
    for place, (rate, result) in enumerate(zip(rates, taken, strict=False)):
        row = {"epoch": epoch, "step": first + place + 1, "learning_rate": rate}
        row |= result | {"seconds": round(seconds, 6)}
        if not is_finite(row):
            raise Diverged(_diverged(fit, row))
        fit.run.seconds += seconds
        fit.run.history.append(row)


def _diverged(fit: _Fit, row: dict) -> str:
    """What is said of a step that is not finite; the state before it is kept."""
    kept = ""
    if fit.resume and fit.run.history:
        _save(fit)
        kept = f". The state before that step is kept in {fit.resume.path}"
    return (
        f"training diverged at step {row['step']}: loss {row['loss']}, gradient norm "
        f"{row['gradient_norm']}, learning rate {row['learning_rate']:g}; lower "
        f"training.learning_rate, or set training.gradient_clip or training.warmup{kept}"
    )


def _end_epoch(fit: _Fit, validation: LabelledTexts | None) -> None:
    """Measure the epoch, and remember the model where it is the best so far."""
    if fit.resume:
        _save(fit)  # measuring takes its time, and may be interrupted
    epoch = len(fit.run.epochs) + 1
    fit.run.epochs.append(_epoch_summary(fit, validation, epoch))
    if validation and fit.settings.early_stopping:
        fit.best.offer(epoch, fit.run.epochs[-1]["validation_loss"])


def _save(fit: _Fit) -> None:
    """Write all that the next step depends on."""
    best = {f"best.{i}": tensor for i, tensor in enumerate(fit.best.state or [])}
    progress = {
        "history": fit.run.history,
        "epochs": fit.run.epochs,
        "seconds": fit.run.seconds,
        "best": {"epoch": fit.best.epoch, "loss": fit.best.loss},
        "engine": fit.run.engine,
    }
    fit.resume.write(fit.engine.state() | best, progress)


def _take_up(fit: _Fit, tensors: dict[str, Tensor], progress: dict) -> None:
    """Go on from what `_save` wrote, if an engine like the present one computed it."""
    if progress["engine"] != fit.run.engine:
        log.warning(
            "starting anew: %s was saved by the engine %s", fit.resume.path, progress["engine"]
        )
        return
    fit.engine.restore(tensors)
    fit.run.history[:], fit.run.epochs[:] = progress["history"], progress["epochs"]
    fit.run.seconds = progress["seconds"]
    fit.best.take_up(progress["best"]["epoch"], progress["best"]["loss"], tensors)
    fit.run.resumed_from = len(fit.run.history)
    log.info("resuming after step %d of %d", fit.run.resumed_from, fit.steps)


def _learning_rate(fit: _Fit, step: int) -> float:
    """The rate of a step (from 0): that of A and all else but B, where B has its own."""
    settings = fit.settings
    factor = learning_rate_factor(step, fit.steps, settings.schedule, settings.warmup)
    return settings.learning_rate * factor


def _tell(fit: _Fit, bar: tqdm) -> None:
    """Move the bar; every few steps, say where the training stands."""
    row, every = fit.run.history[-1], fit.settings.log_every
    bar.update(row["step"] - bar.n)
    if row["step"] % every == 0 or row["step"] == fit.steps:
        recent = fit.run.history[-every:]
        speed = sum(r["tokens"] for r in recent) / max(sum(r["seconds"] for r in recent), 1e-9)
        left = fit.run.seconds / row["step"] * (fit.steps - row["step"])
        bar.set_postfix(loss=f"{row['loss']:.3f}", tokens_per_second=f"{speed:.0f}")
        log.info(
            "epoch %d step %d/%d loss %.4f, %.0f tokens/s, %.0f s left",
            *(row["epoch"], row["step"], fit.steps, row["loss"], speed, left),
        )


def _epoch_summary(fit: _Fit, validation: LabelledTexts | None, epoch: int) -> dict:
    """Loss and accuracy on train and validation without dropout, and as they ran while training."""
    rows = [row for row in fit.run.history if row["epoch"] == epoch]
    examples = sum(row["examples"] for row in rows)
    summary = {
        "epoch": epoch,
        "running_loss": sum(row["loss"] for row in rows) / len(rows),
        "running_accuracy": sum(row["correct"] for row in rows) / examples,
        "seconds": sum(row["seconds"] for row in rows),
    }
    for name, messages in (("train", fit.train), ("validation", validation)):
        loss = accuracy = None
        if messages:
            found = fit.engine.predict(messages.texts)
            loss, accuracy = loss_and_accuracy(found, messages.labels)
        summary |= {f"{name}_loss": loss, f"{name}_accuracy": accuracy}
    log.info("epoch %d: %s", epoch, {k: v for k, v in summary.items() if k != "epoch"})
    return summary


class _BestState:
    """The trainable tensors as they were after the epoch of lowest validation loss."""

    def __init__(self, trainable: list[Tensor]):
        self.trainable = trainable
        self.epoch = 0
        self.loss = math.inf
        self.state: list[Tensor] | None = None

    def offer(self, epoch: int, loss: float) -> None:
        if loss < self.loss:
            self.epoch, self.loss = epoch, loss
            self.state = [parameter.detach().clone() for parameter in self.trainable]

    def take_up(self, epoch: int, loss: float, tensors: dict[str, Tensor]) -> None:
        """Go on from what was saved of it."""
        self.epoch, self.loss = epoch, loss
        if epoch:
            kept = (tensors[f"best.{i}"] for i in range(len(self.trainable)))
            self.state = [t.to(p.device) for t, p in zip(kept, self.trainable, strict=True)]

    def restore(self) -> int | None:
        """Put the best state back; its epoch, or None where none was offered."""
        if self.state is None:
            return None
        with torch.no_grad():
            for parameter, kept in zip(self.trainable, self.state, strict=True):
                parameter.copy_(kept)
        return self.epoch
