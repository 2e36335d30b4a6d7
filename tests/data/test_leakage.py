"""Leakage counts test messages with a twin in train, from strict to loose."""

import pytest
from loralab.data.twin_forms import folded, masked
from twins import leaked


def counts(train, test):
    found = leaked(train, test)
    return [found[name]["n"] for name in ("exact", "folded", "masked", "near")]


@pytest.mark.parametrize(
    ("twin", "expected"),
    [
        ("Win £50 now", [1, 1, 1, 1]),
        ("  win  £50\tNOW ", [0, 1, 1, 1]),
        ("Win £99, now!", [0, 0, 1, 1]),
        ("Win &pound;50 now", [0, 0, 1, 1]),
        ("Win £500 now", [0, 0, 0, 1]),  # 10 letters of 11 and 10: 200 * 10 / 21
        ("Win £5000 now", [0, 0, 0, 1]),  # 200 * 10 / 22
        ("Win £50000 now", [0, 0, 0, 0]),  # 200 * 10 / 23 is below 90
        ("Lose £50 now", [0, 0, 0, 0]),
    ],
)
def test_each_criterion_counts_its_twins(twin, expected):
    assert counts([twin], ["Win £50 now"]) == expected


def test_every_leaked_test_message_counts_once():
    assert counts(["a", "a", "b"], ["a", "a", "c", "d"]) == [2, 2, 2, 2]


def test_share_is_of_the_test_messages():
    found = leaked(["a", "b", "c"], ["a", "x"])
    assert found["exact"] == {"n": 1, "share": 0.5}


def test_no_test_messages_leak_nothing():
    found = leaked(["a"], [])
    assert set(found) == {"exact", "folded", "masked", "near"}
    assert all(twins == {"n": 0, "share": 0.0} for twins in found.values())


def test_texts_of_which_nothing_is_left_are_no_twins():
    assert counts(["привет", ":)"], ["пока", ":("]) == [0, 0, 0, 0]
    assert counts([":)"], [":)"]) == [1, 1, 0, 0]
    assert counts(["", ":)"], ["", "word"]) == [0, 0, 0, 0]


def test_forms_are_what_they_say():
    assert folded(" A  b\nC ") == "a b c"
    assert masked("Call 0800-12 &amp; WIN!") == "call 0000 00 win"
