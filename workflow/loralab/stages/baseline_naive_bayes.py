"""Stage `baseline_naive_bayes`."""

from loralab.stages.runner import main
from loralab.stages.text_baseline import text_baseline

STAGE = text_baseline("naive_bayes", "Multinomial naive Bayes on counts of words.")

if __name__ == "__main__":
    main(STAGE)
