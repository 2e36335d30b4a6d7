"""Which tokens an answer comes from: integrated gradients, and leaving tokens out beside them.

What is explained is the log-odds of one label: its logit minus the log-sum-exp of the others',
which for two labels is the difference of their logits. The absence of a token is the embedding of
`<|endoftext|>` in its place, which pads and stands in no ordinary message; positions are kept.

Shapes: T tokens, C the width, B inputs that the model computes together.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from loralab.errors import LoralabError
from loralab.model.gpt2 import GPT2

NODES = 16  # Gauss-Legendre nodes in a panel of the path; what they miss, more panels find
PANELS = (2, 4, 8, 16, 32, 64)  # of equal length, tried in turn until the attributions add up
TOLERANCE = 1e-3  # largest gap, as a share of the difference that is shared out
FLOOR = 1e-4  # largest gap in log-odds where the difference itself is next to nothing
TOKENS_A_PASS = 1024  # with the graph that a gradient needs, which takes the memory

LogOdds = Callable[[Tensor], Tensor]  # of embeddings: (B, T, C) -> (B,)


@dataclass(frozen=True)
class Attribution:
    """What each token of a message contributes to a label's log-odds, in natural logarithms."""

    values: np.ndarray  # (T,) integrated gradients
    occlusion: np.ndarray  # (T,) what the log-odds lose where one token is absent
    output: float  # log-odds of the message
    baseline_output: float  # log-odds where every token is absent
    steps: int  # points of the path at which the gradient was taken

    @property
    def difference(self) -> float:
        """What there is to share out among the tokens."""
        return self.output - self.baseline_output

    @property
    def gap(self) -> float:
        """How far the attributions are from adding up to the difference."""
        return abs(float(self.values.sum()) - self.difference)

    @property
    def complete(self) -> bool:
        """Whether they add up, within the tolerance."""
        return self.gap <= max(TOLERANCE * abs(self.difference), FLOOR)


def attribute(model: GPT2, ids: Tensor, label: int, length: int | None = None) -> Attribution:
    """Share out the log-odds of a label among the tokens of one message.

    The path of the integrated gradients is cut into more and more panels until the attributions
    add up to what separates its two ends, or the panels are the most that are tried: `complete`
    tells which.

    Args:
        model: a classifier in evaluation mode; in float64, rounding is no part of the gap.
        ids: (T,) what is read, of at least one token; the class is read at the last.
        label: the output that is explained.
        length: how many of the ids are the message, where padding follows that is read too. It is
            the same in the baseline, and so contributes nothing.

    Raises ValueError where the model is training, and LoralabError where a logit is not finite.
    """
    if model.training:
        raise ValueError("the model is in training mode, in which dropout makes attributions noise")
    log_odds = _log_odds_of(model, ids, label)
    length = len(ids) if length is None else length
    embeddings = model.wte(ids).detach()  # (T, C)
    baseline = model.wte.weight[model.shape.end_of_text].detach()  # (C,)
    absent = baseline.expand_as(embeddings)
    with torch.no_grad():
        output, baseline_output = log_odds(torch.stack([embeddings, absent])).tolist()
    left_out = occlusion(log_odds, embeddings, baseline, length)
    for panels in PANELS:
        values = integrated_gradients(log_odds, embeddings, absent, panels)[:length]
        found = Attribution(values, left_out, output, baseline_output, panels * NODES)
        if found.complete:
            break
    return found


def integrated_gradients(
    log_odds: LogOdds, embeddings: Tensor, absent: Tensor, panels: int
) -> np.ndarray:  # (T,)
    """(x − x′) times the mean gradient on the way from x′ to x, summed over the width.

    x are `embeddings`, x′ those `absent`, both (T, C), and the way is a straight line
    (Sundararajan et al., 2017, equation 1; that the sum is the difference of the two ends is their
    proposition 1).
    """
    way = embeddings - absent  # (T, C)
    total = torch.zeros_like(way)
    per_pass = max(1, TOKENS_A_PASS // len(way))
    shares, weights = (torch.from_numpy(a).to(way) for a in _quadrature(panels))
    for some, weight in zip(shares.split(per_pass), weights.split(per_pass), strict=True):
        points = (absent + some[:, None, None] * way).requires_grad_()  # (B, T, C)
        (gradient,) = torch.autograd.grad(log_odds(points).sum(), points)
        total += torch.einsum("b,btc->tc", weight, gradient)
    return (way * total).sum(dim=1).double().cpu().numpy()


def _quadrature(panels: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in (0, 1) and weights that add up to 1: Gauss-Legendre in each of equal panels."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)  # on (-1, 1)
    starts = np.arange(panels)[:, None]
    return ((starts + (nodes + 1) / 2) / panels).ravel(), np.tile(weights / 2 / panels, panels)


@torch.no_grad()
def occlusion(
    log_odds: LogOdds, embeddings: Tensor, baseline: Tensor, length: int
) -> np.ndarray:  # (length,)
    """What the log-odds lose where one token after the other, of the first ones, is the baseline.

    `embeddings` are (T, C), `baseline` is (C,).
    """
    per_pass = max(1, TOKENS_A_PASS // len(embeddings))
    found = []
    for places in torch.arange(length, device=embeddings.device).split(per_pass):
        inputs = embeddings.repeat(1 + len(places), 1, 1)  # (B, T, C), the last untouched
        inputs[torch.arange(len(places), device=places.device), places] = baseline
        *without, whole = log_odds(inputs)
        found += [float(whole - each) for each in without]
    return np.array(found)


# --- the function that is explained -----------------------------------------------------------


def _log_odds_of(model: GPT2, ids: Tensor, label: int) -> LogOdds:
    """The label's log-odds as a function of embeddings, by the model's own forward pass."""
    others = [place for place in range(model.head.out_features) if place != label]

    def log_odds(embeddings: Tensor) -> Tensor:  # (B, T, C) -> (B,)
        rows = len(embeddings)
        lengths = torch.full((rows,), len(ids), device=ids.device)
        with _in_place_of_embeddings(model, embeddings):
            logits = model.classify(ids.expand(rows, -1), lengths)  # (B, labels)
        if not torch.isfinite(logits).all():
            raise LoralabError("the model's logits are not finite; its adapter is spoilt")
        return logits[:, label] - torch.logsumexp(logits[:, others], dim=1)

    return log_odds


@contextmanager
def _in_place_of_embeddings(model: GPT2, embeddings: Tensor) -> Iterator[None]:
    """Inside this context the model reads these embeddings, whatever ids it is given."""
    hook = model.wte.register_forward_hook(lambda *_: embeddings)
    try:
        yield
    finally:
        hook.remove()


# --- for readers ------------------------------------------------------------------------------


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Spearman's rank correlation of two rows of numbers, (n,) each; equal ones share a rank.

    None where it says nothing: of fewer than three numbers, or where one side is all alike.
    """
    if len(first) < 3:
        return None
    ranks = pd.DataFrame({"first": first, "second": second}).rank()
    if (ranks.nunique() < 2).any():
        return None
    return float(np.clip(np.corrcoef(ranks["first"], ranks["second"])[0, 1], -1, 1))


def readable_token(token: bytes) -> str:
    r"""A token as text on one line, from which its bytes can be told.

    Characters that do not show are escaped (`\n`, `\u200b`), and so is a backslash; a byte that is
    no character by itself, as where an emoji is cut in two, becomes `\xf0`. Spaces are kept.
    """
    text = token.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    short = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
    return "".join(c if c.isprintable() else short.get(c, f"\\u{ord(c):04x}") for c in text)
