"""Stage `baseline_head_only`."""

from loralab.model.gpt2 import GPT2
from loralab.stages.model_baseline import model_baseline
from loralab.stages.runner import main


def nothing_more(model: GPT2) -> None:
    """The head learns already."""


STAGE = model_baseline(
    "head_only",
    "The experiment's own recipe with no adapter: the head alone is trained.",
    (1, 3, 10),
    nothing_more,
)

if __name__ == "__main__":
    main(STAGE)
