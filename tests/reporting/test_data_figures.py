"""What the figures of the data say."""

from pathlib import Path

import pandas as pd
import pytest
from figure_samples import as_csv, axis_labels, lengths_table, messages_table, split_summary, texts
from loralab.reporting import data_figures, inputs


def test_message_lengths_name_each_class_with_its_count_and_median() -> None:
    said = texts(data_figures.draw_message_lengths(lengths_table()))
    assert "ham: 3 messages, median 20 characters" in said
    assert "spam: 2 messages, median 120 characters" in said


def test_message_lengths_are_shares_that_add_up_to_one_in_each_class() -> None:
    figure = data_figures.draw_message_lengths(lengths_table())
    outlines = [patch.get_data().values for patch in figure.axes[0].patches]
    assert [values.sum() for values in outlines] == pytest.approx([1, 1, 1, 1])
    assert "characters per message (log scale)" in axis_labels(figure)


def test_message_lengths_cope_with_one_empty_message_and_with_none() -> None:
    one = pd.DataFrame({"label": ["NA"], "length": [0]})
    assert "NA: 1 messages" in texts(data_figures.draw_message_lengths(one))
    assert "no messages" in texts(data_figures.draw_message_lengths(one[:0]))


def test_no_mark_on_the_axis_of_lengths_reads_zero() -> None:
    lengths = pd.DataFrame({"label": "ham", "length": [1, 3, 500]})
    axes = data_figures.draw_message_lengths(lengths).axes[0]
    axes.figure.canvas.draw()
    marks = [text.get_text() for text in axes.get_xticklabels()]
    assert "1" in marks and "0" not in marks


def test_a_class_named_like_a_missing_value_keeps_its_name(tmp_path: Path) -> None:
    table = messages_table().replace({"label": {"ham": "NA", "spam": "1"}})
    read = inputs.read_text_table(as_csv(table, tmp_path / "messages.csv"))
    assert set(read["label"]) == {"NA", "1"}


def test_class_counts_print_the_number_on_every_bar() -> None:
    figure = data_figures.draw_class_counts(split_summary())
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert list(panels) == ["all read", "balanced", "train", "test"]
    widths = [[bar.get_width() for bar in axes.patches] for axes in panels.values()]
    assert widths == [[1100, 100], [100, 100], [70, 70], [30, 30]]
    numbers = [text.get_text() for text in panels["all read"].texts]
    assert {"1,100", "100", "n = 1,200"} <= set(numbers)


def test_a_bar_of_class_counts_is_as_long_per_message_in_every_panel() -> None:
    figure = data_figures.draw_class_counts(split_summary())
    figure.canvas.draw()
    scales = [axes.get_xlim()[1] / axes.get_position().width for axes in figure.axes]
    assert scales == pytest.approx([scales[0]] * len(scales), rel=0.01)


def test_class_counts_do_not_say_balanced_of_classes_used_as_they_came() -> None:
    split = split_summary() | {"classes": {"ham": 100, "spam": 100}}
    assert list(data_figures.counts_by_stage(split)) == ["all read", "used", "train", "test"]


def test_class_counts_show_a_class_that_a_split_lacks_as_zero() -> None:
    split = split_summary()
    del split["splits"]["test"]["spam"]
    assert data_figures.counts_by_stage(split).loc["spam", "test"] == 0
    texts(data_figures.draw_class_counts(split))
