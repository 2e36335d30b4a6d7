"""Stage `baseline_full`."""

import torch

from loralab.model.gpt2 import GPT2
from loralab.stages.model_baseline import model_baseline
from loralab.stages.runner import main


def everything(model: GPT2) -> None:
    """Let every weight learn."""
    model.requires_grad_(True)


STAGE = model_baseline(
    "full",
    "The experiment's own recipe with no adapter: every weight is trained.",
    (1, 0.3, 0.1),
    everything,
    precision=torch.float32,
)

if __name__ == "__main__":
    main(STAGE)
