"""What `examine` says of two stages, the second of which reads what the first wrote."""

import json
from pathlib import Path

import pytest
from loralab.errors import LoralabError
from loralab.provenance import fingerprint, hash_files, write_json, write_manifest
from loralab.verification import (
    NEVER_RAN,
    examine,
    examine_as_recorded,
    read_manifest,
    strangers,
)

SETTINGS = {"seed": 1, "split": {"fractions": {"train": 0.7}}}
SOUND = {"split": [], "report": []}


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """Where `split` wrote train.csv, from a given file, and `report` read it."""
    given, run = tmp_path / "given.tsv", tmp_path / "run"
    train, report = run / "split" / "train.csv", run / "report.md"
    train.parent.mkdir(parents=True)
    for path in (given, train, report):
        path.write_text(f"first {path.name}")
    for stage, read, written in (("split", given, train), ("report", train, report)):
        manifest = {
            "stage": stage,
            "fingerprint": fingerprint(f"loralab.stages.{stage}", SETTINGS, 2),
            "inputs": hash_files([read], written.parent),
            "outputs": hash_files([written], written.parent),
        }
        write_manifest(written.with_name("manifest.json"), manifest)
    return {"split": train.parent, "report": run}


def expected(**changes) -> dict[str, dict]:
    """The fingerprints that agree with the manifests, with changes to that of `split`."""
    now = {s: fingerprint(f"loralab.stages.{s}", SETTINGS, 2) for s in ("split", "report")}
    return now | {"split": now["split"] | changes}


def change_manifest(folder: Path, **changes) -> None:
    path = folder / "manifest.json"
    write_manifest(path, json.loads(path.read_text()) | changes)


def test_what_is_as_it_was_written_and_read_is_sound(places):
    assert examine(places, expected()) == SOUND
    assert examine_as_recorded(places) == SOUND


def test_a_changed_output_is_named_and_its_reader_follows(places):
    (places["split"] / "train.csv").write_text("edited")
    found = examine(places, expected())
    assert len(found["split"]) == 1
    assert found["split"][0].endswith("run/split/train.csv was changed after this stage wrote it")
    assert found["report"] == ["follows split"]


def test_a_missing_output_is_named(places):
    (places["split"] / "train.csv").unlink()
    assert examine(places, expected())["split"][0].endswith("train.csv is missing")


def test_a_changed_and_a_missing_input_are_named(places, tmp_path):
    (tmp_path / "given.tsv").write_text("other")
    found = examine(places, expected())
    assert found["split"][0].endswith("given.tsv is not the file that this stage read")
    (tmp_path / "given.tsv").unlink()
    found = examine(places, expected())
    assert found["split"][0].endswith("given.tsv, which it read, is missing")


def test_an_output_made_anew_with_its_manifest_is_not_what_its_reader_read(places):
    (places["split"] / "train.csv").write_text("of another run")
    outputs = hash_files([places["split"] / "train.csv"], places["split"])
    change_manifest(places["split"], outputs=outputs)
    found = examine(places, expected())
    assert found["split"] == []
    assert found["report"][0].endswith("train.csv is not the file that this stage read")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"settings": {**SETTINGS, "seed": 2}}, "seed was 1 and is 2"),
        ({"settings": {**SETTINGS, "seed": 1.0}}, "seed was 1 and is 1.0"),
        ({"settings": {"seed": 1}}, "split.fractions.train was 0.7 and is absent"),
        ({"settings": SETTINGS | {"data": {"file": None}}}, "data.file was absent and is null"),
        ({"threads": 3}, "threads were None, are 3"),
        ({"code": "other"}, "its code has changed"),
        ({"stage": "other"}, "its fingerprint has changed"),
    ],
)
def test_what_differs_in_a_fingerprint_is_said(places, changes, words):
    assert examine(places, expected(**changes)) == {"split": [words], "report": ["follows split"]}


def test_another_version_of_a_package_is_said(places):
    now = expected()["split"]["packages"]
    name, version = next(iter(now.items()))
    found = examine(places, expected(packages=now | {name: "0.0.1"}))
    assert found["split"] == [f'{name} was "{version}" and is "0.0.1"']


def test_a_stage_without_a_manifest_has_not_run(places):
    (places["split"] / "manifest.json").unlink()
    assert examine(places, expected()) == {"split": [NEVER_RAN], "report": ["follows split"]}


def test_a_stage_that_is_to_run_again_takes_its_readers_with_it(places):
    found = examine(places, expected(), forced={"split"})
    assert found == {"split": ["asked for"], "report": ["follows split"]}


@pytest.mark.parametrize(
    "damage",
    [
        {"outputs": {}},
        {"outputs": ["train.csv"]},
        {"outputs": {"train.csv": "a hash"}},
        {"inputs": None},
        {"fingerprint": "none"},
        {"fingerprint": {"settings": [1]}},
        {"stage": None},
        {"stage": ["split"]},
    ],
)
def test_a_damaged_manifest_is_said_to_be(places, damage):
    change_manifest(places["split"], **damage)
    with pytest.raises(LoralabError, match="manifest.json is"):
        read_manifest(places["split"], "split")
    found = examine(places, expected())
    assert len(found["split"]) == 1 and "manifest.json is" in found["split"][0]
    assert examine_as_recorded(places)["report"] == ["follows split"]


def test_a_manifest_that_was_edited_is_found_out(places):
    path = places["split"] / "manifest.json"
    write_json(path, json.loads(path.read_text()) | {"seconds": 1})
    found = examine(places, expected())
    assert found["split"][0].endswith("manifest.json was changed after it was written")
    assert found["report"] == ["follows split"]


def test_a_manifest_of_another_stage_is_refused(places):
    change_manifest(places["split"], stage="train")
    assert "is of stage 'train', where split's should be" in examine(places, expected())["split"][0]


def test_a_manifest_may_not_name_outputs_outside_its_folder(places):
    change_manifest(
        places["split"], outputs=hash_files([places["report"] / "report.md"], places["split"])
    )
    assert "outside its folder" in examine(places, expected())["split"][0]


def test_stages_of_one_run_that_recorded_different_settings_are_mixed(places):
    other = fingerprint("loralab.stages.report", {"seed": 9}, 2)
    change_manifest(places["report"], fingerprint=other)
    found = examine_as_recorded(places)
    assert found == {"split": [], "report": ["seed was 9 here and 1 in split: mixed runs"]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"code": "older"}, "its code has changed"), ({"packages": {}}, "was absent and is")],
)
def test_what_was_recorded_is_held_to_the_code_and_the_packages_of_now(places, changes, words):
    made_of = fingerprint("loralab.stages.split", SETTINGS, 2)
    change_manifest(places["split"], fingerprint=made_of | changes)
    found = examine_as_recorded(places)
    assert words in found["split"][0] and found["report"] == ["follows split"]


def test_files_that_no_manifest_names_are_strangers(places, tmp_path):
    (places["split"] / "loss.csv").touch()
    (places["report"] / "notes.md").touch()
    (tmp_path / "elsewhere.txt").touch()
    assert sorted(path.name for path in strangers(places)) == ["loss.csv", "notes.md"]


def test_a_file_named_from_the_root_is_recorded_so_beside_a_folder_that_is_not(
    tmp_path, monkeypatch
):
    (tmp_path / "given.tsv").write_text("given")
    monkeypatch.chdir(tmp_path)
    given = tmp_path / "given.tsv"
    assert list(hash_files([given], Path("run"))) == [given.as_posix()]
    assert list(hash_files([Path("given.tsv")], Path("run"))) == ["../given.tsv"]
