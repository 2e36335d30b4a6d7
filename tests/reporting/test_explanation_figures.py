"""What the figures of the section Explanation say."""

import numpy as np
import pytest
from figure_samples import attribution_summary, change_table, contribution, texts
from loralab.reporting.explanation_figures import draw_adapter_change, draw_attributions
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle


def boxes(figure) -> list[Rectangle]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]


def test_every_message_has_its_answer_and_its_tokens():
    said = texts(draw_attributions(attribution_summary()))
    for words in (
        "7: called spam at 95.3 % (wrong, it is ham); log-odds of spam +3.00, of the baseline "
        "+1.00",
        "9: called spam at 95.3 % (right)",
        *("win", "£", "contribution to the log-odds of spam (blue: against, orange: for)"),
    ):
        assert words in said
    assert "tokens more" not in said


def test_a_token_is_the_more_coloured_the_more_it_contributes_and_by_its_sign():
    red, _, blue = to_rgb(boxes(draw_attributions(attribution_summary()))[0].get_facecolor())
    assert red > 0.8 and blue < 0.1  # the largest, for
    red, _, blue = to_rgb(boxes(draw_attributions(attribution_summary()))[1].get_facecolor())
    assert 0.7 < red < blue  # a fifth of it, against
    found = attribution_summary()
    found["messages"][0]["tokens"] = [contribution("x", 0.0, 0.0)]
    assert to_rgb(boxes(draw_attributions(found))[0].get_facecolor()) == pytest.approx(
        (1, 1, 1), abs=0.02
    )


def test_tokens_lie_one_after_the_other_and_none_beyond_the_line():
    figure = draw_attributions(attribution_summary(long=60))
    boxes_of_the_second = boxes(figure)[2:]
    ends = [round(box.get_x() + box.get_width() + 0.1) for box in boxes_of_the_second]
    starts = [box.get_x() for box in boxes_of_the_second]
    assert starts[0] == 0 and max(ends) <= 108
    assert all(start in (0, end) for start, end in zip(starts[1:], ends, strict=False))
    assert starts.count(0) == 3


def test_of_a_long_message_the_rest_is_counted():
    figure = draw_attributions(attribution_summary(long=900))
    shown = len(boxes(figure)) - 2
    assert f"… and {902 - shown} tokens more" in texts(figure)
    assert figure.get_figheight() < 4


def test_labels_and_tokens_of_any_look_can_be_drawn():
    found = attribution_summary(positive=None)
    odd = ["$x_1$", "\\u200b", "漢字", "_", " ", "\N{GRINNING FACE}", "a" * 300]
    found["messages"][0]["tokens"] = [contribution(token, 0.0, 0.0) for token in odd]
    found["messages"][0]["label"] = "_a $label$ with a very long name"
    said = texts(draw_attributions(found))
    assert "□□" in said and "$x_1$" in said
    assert "log-odds of the label predicted" in said


def test_where_nothing_contributes_all_is_white():
    found = attribution_summary()
    found["messages"] = found["messages"][:1]
    found["messages"][0]["tokens"] = [contribution("x", 0.0, 0.0)]
    assert texts(draw_attributions(found))


def test_without_a_message_the_figure_says_so():
    found = attribution_summary() | {"messages": []}
    assert "nothing to attribute" in texts(draw_attributions(found))


# --- what the adapter changed -----------------------------------------------------------------


def test_each_measure_has_a_line_a_kind_of_layer_from_block_to_block():
    figure = draw_adapter_change(change_table())
    norms, relative, ranks = figure.axes
    assert [line.get_label() for line in norms.lines][:2] == ["attn.q_proj", "attn.k_proj"]
    assert list(norms.lines[0].get_ydata()) == [1, 2, 3, 4]
    assert list(relative.lines[1].get_ydata()) == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3])
    assert list(ranks.lines[5].get_ydata()) == [2, 2, 2, 2]
    said = texts(figure)
    for words in ("‖ΔW‖", "‖ΔW‖ / ‖W‖", "effective rank of ΔW", "mlp.c_proj"):
        assert words in said
    assert "rank of the adapter, 8" in said


def test_layers_that_are_not_adapted_leave_gaps():
    table = change_table(12)
    table = table[~table["module"].isin(["h.10.attn.q_proj", "h.2.mlp.c_fc"])]
    norms = draw_adapter_change(table).axes[0]
    lines = {line.get_label(): line.get_ydata() for line in norms.lines}
    assert np.flatnonzero(np.isnan(lines["attn.q_proj"])).tolist() == [10]  # not after h.1
    assert np.flatnonzero(np.isnan(lines["mlp.c_fc"])).tolist() == [2]


def test_many_blocks_are_named_now_and_then():
    axes = draw_adapter_change(change_table(48)).axes[0]
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert len(names) <= 12 and names[:2] == ["0", "4"]
    assert list(axes.get_xticks()[:2]) == [0, 4]


def test_a_bound_is_drawn_where_there_is_one_alone():
    table = change_table()
    table.loc[3, "rank"] = 4
    assert "rank of the adapter" not in texts(draw_adapter_change(table))


def test_an_adapter_that_changed_nothing_can_be_drawn():
    table = change_table(1).assign(norm=0.0, relative_norm=0.0, effective_rank=None)
    assert "effective rank" in texts(draw_adapter_change(table))
