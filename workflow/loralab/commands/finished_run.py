"""Finding the files of a finished run by what its manifests recorded."""

import os
from contextlib import suppress
from pathlib import Path

from loralab.config import BASELINES, STAGE_SETTINGS, build
from loralab.config_file import merge
from loralab.errors import LoralabError
from loralab.provenance import MANIFEST, check_inputs, read_json
from loralab.stages.layout import Layout, place_in_run
from loralab.sweep import NO_SWEEP
from loralab.verification import read_manifest

# Settings that say where what a run shares with others lies.
NAMES = (("data", "dataset"), ("tokenizer", "name"), ("base", "name"))


def folder_of(run: Path) -> Path:
    """The folder of a run, whose name is its experiment's; a link to it may have any other.

    Links further up, as of results/ to another disk, are left as they are: resources/ lies beside.
    """
    run = Path(os.path.abspath(run))
    return run.resolve() if run.is_symlink() else run


def layout_of(run: Path) -> Layout:
    """The layout of a finished experiment, or of one run of its sweep.

    By what the manifest of its evaluation says: the settings, and where the adapter and the
    messages lie, which a run may share.
    """
    run = folder_of(run)
    path = run / "evaluate" / MANIFEST
    try:
        manifest = read_json(path)
        recorded, read = manifest["fingerprint"]["settings"], list(manifest["inputs"])
    except (KeyError, TypeError):
        recorded, read = None, []
    if not isinstance(recorded, dict) or not recorded:
        raise LoralabError(f"{path} holds no settings; run the pipeline again")
    experiment = run.parent.parent if run.parent.name == "runs" else run
    settings = {**recorded, "experiment": experiment.name, "mirror": None}
    resources = experiment.parent.parent / "resources"
    try:
        shared = {"evaluate": path.parent, **_where_these_lie(path.parent, read)}
        layout = Layout(build(settings), experiment.parent, resources, elsewhere=shared)
        model_files = [*layout.base_files, *layout.tokenizer_files, *layout.adapter_files]
    except (AttributeError, TypeError):
        raise LoralabError(f"{path} holds damaged settings; run the pipeline again") from None
    check_inputs(path, model_files)
    return layout


def _where_these_lie(folder: Path, read: list[str]) -> dict[str, Path]:
    """The folders of the stages whose files an evaluation read, by those files' names."""
    ends = {"train": "/adapter/adapter_config.json", "split": "/test.csv"}
    return {
        stage: Path(os.path.normpath(folder / name.removesuffix(end)))
        for stage, end in ends.items()
        for name in read
        if name.endswith(end)
    }


def recorded_settings(run: Path) -> dict:
    """All settings that the stages in a run's own folder recorded, the first to record one first.

    Raises LoralabError where they do not say where the rest of the run lies.
    """
    # A run that was broken off did not come to the stages that record these.
    ran = [n for n in BASELINES if (run / place_in_run(f"baseline_{n}") / MANIFEST).is_file()]
    settings: dict = {"evaluation": {"baselines": ran}, "sweep": NO_SWEEP}
    for stage in reversed(STAGE_SETTINGS):
        with suppress(LoralabError):
            manifest = read_manifest(run / place_in_run(stage), stage)
            settings = merge(settings, manifest.fingerprint["settings"])
    try:
        names = [settings[section][key] for section, key in NAMES]
    except (KeyError, TypeError):
        names = []
    if not names or not all(isinstance(name, str) for name in names):
        raise LoralabError(
            f"{run}: no stage that recorded all it was made of has run there; is it the folder of "
            "a run? Name its configuration with --config"
        )
    return settings
