"""The learning rate's factor over a run of 100 steps."""

import pytest
from loralab.training.schedules import learning_rate_factor


def _factors(schedule: str, warmup: float, steps: int = 100) -> list[float]:
    return [learning_rate_factor(step, steps, schedule, warmup) for step in range(steps)]


def test_constant_without_warmup_is_one_throughout():
    assert _factors("constant", 0.0) == [1.0] * 100


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_warmup_rises_in_equal_parts_to_the_peak(schedule):
    factors = _factors(schedule, 0.1)
    assert factors[:11] == pytest.approx([k / 10 for k in range(1, 11)] + [1.0])


def test_linear_falls_in_equal_parts_towards_zero():
    assert _factors("linear", 0.0) == pytest.approx([1 - k / 100 for k in range(100)])


def test_cosine_is_one_at_first_half_at_the_middle_and_almost_zero_at_last():
    factors = _factors("cosine", 0.0)
    assert (factors[0], factors[50]) == pytest.approx((1.0, 0.5))
    assert 0 < factors[-1] < 0.001
    assert factors == sorted(factors, reverse=True)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("warmup", [0.0, 0.5, 1.0])
def test_a_run_of_one_step_learns(schedule, warmup):
    assert learning_rate_factor(0, 1, schedule, warmup) == 1.0
