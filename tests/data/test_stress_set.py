"""The stress set keeps its own rules: labels, kinds, names that belong to nobody."""

import re

import pytest
from loralab.data.corpus import generate_messages
from loralab.data.stress import STRESS_LABELS, read_stress_set, why_not_stressed
from loralab.reporting.robustness_names import KIND_NAMES

SET = read_stress_set()


def test_every_text_has_a_kind_a_label_and_an_id_of_its_own():
    assert set(SET["label"]) == set(STRESS_LABELS)
    assert set(SET["kind"]) | {"all"} == set(KIND_NAMES)
    assert SET["id"].is_unique and SET["text"].is_unique
    assert all(isinstance(text, str) and text.strip() == text != "" for text in SET["text"])


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("obfuscated", {"spam"}),
        ("prize_and_phishing", {"spam"}),
        ("polite_ham", {"ham"}),
        ("other_languages", {"ham", "spam"}),
        ("nearly_empty", {"ham"}),
        ("very_long", {"ham", "spam"}),
    ],
)
def test_a_kind_has_the_labels_that_it_can_have(kind, labels):
    assert set(SET["label"][SET["kind"] == kind]) == labels


def test_next_to_nothing_is_short_and_a_letter_long():
    texts = SET.set_index("kind")["text"]
    assert texts["nearly_empty"].str.len().max() <= 5
    # A token is a word at the most, so that these are longer than the context of 256 everywhere.
    assert texts["very_long"].str.split().str.len().min() > 256
    assert texts.drop("very_long").str.len().max() < 300


def test_addresses_and_telephone_numbers_belong_to_nobody():
    everything = "\n".join(SET["text"])
    assert not re.search(r"https?:|www\.|\b[\w-]+\.(?:com|net|org|co|uk|de|fr)\b", everything)
    numbers = re.findall(r"\+?[0-9][0-9 /()-]{8,}[0-9]", everything)
    free = re.compile(r"(?:\+44 7700 900|07700 900|0909[ /]879[ /]0|01 99 00)")
    assert len(numbers) >= 5
    assert [number for number in numbers if not free.match(number)] == []


def test_no_text_is_among_the_messages_that_the_project_generates():
    generated = {text for _, text in generate_messages(seed=1)}
    assert generated & set(SET["text"]) == set()


def test_what_cannot_be_seen_is_there():
    obfuscated = "".join(SET["text"][SET["kind"] == "obfuscated"])
    assert set("\u200b\u200c\u200d\u2060\ufeff\u00ad\u0430\u0435") <= set(obfuscated)


@pytest.mark.parametrize("labels", [["ham", "spam"], ["spam", "ham"]])
def test_the_set_applies_to_ham_and_spam_in_any_order(labels):
    assert why_not_stressed(labels) is None


@pytest.mark.parametrize("labels", [["Ham", "Spam"], ["no", "yes"], ["ham", "spam", "smishing"]])
def test_of_other_labels_it_says_why_it_does_not_apply(labels):
    found = why_not_stressed(labels)
    assert "ham or spam" in found and ", ".join(labels) in found
