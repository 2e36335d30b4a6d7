"""Whether the artifacts of a run are what its manifests say they are, and what is stale and why.

Content decides, never a file's time: what was touched, copied or checked out anew is as good as
before, and what was edited is found out however old it looks. The pipeline asks this before it
plans, the command `loralab verify` on demand, and the report states the answer.
"""

import os
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from loralab.config import flat
from loralab.errors import LoralabError
from loralab.provenance import (
    MANIFEST,
    canonical_json,
    fingerprint,
    manifest_sha256,
    read_json,
    sha256_file,
)
from loralab.sweep import stage_of

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


def examine(
    places: dict[str, Path], expected: dict[str, dict], forced: Collection[str] = ()
) -> dict[str, list[str]]:
    """Why each step must run again; no reasons where it need not.

    Args:
        places: the folder of each step, in an order in which none reads what a later one writes.
        expected: the fingerprint that each step would have if it ran now.
        forced: steps that are to run again whatever is found.
    """
    reasons: dict[str, list[str]] = {}
    sha256 = cache(sha256_file)  # several stages name the same file
    for step, folder in places.items():
        reasons[step] = [ASKED_FOR] if step in forced else []
        try:
            manifest = read_manifest(folder, stage_of(step))
        except LoralabError as error:
            reasons[step].append(str(error) if (folder / MANIFEST).is_file() else NEVER_RAN)
            continue
        makers = {path: _maker(path, places) for path in manifest.inputs}
        stale = dict.fromkeys(maker for maker in makers.values() if reasons.get(maker))
        # What a stale stage made will change anyway.
        inputs = [path for path, maker in makers.items() if maker not in stale]
        reasons[step] += [
            *_changed_outputs(manifest, sha256),
            *_changed_inputs(manifest, inputs, sha256),
            *differences(manifest.fingerprint, expected[step]),
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


def examine_as_recorded(
    places: dict[str, Path], changes: dict[str, dict[str, object]] | None = None
) -> dict[str, list[str]]:
    """`examine` by the settings that the steps recorded, which must agree with one another.

    Args:
        places: as `examine` takes them.
        changes: the settings, by their dotted keys, that the run of a step changes, by its name.
    """
    manifests = _readable(places)
    expected = {step: _made_now(manifest) for step, manifest in manifests.items()}
    mixed = _contradictions(manifests, changes or {})
    return {step: [*why, *mixed.get(step, [])] for step, why in examine(places, expected).items()}


def _readable(places: dict[str, Path]) -> dict[str, Manifest]:
    """The manifests of the steps, of those that have a sound one."""
    found = {}
    for step, folder in places.items():
        with suppress(LoralabError):
            found[step] = read_manifest(folder, stage_of(step))
    return found


def _made_now(manifest: Manifest) -> dict:
    """The fingerprint that a stage would have now, with the settings that it recorded."""
    made_of = manifest.fingerprint
    module = f"loralab.stages.{manifest.stage}"
    return fingerprint(module, made_of["settings"], made_of.get("threads"))


def _contradictions(
    manifests: dict[str, Manifest], changes: dict[str, dict[str, object]]
) -> dict[str, list[str]]:
    """Settings that a step recorded otherwise than one before it: artifacts of mixed runs."""
    first: dict[str, tuple[object, str]] = {}
    found: dict[str, list[str]] = {}
    for step, manifest in manifests.items():
        own = changes.get(step, {})
        for key, value in flat(manifest.fingerprint["settings"]).items():
            expected = (own[key], "the sweep") if key in own else None
            earlier, where = expected or first.setdefault(key, (value, step))
            if earlier != value:
                phrase = f"{key} was {value} here and {earlier} in {where}: mixed runs"
                found.setdefault(step, []).append(phrase)
    return found


def strangers(places: dict[str, Path]) -> list[Path]:
    """Files in the folders of the steps that no manifest names: left over, or put there."""
    manifests = _readable(places)
    known = {path for m in manifests.values() for path in (m.path, *m.outputs)}
    return [
        path
        for folder in sorted(set(places.values()))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path not in known
        and _maker(path, places) in manifests
        and folder == places[_maker(path, places)]
    ]


def _maker(path: Path, places: dict[str, Path]) -> str | None:
    """The stage in whose folder a file lies; of nested folders the inmost."""
    around = {folder: stage for stage, folder in places.items() if folder in path.parents}
    return around[max(around, key=lambda folder: len(folder.parts))] if around else None


def _shown(path: Path) -> str:
    return os.path.relpath(path)
