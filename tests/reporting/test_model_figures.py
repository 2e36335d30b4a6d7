"""What the figures of pretraining and of the parameters say."""

import numpy as np
import pandas as pd
import pytest
from figure_samples import axis_labels, parameter_summary, plan_table, pretraining_log, texts
from loralab.reporting import model_figures, pretraining_figures


def test_pretraining_loss_gives_the_last_held_out_loss_and_its_perplexity() -> None:
    figure = pretraining_figures.draw_pretraining_loss(pretraining_log())
    loss = pretraining_log()["held_out_loss"].iloc[-1]
    assert f"held out: {loss:.3f} nats = perplexity {np.exp(loss):.1f}" in texts(figure)
    assert {"loss (nats per token)", "tokens seen (millions)"} <= axis_labels(figure)


def test_the_perplexity_axis_stands_at_the_exponential_of_the_loss() -> None:
    figure = pretraining_figures.draw_pretraining_loss(pretraining_log())
    figure.canvas.draw()
    _, right = figure.axes
    shown = [float(label.get_text().replace(",", "")) for label in right.get_yticklabels()]
    assert right.get_ylim() == figure.axes[0].get_ylim()
    assert list(right.get_yticks()) == pytest.approx(np.log(shown), abs=1e-3)


@pytest.mark.parametrize("loss", [0.0, 2.5, 1000.0])
def test_pretraining_loss_copes_with_one_step_and_no_held_out_text(loss: float) -> None:
    log = pretraining_log(1).assign(loss=loss, held_out_loss=np.nan)
    assert "training: " in texts(pretraining_figures.draw_pretraining_loss(log))


def test_a_diverged_pretraining_is_said_in_words() -> None:
    log = pretraining_log().assign(loss=np.inf)
    assert "no finite loss" in texts(pretraining_figures.draw_pretraining_loss(log))


def test_parameter_counts_print_what_trains_of_how_many_at_three_moments() -> None:
    said = texts(model_figures.draw_parameter_counts(plan_table(), parameter_summary()))
    assert "163,037,184 trainable of 163,037,184 (100 %)" in said
    assert "1,327,104 trainable of 164,364,288 (0.81 %)" in said
    assert "1,328,642 trainable of 125,768,450 (1.06 %)" in said
    assert "the classification head has 1,538" in said


def test_parameter_counts_stack_the_modules_of_each_block() -> None:
    figure = model_figures.draw_parameter_counts(plan_table(), parameter_summary())
    bars = figure.axes[1].patches
    tops = {}
    for bar in bars:
        block = round(bar.get_x() + bar.get_width() / 2)
        tops[block] = max(tops.get(block, 0), bar.get_y() + bar.get_height())
    assert tops == {0: 600, 1: 1200, 2: 1800, 3: 2400}
    assert "6,000 parameters in 24 modules" in texts(figure)
    assert "parameters (thousands)" in axis_labels(figure)


def test_adapter_parameters_outside_the_blocks_have_a_bar_too() -> None:
    outside = pd.DataFrame({"module": ["lm_head"], "parameters": [50]})
    plan = pd.concat([plan_table(1), outside], ignore_index=True)
    said = texts(model_figures.draw_parameter_counts(plan, parameter_summary()))
    assert "650 parameters" in said
    assert "no block" in said
