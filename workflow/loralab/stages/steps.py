"""The steps of an experiment: its own stages, and those of the runs of its sweep.

A run shares with the experiment every stage that comes to the same, and goes its own way from the
first that its changes concern. What no seed changes, the messages and which adapters there are,
the seeds of an arm share, so that their answers can be compared message by message.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from loralab.config import STAGE_SETTINGS, build, nested, stage_settings
from loralab.config_file import merge, validate
from loralab.errors import LoralabError
from loralab.model.shapes import base_shape, linear_layers
from loralab.model.targets import choose
from loralab.provenance import fingerprint
from loralab.stages.layout import Layout, place_in_run
from loralab.sweep import NO_SWEEP, REFERENCE, Run, runs_of, stage_of

CHAIN = ("split", "inject", "gradcheck", "train", "evaluate")  # each rests on the one before
AFTER_THE_RUNS = ("sweep", "report")


@dataclass(frozen=True)
class Step:
    """A stage of the experiment, or of one of its runs; `key` is the name of its rule.

    `settings` is the whole configuration that it is run with, `layout` where it finds what it
    reads.
    """

    key: str
    settings: dict
    layout: Layout

    @property
    def stage(self) -> str:
        return stage_of(self.key)

    @property
    def run(self) -> str | None:
        """The name of the run; None where the step is the experiment's own."""
        return self.key.partition("@")[2] or None

    @property
    def folder(self) -> Path:
        return self.layout.folder(self.stage)


def steps_of(settings: dict, layout: Layout) -> dict[str, Step]:
    """Every step of an experiment by its name, each after those that it reads from.

    Args:
        settings: the whole configuration.
        layout: the experiment's.

    Raises LoralabError where the sweep asks for a run whose settings are no valid configuration.
    """
    own = {stage: Step(stage, settings, layout) for stage in layout.places}
    last = {stage: own.pop(stage) for stage in AFTER_THE_RUNS if stage in own}
    for run in runs_of(layout.config):
        own |= _steps_of_run(run, settings, layout)
    return own | last


def expected_fingerprints(steps: dict[str, Step], threads: int) -> dict[str, dict]:
    """The fingerprint that each step has with its whole configuration, by its name."""
    return {
        key: fingerprint(
            f"loralab.stages.{step.stage}", stage_settings(step.settings, step.stage), threads
        )
        for key, step in steps.items()
    }


def places_of(layout: Layout) -> dict[str, Path]:
    """The folder of every step, each after those that it reads from, by the layout alone."""
    places = layout.places
    last = {stage: places.pop(stage) for stage in AFTER_THE_RUNS if stage in places}
    for run in runs_of(layout.config):
        own = own_folders(run, layout)
        places |= {f"{stage}@{run.name}": folder for stage, folder in own.items()}
    return places | last


def own_folders(run: Run, layout: Layout) -> dict[str, Path]:
    """Where the stages lie that this run has to itself."""
    home = _home(run, layout)
    return {stage: f for stage, f in folders_of(run, layout).items() if f.is_relative_to(home)}


def folders_of(run: Run, layout: Layout) -> dict[str, Path]:
    """The folder of each stage of a run: its own, its arm's first seed's, or the experiment's."""
    config = layout.config
    home, arms = _home(run, layout), _home(replace(run, seed=config.seed), layout)
    begins = next((i for i, stage in enumerate(CHAIN) if _concern(run, stage)), len(CHAIN))
    folders = {stage: layout.folder(stage) for stage in CHAIN[:begins]}
    folders |= {stage: arms / stage for stage in CHAIN[begins:]}
    if run.seed != config.seed:
        folders["train"] = home / "train"
    folders["evaluate"] = home / "evaluate"
    return folders | {f"baseline_{n}": folder for n, folder in baselines_of(run, layout).items()}


def baselines_of(run: Run, layout: Layout) -> dict[str, Path]:
    """The folders of the baselines that are trained again for each seed of the reference.

    The experiment has the first.
    """
    if run.arm != REFERENCE:
        return {}
    is_own = run.seed != layout.config.seed
    stages = {name: f"baseline_{name}" for name in layout.config.sweep.baselines}
    home = _home(run, layout)
    return {n: home / place_in_run(s) if is_own else layout.folder(s) for n, s in stages.items()}


def files_of_runs(layout: Layout) -> list[Path]:
    """What the runs leave that tells how well they did."""
    files = []
    for run in runs_of(layout.config):
        folders = folders_of(run, layout)
        predicted = [folders["evaluate"], *baselines_of(run, layout).values()]
        files += [folder / "predictions.csv" for folder in predicted]
        files.append(folders["inject"] / "parameters.json")
    return list(dict.fromkeys(files))


def changes_of(layout: Layout) -> dict[str, dict[str, object]]:
    """What the runs change of the experiment's settings, by their dotted keys, for each step."""
    return {
        f"{stage}@{run.name}": _changes(run)
        for run in runs_of(layout.config)
        for stage in own_folders(run, layout)
    }


def _changes(run: Run) -> dict[str, object]:
    return {**run.changes, "seed": run.seed, "evaluation.baselines": []}


def _home(run: Run, layout: Layout) -> Path:
    return layout.run / "runs" / run.name


def _concern(run: Run, stage: str) -> bool:
    """Whether what a run changes, its seed aside, is among the settings of a stage."""
    read = STAGE_SETTINGS[stage]
    return any(key == name or key.startswith(f"{name}.") for key in run.changes for name in read)


def _steps_of_run(run: Run, settings: dict, layout: Layout) -> dict[str, Step]:
    of_run = merge(settings, nested(_changes(run))) | {"sweep": NO_SWEEP}
    try:
        validate(of_run)
        config = build(of_run)
        choose(linear_layers(base_shape(config.base)), config.lora)
    except LoralabError as error:
        raise LoralabError(f"sweep, run {run.name}: {error}") from None
    folders = folders_of(run, layout)
    place = replace(layout, config=config, elsewhere=folders)
    keys = [f"{stage}@{run.name}" for stage in own_folders(run, layout)]
    return {key: Step(key, of_run, place) for key in keys}
