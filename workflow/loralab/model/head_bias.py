"""The head's bias where a format knows none, as transformers' GPT2ForSequenceClassification.

Its logits are W·(γ⊙n + β), with n the normalised representation and γ, β the final LayerNorm's
weight and bias. For a head W of full row rank, β + Wᵀ(WWᵀ)⁻¹b in place of β adds exactly b. The
other way round, a final norm that was trained goes into the head and leaves the base as it is:
W·(γ'⊙n + β') = W'·(γ⊙n + β) + W·β' − W'·β with W' = W·diag(γ'/γ).
"""

import torch
from torch import Tensor

from loralab.errors import LoralabError
from loralab.model.gpt2 import GPT2

TOLERANCE = 1e-5  # of a logit: what rounding to float32 may cost


def norm_bias_with(head_bias: Tensor, head_weight: Tensor, norm_bias: Tensor) -> Tensor:
    """The final norm's bias (C,) that adds `head_bias` (labels,) to the logits, in float32.

    Raises LoralabError where the rows of `head_weight` (labels, C) depend on each other so that
    none does, or none that is small enough beside the rest.
    """
    weight, bias = head_weight.detach().double(), head_bias.detach().double()
    if not (weight.isfinite().all() and bias.isfinite().all()):
        raise LoralabError("a head that is not finite cannot be carried into the final norm")
    carried = (norm_bias.detach().double() + torch.linalg.pinv(weight) @ bias).float()
    added = weight @ (carried.double() - norm_bias.detach().double())
    largest = (added - bias).abs().max().item() + _rounding(weight, carried)
    if not largest <= TOLERANCE * max(1.0, bias.abs().max().item()):
        raise LoralabError(
            f"the head's bias cannot be carried into the final norm: the {len(bias)} rows of its "
            f"weight are too dependent on each other (off by {largest:.1e}); train with head.bias "
            "false"
        )
    return carried


@torch.no_grad()
def move_head_bias(model: GPT2) -> None:
    """Put the head's bias into the final norm, in place, and leave the head without one."""
    if model.head.bias is not None:
        model.ln_f.bias.copy_(norm_bias_with(model.head.bias, model.head.weight, model.ln_f.bias))
        model.head.bias = None


def head_with_norm(
    head_weight: Tensor,
    head_bias: Tensor | None,
    base: dict[str, Tensor],
    trained: dict[str, Tensor],
) -> tuple[Tensor, Tensor]:
    """Weight (labels, C) and bias (labels,) of a head that makes up for a trained final norm.

    `base` and `trained` hold its `weight` and `bias`, each (C,). Raises LoralabError where the
    base's weight is zero and the trained one's is not, or so small that float32 has no head that
    makes up for it.
    """
    weight = head_weight.double()
    old, new = ({k: v.detach().double() for k, v in norm.items()} for norm in (base, trained))
    if ((old["weight"] == 0) & (new["weight"] != 0)).any():
        raise LoralabError("the final norm was trained where the base's weight is zero")
    ratio = torch.where(old["weight"] == 0, 1.0, new["weight"] / old["weight"])
    folded = weight * ratio
    if not _rounding(folded, old["bias"]) <= TOLERANCE:
        raise LoralabError("the final norm was trained too far from the base's to go into the head")
    bias = weight @ new["bias"] - folded @ old["bias"]
    if head_bias is not None:
        bias = bias + head_bias.double()
    return folded.float(), bias.float()


def _rounding(weight: Tensor, vector: Tensor) -> float:
    """About what float32 costs the largest of the sums W·v: errors of the terms add like noise."""
    terms = weight.double() * vector.double()  # (labels, C)
    return torch.finfo(torch.float32).eps * terms.norm(dim=1).max().item()
