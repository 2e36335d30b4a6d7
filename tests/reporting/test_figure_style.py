"""What all figures share."""

from pathlib import Path

import pytest
from figure_samples import lengths_table, scores, texts
from loralab.reporting import data_figures, evaluation_figures
from loralab.reporting.figure_style import class_name, round_numbers, save
from loralab.reporting.numbers import percent


def test_a_percentage_has_the_digits_that_tell_it_from_none_and_all() -> None:
    assert percent(0) == "0 %"
    assert percent(1) == "100 %"
    assert percent(0.981) == "98.1 %"
    assert percent(0.99996) == "99.996 %"
    assert percent(0.00004) == "0.004 %"


def test_round_numbers_lie_within_their_bounds() -> None:
    assert round_numbers(3, 120) == [5, 10, 20, 50, 100]
    assert round_numbers(0.004, 0.6, steps=(1,)) == [0.01, 0.1]


def test_class_names_are_short_and_printable() -> None:
    assert class_name("spam") == "spam"
    assert class_name("a very long name of a class") == "a very long nam…"
    assert class_name("two\nlines") == "two lines"
    assert class_name("漢") == "□"


@pytest.mark.parametrize("label", ["$5 or $6", "漢字", "_underscore", r"\frac{1}{2}", "%d {0}"])
def test_awkward_class_names_are_drawn_as_they_stand(label: str, tmp_path: Path) -> None:
    metrics = {
        "labels": [label, "ham"],
        "splits": {"test": scores([[3, 1], [0, 4]], [label, "ham"])},
    }
    figure = evaluation_figures.draw_confusion_matrices(metrics)
    assert class_name(label) in texts(figure)
    table = lengths_table().replace({"label": {"spam": label}})
    histogram = data_figures.draw_message_lengths(table)
    assert f"{class_name(label)}: 2 messages" in texts(histogram)
    save(histogram, tmp_path / "figure.png")
