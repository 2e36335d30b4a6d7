"""What the figure of the gradients says."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from figure_samples import gradient_table, texts, with_tensor
from loralab.reporting import gradient_figures


def state_of(table: pd.DataFrame, parameter: str) -> int:
    return gradient_figures.tensor_states(table)[list(table["parameter"]).index(parameter)]


def test_the_first_step_reads_as_frozen_zero_and_flowing() -> None:
    table = gradient_table()
    assert state_of(table, "h.0.attn.q_proj.weight") == gradient_figures.FROZEN
    assert state_of(table, "h.0.attn.q_proj.lora_A") == gradient_figures.ZERO
    assert state_of(table, "h.0.attn.q_proj.lora_B") == gradient_figures.FLOWS


@pytest.mark.parametrize(
    ("parameter", "changes", "state"),
    [
        ("h.0.attn.q_proj.lora_B", {"norm": np.nan}, gradient_figures.NOT_FINITE),
        ("h.0.attn.q_proj.lora_B", {"norm": np.inf}, gradient_figures.NOT_FINITE),
        ("h.0.attn.q_proj.weight", {"gradient": True, "norm": 0.3}, gradient_figures.LEAKS),
        ("h.0.attn.q_proj.lora_A", {"gradient": False, "norm": np.nan}, gradient_figures.MISSING),
        ("head.weight", {"norm": np.nan}, gradient_figures.NOT_FINITE),
    ],
)
def test_a_gradient_that_breaks_the_rules_is_shown_in_a_colour_of_its_own(
    parameter: str, changes: dict, state: int
) -> None:
    table = with_tensor(gradient_table(), parameter, **changes)
    assert state_of(table, parameter) == state
    figure = gradient_figures.draw_gradient_flow(table)
    assert f"{gradient_figures.STATE_NAMES[state]}: 1 tensor" in texts(figure)
    colour = matplotlib.colors.to_rgba(gradient_figures.STATE_COLOURS[state])
    assert colour in [patch.get_facecolor() for axes in figure.axes for patch in axes.patches]


def test_lawful_gradients_show_no_colour_of_warning() -> None:
    figure = gradient_figures.draw_gradient_flow(gradient_table())
    said = texts(figure)
    for state in (gradient_figures.MISSING, gradient_figures.LEAKS, gradient_figures.NOT_FINITE):
        assert gradient_figures.STATE_NAMES[state] not in said
    assert "gradient exactly zero: 12 tensors" in said
    assert "gradient flows: 13 tensors" in said
    assert "frozen, no gradient: 27 tensors" in said


def test_one_bad_tensor_marks_the_cell_it_shares_with_good_ones() -> None:
    changes = {"gradient": True, "norm": 0.3}
    table = with_tensor(gradient_table(), "h.1.mlp.c_fc.weight", **changes)
    cells = gradient_figures.gradient_cells(
        table.assign(state=gradient_figures.tensor_states(table))
    )
    marked = cells[cells["state"] == gradient_figures.LEAKS]
    assert list(marked["row"] + " " + marked["block"]) == ["base weights 1"]


def test_tensors_outside_the_blocks_are_given_in_words_with_their_norm() -> None:
    said = texts(gradient_figures.draw_gradient_flow(gradient_table()))
    assert "head" in said.split("\n")
    assert "norm 12" in said


def test_gradient_flow_copes_with_nothing_trainable_and_with_no_rows() -> None:
    frozen = gradient_table().assign(trainable=False, gradient=False, norm=np.nan)
    assert "gradient flows" not in texts(gradient_figures.draw_gradient_flow(frozen))
    assert "No gradients" in texts(gradient_figures.draw_gradient_flow(frozen[:0]))
