"""What the figure of the section Robustness says."""

import pytest
from figure_samples import mask_row, robustness_summary, stress_row, texts
from loralab.reporting.robustness_figures import draw_robustness


def test_every_kind_and_mask_has_both_systems_with_their_numbers():
    said = texts(draw_robustness(robustness_summary()))
    for words in (
        *("polite ham about money\n36 ham", "26 of 36", "27 of 36"),
        *("very long\n6 ham, 6 spam", "3 of 12", "12 of 12"),
        *("without all of these\n40 spam", "40 → 30 of 40, p < 0.001", "40 → 40 of 40, p = 1.000"),
        *("LoRA (this run)", "character TF-IDF + logistic regression", "before"),
    ):
        assert words in said
    assert "without placeholders" not in said  # which touch nothing


def test_a_share_is_drawn_where_it_is_and_its_interval_around_it():
    axes = draw_robustness(robustness_summary()).axes[0]
    whisker, dot = axes.lines[0], axes.lines[1]
    assert list(dot.get_xdata()) == [26 / 36]
    assert list(whisker.get_xdata()) == pytest.approx([26 / 36 - 0.1, 26 / 36 + 0.1])
    assert axes.lines[3].get_ydata()[0] > dot.get_ydata()[0]  # the baseline below, downwards


def test_a_change_leads_from_a_hollow_mark_to_a_filled_one():
    line, before, after = draw_robustness(robustness_summary()).axes[1].lines[:3]
    assert list(line.get_xdata()) == [1.0, 0.75]
    assert (list(before.get_xdata()), before.get_markerfacecolor()) == ([1.0], "white")
    assert (list(after.get_xdata()), after.get_markerfacecolor()) == ([0.75], after.get_color())


@pytest.mark.parametrize(("stress", "touched"), [(True, 0), (False, 40)])
def test_a_panel_without_rows_is_left_out(stress, touched):
    figure = draw_robustness(robustness_summary(stress, touched))
    assert len(figure.axes) == 1
    said = texts(figure)
    assert ("Stress set" in said) == stress and ("Artefacts" in said) == (touched > 0)


def test_with_nothing_to_draw_the_figure_says_so():
    figure = draw_robustness(robustness_summary(stress=False, touched=0))
    assert "does not apply" in texts(figure) and not figure.axes


def test_labels_of_any_number_and_look_can_be_drawn():
    counts = {f"_a $label$ {number} with a long name": 10 - number for number in range(9)}
    found = robustness_summary()
    found["stress"] = [stress_row("a_new_kind", counts, 5, 6, 1, 2)]
    found["probe"]["masks"] = [mask_row("all", counts)]
    said = texts(draw_robustness(found))
    assert "a_new_kind\n10  _a $label$ 0 w…, 9  _a $label$ 1 w… …" in said
