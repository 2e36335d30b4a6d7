"""Whether the artifacts of a run are what its manifests say they are, and what is stale and why.

Content decides, never a file's time: what was touched, copied or checked out anew is as good as
before, and what was edited is found out however old it looks. The pipeline asks this before it
plans, the command `loralab verify` on demand, and the report states the answer.
"""

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from loralab.config import STAGE_SETTINGS, flat, stage_settings
from loralab.errors import LoralabError
from loralab.provenance import (
    MANIFEST,
    canonical_json,
    fingerprint,
    manifest_sha256,
    read_json,
    sha256_file,
)

NEVER_RAN = "has not run"
ASKED_FOR = "asked for"


@dataclass(frozen=True)
class Manifest:
    """What a stage recorded of a run: its fingerprint, and SHA-256 by path of what it handled."""

    stage: str
    path: Path
    fingerprint: dict
    inputs: dict[Path, str]
    outputs: dict[Path, str]


def read_manifest(folder: Path, stage: str) -> Manifest:
    """The manifest of `stage` in its folder.

    Raises LoralabError where there is none, it is damaged, or it is another stage's.
    """
    path = folder / MANIFEST
    recorded = read_json(path)
    try:
        made_of = recorded["fingerprint"]
        found = Manifest(
            recorded["stage"],
            path,
            {"settings": {}, "packages": {}} | made_of,
            _hashes(recorded["inputs"], folder),
            _hashes(recorded["outputs"], folder),
        )
        unchanged = recorded["sha256"] == manifest_sha256(recorded)
        settings, packages = found.fingerprint["settings"], found.fingerprint["packages"]
        sound = isinstance(settings, dict) and isinstance(packages, dict) and found.outputs
    except (AttributeError, KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise LoralabError(f"{_shown(path)} is damaged; delete it and run again")
    if not unchanged:
        raise LoralabError(f"{_shown(path)} was changed after it was written")
    if found.stage != stage:
        raise LoralabError(f"{_shown(path)} is of stage {found.stage!r}, where {stage}'s should be")
    if any(not file.is_relative_to(os.path.normpath(folder)) for file in found.outputs):
        raise LoralabError(f"{_shown(path)} names outputs outside its folder; delete it")
    return found


def _hashes(entries: dict[str, dict], folder: Path) -> dict[Path, str]:
    return {
        Path(os.path.normpath(folder / name)): entry["sha256"] for name, entry in entries.items()
    }


def expected_fingerprints(settings: dict, threads: int) -> dict[str, dict]:
    """The fingerprint that each stage has with a whole configuration, by its name."""
    return {
        stage: fingerprint(f"loralab.stages.{stage}", stage_settings(settings, stage), threads)
        for stage in STAGE_SETTINGS
    }


def examine(
    places: dict[str, Path], expected: dict[str, dict], forced: Collection[str] = ()
) -> dict[str, list[str]]:
    """Why each stage must run again; no reasons where it need not.

    Args:
        places: the folder of each stage, in an order in which none reads what a later one writes.
        expected: the fingerprint that each stage would have if it ran now.
        forced: stages that are to run again whatever is found.
    """
    reasons: dict[str, list[str]] = {}
    sha256 = cache(sha256_file)  # several stages name the same file
    for stage, folder in places.items():
        reasons[stage] = [ASKED_FOR] if stage in forced else []
        try:
            manifest = read_manifest(folder, stage)
        except LoralabError as error:
            reasons[stage].append(str(error) if (folder / MANIFEST).is_file() else NEVER_RAN)
            continue
        makers = {path: _maker(path, places) for path in manifest.inputs}
        stale = dict.fromkeys(maker for maker in makers.values() if reasons.get(maker))
        # What a stale stage made will change anyway.
        inputs = [path for path, maker in makers.items() if maker not in stale]
        reasons[stage] += [
            *_changed_outputs(manifest, sha256),
            *_changed_inputs(manifest, inputs, sha256),
            *differences(manifest.fingerprint, expected[stage]),
            *([f"follows {', '.join(stale)}"] if stale else []),
        ]
    return reasons


def _changed_outputs(manifest: Manifest, sha256: Callable[[Path], str]) -> list[str]:
    problems = []
    for path, recorded in manifest.outputs.items():
        if not path.is_file():
            problems.append(f"{_shown(path)} is missing")
        elif sha256(path) != recorded:
            problems.append(f"{_shown(path)} was changed after this stage wrote it")
    return problems


def _changed_inputs(
    manifest: Manifest, paths: list[Path], sha256: Callable[[Path], str]
) -> list[str]:
    problems = []
    for path in paths:
        if not path.is_file():
            problems.append(f"{_shown(path)}, which it read, is missing")
        elif sha256(path) != manifest.inputs[path]:
            problems.append(f"{_shown(path)} is not the file that this stage read")
    return problems


def differences(recorded: dict, expected: dict) -> list[str]:
    """What distinguishes two fingerprints, a phrase for each."""
    problems = []
    for part in ("settings", "packages"):
        was, now = flat(recorded[part]), flat(expected[part])
        problems += [
            f"{name} was {_value(was, name)} and is {_value(now, name)}"
            for name in dict.fromkeys([*was, *now])
            if _value(was, name) != _value(now, name)
        ]
    if recorded.get("threads") != expected.get("threads"):
        problems.append(f"threads were {recorded.get('threads')}, are {expected.get('threads')}")
    if recorded.get("code") != expected.get("code"):
        problems.append("its code has changed")
    if not problems and canonical_json(recorded) != canonical_json(expected):
        problems.append("its fingerprint has changed")
    return problems


def _value(leaves: dict[str, object], name: str) -> str:
    return canonical_json(leaves[name]) if name in leaves else "absent"


def examine_as_recorded(places: dict[str, Path]) -> dict[str, list[str]]:
    """`examine` by the settings that the stages recorded, which must agree with one another."""
    manifests = list(_readable(places))
    expected = {manifest.stage: _made_now(manifest) for manifest in manifests}
    mixed = _contradictions(manifests)
    return {
        stage: [*why, *mixed.get(stage, [])] for stage, why in examine(places, expected).items()
    }


def _readable(places: dict[str, Path]) -> Iterator[Manifest]:
    for stage, folder in places.items():
        with suppress(LoralabError):
            yield read_manifest(folder, stage)


def _made_now(manifest: Manifest) -> dict:
    """The fingerprint that a stage would have now, with the settings that it recorded."""
    made_of = manifest.fingerprint
    module = f"loralab.stages.{manifest.stage}"
    return fingerprint(module, made_of["settings"], made_of.get("threads"))


def _contradictions(manifests: list[Manifest]) -> dict[str, list[str]]:
    """Settings that a stage recorded otherwise than one before it: artifacts of mixed runs."""
    first: dict[str, tuple[object, str]] = {}
    found: dict[str, list[str]] = {}
    for manifest in manifests:
        for key, value in flat(manifest.fingerprint["settings"]).items():
            earlier, stage = first.setdefault(key, (value, manifest.stage))
            if earlier != value:
                phrase = f"{key} was {value} here and {earlier} in {stage}: mixed runs"
                found.setdefault(manifest.stage, []).append(phrase)
    return found


def strangers(places: dict[str, Path]) -> list[Path]:
    """Files in the folders of the stages that no manifest names: left over, or put there."""
    manifests = list(_readable(places))
    known = {path for manifest in manifests for path in (manifest.path, *manifest.outputs)}
    stages = {manifest.stage for manifest in manifests}
    return [
        path
        for folder in sorted(set(places.values()))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path not in known
        and _maker(path, places) in stages
        and folder == places[_maker(path, places)]
    ]


def _maker(path: Path, places: dict[str, Path]) -> str | None:
    """The stage in whose folder a file lies; of nested folders the inmost."""
    around = {folder: stage for stage, folder in places.items() if folder in path.parents}
    return around[max(around, key=lambda folder: len(folder.parts))] if around else None


def _shown(path: Path) -> str:
    return os.path.relpath(path)
