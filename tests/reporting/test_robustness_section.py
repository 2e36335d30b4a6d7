"""The section Robustness says what its artifact says, and no more."""

import re

import pytest
from figure_samples import mask_row, robustness_summary
from loralab.reporting.report import _environment
from loralab.reporting.robustness_section import fewest_to_tell_apart, robustness_section
from scipy.stats import binomtest


def rendered(found: dict) -> str:
    section = robustness_section(found)
    return _environment().get_template("robustness.md.j2").render(robustness=section)


def paragraphs(found: dict, start: str) -> list[str]:
    return [line for line in rendered(found).splitlines() if line.startswith(start)]


def test_the_tables_have_a_row_a_kind_and_a_mask_that_touches_something():
    text = rendered(robustness_summary())
    assert (
        "| polite ham about money | 36 ham | 26 (62.2 % to 82.2 %) | 27 (65.0 % to 85.0 %) |"
        in text
    )
    assert "| very long | 12: 6 ham, 6 spam | 3 (15.0 % to 35.0 %) | 12 (90.0 % to 100 %) |" in text
    assert re.search(r"^\| all of these \| 40 spam \| 40 → 30 \(.*\) \| &#60; 0.001 \|", text, re.M)
    assert "| placeholders |" not in text


def test_every_row_of_a_table_has_as_many_cells_as_its_head():
    lines = [line.strip() for line in rendered(robustness_summary()).splitlines()]
    tables = [line.count("|") for line in lines if line.startswith("|")]
    assert tables == 5 * [6] + 3 * [7]


def test_a_system_is_told_label_by_label_and_beside_its_own_test_messages():
    (sentence,) = paragraphs(robustness_summary(), "- LoRA (this run) is right")
    assert "29 of 48 texts (60.4 %; 29 of 42 ham and 0 of 6 spam)" in sentence
    assert "90.0 %, lies above the 95 % interval" in sentence
    (sentence,) = paragraphs(robustness_summary(), "- Character TF-IDF")[:1]
    assert "95.0 %, lies above" in sentence


@pytest.mark.parametrize(("right", "place"), [(60, "inside"), (10, "below"), (90, "above")])
def test_the_test_accuracy_is_placed_against_the_interval(right, place):
    found = robustness_summary()
    found["probe"]["systems"]["adapter"]["right"] = right
    (sentence,) = paragraphs(found, "- LoRA (this run) is right")
    assert f"lies {place} the 95 % interval" in sentence


def test_a_difference_is_called_one_by_the_number_of_tests():
    (sentence,) = paragraphs(robustness_summary(), "- All texts together")
    assert "do not tell the two apart" in sentence and "p = 0.060" in sentence
    assert "p below 0.05/2 as there are 2 tests" in sentence
    assert sentence.endswith("they differ on: very long (the baseline).")
    found = robustness_summary()
    found["stress"][1]["comparison"]["p_value"] = 0.03
    found["stress"][2]["comparison"]["p_value"] = 0.03
    (sentence,) = paragraphs(found, "- All texts together")
    assert "say that the baseline does better" in sentence
    assert sentence.endswith("they differ on: none.")


def test_what_is_cut_is_told_with_its_kinds_and_nothing_is_where_nothing_was():
    (sentence,) = paragraphs(robustness_summary(), "- Of 12 texts")
    assert "(12 very long) the adapter reads the first 256 tokens alone" in sentence
    found = robustness_summary()
    found["stress"] = [row | {"cut": 0} for row in found["stress"]]
    assert "tokens alone" not in rendered(found)


def test_its_limits_are_computed_from_its_sizes():
    limits = robustness_section(robustness_summary())["stress"]["limits"]
    assert "12 to 36 texts" in limits and "up to 20 points wide" in limits
    assert "7 texts that one system alone has right" in limits


@pytest.mark.parametrize("significance", [0.05, 0.05 / 6, 0.001, 0.9])
def test_the_fewest_texts_that_tell_apart_are_those_of_the_exact_test(significance):
    fewest = fewest_to_tell_apart(significance)
    assert binomtest(0, fewest).pvalue < significance
    assert fewest == 1 or binomtest(0, fewest - 1).pvalue >= significance


def test_the_change_of_the_whole_test_accuracy_is_what_the_turned_answers_make_it():
    found = robustness_summary()
    found["probe"]["masks"][-1]["systems"]["adapter"]["turned_right"] = 3
    (sentence,) = paragraphs(found, "- LoRA (this run): with all")
    assert "touches 40 of 100 test messages, 10 answers turn wrong and 3 right" in sentence
    assert "goes from 90.0 % to 83.0 % (-7.0 points, exact McNemar p < 0.001)" in sentence


def test_a_drop_is_named_where_it_is_beyond_chance_and_downwards():
    (sentence,) = paragraphs(robustness_summary(), "- At p below")
    assert "p below 0.05/2, as there are 2 tests" in sentence
    assert "on taking out: all of these (the adapter). It takes 7 answers" in sentence
    found = robustness_summary()
    scores = found["probe"]["masks"][-1]["systems"]["adapter"]
    scores["p_value"] = 0.03
    (sentence,) = paragraphs(found, "- At p below")
    assert "on taking out: none." in sentence
    scores |= {"p_value": 0.001, "turned_wrong": 0, "turned_right": 10}
    (sentence,) = paragraphs(found, "- At p below")
    assert "on taking out: none." in sentence


def test_where_the_set_does_not_apply_a_sentence_says_why_and_the_probe_stays():
    found = robustness_summary(stress=False)
    found["why_not_stressed"] = "the labels are a|b, <i>, [x](y)"
    text = rendered(found)
    assert "does not apply: the labels are a&#124;b, &#60;i&#62;, &#91;x&#93;(y)." in text
    assert "Wilson interval of that share" not in text and "| all of these |" in text


def test_where_nothing_was_taken_out_a_sentence_says_so():
    text = rendered(robustness_summary(stress=False, touched=0))
    assert "None of the 100 test messages has one: nothing was taken out." in text
    assert "| taken out |" not in text and "answers turn" not in text
    assert text.count("![Robustness]") == 1


def test_many_labels_of_any_look_stay_within_their_cells():
    found = robustness_summary(stress=False)
    counts = {f"a|b {number}": 10 - number for number in range(9)}
    found["probe"]["masks"] = [mask_row("all", counts)]
    (row,) = paragraphs(found, "| all of these")
    assert row.startswith("| all of these | 54: 10 a&#124;b 0, 9 a&#124;b 1, 8 a&#124;b 2 … | 54 →")


@pytest.mark.parametrize("stress", [True, False])
def test_the_figure_is_followed_by_a_sentence(stress):
    after = rendered(robustness_summary(stress)).split("(robustness/robustness.png)")[1]
    assert ("Dots are the shares" in after) == stress
    assert "A line leads from" in after


def test_both_constant_answers_are_told():
    assert "right on 42 (`ham`) or 6 (`spam`)." in rendered(robustness_summary())
