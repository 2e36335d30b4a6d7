"""The section Explanation says what its artifacts say, and no more."""

import pandas as pd
import pytest
from figure_samples import attribution_summary, change_table, contribution
from loralab.reporting.explanation_section import explanation_section
from loralab.reporting.report import _environment


def rendered(found: dict | None = None, changes: pd.DataFrame | None = None) -> str:
    section = explanation_section(
        attribution_summary() if found is None else found,
        change_table() if changes is None else changes,
    )
    return _environment().get_template("explanation.md.j2").render(explanation=section)


def line(text: str, start: str) -> str:
    (found,) = [line for line in text.splitlines() if line.startswith(start)]
    return found


def test_a_message_has_a_row_with_its_strongest_tokens_and_their_occlusion():
    found = attribution_summary()
    tokens = found["messages"][0]["tokens"]
    tokens.insert(0, contribution("weak", 0.1, 0.0))
    tokens.insert(0, contribution("|`", -9.0, -1.0))
    row = line(rendered(found), "| 7 |")
    assert row == (
        r"| 7 | ham | spam | +3.00 | +1.00 | +2.00 | 2.0e-06 | `` \|` `` -9.00 (-1.00), "
        "` win ` +2.50 (+1.50), ` £ ` -0.50 (+0.25) | +0.25 |"
    )


@pytest.mark.parametrize("positive", ["spam", None])
def test_every_row_of_the_table_has_as_many_cells_as_its_head(positive):
    lines = rendered(attribution_summary(positive)).splitlines()
    cells = [line.count("|") for line in lines if line.startswith("|")]
    assert cells == 4 * [10 if positive else 11]


def test_of_many_labels_the_one_predicted_is_explained():
    text = rendered(attribution_summary(positive=None))
    assert "log-odds of the label predicted differ" in text
    assert "| 7 | ham | spam | spam |" in text
    assert "to the model it is the label that is explained with" in text


def test_wrong_and_right_answers_are_counted():
    assert "wrong answers (1) and the most confident right ones (1, labels" in rendered()


def test_attributions_that_add_up_are_called_so_with_the_largest_gap():
    sentence = line(rendered(), "- The attributions add up within")
    assert "0.1 % of the difference, or 0.0001 where that is more" in sentence
    assert "is 4.0e-05, of a difference of +2.00 (message 9)" in sentence


def test_attributions_that_do_not_add_up_are_named():
    found = attribution_summary()
    found["messages"][1] |= {"complete": False, "gap": 0.5, "steps": 1024}
    text = rendered(found)
    assert "- The attributions add up" not in text
    sentence = line(text, "- The attributions do not add up within")
    assert "for the messages 9, even at 1024 points" in sentence
    assert "not to be relied on there: the largest gap" in sentence and "5.0e-01" in sentence


def test_the_baseline_is_told_by_what_the_model_makes_of_it():
    found = attribution_summary()
    assert "with a probability of 73.1 %." in line(rendered(found), "- The baseline is")
    found["messages"][1]["baseline_output"] = -800.0
    assert "of 0 % to 73.1 %." in line(rendered(found), "- The baseline is")


def test_agreement_is_told_by_the_median_and_the_ends_and_left_out_where_there_is_none():
    found = attribution_summary()
    found["messages"][1]["rank_correlation"] = None
    assert "of +0.25 in the median (+0.25)" in rendered(found)
    assert line(rendered(found), "| 9 |").endswith("| – |")
    found["messages"][1]["rank_correlation"] = -0.75
    assert "of -0.25 in the median (-0.75 to +0.25)" in rendered(found)
    for message in found["messages"]:
        message["rank_correlation"] = None
    assert "tokens enough to compare" in rendered(found)


def test_what_is_cut_is_told_and_nothing_is_where_nothing_was():
    found = attribution_summary()
    assert "are cut" not in rendered(found)
    found["messages"][0]["cut"] = True
    assert "- 1 of the 2 messages are cut" in rendered(found)


def test_without_a_message_the_section_says_so():
    text = rendered(attribution_summary() | {"messages": []})
    assert "there is nothing to attribute" in text and "attributions.png" not in text
    assert "adapter_change.png" in text


# --- what the adapter changed -----------------------------------------------------------------


def test_sizes_are_told_with_the_layers_at_the_ends_and_the_kinds():
    sentence = line(rendered(), "- ‖ΔW‖ is")
    assert "in the median of the 24 layers that changed, 14.3 % (`h.0.mlp.c_proj`) to " in sentence
    assert "200.0 % (`h.3.attn.q_proj`)" in sentence
    assert "largest in `attn.q_proj` (125.0 %) and smallest in `mlp.c_proj` (35.7 %)" in sentence


def test_one_kind_of_layer_is_not_compared_with_itself():
    table = change_table()
    assert "by kind" not in rendered(changes=table[table["module"].str.endswith("q_proj")])


def test_the_effective_rank_stands_beside_the_rank_that_there_could_be():
    sentence = line(rendered(), "- The effective rank")
    assert "is 4.5 in the median (2.0 to 7.0), where the adapter's rank allows 8" in sentence
    assert "in the median 56 % of it" in sentence


def test_of_dora_the_rank_is_called_no_bound():
    sentence = line(rendered(changes=change_table(variant="dora")), "- The effective rank")
    assert "of adapters of rank 8" in sentence and "not bound to that rank" in sentence


def test_layers_that_did_not_change_are_counted_and_left_out_of_the_medians():
    table = change_table()
    table.loc[:5, ["norm", "relative_norm"]] = 0.0
    table.loc[:5, "effective_rank"] = None
    text = rendered(changes=table)
    assert "- 6 of the 24 adapted layers did not change at all." in text
    assert "of the 18 layers that changed" in text
    still = table.assign(norm=0.0, relative_norm=0.0, effective_rank=None)
    assert "- No weight changed" in rendered(changes=still)


def test_weights_of_zeros_have_no_relative_size():
    table = change_table().assign(relative_norm=float("nan"))
    assert "no change has a relative size" in rendered(changes=table)
