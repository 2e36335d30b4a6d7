"""Stage `baseline_tfidf_words`."""

from loralab.stages.runner import main
from loralab.stages.text_baseline import text_baseline

STAGE = text_baseline("tfidf_words", "Logistic regression on TF-IDF of words and pairs of words.")

if __name__ == "__main__":
    main(STAGE)
