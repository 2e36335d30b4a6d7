"""The runs of a sweep: what each changes of the experiment, for which seed, and its name.

An arm is one way of changing the experiment, the reference the one that changes nothing; each has
a run for every seed.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

from loralab.config import RUNTIME_SETTINGS, Config
from loralab.errors import LoralabError

REFERENCE = "reference"
NO_SWEEP = {"values": {}, "combine": "each", "runs": {}, "seeds": 1, "baselines": []}
LONGEST_NAME = 200  # a file system takes 255 bytes, the seed and a log's ending among them
VARIED = ("split", "lora", "head", "training")  # sections whose settings a sweep may change


@dataclass(frozen=True)
class Run:
    """One training of a sweep: `changes` are the settings of its arm, by their dotted keys."""

    arm: str
    changes: dict[str, object]
    seed: int

    @property
    def name(self) -> str:
        """That of its folder."""
        return f"{self.arm},seed={self.seed}"


def stage_of(step: str) -> str:
    """The stage of a step: `train` of the experiment's own, and of the run's `train@<run>`."""
    return step.partition("@")[0]


def may_vary(key: str) -> bool:
    """Whether a sweep may change this setting: it is of a run alone, and a result depends on it."""
    return key.partition(".")[0] in VARIED and key not in RUNTIME_SETTINGS


def runs_of(config: Config) -> list[Run]:
    """Every run of the experiment's sweep, those of an arm together; the reference comes first.

    Raises LoralabError where two arms would have one name, or one that no file can have.
    """
    sweep = config.sweep
    if not sweep.values and not sweep.runs and sweep.seeds == 1:
        return []
    seeds = range(config.seed, config.seed + sweep.seeds)
    return [Run(arm, changes, seed) for arm, changes in _arms(config).items() for seed in seeds]


def curves_of(config: Config) -> dict[str, list[dict]]:
    """Of each setting that takes three numbers or more, the experiment's own among them: its arms.

    By the setting's dotted key; each arm with its `value`, in rising order.
    """
    curves = {}
    for key, values in config.sweep.values.items():
        own = _setting(config, key)
        arms = {value: arm_name({key: value}) for value in values if _is_number(value)}
        arms |= {own: REFERENCE} if _is_number(own) else {}
        if config.sweep.combine == "each" and len(arms) > 2:
            curves[key] = [{"value": value, "arm": arms[value]} for value in sorted(arms)]
    return curves


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _arms(config: Config) -> dict[str, dict[str, object]]:
    """What each arm changes, by its name; one that comes to what another does is left out."""
    arms: dict[str, dict[str, object]] = {REFERENCE: {}}
    for name, settings in [*_combined(config), *sorted(config.sweep.runs.items())]:
        changes = {k: v for k, v in settings.items() if v != _setting(config, k)}
        if changes not in arms.values():
            name = name or arm_name(changes)
            _check_name(name, arms)
            arms[name] = changes
    return arms


def _check_name(name: str, arms: dict[str, dict[str, object]]) -> None:
    if name in arms:
        raise LoralabError(f"sweep: two arms would be called {name}; name them in sweep.runs")
    if len(name) > LONGEST_NAME:
        raise LoralabError(
            f"sweep: an arm would be called {name}, {len(name)} characters of at most "
            f"{LONGEST_NAME}; name it in sweep.runs"
        )


def _combined(config: Config) -> Iterator[tuple[str, dict[str, object]]]:
    """The values that are swept, one setting at a time or every combination; without a name."""
    values = dict(sorted(config.sweep.values.items()))  # in whatever order a file has them
    if config.sweep.combine == "each":
        yield from (("", {key: value}) for key, choices in values.items() for value in choices)
    else:
        for chosen in itertools.product(*values.values()):
            yield "", dict(zip(values, chosen, strict=True))


def _setting(config: Config, key: str) -> object:
    return reduce(getattr, key.split("."), config)


def arm_name(changes: dict[str, object]) -> str:
    """Its settings as a file may be called, such as `lora.rank=4,lora.targets=q_proj+v_proj`."""
    named = ",".join(f"{key}={_written(value)}" for key, value in sorted(changes.items()))
    return re.sub(r"[^A-Za-z0-9._+=,-]", "_", named)


def _written(value: object) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        return "+".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
