"""Dropout of the compiled loops: a function of the step's seed, another at each turn."""

import pytest
import torch
from loralab.fast.compiled_passes import CompiledPasses


def step(seed):
    return CompiledPasses(torch.float32, torch.float32, threads=2, seed=seed)


def test_selections_follow_from_the_seed_and_differ_from_one_to_the_next():
    x = torch.ones(8, 33)
    first, second = step(5), step(5)
    drawn = [first.dropped(x, 0.5) for _ in range(3)]
    assert all(torch.equal(one, second.dropped(x, 0.5)) for one in drawn)
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], step(6).dropped(x, 0.5))


def test_either_half_of_what_is_drawn_is_a_key():
    selections = [step(seed).select(0.5) for seed in range(20)]
    assert len({s.key for s in selections}) == len({s.other_key for s in selections}) == 20
    assert all(0 <= key < 2**32 for s in selections for key in (s.key, s.other_key))


@pytest.mark.parametrize("seed", [None, 1])
def test_where_nothing_is_dropped_x_itself_comes_back(seed):
    x = torch.ones(3, 4)
    assert step(seed).dropped(x, 0.0) is x
    assert not step(None).drops(0.5) and step(1).drops(0.5) and not step(1).drops(0.0)


def test_of_a_share_close_to_all_a_65536th_is_kept_and_scaled_up():
    dropped = step(3).dropped(torch.ones(1000, 1000), 0.9999999)
    assert dropped.unique().tolist() == [0.0, 65536.0]
    assert 2 <= (dropped > 0).sum() <= 40  # 15 are to be expected
