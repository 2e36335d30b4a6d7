"""PEFT's `adapter_config.json`: written as PEFT reads it, and read so that nothing is dropped."""

from collections.abc import Sequence
from dataclasses import dataclass

from loralab.errors import LoralabError, raise_all
from loralab.model.checks import is_count, is_number
from loralab.model.lora import PlannedAdapter, scaling_of
from loralab.model.targets import first_match, matches_whole, pattern_error

# Settings that say how the adapter began, was trained or is to be found, not what it computes.
_WITHOUT_EFFECT = {
    *("auto_mapping", "base_model_name_or_path", "eva_config", "exclude_modules", "fan_in_fan_out"),
    *("inference_mode", "layers_pattern", "layers_to_transform", "loftq_config", "lora_dropout"),
    *("megatron_core", "modules_to_save", "peft_version", "qalora_group_size", "revision"),
    *("runtime_config", "target_modules", "task_type"),
}
_READ = {"peft_type", "r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "use_dora"}
_REQUIRED = ("peft_type", "r", "lora_alpha")
# Other beginnings, such as PiSSA's, change the base model's weights.
_HARMLESS_BEGINNINGS = (True, False, "gaussian", "eva", "orthogonal")
_NOTHING = (None, False, "none")


@dataclass(frozen=True)
class PeftSettings:
    """What an `adapter_config.json` says of the adapters' arithmetic."""

    rank: int
    alpha: float
    rank_pattern: dict[str, int]
    alpha_pattern: dict[str, float]
    rslora: bool
    dora: bool
    classifies: bool
    config: dict

    def rank_of(self, layer: str) -> int:
        """The rank of a layer `h.<block>.…`."""
        return first_match(self.rank_pattern, f"transformer.{layer}", self.rank)

    def scaling_of(self, layer: str) -> float:
        """s of a layer `h.<block>.…`."""
        alpha = first_match(self.alpha_pattern, f"transformer.{layer}", self.alpha)
        return scaling_of("rslora" if self.rslora else "lora", self.rank_of(layer), alpha)

    def targets(self, layer: str) -> bool | None:
        """Whether a layer `h.<block>.…` is adapted, or None where the settings do not tell."""
        chosen, left_out = (self.config.get(k) for k in ("target_modules", "exclude_modules"))
        elsewhere = self.config.get("layers_pattern") not in (None, [], "h", ["h"])
        if chosen is None or chosen == "all-linear" or elsewhere:
            return None
        blocks = self.config.get("layers_to_transform")
        blocks = [blocks] if isinstance(blocks, int) else blocks
        in_block = not blocks or int(layer.split(".")[1]) in blocks
        return in_block and _names(chosen, layer) and not (left_out and _names(left_out, layer))


def _names(modules: str | list[str], layer: str) -> bool:
    """Whether PEFT's `modules`, one pattern for a whole path or a list of ends, name the layer."""
    path = f"transformer.{layer}"
    if isinstance(modules, str):
        return matches_whole(modules, path)
    return any(path == end or path.endswith(f".{end}") for end in modules)


def write_settings(
    fused: Sequence[PlannedAdapter], dropout: float, base_name: str, saved_modules: list[str]
) -> dict:
    """PEFT's LoraConfig: ranks and alphas that differ go into patterns, by module paths."""
    pairs = [(entry.rank, entry.alpha) for entry in fused]
    rank, alpha = max(pairs, key=pairs.count)
    different = [entry for entry in fused if (entry.rank, entry.alpha) != (rank, alpha)]
    return {
        "peft_type": "LORA",
        "task_type": "SEQ_CLS",
        "base_model_name_or_path": base_name,
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": {entry.module: entry.rank for entry in different},
        "alpha_pattern": {entry.module: entry.alpha for entry in different},
        "target_modules": sorted(entry.module for entry in fused),
        "modules_to_save": saved_modules,
        "lora_dropout": dropout,
        "bias": "none",
        "fan_in_fan_out": True,
        "use_rslora": fused[0].variant == "rslora",
        "use_dora": fused[0].variant == "dora",
        "init_lora_weights": True,
        "inference_mode": True,
    }


def read_settings(config: dict, source: str) -> PeftSettings:
    """The settings of an `adapter_config.json`.

    Raises LoralabError that names every key that is missing, and every setting that says something
    about the computation that cannot be said here.
    """
    if not isinstance(config, dict):
        raise LoralabError(f"{source} holds no mapping; it should be PEFT's configuration")
    raise_all([f"{key} is missing" for key in _REQUIRED if key not in config], source)
    raise_all(_inexpressible(config), f"{source} asks for what loralab cannot express")
    raise_all(_unsound(config), source)
    return PeftSettings(
        config["r"],
        config["lora_alpha"],
        config.get("rank_pattern") or {},
        config.get("alpha_pattern") or {},
        bool(config.get("use_rslora")),
        bool(config.get("use_dora")),
        classifies=config.get("task_type") == "SEQ_CLS",
        config=config,
    )


def _inexpressible(config: dict) -> list[str]:
    if config["peft_type"] != "LORA":
        return [f"peft_type {config['peft_type']!r}; expected 'LORA'"]
    beginning = config.get("init_lora_weights", True)
    problems = []
    if not isinstance(beginning, bool | str) or beginning not in _HARMLESS_BEGINNINGS:
        problems.append(f"init_lora_weights {beginning!r}, which changes the base's weights")
    for key in sorted(config.keys() - _READ - _WITHOUT_EFFECT - {"init_lora_weights"}):
        if config[key] not in (*_NOTHING, [], {}):
            problems.append(f"{key} {config[key]!r}")
    return problems


def _unsound(config: dict) -> list[str]:
    problems = []
    ranks = {"r": config["r"], **_pattern(config, "rank_pattern", problems)}
    alphas = {"lora_alpha": config["lora_alpha"], **_pattern(config, "alpha_pattern", problems)}
    for key, rank in ranks.items():
        if not is_count(rank):
            problems.append(f"{key} is {rank!r}; expected a whole number above 0")
    for key in ("use_rslora", "use_dora"):
        if not isinstance(config.get(key), bool | None):
            problems.append(f"{key} is {config[key]!r}; expected true or false")
    for key in ("target_modules", "exclude_modules"):
        modules = config.get(key)
        if isinstance(modules, str) and (error := pattern_error(modules)):
            problems.append(f"{key} {modules!r} is no regular expression: {error}")
        elif not isinstance(modules, str | list | None):
            problems.append(f"{key} is {modules!r}; expected a list or a pattern")
    blocks = config.get("layers_to_transform")
    if blocks is not None and not all(
        type(block) is int for block in (blocks if isinstance(blocks, list) else [blocks])
    ):
        problems.append(f"layers_to_transform is {blocks!r}; expected whole numbers")
    for key, alpha in alphas.items():
        if not is_number(alpha):
            problems.append(f"{key} is {alpha!r}; expected a number")
    return problems


def _pattern(config: dict, key: str, problems: list[str]) -> dict:
    found = config.get(key) or {}
    if not isinstance(found, dict):
        problems.append(f"{key} is {found!r}; expected a mapping")
        return {}
    unfit = {pattern: pattern_error(pattern) for pattern in found}
    problems += [
        f"{key} {pattern!r} is no regular expression: {error}"
        for pattern, error in unfit.items()
        if error
    ]
    return {f"{key} {pattern!r}": value for pattern, value in found.items()}
