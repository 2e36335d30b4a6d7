"""What the training curves say."""

import numpy as np
import pandas as pd
import pytest
from figure_samples import axis_labels, epoch_metrics, history_table, texts
from loralab.reporting import training_figures


def test_training_curves_place_the_epochs_at_their_last_step() -> None:
    epochs = pd.DataFrame(epoch_metrics(3, True))
    figure = training_figures.draw_training_curves(history_table(3, 20), epochs)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert list(lines["validation, after epoch"].get_xdata()) == [20, 40, 60]
    assert list(lines["validation, after epoch"].get_ydata()) == pytest.approx([0.6, 0.3, 0.2])
    assert {"cross-entropy (nats)", "optimiser step", "epoch", "share correct"} <= axis_labels(
        figure
    )


def test_the_learning_rate_axis_carries_its_power_of_ten() -> None:
    epochs = pd.DataFrame(epoch_metrics(1, False))
    figure = training_figures.draw_training_curves(history_table(1, 20), epochs)
    assert "learning rate (10⁻⁵)" in axis_labels(figure)
    figure.canvas.draw()
    ticks = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert "5" in ticks


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 10), (5, 1000)])
def test_training_curves_without_validation_do_not_mention_it(epochs: int, steps: int) -> None:
    measured = pd.DataFrame(epoch_metrics(epochs, False))
    said = texts(training_figures.draw_training_curves(history_table(epochs, steps), measured))
    assert "validation" not in said
    assert "train, after epoch" in said


def test_training_curves_cope_with_a_loss_that_is_not_a_number() -> None:
    history = history_table(2, 10).assign(loss=np.nan, learning_rate=0.0)
    texts(training_figures.draw_training_curves(history, pd.DataFrame(epoch_metrics(2, True))))
