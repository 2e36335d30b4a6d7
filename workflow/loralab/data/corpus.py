"""The embedded corpus: generated SMS messages for people without a network.

The default corpus imitates the shape of the UCI SMS Spam Collection (size, class balance, exact
duplicates, message lengths) and the traps that its readers fall into (stray quotation marks, HTML
entities, text beyond ASCII). The sentences come from the grammar in `corpus_phrases`.

Every choice derives from `random.Random.random()`, the one method whose values Python promises to
keep for a given seed, so the same seed gives the same bytes on every version.
"""

import random
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from loralab.data import corpus_phrases as phrases
from loralab.data.digests import digest, firsts
from loralab.data.texts_on_disk import TextsOnDisk

Item = TypeVar("Item")
Row = tuple[str, str]

# How many rows repeat an earlier one, roughly as in the real collection: more than 400 by default.
STOCK_ANSWER_SHARE = 0.088
REPEATED_SPAM_SHARE = 0.08
TWIN_SPAM_SHARE = 0.10

# How hard the corpus is. Hard messages are labelled as truly as the others, but their words
# mislead; with more of them a classifier that only counts character n-grams loses accuracy.
HARD_HAM_SHARE = 0.14
HARD_SPAM_SHARE = 0.25

# Ham whose numbers, if it has any, are masked: about 200 messages by default.
MASKED_HAM_SHARE = 0.33

ROWS_AT_A_TIME = 10_000  # read back from disk

SENTENCES_PER_HAM = (1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 6)


def _alternatives(notation: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """Read the notation of `corpus_phrases`: split at the bars, drop the layout."""
    return {
        name: tuple(" ".join(alternative.split()) for alternative in text.split("|"))
        for name, text in notation.items()
    }


_GRAMMAR = _alternatives(phrases.GRAMMAR)
_SLANG = _alternatives(phrases.SLANG)


def generate_messages(
    seed: int, messages: int = 5574, spam: int = 747, scratch: Path | None = None
) -> Iterator[Row]:
    """Return `messages` labelled rows `(label, text)` in shuffled order, `spam` of them spam.

    The label is "ham" or "spam". The same arguments always give the same rows. The traps take
    up the first ham rows, so a corpus of only a few ham messages holds only some of them. The texts
    lie on disk, in the folder `scratch` or the system's own, so that memory hardly grows with them.
    Raises ValueError if a count is negative or there is more spam than messages.
    """
    _require_possible_counts(messages, spam)
    rng, texts = random.Random(f"{seed}/corpus"), TextsOnDisk.write(folder=scratch)
    spam_rows = _spam_rows(rng, texts, spam)
    traps = _trap_rows(texts, room=messages - spam)
    ham_rows = _ham_rows(rng, texts, messages - spam - sum(map(len, traps)))
    rows = np.concatenate([spam_rows, *traps, ham_rows])
    # Lengths of runs of rows, which stay neighbours when shuffled: all but the traps are of one.
    runs = [1] * spam + [len(trap) for trap in traps] + [1] * len(ham_rows)
    return _labelled(texts, rows, _shuffled_runs(rng, runs), spam)


def tsv_lines(messages: Iterable[Row]) -> Iterator[bytes]:
    """Yield the rows as UTF-8 lines `label<TAB>text<LF>`, neither quoted nor escaped.

    Raises ValueError if a text holds a tab or a line separator, which would break the format.
    """
    for label, text in messages:
        if "\t" in text or text.splitlines() not in ([], [text]):
            raise ValueError(f"A message must not hold a tab or a line separator: {text!r}.")
        yield f"{label}\t{text}\n".encode()


def generate_unlabelled_text(seed: int, messages: int) -> list[str]:
    """Return `messages` texts, about half of them spam-like, to pretrain a language model on.

    They speak the language of `generate_messages` but come from another random stream, carry no
    labels and hold none of the planted traps. Raises ValueError if `messages` is negative.
    """
    _require_possible_counts(messages, spam=0)
    rng = random.Random(f"{seed}/corpus/unlabelled")
    return [_any_text(rng) for _ in range(messages)]


def _require_possible_counts(messages: int, spam: int) -> None:
    if messages < 0 or spam < 0:
        raise ValueError(f"Counts must not be negative: messages={messages}, spam={spam}.")
    if spam > messages:
        raise ValueError(f"There cannot be more spam ({spam}) than messages ({messages}).")


# Rows: where among the texts on disk that of each row lies, an array.


def _spam_rows(rng: random.Random, texts: TextsOnDisk, count: int) -> np.ndarray:
    repeated = int(count * REPEATED_SPAM_SHARE)
    different = _distinct(texts, count - repeated, lambda: _spam_text(rng))
    again = [_pick(rng, different) for _ in range(repeated)]
    return np.array([*different, *again], dtype=np.int64)


def _trap_rows(texts: TextsOnDisk, room: int) -> list[np.ndarray]:
    found = []
    for trap in phrases.HAM_TRAPS:
        room -= len(trap)
        if room >= 0:
            found.append(_written(texts, trap))
    return found


def _ham_rows(rng: random.Random, texts: TextsOnDisk, count: int) -> np.ndarray:
    stock = int(count * STOCK_ANSWER_SHARE)
    different = _distinct(texts, count - stock, lambda: _written_ham(rng))
    answers = _written(texts, (_stock_answer(rng) for _ in range(stock)))
    return np.concatenate([different, answers])


def _written(texts: TextsOnDisk, more: Iterable[str]) -> np.ndarray:
    """Where more texts are, once they are put there."""
    begin = len(texts)
    texts.extend(more)
    return np.arange(begin, len(texts))


def _distinct(texts: TextsOnDisk, count: int, draw: Callable[[], str]) -> np.ndarray:
    """Draw until `count` different texts are there; where they are, in the order drawn."""
    begin, digests, found = len(texts), bytearray(), np.zeros(0, dtype=np.int64)

    def drawn(missing: int) -> Iterator[str]:
        for _ in range(missing):
            text = draw()
            digests.extend(digest(text))
            yield text

    while missing := count - len(found):
        texts.extend(drawn(missing))
        found = firsts(digests)
    return begin + found


def _labelled(texts: TextsOnDisk, rows: np.ndarray, order: np.ndarray, spam: int) -> Iterator[Row]:
    """The rows in this order, of which those below `spam` are spam."""
    for start in range(0, len(order), ROWS_AT_A_TIME):
        some = order[start : start + ROWS_AT_A_TIME]
        labels = np.where(some < spam, "spam", "ham").tolist()
        yield from zip(labels, texts.read(rows[some]), strict=True)


# Texts.


def _any_text(rng: random.Random) -> str:
    if _chance(rng, 0.5):
        return _spam_text(rng)
    return _stock_answer(rng) if _chance(rng, STOCK_ANSWER_SHARE) else _written_ham(rng)


def _written_ham(rng: random.Random) -> str:
    hard = _chance(rng, HARD_HAM_SHARE)
    sentences = _hard_sentences(rng, phrases.HARD_HAM_TOPICS) if hard else _everyday_sentences(rng)
    if _chance(rng, MASKED_HAM_SHARE):
        sentences = [_with_masked_numbers(sentence) for sentence in sentences]
    return _conversational_text(rng, sentences)


def _spam_text(rng: random.Random) -> str:
    if _chance(rng, HARD_SPAM_SHARE):
        return _conversational_text(rng, _hard_sentences(rng, phrases.HARD_SPAM_TOPICS))
    trade = "spam_twins" if _chance(rng, TWIN_SPAM_SHARE) else _pick(rng, phrases.SPAM_TRADES)
    return _capitalised(_sentence(rng, trade))


def _stock_answer(rng: random.Random) -> str:
    """Squaring the draw favours the head of the list, as a few answers lead in real life."""
    answers = _GRAMMAR["stock_answer"]
    return answers[int(rng.random() ** 2 * len(answers))]


def _hard_sentences(rng: random.Random, topics: Sequence[str]) -> list[str]:
    """The closing sentence is common to both labels: it weighs the telling words down."""
    sentences = [_sentence(rng, _pick(rng, topics))]
    if _chance(rng, 0.5):
        sentences.append(_sentence(rng, "hard_closer"))
    return sentences


def _everyday_sentences(rng: random.Random) -> list[str]:
    topic = _pick(rng, phrases.EVERYDAY_TOPICS)
    sentences = [_sentence(rng, topic)]
    for _ in range(_pick(rng, SENTENCES_PER_HAM) - 1):
        stays_on_topic = _chance(rng, 0.6)
        slot = topic if stays_on_topic else _pick(rng, phrases.EVERYDAY_TOPICS)
        sentences.append(_sentence(rng, slot))
    return _greeted_and_closed(rng, sentences)


def _greeted_and_closed(rng: random.Random, sentences: list[str]) -> list[str]:
    opener = f"{_sentence(rng, 'ham_opener')} " if _chance(rng, 0.25) else ""
    closer = [_sentence(rng, "ham_closer")] if _chance(rng, 0.2) else []
    return [opener + sentences[0], *sentences[1:], *closer]


def _sentence(rng: random.Random, slot: str) -> str:
    return _expanded(rng, _pick(rng, _GRAMMAR[slot]))


def _expanded(rng: random.Random, template: str) -> str:
    """Fill the slots of a template, and the slots inside their fillings, from left to right."""
    before, brace, rest = template.partition("{")
    if not brace:
        return before
    slot, _, after = rest.partition("}")
    return before + _sentence(rng, slot) + _expanded(rng, after)


def _with_masked_numbers(text: str) -> str:
    """Mask numbers the way the collectors of the real ham did, for the sake of its authors."""
    return re.sub("[0-9]+([.:][0-9]+)?", "&lt;#&gt;", text)


# Spelling and punctuation, shared by both labels so that neither gives a message away.


def _conversational_text(rng: random.Random, sentences: Sequence[str]) -> str:
    text = _joined(rng, sentences)
    if _chance(rng, 0.45):
        text = _in_slang(rng, text)
    if _chance(rng, 0.25):
        text = text.replace("'", _pick(rng, ("", "", "", "’")))
    return _with_habitual_case(rng, text)


def _joined(rng: random.Random, sentences: Sequence[str]) -> str:
    sentence_break = _pick(rng, phrases.SENTENCE_BREAKS)
    sentences = [_capitalised(sentence) for sentence in sentences]
    text = sentences[0]
    for sentence in sentences[1:]:
        text += (" " if text.endswith(("?", "!")) else sentence_break) + sentence
    return text if text.endswith(("?", "!", ")")) else text + _pick(rng, phrases.ENDINGS)


def _in_slang(rng: random.Random, text: str) -> str:
    """Respell the known words of a text, each with the zeal of this particular texter."""
    zeal = rng.random()
    return " ".join(_respelt(rng, word, zeal) for word in text.split(" "))


def _respelt(rng: random.Random, word: str, zeal: float) -> str:
    bare = word.rstrip(".,?!")
    spellings = _SLANG.get(bare) or _SLANG.get(bare.lower())
    if spellings is None or not _chance(rng, zeal):
        return word
    return _pick(rng, spellings) + word[len(bare) :]


def _with_habitual_case(rng: random.Random, text: str) -> str:
    habit = rng.random()
    if habit < 0.25:
        return text.lower()
    # An HTML entity in capitals would no longer be one.
    if habit < 0.27 and "&" not in text:
        return text.upper()
    return text


def _capitalised(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


# Chance. Nothing but `random()` is used: other methods may change between Python versions.


def _chance(rng: random.Random, probability: float) -> bool:
    return rng.random() < probability


def _pick(rng: random.Random, items: Sequence[Item]) -> Item:
    return items[int(rng.random() * len(items))]


def _shuffled_runs(rng: random.Random, lengths: Sequence[int]) -> np.ndarray:
    """The places of rows when runs of these lengths are put in a random order (Fisher-Yates)."""
    order = array("q", range(len(lengths)))
    for last in range(len(order) - 1, 0, -1):
        chosen = int(rng.random() * (last + 1))
        order[last], order[chosen] = order[chosen], order[last]
    begins = np.cumsum(lengths, dtype=np.int64) - lengths
    rows = array("q")
    for run in order:
        rows.extend(range(begins[run], begins[run] + lengths[run]))
    return np.array(rows, dtype=np.int64)
