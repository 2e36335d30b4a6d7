"""Training steps on a CUDA GPU: the fast path as one captured graph a length, replayed.

A batch of eight short messages is hundreds of kernels of a few microseconds: launched one by one
they take many times as long as they run. So the data lie on the device, a step reads its rows, its
learning rate and its random seed there and leaves its loss there, and nothing waits for an answer
until `stride` steps are done.
"""

import math

import numpy as np
import torch
from torch import Tensor

from loralab.config import Training
from loralab.fast.packing import PackedBatch
from loralab.fast.torch_passes import TorchPasses
from loralab.model.gpt2 import GPT2
from loralab.randomness import stream_seed
from loralab.training.fast_engine import FastEngine
from loralab.training.labelled import LabelledTexts

WARM_UPS = 2  # steps before a capture, in which libraries choose kernels and allocate
RESULTS = ("loss", "gradient_norm", "correct")  # what a step leaves


class GraphEngine(FastEngine):
    """As `FastEngine`, on padded batches whose length is rounded up, so that few graphs are needed.

    A smaller batch is filled up with messages that count nothing.
    """

    def __init__(
        self, model: GPT2, train: LabelledTexts, settings: Training, seed: int, dtype: torch.dtype
    ):
        super().__init__(model, train, settings, seed, dtype, is_captured=True)
        self.stride = settings.log_every
        self.device = model.head.weight.device
        self.padding_id, self.context = model.shape.end_of_text, model.shape.context
        self.data = _DeviceData(train, self.device)
        self.inputs = _StepInputs(settings, self.device)
        self.broken = torch.zeros((), device=self.device)  # 1 after a step that is not finite
        self.optimizer.grad_scale, self.optimizer.found_inf = None, self.broken
        self.passes = TorchPasses(is_dropping=True)
        self.graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self.pool = None  # of memory, which all graphs share: one runs at a time

    def take(self, step: int, batches: list[np.ndarray], rates: list[float]) -> list[dict]:
        """As `PlainEngine.take`."""
        lengths = self.train.texts.lengths
        buckets = [_round_up(lengths[rows].max(), self.context) for rows in batches]
        self.inputs.fill(batches, rates)
        for bucket in set(buckets) - self.graphs.keys():
            self._capture(bucket)
        self.inputs.cursor.zero_()
        for place, bucket in enumerate(buckets):
            # Which a replay reads: dropout is a function of seed and step.
            torch.cuda.manual_seed(stream_seed(self.seed, f"training/dropout/{step + place}"))
            self.graphs[bucket].replay()
        results = self.inputs.results[: len(batches)].tolist()
        return self._rows(batches, results)

    def _rows(self, batches: list[np.ndarray], results: list[list[float]]) -> list[dict]:
        rows = []
        for batch, values in zip(batches, results, strict=True):
            row = dict(zip(RESULTS, values, strict=True))
            row["correct"] = int(row["correct"]) if math.isfinite(row["correct"]) else 0
            tokens = int(self.train.texts.lengths[batch].sum())
            rows.append({"examples": len(batch), "tokens": tokens} | row)
            if not all(math.isfinite(value) for value in values):
                break
        return rows

    def _capture(self, length: int) -> None:
        """Record a step on messages of at most this length, without taking it."""
        self.broken.fill_(1)  # no step is taken while this is set
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self.inputs.cursor.zero_()
                self._padded_step(length)
        torch.cuda.current_stream().wait_stream(side)
        self.pool = self.pool or torch.cuda.graph_pool_handle()
        self.graphs[length] = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graphs[length], pool=self.pool):
            self._padded_step(length)
        self.broken.zero_()

    @torch.no_grad()
    def _padded_step(self, length: int) -> None:
        """One step, of which nothing is read back."""
        self.network.refresh()
        self.flat.gradients.zero_()
        rows, shares, rates = self.inputs.present()
        loss = correct = 0
        parts = zip(rows.chunk(self._parts), shares.chunk(self._parts), strict=True)
        for part, share in parts:
            batch = self._batch(part, length)
            labels = self.data.labels[part]
            own, logits = self.network.add_gradients(batch, labels, share, self.passes)
            loss = loss + own
            correct = correct + ((logits.argmax(dim=-1) == labels) & (share > 0)).sum()
        norm = torch.linalg.vector_norm(self.flat.gradients)
        self.broken.copy_(torch.maximum(self.broken, (~torch.isfinite(loss + norm)).float()))
        if self.settings.gradient_clip is not None:
            self.flat.gradients.mul_((self.settings.gradient_clip / (norm + 1e-6)).clamp(max=1.0))
        for group, rate in zip(self.optimizer.param_groups, rates, strict=False):
            group["lr"].copy_(rate * group["lr_ratio"])
        self.optimizer.step()
        self.inputs.leave(torch.stack((loss, norm, correct.float())))

    @property
    def _parts(self) -> int:
        return min(self.settings.accumulation, self.settings.batch_size)

    def _batch(self, rows: Tensor, length: int) -> PackedBatch:
        """The messages in `rows`, padded on the right to `length`."""
        places = torch.arange(length, device=self.device)
        lengths = self.data.lengths[rows].clamp(max=length)  # a warm-up may see longer ones
        real = places < lengths[:, None]  # (B, T)
        where = (self.data.offsets[rows][:, None] + places).clamp_(max=len(self.data.tokens) - 1)
        ids = self.data.tokens[where].masked_fill_(~real, self.padding_id)
        starts = torch.arange(len(rows) + 1, device=self.device) * length
        return PackedBatch(
            ids=ids.flatten(),
            positions=places.repeat(len(rows)),
            starts=starts,
            last=starts[:-1] + lengths - 1,
            lengths=lengths,
            longest=length,
            rows=None,
            places=None,
        )

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """As `PlainEngine.restore`; what was captured worked on other tensors."""
        super().restore(tensors)
        self.graphs.clear()

    def close(self) -> None:
        """As `FastEngine.close`; the graphs' memory is given back, too."""
        self.graphs.clear()
        super().close()


class _DeviceData:
    """The training messages on the device."""

    def __init__(self, train: LabelledTexts, device: torch.device):
        self.tokens = torch.from_numpy(np.asarray(train.texts.tokens, dtype=np.int64)).to(device)
        self.offsets = torch.from_numpy(np.asarray(train.texts.offsets)).to(device)
        self.lengths = torch.from_numpy(train.texts.lengths).to(device)
        self.labels = torch.from_numpy(train.labels).to(device)


class _StepInputs:
    """What the next steps read and where they leave their results; a cursor says which is next."""

    def __init__(self, settings: Training, device: torch.device):
        stride, batch = settings.log_every, settings.batch_size
        self.rows = torch.zeros(stride, batch, dtype=torch.int64, device=device)
        self.shares = torch.zeros(stride, batch, device=device)  # of each message in the loss
        self.rates = torch.zeros(stride, device=device)
        self.results = torch.zeros(stride, len(RESULTS), device=device)
        self.cursor = torch.zeros(1, dtype=torch.int64, device=device)

    def fill(self, batches: list[np.ndarray], rates: list[float]) -> None:
        rows = np.zeros((len(batches), self.rows.shape[1]), dtype=np.int64)
        shares = np.zeros(rows.shape, dtype=np.float32)
        for place, batch in enumerate(batches):
            rows[place, : len(batch)] = batch
            shares[place, : len(batch)] = 1 / len(batch)
            rows[place, len(batch) :] = batch[0]  # counts nothing, and is no longer than the rest
        self.rows[: len(batches)].copy_(torch.from_numpy(rows))
        self.shares[: len(batches)].copy_(torch.from_numpy(shares))
        self.rates[: len(batches)].copy_(torch.tensor(rates))

    def present(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Rows (B,), shares (B,) and the learning rate, once for each group, of this step."""
        rate = self.rates.index_select(0, self.cursor)[0]
        rows = self.rows.index_select(0, self.cursor)[0]
        return rows, self.shares.index_select(0, self.cursor)[0], [rate, rate]

    def leave(self, results: Tensor) -> None:
        """Write this step's results, and go on to the next."""
        self.results.index_copy_(0, self.cursor, results[None])
        self.cursor.add_(1)


def _round_up(length: int, context: int) -> int:
    """To a multiple of 8, 16 or 32, the longer the coarser: few different lengths."""
    step = 8 if length <= 64 else 16 if length <= 128 else 32
    return min(-(-int(length) // step) * step, context)
