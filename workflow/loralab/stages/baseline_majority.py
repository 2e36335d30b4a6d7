"""Stage `baseline_majority`."""

from loralab.stages.runner import main
from loralab.stages.text_baseline import text_baseline

STAGE = text_baseline("majority", "The shares of the classes in train, whatever the message says.")

if __name__ == "__main__":
    main(STAGE)
