"""Stage `baseline_tfidf_characters`."""

from loralab.stages.runner import main
from loralab.stages.text_baseline import text_baseline

STAGE = text_baseline(
    "tfidf_characters", "Logistic regression on TF-IDF of 2 to 5 characters within words."
)

if __name__ == "__main__":
    main(STAGE)
