"""The embedded corpus has the shape and the traps of the real collection, and never changes."""

import csv
import hashlib
import io
import random
import re
from statistics import mean, median

import pandas as pd
import pytest
from loralab.data import corpus_phrases as phrases
from loralab.data.corpus import generate_messages, generate_unlabelled_text, tsv_lines
from loralab.data.twin_forms import masked
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

SHA256_OF_SEED_1 = "c8bc2ee7ea51cc892725599a12f925e4facf0ffa873a624a40a85ba1729fc4b5"
FICTIONAL_NUMBERS = ("07700900", "0909879", "08081570", "02079460", "03069990")


@pytest.fixture(scope="module")
def rows():
    return list(generate_messages(seed=1))


@pytest.fixture(scope="module")
def unlabelled():
    return generate_unlabelled_text(seed=1, messages=12_000)


def texts_of(rows, label):
    return [text for row_label, text in rows if row_label == label]


def number_holding(texts, needle):
    return sum(needle in text for text in texts)


def number_of_repeats(items):
    return len(items) - len(set(items))


def read_with(rows, quoting):
    source = io.BytesIO(b"".join(tsv_lines(rows)))
    return pd.read_csv(source, sep="\t", header=None, names=["label", "text"], quoting=quoting)


# Reproducibility


def test_seed_1_gives_the_pinned_bytes(rows):
    assert hashlib.sha256(b"".join(tsv_lines(rows))).hexdigest() == SHA256_OF_SEED_1


def test_another_seed_gives_another_corpus_of_the_same_shape(rows):
    other = list(generate_messages(seed=2))
    assert other != rows
    assert len(other) == len(rows)
    assert 400 <= number_of_repeats(other) <= 430


def test_rows_are_shuffled(rows):
    first_half = rows[: len(rows) // 2]
    assert 300 < len(texts_of(first_half, "spam")) < 450


# Shape


def test_default_corpus_has_the_size_of_the_real_collection(rows):
    assert len(rows) == 5574
    assert len(texts_of(rows, "spam")) == 747
    assert len(texts_of(rows, "ham")) == 4827


@pytest.mark.parametrize(("messages", "spam"), [(0, 0), (1, 0), (1, 1), (40, 8), (600, 80)])
def test_any_possible_counts_are_met_exactly(messages, spam):
    rows = list(generate_messages(seed=3, messages=messages, spam=spam))
    assert len(rows) == messages
    assert len(texts_of(rows, "spam")) == spam


def test_more_than_four_hundred_rows_repeat_an_earlier_row_in_both_classes(rows):
    assert 400 < number_of_repeats(rows) <= 430
    assert number_of_repeats(texts_of(rows, "ham")) > 300
    assert number_of_repeats(texts_of(rows, "spam")) > 50


def test_ham_is_short_with_a_long_tail(rows):
    lengths = [len(text) for text in texts_of(rows, "ham")]
    assert 62 <= mean(lengths) <= 78
    assert 45 <= median(lengths) <= 57
    assert sum(length <= 5 for length in lengths) > 20


def test_one_ham_message_is_far_longer_than_all_others(rows):
    longest, second = sorted((len(text) for text in texts_of(rows, "ham")), reverse=True)[:2]
    assert 900 <= longest <= 1000
    assert second < 600


def test_most_spam_fills_a_text_message(rows):
    lengths = [len(text) for text in texts_of(rows, "spam")]
    assert 125 <= mean(lengths) <= 145
    assert sum(100 <= length <= 165 for length in lengths) > 0.7 * len(lengths)


def test_spam_campaigns_hold_twins_that_differ_in_digits_only(rows):
    distinct_spam = sorted(set(texts_of(rows, "spam")))
    assert number_of_repeats([masked(text) for text in distinct_spam]) > 50


def test_no_masked_form_carries_both_labels(rows):
    ham_forms = {masked(text) for text in texts_of(rows, "ham")}
    spam_forms = {masked(text) for text in texts_of(rows, "spam")}
    assert not ham_forms & spam_forms


# Traps


def test_default_quoting_loses_rows_of_the_embedded_corpus(rows):
    lost = len(rows) - len(read_with(rows, csv.QUOTE_MINIMAL))
    assert 2 <= lost <= 6


def test_default_quoting_strips_the_quotes_of_texts_that_it_keeps(rows):
    quoted = sum(text.startswith('"') for _, text in rows)
    kept = read_with(rows, csv.QUOTE_MINIMAL)["text"]
    assert quoted > 20
    assert kept.str.startswith('"').sum() == 0


def test_reading_without_quoting_gives_every_row_back(rows):
    table = read_with(rows, csv.QUOTE_NONE)
    assert list(table.itertuples(index=False, name=None)) == rows


def test_masked_numbers_occur_in_ham_only(rows):
    assert 150 <= number_holding(texts_of(rows, "ham"), "&lt;#&gt;") <= 250
    assert number_holding(texts_of(rows, "spam"), "&lt;#&gt;") == 0


def test_both_labels_hold_the_entity_of_the_ampersand(rows):
    assert number_holding(texts_of(rows, "ham"), "&amp;") >= 10
    assert number_holding(texts_of(rows, "spam"), "&amp;") >= 10


def test_pound_signs_are_frequent_in_spam_and_rare_in_ham(rows):
    assert 0.28 <= number_holding(texts_of(rows, "spam"), "£") / 747 <= 0.42
    assert number_holding(texts_of(rows, "ham"), "£") == 5


@pytest.mark.parametrize("character", ["ü", "é", "’", "“", "😂"])
def test_ham_holds_characters_beyond_ascii(rows, character):
    assert number_holding(texts_of(rows, "ham"), character) >= 1


def test_exactly_one_ham_message_spells_the_end_of_text_token(rows):
    assert number_holding(texts_of(rows, "ham"), "<|endoftext|>") == 1
    assert number_holding(texts_of(rows, "spam"), "<|endoftext|>") == 0


# Format


def test_tsv_holds_one_unescaped_line_per_message():
    rows = [("ham", 'so "far, so good'), ("spam", "win £5 & more")]
    assert b"".join(tsv_lines(rows)) == 'ham\tso "far, so good\nspam\twin £5 & more\n'.encode()


@pytest.mark.parametrize("separator", ["\t", "\n", "\r", "\x0b", "\x1c", "\x85", "\u2028"])
def test_tsv_refuses_a_text_that_would_break_its_line(separator):
    with pytest.raises(ValueError, match="tab or a line separator"):
        list(tsv_lines([("ham", f"one{separator}two")]))
    with pytest.raises(ValueError, match="tab or a line separator"):
        list(tsv_lines([("ham", f"one{separator}")]))


@pytest.mark.parametrize(("messages", "spam"), [(3, 4), (-1, 0), (5, -1)])
def test_impossible_counts_are_refused(messages, spam):
    with pytest.raises(ValueError, match=r"must not be negative|more spam"):
        generate_messages(seed=1, messages=messages, spam=spam)


def test_a_negative_number_of_unlabelled_texts_is_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        generate_unlabelled_text(seed=1, messages=-1)


# Unlabelled text


def test_fewer_unlabelled_texts_are_the_beginning_of_more(unlabelled):
    assert generate_unlabelled_text(seed=1, messages=50) == unlabelled[:50]


def test_unlabelled_text_has_a_broad_vocabulary(unlabelled):
    words = {word for text in unlabelled for word in re.findall("[a-z']+", text.lower())}
    assert len(words) > 2500


def test_unlabelled_text_speaks_both_languages(unlabelled):
    assert 0.12 <= number_holding(unlabelled, "£") / len(unlabelled) <= 0.25
    assert number_holding(unlabelled, "&lt;#&gt;") > 100


def test_unlabelled_text_holds_no_planted_trap(unlabelled):
    planted = {text for run in phrases.HAM_TRAPS for text in run}
    assert not planted & set(unlabelled)
    assert number_holding(unlabelled, "<|endoftext|>") == 0


def test_long_unlabelled_texts_rarely_equal_a_labelled_one(rows, unlabelled):
    labelled = {text for _, text in rows}
    assert sum(text in labelled for text in unlabelled if len(text) > 60) < 20


def test_no_generated_text_breaks_its_line_or_keeps_an_open_slot(rows, unlabelled):
    for text in [*unlabelled, *(text for _, text in rows)]:
        assert text.splitlines() == [text]
        assert not {"\t", "{", "}"} & set(text)
        assert text.strip()


# Phrases


def test_every_slot_of_the_grammar_exists_and_is_used():
    asked_for = set(re.findall(r"{(\w+)}", " ".join(phrases.GRAMMAR.values())))
    groups = (phrases.EVERYDAY_TOPICS, phrases.HARD_HAM_TOPICS)
    groups += (phrases.SPAM_TRADES, phrases.HARD_SPAM_TOPICS)
    entries = {topic for group in groups for topic in group}
    entries |= {"ham_opener", "ham_closer", "hard_closer", "stock_answer"}
    assert asked_for | entries == set(phrases.GRAMMAR)


def test_every_respelt_word_is_a_single_word():
    assert all(" " not in word for word in phrases.SLANG)


def test_telephone_numbers_lie_in_ranges_kept_for_fiction(rows):
    for _, text in rows:
        for number in re.findall(r"\b0[0-9 ]{9,13}\b", text):
            assert number.replace(" ", "").startswith(FICTIONAL_NUMBERS), text


def test_web_addresses_end_in_the_reserved_domain(rows):
    for _, text in rows:
        for address in re.findall(r"(?:www\.|http://)[^ ]+", text):
            assert ".example" in address, text


# Difficulty


def balanced_without_twins(rows, rng):
    """Ham undersampled to the number of spam, then one message per masked form, shuffled."""
    spam = [row for row in rows if row[0] == "spam"]
    ham = rng.sample([row for row in rows if row[0] == "ham"], len(spam))
    one_per_form = {masked(text): (label, text) for label, text in ham + spam}
    return rng.sample(list(one_per_form.values()), len(one_per_form))


def accuracy_of_character_ngrams(rows):
    labels, texts = zip(*rows, strict=True)
    cut = len(rows) * 8 // 10
    ngrams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    model = LogisticRegression(C=10, max_iter=1000)
    model.fit(ngrams.fit_transform(texts[:cut]), labels[:cut])
    return model.score(ngrams.transform(texts[cut:]), labels[cut:])


@pytest.mark.parametrize("split_seed", range(5))
def test_character_ngrams_do_well_but_not_perfectly(rows, split_seed):
    sample = balanced_without_twins(rows, random.Random(split_seed))
    assert 0.90 <= accuracy_of_character_ngrams(sample) <= 0.98
