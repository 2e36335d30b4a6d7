"""Where the artifacts of an experiment lie: the folders of its stages and what they share."""

from dataclasses import dataclass, field
from pathlib import Path

from loralab.config import BASELINES, SPLIT_NAMES, STAGE_SETTINGS, Config
from loralab.sweep import runs_of


@dataclass(frozen=True)
class Layout:
    """Paths of one experiment, relative to the folder in which the pipeline runs.

    Of a run of its sweep, `elsewhere` has the folders of the stages that do not lie in it.
    """

    config: Config
    results: Path = Path("results")
    resources: Path = Path("resources")
    state: Path = Path("state")
    elsewhere: dict[str, Path] = field(default_factory=dict)

    @property
    def run(self) -> Path:
        """The experiment's own folder."""
        return self.results / self.config.experiment

    @property
    def dataset(self) -> Path:
        return self.resources / "data" / self.config.data.dataset

    @property
    def messages(self) -> Path:
        """The messages as they came, byte for byte, in their own format."""
        return self.dataset / f"messages.{self.config.data.format}"

    @property
    def tokenizer(self) -> Path:
        return self.resources / "tokenizer" / self.config.tokenizer.name

    @property
    def base(self) -> Path:
        return self.resources / "base" / self.config.base.name

    @property
    def tokenizer_files(self) -> list[Path]:
        """What a stage that encodes texts reads."""
        return [self.tokenizer / name for name in ("vocab.bpe", "encoder.json")]

    @property
    def base_files(self) -> list[Path]:
        """What a stage that loads the base model reads."""
        return [self.base / name for name in ("model.safetensors", "config.json")]

    @property
    def adapter(self) -> Path:
        return self.folder("train") / "adapter"

    @property
    def adapter_files(self) -> list[Path]:
        """What a stage that loads the trained adapter reads."""
        return [self.adapter / n for n in ("adapter_model.safetensors", "adapter_config.json")]

    @property
    def split_files(self) -> dict[str, Path]:
        """The messages of each split, by its name; those of a split that is left out are none."""
        return {name: self.folder("split") / f"{name}.csv" for name in SPLIT_NAMES}

    @property
    def baselines(self) -> dict[str, Path]:
        """The folder of each baseline that the adapter is measured against, by its name."""
        return {name: self.folder(f"baseline_{name}") for name in self.config.evaluation.baselines}

    @property
    def baseline_files(self) -> list[Path]:
        """What a stage that compares with the baselines reads."""
        names = ("predictions.csv", "baseline.json")
        return [folder / name for folder in self.baselines.values() for name in names]

    @property
    def places(self) -> dict[str, Path]:
        """The folder of every stage, each after those that it reads from."""
        left_out = {f"baseline_{name}" for name in BASELINES.keys() - self.baselines.keys()}
        left_out |= set() if runs_of(self.config) else {"sweep"}
        return {stage: self.folder(stage) for stage in STAGE_SETTINGS if stage not in left_out}

    def folder(self, stage: str) -> Path:
        """The folder in which a stage writes its outputs and its manifest."""
        if stage in self.elsewhere:
            return self.elsewhere[stage]
        shared = {"download": "dataset", "tokenizer": "tokenizer", "weights": "base"}
        if stage in shared:
            return getattr(self, shared[stage])
        return self.run / place_in_run(stage)


def place_in_run(stage: str) -> str:
    """Where in the folder of an experiment, or of one of its runs, a stage writes."""
    if stage == "report":
        return "."
    return stage.replace("baseline_", "baselines/")
