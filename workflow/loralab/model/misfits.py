"""What keeps named tensors from taking the places that await them."""

from collections.abc import Mapping

from torch import Tensor


def misfits(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """A line for each tensor that is missing, unexpected, or not of the expected shape."""
    problems = [f"tensor {name} is missing" for name in expected if name not in found]
    problems += [f"tensor {name} is unexpected" for name in found if name not in expected]
    for name, wanted in expected.items():
        if name in found and found[name].shape != wanted.shape:
            has, shape = list(found[name].shape), list(wanted.shape)
            problems.append(f"tensor {name} has the shape {has}, expected {shape}")
    return problems


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """A line for each tensor that holds NaN or infinity."""
    return [
        f"tensor {name} holds NaN or infinity"
        for name, tensor in tensors.items()
        if not tensor.isfinite().all()
    ]
