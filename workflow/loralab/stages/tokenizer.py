"""Stage `tokenizer`: GPT-2's two files, fetched or copied, or a byte-level BPE trained here."""

import shutil
from pathlib import Path

from loralab.data.corpus import generate_unlabelled_text
from loralab.fetching.pinned import Pinned, check_sha256, fetch
from loralab.model.tokenizer import (
    MERGES_FILE,
    VOCABULARY_FILE,
    load_tokenizer,
    train_bpe,
    write_tokenizer,
)
from loralab.stages.runner import Job, Stage, main, named_for_the_user


def run(job: Job) -> None:
    """Write `vocab.bpe` and `encoder.json`, and see that tiktoken runs them."""
    settings = job.config.tokenizer
    if settings.source == "embedded":
        texts = generate_unlabelled_text(settings.embedded.seed, settings.embedded.messages)
        write_tokenizer(train_bpe(texts, settings.embedded.size), job.folder)
    else:
        _bring(job)
    origin = settings.folder if settings.source == "file" else f"tokenizer {settings.name}"
    with named_for_the_user(job.folder, origin):
        load_tokenizer(job.folder)


def _bring(job: Job) -> None:
    settings, folder = job.config.tokenizer, job.folder
    for name, part in ((MERGES_FILE, "merges"), (VOCABULARY_FILE, "vocabulary")):
        pinned = getattr(settings, part)
        if settings.source == "url":
            wanted = Pinned(tuple(pinned.urls), pinned.sha256, f"tokenizer.{part}")
            fetch(wanted, folder / name, job.config.mirror, job.state)
            continue
        source = Path(settings.folder) / name
        if pinned.sha256:
            check_sha256(source, pinned.sha256, str(source))
        shutil.copyfile(source, folder / name)


def _inputs(layout) -> list[Path]:
    settings = layout.config.tokenizer
    names = (MERGES_FILE, VOCABULARY_FILE) if settings.source == "file" else ()
    return [Path(settings.folder) / name for name in names]


STAGE = Stage(
    name="tokenizer",
    summary="Fetch GPT-2's tokenizer files, or train a byte-level BPE on generated text.",
    inputs=_inputs,
    outputs=(MERGES_FILE, VOCABULARY_FILE),
    run=run,
)

if __name__ == "__main__":
    main(STAGE)
