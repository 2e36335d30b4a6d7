"""The engine of CUDA graphs, run without a GPU: each graph is the step itself, taken at once."""

import math

import numpy as np
import pytest
import torch
from loralab.training.fast_engine import FastEngine
from loralab.training.graph_engine import GraphEngine, _round_up

RATE = 5e-3


class Step:
    """What replays a step, as a captured graph does."""

    def __init__(self, engine: GraphEngine, length: int):
        self.replay = lambda: engine._padded_step(length)


@pytest.fixture
def engine() -> str:
    """What it is compared with; these tests need no other."""
    return "fast"


@pytest.fixture
def graph_engine(monkeypatch, settings, task):
    monkeypatch.setattr(
        GraphEngine, "_capture", lambda self, n: self.graphs.update({n: Step(self, n)})
    )
    monkeypatch.setattr(torch.cuda, "manual_seed", torch.manual_seed)

    def build(model, **changes):
        chosen = settings(log_every=3, **changes)
        return GraphEngine(model, task, chosen, 1, torch.float32)

    return build


def batches():
    """The last is smaller, and the first has the shortest message alone."""
    order = np.random.default_rng(1).permutation(60)
    return [order[:1], *np.split(order[1:49], 6), order[49:54]]


def taken(engine) -> list[dict]:
    plan, rows = batches(), []
    for start in range(0, len(plan), 3):
        part = plan[start : start + 3]
        rows += engine.take(start, part, [RATE] * len(part))
    return rows


@pytest.mark.parametrize("accumulation", [1, 3])
@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("ratio", [1.0, 4.0])
def test_its_steps_are_those_of_the_fast_engine(
    graph_engine, new_classifier, settings, task, accumulation, clip, ratio
):
    changes = {
        "accumulation": accumulation,
        "gradient_clip": clip,
        "loraplus_lr_ratio": ratio,
    }
    model, other = new_classifier(), new_classifier()
    found = taken(graph_engine(model, **changes))
    expected = taken(FastEngine(other, task, settings(**changes), 1, torch.float32))
    for row, same in zip(found, expected, strict=True):
        assert {k: row[k] for k in ("examples", "tokens", "correct")} == {
            k: same[k] for k in ("examples", "tokens", "correct")
        }
        assert row["loss"] == pytest.approx(same["loss"], abs=2e-5)
        assert row["gradient_norm"] == pytest.approx(same["gradient_norm"], rel=1e-3)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=2e-5, rtol=1e-3)


def test_dropout_is_a_function_of_the_step(graph_engine, new_classifier):
    one, two, dry = (graph_engine(new_classifier(dropout=d)) for d in (0.3, 0.3, 0.0))
    plan = batches()
    for engine in (one, two, dry):
        engine.take(0, plan[1:2], [RATE])  # B is zero before, and nothing of A is seen
    two.take(1, plan[2:3], [0.0])
    losses = [engine.take(4, plan[3:4], [0.0])[0]["loss"] for engine in (one, two, dry)]
    assert losses[0] == losses[1] != losses[2]
    assert one.take(5, plan[3:4], [0.0])[0]["loss"] != losses[0]


def test_a_step_that_is_not_finite_is_not_taken_and_ends_the_answer(graph_engine, new_classifier):
    model = new_classifier()
    engine = graph_engine(model)
    engine.take(0, batches()[:1], [RATE])
    before = engine.flat.values.clone()
    step, calls = engine._padded_step, []

    def spoilt(length):
        calls.append(length)
        if len(calls) == 2:
            model.ln_f.weight.fill_(math.nan)
        step(length)

    after_first = []
    engine._padded_step = lambda n: (spoilt(n), after_first.append(engine.flat.values.clone()))
    rows = engine.take(1, batches()[1:4], [RATE] * 3)
    assert len(rows) == 2 and math.isfinite(rows[0]["loss"]) and math.isnan(rows[1]["loss"])
    assert not torch.equal(after_first[0], before)
    assert torch.equal(engine.flat.values, after_first[0])


def test_what_was_saved_is_gone_on_from(graph_engine, new_classifier):
    plan = batches()
    whole, first, second = (graph_engine(new_classifier()) for _ in range(3))
    for step in range(6):
        whole.take(step, plan[step : step + 1], [RATE])
    for step in range(3):
        first.take(step, plan[step : step + 1], [RATE])
    second.restore({name: tensor.clone() for name, tensor in first.state().items()})
    for step in range(3, 6):
        second.take(step, plan[step : step + 1], [RATE])
    assert torch.equal(second.flat.values, whole.flat.values)


def test_lengths_are_rounded_up_by_a_quarter_or_a_few_tokens():
    assert [_round_up(n, 256) for n in (1, 8, 9, 64, 65, 128, 129, 250)] == [
        *(8, 8, 16, 64, 80, 128, 160, 256)
    ]
    assert _round_up(30, 30) == 30
    for length in range(1, 1025):
        assert length <= _round_up(length, 1024) < length + max(8, length / 4)
    assert len({_round_up(n, 256) for n in range(1, 257)}) == 16
