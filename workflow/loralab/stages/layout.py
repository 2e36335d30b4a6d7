"""Where the artifacts of an experiment lie: the folders of its stages and what they share."""

from dataclasses import dataclass
from pathlib import Path

from loralab.config import STAGE_SETTINGS, Config


@dataclass(frozen=True)
class Layout:
    """Paths of one experiment, relative to the folder in which the pipeline runs."""

    config: Config
    results: Path = Path("results")
    resources: Path = Path("resources")
    state: Path = Path("state")

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
    def adapter_files(self) -> list[Path]:
        """What a stage that loads the trained adapter reads."""
        names = ("adapter_model.safetensors", "adapter_config.json")
        return [self.run / "train" / "adapter" / name for name in names]

    @property
    def places(self) -> dict[str, Path]:
        """The folder of every stage, each after those that it reads from."""
        return {stage: self.folder(stage) for stage in STAGE_SETTINGS}

    def folder(self, stage: str) -> Path:
        """The folder in which a stage writes its outputs and its manifest."""
        shared = {"download": "dataset", "tokenizer": "tokenizer", "weights": "base"}
        if stage in shared:
            return getattr(self, shared[stage])
        return self.run if stage == "report" else self.run / stage
