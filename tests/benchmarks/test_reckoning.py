"""What the benchmark takes in a visit, and what it makes of what it clocked."""

import numpy as np
import pytest

from benchmarks.results import FLOP_PER_TOKEN, summarise
from benchmarks.visits import FIXED, GROUPED, QUICKER, RANDOM, plan_visit

LENGTHS = np.random.default_rng(1).integers(2, 190, 1195)


def work(visit, batching):
    return [len(b) * (256 if batching == FIXED else LENGTHS[b].max()) for b in visit.batches]


@pytest.mark.parametrize("batching", [FIXED, RANDOM, GROUPED])
def test_a_visit_of_all_steps_is_an_epoch(batching):
    visit = plan_visit(LENGTHS, batching, number=1, rounds=3, steps=149)
    assert visit.share == 1.0 and len(visit.batches) == 149
    assert len(np.unique(np.concatenate(visit.batches))) == 149 * 8


@pytest.mark.parametrize("batching", [FIXED, RANDOM, GROUPED])
def test_a_shorter_visit_says_what_part_of_an_epochs_work_it_does(batching):
    whole = plan_visit(LENGTHS, batching, number=2, rounds=3, steps=149)
    part = plan_visit(LENGTHS, batching, number=2, rounds=3, steps=3)
    assert len(part.batches) == 3 * (1 if batching == FIXED else QUICKER)
    expected = sum(work(part, batching)) / sum(work(whole, batching))
    assert part.share == pytest.approx(expected)


def test_visits_of_all_rounds_take_small_and_large_batches_alike():
    shares, counts = [], []
    for number in (1, 2, 3):
        visit = plan_visit(LENGTHS, GROUPED, number, rounds=3, steps=3)
        shares.append(visit.share)
        counts.append(len(visit.batches) / 149)
    assert np.mean(shares) == pytest.approx(np.mean(counts), rel=0.1)


def test_ratios_are_of_each_round_and_their_median_is_reported():
    clocked = {
        name: {"seconds_per_epoch": seconds, "peak_memory_bytes": 1, "details": None}
        for name, seconds in {
            "lab": [800.0, 1000.0, 900.0],
            "peft_float32_grouped": [100.0, 90.0, 110.0],
            "peft_bf16_grouped": [60.0, 70.0, 65.0],
            "loralab_bf16_fast": [20.0, 40.0, 30.0],
        }.items()
    }
    found = summarise(clocked, {"float32": 200.0, "bf16": 1000.0}, tokens=36_000)
    own = found["loralab_bf16_fast"]
    assert own["seconds_per_epoch"]["median"] == 30.0
    assert own["ratios"]["lab"]["median"] == 30.0  # of 40, 25 and 30
    assert own["ratios"]["best_peft"]["to"] == "peft_bf16_grouped"
    assert own["ratios"]["best_peft"]["minimum"] == 1.75
    assert own["tokens_per_second"] == 1200.0
    assert own["share_of_matrix_rate"] == pytest.approx(
        FLOP_PER_TOKEN["lora"] * 1200 / 1e12, rel=1e-3
    )
    assert found["lab"]["ratios"]["best_peft_of_same_precision"]["to"] == "peft_float32_grouped"
