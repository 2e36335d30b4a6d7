"""What an adapter is measured against: classifiers that are old, small, or know nothing.

What such a classifier has to choose for itself, the strength of its regularisation say, is chosen
by the log loss of the validation messages, so that it is no straw man. Where a split has none, a
tenth of train stands in for them, and what was chosen is fitted again on all of train.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from loralab.errors import Diverged
from loralab.evaluation.metrics import log_loss
from loralab.randomness import stream_seed

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)  # scikit-learn's C: the larger, the freer
SMOOTHINGS = (0.01, 0.03, 0.1, 0.3, 1.0)  # added to every count of naive Bayes

Predict = Callable[[Any], np.ndarray]  # from n inputs to probabilities, (n, labels)


@dataclass(frozen=True)
class Labelled:
    """Inputs, such as (n,) texts or (n, features), and the index of each one's label, (n,)."""

    inputs: Any
    labels: np.ndarray

    def rows(self, chosen: np.ndarray) -> "Labelled":
        return Labelled(self.inputs[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Choice:
    """What was tried and kept: `setting` names it, `tried` has the log loss of each value."""

    setting: str
    value: float
    tried: dict[float, float | None]  # None where training diverged
    messages: str  # on which it was chosen


def fit_baseline(
    name: str, train: Labelled, validation: Labelled | None, labels: int, seed: int
) -> tuple[Predict, Choice | None]:
    """The baseline `name`, of those that scikit-learn fits, and what it chose, if anything."""
    if name == "majority":
        return _majority(train, labels), None
    if name == "naive_bayes":
        fit, setting, values = _naive_bayes, "smoothing", SMOOTHINGS
    else:
        fit, setting, values = _LOGISTIC[name], "C", PENALTIES
    return choose(
        lambda value, part: fit(value, part, labels), setting, values, train, validation, seed
    )


def choose(
    fit: Callable[[float, Labelled], Predict],
    setting: str,
    values: Sequence[float],
    train: Labelled,
    validation: Labelled | None,
    seed: int,
) -> tuple[Predict, Choice]:
    """Fit with each value; keep the one whose log loss is lowest where it was not fitted.

    A value with which training diverges is the worst. Raises Diverged where all do.
    """
    part, judges, messages = _parts(train, validation, seed)
    tried: dict[float, float | None] = {}
    best = None
    for value in values:
        try:
            fitted = fit(value, part)
        except Diverged as error:
            tried[value], reason = None, error
            continue
        tried[value] = log_loss(fitted(judges.inputs), judges.labels)
        if best is None or tried[value] < tried[best]:
            best, kept = value, fitted  # the others go, which may be whole models
    if best is None:
        raise Diverged(f"with every {setting} of {', '.join(map(str, values))}: {reason}")
    return kept if part is train else fit(best, train), Choice(setting, best, tried, messages)


def _parts(
    train: Labelled, validation: Labelled | None, seed: int
) -> tuple[Labelled, Labelled, str]:
    """What is fitted on, what judges, and what the judges are called."""
    if validation:
        return train, validation, "validation"
    part, held_out = hold_out(train, seed)
    if not len(held_out.labels):
        return train, train, "train itself, which has no class of two messages"
    return part, held_out, "a tenth of train, kept apart for it"


def hold_out(train: Labelled, seed: int) -> tuple[Labelled, Labelled]:
    """Train without a tenth of each class, drawn at random (one at the least), and that tenth."""
    generator = np.random.default_rng(stream_seed(seed, "baselines/hold out"))
    held_out = np.zeros(len(train.labels), dtype=bool)
    for label in np.unique(train.labels):
        rows = generator.permutation(np.flatnonzero(train.labels == label))
        held_out[rows[: max(1, len(rows) // 10) if len(rows) > 1 else 0]] = True
    return train.rows(~held_out), train.rows(held_out)


def _majority(train: Labelled, labels: int) -> Predict:
    """The shares of the labels in train, whatever the text."""
    shares = np.bincount(train.labels, minlength=labels) / len(train.labels)
    return lambda texts: np.tile(shares, (len(texts), 1))


def _tfidf_words(penalty: float, train: Labelled, labels: int) -> Predict:
    """Words and pairs of them, sublinear term frequency, logistic regression."""
    features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+")
    return _fitted(make_pipeline(features, _logistic(penalty)), train, labels)


def _tfidf_characters(penalty: float, train: Labelled, labels: int) -> Predict:
    """2 to 5 characters within words, sublinear term frequency, logistic regression."""
    features = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    return _fitted(make_pipeline(features, _logistic(penalty)), train, labels)


def _frozen_features(penalty: float, train: Labelled, labels: int) -> Predict:
    """Features of a model that is not trained, each brought to variance 1."""
    return _fitted(make_pipeline(StandardScaler(), _logistic(penalty)), train, labels)


def _naive_bayes(smoothing: float, train: Labelled, labels: int) -> Predict:
    """Counts of words, multinomial naive Bayes."""
    features = CountVectorizer(token_pattern=r"\S+")
    return _fitted(make_pipeline(features, MultinomialNB(alpha=smoothing)), train, labels)


_LOGISTIC = {
    "tfidf_words": _tfidf_words,
    "tfidf_characters": _tfidf_characters,
    "frozen_features": _frozen_features,
}


def _logistic(penalty: float) -> LogisticRegression:
    return LogisticRegression(C=penalty, max_iter=2000)


def _fitted(model: ClassifierMixin, train: Labelled, labels: int) -> Predict:
    """The fitted model; a label that train does not have gets probability 0."""
    if len(np.unique(train.labels)) == 1:
        return _majority(train, labels)  # all that there is to learn
    model.fit(train.inputs, train.labels)

    def predict(inputs: np.ndarray) -> np.ndarray:
        probabilities = np.zeros((len(inputs), labels))
        probabilities[:, model.classes_] = model.predict_proba(inputs)
        return probabilities

    return predict
