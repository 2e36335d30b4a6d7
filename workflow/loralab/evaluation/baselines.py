"""What an adapter is measured against: classifiers that need no neural network."""

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline


def majority(train_labels: np.ndarray, labels: int, n: int) -> np.ndarray:
    """The shares of the labels in train, as the probabilities of each of `n` texts: (n, labels)."""
    shares = np.bincount(train_labels, minlength=labels) / len(train_labels)
    return np.tile(shares, (n, 1))


def tfidf(
    train_texts: list[str], train_labels: np.ndarray, labels: int, texts: list[str]
) -> np.ndarray:
    """Character n-grams within words, logistic regression: (n, labels) probabilities.

    2 to 5 characters, sublinear term frequency, C = 10: a second of work.
    """
    model = make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
        LogisticRegression(C=10, max_iter=1000),
    )
    model.fit(train_texts, train_labels)
    probabilities = np.zeros((len(texts), labels))
    probabilities[:, model.classes_] = model.predict_proba(texts)
    return probabilities
