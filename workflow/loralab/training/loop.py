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
from loralab.model.gpt2 import GPT2
from loralab.randomness import stream_seed
from loralab.training.batches import EncodedTexts, collate, epoch_batches
from loralab.training.prediction import loss_and_accuracy, predict
from loralab.training.schedules import learning_rate_factor

log = logging.getLogger(__name__)

EVALUATION_BATCH = 32  # messages a forward pass; no result depends on it


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


def train_classifier(
    model: GPT2,
    train: LabelledTexts,
    validation: LabelledTexts | None,
    settings: Training,
    seed: int,
) -> TrainingRun:
    """Train the parameters of `model` that require gradients, in place.

    With early stopping, the model ends as it was after the epoch of lowest validation loss.
    Raises LoralabError where the loss or the gradient stops being finite.
    """
    torch.manual_seed(stream_seed(seed, "training/dropout"))
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        trainable, lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    run, best = TrainingRun(), _BestState(trainable)
    plan = [_batches(train, settings, seed, epoch) for epoch in range(1, settings.epochs + 1)]
    steps = sum(len(batches) for batches in plan)
    if steps == 0:
        raise LoralabError(
            f"{len(train)} messages make no full batch of {settings.batch_size}; "
            "lower training.batch_size or set training.drop_last to false"
        )
    bar = tqdm(total=steps, desc="training", unit="step", disable=None)
    with bar:
        for epoch, batches in enumerate(plan, start=1):
            _train_epoch(model, optimizer, trainable, train, batches, settings, run, steps, bar)
            run.epochs.append(_epoch_summary(model, train, validation, settings, run, epoch))
            if validation and settings.early_stopping:
                best.offer(epoch, run.epochs[-1]["validation_loss"])
                if epoch - best.epoch >= settings.early_stopping:
                    log.info("no lower validation loss since epoch %d: stopping", best.epoch)
                    break
    run.best_epoch = best.restore() or len(run.epochs)
    return run


def _batches(train: LabelledTexts, settings: Training, seed: int, epoch: int) -> list[np.ndarray]:
    by_length = settings.padding == "dynamic"
    lengths = train.texts.lengths
    return epoch_batches(lengths, settings.batch_size, by_length, settings.drop_last, seed, epoch)


def _train_epoch(
    model: GPT2,
    optimizer: torch.optim.Optimizer,
    trainable: list[Tensor],
    train: LabelledTexts,
    batches: list[np.ndarray],
    settings: Training,
    run: TrainingRun,
    steps: int,
    bar: tqdm,
) -> None:
    model.train()
    epoch = len(run.epochs) + 1
    for rows in batches:
        started = time.perf_counter()
        step = len(run.history)
        factor = learning_rate_factor(step, steps, settings.schedule, settings.warmup)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * factor
        taken = _train_step(model, optimizer, trainable, train, rows, settings)
        seconds = time.perf_counter() - started
        run.seconds += seconds
        rate = settings.learning_rate * factor
        row = {"epoch": epoch, "step": step + 1, "learning_rate": rate, **taken}
        run.history.append(row | {"seconds": round(seconds, 6)})
        _check_finite(run.history[-1])
        _tell(run, steps, settings.log_every, bar)


def _train_step(
    model: GPT2,
    optimizer: torch.optim.Optimizer,
    trainable: list[Tensor],
    train: LabelledTexts,
    rows: np.ndarray,
    settings: Training,
) -> dict:
    """One optimiser step on one batch; its loss, gradient norm and counts."""
    device = model.head.weight.device
    pad_to = pad_length(settings)
    ids, lengths = collate(train.texts, rows, model.shape.vocabulary - 1, pad_to, device)
    labels = torch.from_numpy(train.labels[rows]).to(device)
    optimizer.zero_grad(set_to_none=True)
    logits = model.classify(ids, lengths)
    loss = functional.cross_entropy(logits, labels)
    loss.backward()
    limit = settings.gradient_clip or math.inf
    norm = torch.nn.utils.clip_grad_norm_(trainable, limit)
    # A step that is not finite would spoil the adapters before anyone could read them.
    if torch.isfinite(norm):
        optimizer.step()
    return {
        "examples": len(rows),
        "tokens": int(lengths.sum()),
        "loss": loss.item(),
        "gradient_norm": norm.item(),
        "correct": int((logits.argmax(dim=-1) == labels).sum()),
    }


def pad_length(settings: Training) -> int | None:
    """The length that every batch is padded to, or None for that of its longest message."""
    return settings.max_length if settings.padding == "lab" else None


def _check_finite(row: dict) -> None:
    if not (math.isfinite(row["loss"]) and math.isfinite(row["gradient_norm"])):
        raise LoralabError(
            f"training diverged at step {row['step']}: loss {row['loss']}, gradient norm "
            f"{row['gradient_norm']}, learning rate {row['learning_rate']:g}; lower "
            "training.learning_rate, or set training.gradient_clip or training.warmup"
        )


def _tell(run: TrainingRun, steps: int, every: int, bar: tqdm) -> None:
    row = run.history[-1]
    bar.update()
    if row["step"] % every == 0 or row["step"] == steps:
        recent = run.history[-every:]
        speed = sum(r["tokens"] for r in recent) / max(sum(r["seconds"] for r in recent), 1e-9)
        left = run.seconds / row["step"] * (steps - row["step"])
        bar.set_postfix(loss=f"{row['loss']:.3f}", tokens_per_second=f"{speed:.0f}")
        log.info(
            "epoch %d step %d/%d loss %.4f, %.0f tokens/s, %.0f s left",
            *(row["epoch"], row["step"], steps, row["loss"], speed, left),
        )


def _epoch_summary(
    model: GPT2,
    train: LabelledTexts,
    validation: LabelledTexts | None,
    settings: Training,
    run: TrainingRun,
    epoch: int,
) -> dict:
    """Loss and accuracy on train and validation without dropout, and as they ran while training."""
    rows = [row for row in run.history if row["epoch"] == epoch]
    examples = sum(row["examples"] for row in rows)
    summary = {
        "epoch": epoch,
        "running_loss": sum(row["loss"] for row in rows) / len(rows),
        "running_accuracy": sum(row["correct"] for row in rows) / examples,
        "seconds": sum(row["seconds"] for row in rows),
    }
    for name, messages in (("train", train), ("validation", validation)):
        loss = accuracy = None
        if messages:
            pad_to = pad_length(settings)
            found = predict(model, messages.texts, EVALUATION_BATCH, pad_to)
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
