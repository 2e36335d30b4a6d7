"""The sizes of GPT-2 and the linear layers of its blocks, known without a model."""

from dataclasses import dataclass

from loralab.config import Base


@dataclass(frozen=True)
class GPT2Shape:
    """The size of a GPT-2: tokens, positions, width C, blocks, heads H per block."""

    vocabulary: int
    context: int
    width: int
    layers: int
    heads: int

    @property
    def end_of_text(self) -> int:
        """The id of `<|endoftext|>`, which comes last in the vocabulary and also pads."""
        return self.vocabulary - 1


# Radford et al. (2019), table 2, with the parameter counts of the released checkpoints.
SIZES = {
    "gpt2": GPT2Shape(50257, 1024, 768, 12, 12),  # 124 M
    "gpt2-medium": GPT2Shape(50257, 1024, 1024, 24, 16),  # 355 M
    "gpt2-large": GPT2Shape(50257, 1024, 1280, 36, 20),  # 774 M
    "gpt2-xl": GPT2Shape(50257, 1024, 1600, 48, 25),  # 1558 M
}


def base_shape(base: Base) -> GPT2Shape:
    """The shape that `base.size` names."""
    if base.size != "custom":
        return SIZES[base.size]
    shape = base.shape
    return GPT2Shape(shape.vocabulary, shape.context, shape.width, shape.layers, shape.heads)


def linear_layers(shape: GPT2Shape) -> dict[str, tuple[int, int]]:
    """The (in, out) of every linear layer of the blocks, by its path in the model."""
    width = shape.width
    sides = {
        **{f"attn.{name}": (width, width) for name in ("q_proj", "k_proj", "v_proj", "c_proj")},
        "mlp.c_fc": (width, 4 * width),
        "mlp.c_proj": (4 * width, width),
    }
    return {f"h.{b}.{kind}": pair for b in range(shape.layers) for kind, pair in sides.items()}
