"""What all tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from loralab.config import Lora, build
from loralab.config_file import load_mapping, merge
from loralab.model.tensor_hashes import tensors_sha256
from torch import nn

# The same examples every time, however slow the machine.
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("fixed")

CONFIG = Path(__file__).parents[1] / "config.yaml"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small are slower on more, and sums round otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def frozen_hash() -> Callable[[nn.Module], str]:
    """SHA-256 over the frozen tensors of a model."""
    return lambda model: tensors_sha256(
        {name: p for name, p in model.named_parameters() if not p.requires_grad}
    )


@pytest.fixture(scope="session")
def lora() -> Callable[..., Lora]:
    """The section `lora` of config.yaml, with changes."""
    defaults = load_mapping([str(CONFIG)])["lora"]

    def settings(**changes) -> Lora:
        return build(merge(defaults, changes), Lora)

    return settings
