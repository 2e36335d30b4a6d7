"""Training a classifier: the step, the epoch, the run."""

import logging
import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from loralab.config import Training
from loralab.errors import LoralabError
from loralab.interrupts import deferred_interrupts
from loralab.model.gpt2 import GPT2
from loralab.randomness import stream_seed
from loralab.training.batches import EncodedTexts, collate, epoch_batches
from loralab.training.optimizer import build_optimizer, set_learning_rate
from loralab.training.prediction import loss_and_accuracy, predict
from loralab.training.resume import (
    ResumeFile,
    fill_optimizer,
    optimizer_tensors,
    random_tensors,
    restore_random,
)
from loralab.training.schedules import learning_rate_factor

log = logging.getLogger(__name__)

EVALUATION_BATCH = 32  # messages a forward pass; only in bf16 do the last digits depend on it


@dataclass(frozen=True)
class LabelledTexts:
    """Encoded texts and the index of each one's label."""

    texts: EncodedTexts
    labels: np.ndarray  # (n,) int64

    def __len__(self) -> int:
        return len(self.texts)


@dataclass
class TrainingRun:
    """What a training leaves: a row a step, a summary an epoch, seconds without evaluations."""

    history: list[dict] = field(default_factory=list)
    epochs: list[dict] = field(default_factory=list)
    seconds: float = 0.0
    best_epoch: int | None = None
    resumed_from: int | None = None  # the step, where an earlier, interrupted run was taken up


@dataclass(frozen=True)
class _Fit:
    """A training under way: what its steps work on, and what has come of them so far."""

    model: GPT2
    train: LabelledTexts
    settings: Training
    trainable: list[Tensor]
    optimizer: torch.optim.Optimizer
    plan: list[list[np.ndarray]]  # the rows of every batch of every epoch
    best: "_BestState"
    resume: ResumeFile | None
    run: TrainingRun

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole training, were it not to stop early."""
        return sum(len(batches) for batches in self.plan)


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
    fit = _start(model, train, settings, seed, resume)
    run = fit.run
    with tqdm(
        total=fit.steps, initial=len(run.history), desc="training", unit="step", disable=None
    ) as bar:
        while not _is_finished(fit):
            _train_epoch(fit, bar)
            _end_epoch(fit, validation)
    run.best_epoch = fit.best.restore() or len(run.epochs)
    return run


def _start(
    model: GPT2, train: LabelledTexts, settings: Training, seed: int, resume: ResumeFile | None
) -> _Fit:
    torch.manual_seed(stream_seed(seed, "training/dropout"))
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = build_optimizer(
        model, settings.learning_rate, settings.loraplus_lr_ratio, settings.weight_decay
    )
    plan = [_batches(train, settings, seed, epoch) for epoch in range(1, settings.epochs + 1)]
    best = _BestState(trainable)
    fit = _Fit(model, train, settings, trainable, optimizer, plan, best, resume, TrainingRun())
    if fit.steps == 0:
        raise LoralabError(
            f"{len(train)} messages make no full batch of {settings.batch_size}; "
            "lower training.batch_size or set training.drop_last to false"
        )
    if resume and (saved := resume.read()):
        _take_up(fit, *saved)
    return fit


def _is_finished(fit: _Fit) -> bool:
    epochs, patience = len(fit.run.epochs), fit.settings.early_stopping
    stopped = fit.best.epoch > 0 and patience is not None and epochs - fit.best.epoch >= patience
    if stopped:
        log.info("no lower validation loss since epoch %d: stopping", fit.best.epoch)
    return stopped or epochs == fit.settings.epochs


def _batches(train: LabelledTexts, settings: Training, seed: int, epoch: int) -> list[np.ndarray]:
    by_length = settings.padding == "dynamic"
    lengths = train.texts.lengths
    return epoch_batches(lengths, settings.batch_size, by_length, settings.drop_last, seed, epoch)


def _train_epoch(fit: _Fit, bar: tqdm) -> None:
    """Take the steps of the present epoch that are still to be taken."""
    fit.model.train()
    epoch = len(fit.run.epochs) + 1
    taken = len(fit.run.history) - sum(len(batches) for batches in fit.plan[: epoch - 1])
    for rows in fit.plan[epoch - 1][taken:]:
        with deferred_interrupts() as interrupts:
            _timed_step(fit, epoch, rows)
            if fit.resume and (interrupts or fit.resume.due):
                _save(fit)
        _tell(fit, bar)


def _timed_step(fit: _Fit, epoch: int, rows: np.ndarray) -> None:
    """One step, with its row of the history; one that is not finite leaves the state before it."""
    random = random_tensors(fit.model.head.weight.device)
    started = time.perf_counter()
    rate = _set_learning_rate(fit)
    taken = _train_step(fit, rows)
    seconds = time.perf_counter() - started
    row = {"epoch": epoch, "step": len(fit.run.history) + 1, "learning_rate": rate}
    row |= taken | {"seconds": round(seconds, 6)}
    if not _is_finite(row):
        restore_random(random, fit.model.head.weight.device)
        raise LoralabError(_diverged(fit, row))
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
    device = fit.model.head.weight.device
    tensors = {f"trained.{i}": parameter.detach() for i, parameter in enumerate(fit.trainable)}
    tensors |= {f"best.{i}": tensor for i, tensor in enumerate(fit.best.state or [])}
    tensors |= optimizer_tensors(fit.optimizer) | random_tensors(device)
    progress = {
        "history": fit.run.history,
        "epochs": fit.run.epochs,
        "seconds": fit.run.seconds,
        "best": {"epoch": fit.best.epoch, "loss": fit.best.loss},
    }
    fit.resume.write(tensors, progress)


@torch.no_grad()
def _take_up(fit: _Fit, tensors: dict[str, Tensor], progress: dict) -> None:
    """Go on from what `_save` wrote."""
    for i, parameter in enumerate(fit.trainable):
        parameter.copy_(tensors[f"trained.{i}"])
    fill_optimizer(fit.optimizer, tensors)
    restore_random(tensors, fit.model.head.weight.device)
    fit.run.history[:], fit.run.epochs[:] = progress["history"], progress["epochs"]
    fit.run.seconds = progress["seconds"]
    fit.best.epoch, fit.best.loss = progress["best"]["epoch"], progress["best"]["loss"]
    if fit.best.epoch:
        device = fit.model.head.weight.device
        fit.best.state = [tensors[f"best.{i}"].to(device) for i in range(len(fit.trainable))]
    fit.run.resumed_from = len(fit.run.history)
    log.info("resuming after step %d of %d", fit.run.resumed_from, fit.steps)


def _set_learning_rate(fit: _Fit) -> float:
    """Give the optimiser the rate of the step that comes next; return that of A."""
    settings, step = fit.settings, len(fit.run.history)
    factor = learning_rate_factor(step, fit.steps, settings.schedule, settings.warmup)
    rate = settings.learning_rate * factor
    set_learning_rate(fit.optimizer, rate)
    return rate


def _train_step(fit: _Fit, rows: np.ndarray) -> dict:
    """One optimiser step on one batch; its loss, gradient norm and counts."""
    fit.optimizer.zero_grad(set_to_none=True)
    parts = np.array_split(rows, min(fit.settings.accumulation, len(rows)))
    done = [_accumulate(fit, part, len(rows)) for part in parts]
    norm = torch.nn.utils.clip_grad_norm_(fit.trainable, fit.settings.gradient_clip or math.inf)
    sums = {key: sum(part[key] for part in done) for key in done[0]}
    taken = {"examples": len(rows), "gradient_norm": norm.item()} | sums
    # A step that is not finite would spoil the adapters before anyone could read them.
    if _is_finite(taken):
        fit.optimizer.step()
    return taken


def _is_finite(step: dict) -> bool:
    return math.isfinite(step["loss"]) and math.isfinite(step["gradient_norm"])


def _accumulate(fit: _Fit, rows: np.ndarray, batch: int) -> dict:
    """Add the gradient of these rows' share of a batch's mean loss; that share, and counts."""
    model, texts = fit.model, fit.train.texts
    device, padding_id = model.head.weight.device, model.shape.end_of_text
    ids, lengths = collate(texts, rows, padding_id, pad_length(fit.settings), device)
    labels = torch.from_numpy(fit.train.labels[rows]).to(device)
    logits = model.classify(ids, lengths)
    loss = functional.cross_entropy(logits, labels) * (len(rows) / batch)
    loss.backward()
    return {
        "tokens": int(lengths.sum()),
        "loss": loss.item(),
        "correct": int((logits.argmax(dim=-1) == labels).sum()),
    }


def pad_length(settings: Training) -> int | None:
    """The length that every batch is padded to, or None for that of its longest message."""
    return settings.max_length if settings.padding == "lab" else None


def _tell(fit: _Fit, bar: tqdm) -> None:
    """Move the bar; every few steps, say where the training stands."""
    row, every = fit.run.history[-1], fit.settings.log_every
    bar.update()
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
            pad_to = pad_length(fit.settings)
            found = predict(fit.model, messages.texts, EVALUATION_BATCH, pad_to)
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

    def restore(self) -> int | None:
        """Put the best state back; its epoch, or None where none was offered."""
        if self.state is None:
            return None
        with torch.no_grad():
            for parameter, kept in zip(self.trainable, self.state, strict=True):
                parameter.copy_(kept)
        return self.epoch
