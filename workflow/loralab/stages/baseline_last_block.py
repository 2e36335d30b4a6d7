"""Stage `baseline_last_block`."""

import torch

from loralab.model.gpt2 import GPT2
from loralab.stages.model_baseline import model_baseline
from loralab.stages.runner import main


def last_block(model: GPT2) -> None:
    """Let the last block and the final norm learn too."""
    model.h[-1].requires_grad_(True)
    model.ln_f.requires_grad_(True)


STAGE = model_baseline(
    "last_block",
    "The experiment's own recipe with no adapter: last block, final norm and head are trained.",
    (1, 0.3, 0.1),
    last_block,
    precision=torch.float32,
)

if __name__ == "__main__":
    main(STAGE)
