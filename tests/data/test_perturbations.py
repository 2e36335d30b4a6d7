"""Artefacts are taken out, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loralab.data.perturbations import ARTEFACTS, MASKS, masked, without


@pytest.mark.parametrize(
    ("artefact", "text", "left"),
    [
        ("pound_sign", "win £900 or &pound;5, &#163;6, &#XA3;7", "win 900 or 5, 6, 7"),
        ("pound_sign", "pound for pound", "pound for pound"),
        ("placeholder", "meet at  &lt;#&gt;  pm, pay &lt;DECIMAL&gt;.", "meet at   pm, pay."),
        ("placeholder", "sent <#> times to <EMAIL>", "sent times to"),
        ("placeholder", "i <3 you, a<#b", "i <3 you, a<#b"),
        ("long_number", "call 0909 879 0321 now", "call now"),
        ("long_number", "call +44 (0)7700-900456 now", "call now"),
        ("long_number", "txt WIN to 80086.", "txt WIN to."),
        ("long_number", "ref 1234567 8", "ref"),
        ("long_number", "at 10:45 on 24 12, pay 4821", "at 10:45 on 24 12, pay 4821"),
        ("long_number", "in 2019, 2020, 2021", "in 2019, 2020, 2021"),
    ],
)
def test_an_artefact_is_taken_out_and_its_likes_are_left(artefact, text, left):
    assert without(text, [ARTEFACTS[artefact]]) == left


def test_only_what_a_mask_touches_is_masked_and_by_its_place():
    texts = ["no artefact", " £5 ", "call 0909 879 0321", "£", "lend me £20 £30"]
    assert masked(texts, MASKS["pound_sign"]) == {1: "5", 4: "lend me 20 30"}
    assert masked(texts, MASKS["all"]) == {1: "5", 2: "call", 4: "lend me 20 30"}


PIECES = st.sampled_from(["£", "&pound;", " &lt;#&gt;", "<URL>", "0909 879 0321", "80086", "7"])
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=8).map("".join)


@given(st.text(alphabet=st.characters(exclude_characters="£&<", exclude_categories=["Nd"])))
def test_a_text_with_nothing_of_an_artefact_stays_as_it_is_to_the_last_space(text):
    assert without(text, MASKS["all"]) == text


@given(st.lists(TEXTS, max_size=5))
def test_what_all_masks_touch_is_what_any_of_them_touches(texts):
    single = set().union(*(masked(texts, MASKS[name]) for name in ARTEFACTS))
    together = masked(texts, MASKS["all"])
    assert set(together) <= single  # one of which nothing is left to classify is in neither
    assert all(text.strip() == text != "" for text in together.values())
    assert all(texts[place] != text for place, text in together.items())
