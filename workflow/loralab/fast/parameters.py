"""What is trained, as one flat vector: one cast, one norm, one optimiser step for all of it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from loralab.model.gpt2 import GPT2
from loralab.model.lora import adapter_layers


class FlatParameters:
    """The head and every A and B of a model, moved into one float32 vector that they now view.

    In the vector each B lies transposed, (rank, out), as the products with it want it. Values are
    kept; `release` gives each parameter a tensor of its own again.

    Args:
        model: a classifier whose trainable parameters are its head and its adapters.
        dtype: of `work` and `work_gradients`, through which the products see adapters.
        shares: how many threads have gradients of their own, which are then added up.
    """

    def __init__(self, model: GPT2, dtype: torch.dtype, shares: int = 1):
        adapters = [layer for _, layer in adapter_layers(model)]
        head = list(model.head.parameters())
        self.parameters = [*head, *(a.lora_A for a in adapters), *(a.lora_B for a in adapters)]
        transposed = {a.lora_B for a in adapters}
        device, wide = head[0].device, head[0].dtype
        count = sum(parameter.numel() for parameter in self.parameters)
        self.values = torch.empty(count, dtype=wide, device=device)
        self.gradients = torch.zeros_like(self.values)
        self.plain = sum(
            p.numel() for p in [*head, *(a.lora_A for a in adapters)]
        )  # all but the Bs
        self.start = sum(p.numel() for p in head)  # of the adapters
        self.work = torch.empty(count - self.start, dtype=dtype, device=device)
        self.work_gradients = self.work.new_zeros(shares, len(self.work))
        scalings = [torch.ones(self.plain - self.start, dtype=wide)]
        scalings += [torch.full((a.lora_B.numel(),), a.scaling, dtype=wide) for a in adapters]
        self.scalings = torch.cat(scalings).to(device)  # of each number in `work`
        self._places: dict[nn.Parameter, slice] = {}
        end = 0
        for parameter in self.parameters:
            begin, end = end, end + parameter.numel()
            self._places[parameter] = slice(begin, end)
            self._move(parameter, parameter in transposed)

    def _move(self, parameter: nn.Parameter, is_transposed: bool) -> None:
        """Make a parameter, and its gradient, views of its place in the vectors."""
        place = self._places[parameter]
        shape = parameter.t().shape if is_transposed else parameter.shape
        views = (flat[place].view(shape) for flat in (self.values, self.gradients))
        value, gradient = (view.t() if is_transposed else view for view in views)
        value.copy_(parameter.data)
        parameter.data, parameter.grad = value, gradient

    def span(self, parameters: Sequence[nn.Parameter]) -> tuple[Tensor, Tensor]:
        """The numbers of adjacent As or transposed Bs in `work`, and their gradients' first share,
        from which the next one is `len(self.work)` numbers away.
        """
        begin = self._places[parameters[0]].start - self.start
        end = self._places[parameters[-1]].stop - self.start
        return self.work[begin:end], self.work_gradients[0, begin:end]

    def refresh(self) -> None:
        """Copy the adapters' present values into `work`, each B times its scaling."""
        self.work.copy_(self.values[self.start :] * self.scalings)

    def add_work_gradients(self) -> None:
        """Add what the backward pass left in `work_gradients` to the gradients."""
        shares = self.work_gradients
        total = shares[0] if len(shares) == 1 else shares.sum(dim=0)
        self.gradients[self.start :].addcmul_(total, self.scalings)
        shares.zero_()

    def groups(self) -> list[tuple[nn.Parameter, bool]]:
        """The vector as one or two parameters for an optimiser; whether they are the Bs."""
        parts = []
        for piece, is_b in ((slice(0, self.plain), False), (slice(self.plain, None), True)):
            if len(self.values[piece]):
                parameter = nn.Parameter(self.values[piece])
                parameter.grad = self.gradients[piece]
                parts.append((parameter, is_b))
        return parts

    def release(self) -> None:
        """Give each parameter a tensor of its own, in the layout that it had."""
        for parameter in self.parameters:
            parameter.data = parameter.data.contiguous().clone()
            parameter.grad = None


def flat_optimizer(
    flat: FlatParameters,
    learning_rate: float,
    b_ratio: float,
    weight_decay: float,
    rates_on_device: bool = False,
) -> torch.optim.AdamW:
    """AdamW over the one vector, in one fused step; `lr_ratio` of each group as in the plain one.

    With `rates_on_device` each group's rate is a tensor, which a captured graph can read.
    """
    groups = [
        {"params": [parameter], "lr_ratio": b_ratio if is_b else 1.0}
        for parameter, is_b in flat.groups()
    ]
    device = flat.values.device
    rate = torch.tensor(learning_rate, device=device) if rates_on_device else learning_rate
    capturable = rates_on_device and device.type == "cuda"
    optimizer = torch.optim.AdamW(
        groups, lr=rate, weight_decay=weight_decay, fused=True, capturable=capturable
    )
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * group["lr_ratio"]  # a tensor of its own, where it is one
    return optimizer
