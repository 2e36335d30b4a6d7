"""Fingerprints follow the code and nothing else; outputs appear whole or not at all."""

import errno
import fcntl
import hashlib
import os
import shutil
import signal
import tempfile

import pytest
from loralab import provenance
from loralab.config import STAGE_SETTINGS
from loralab.errors import LoralabError
from loralab.provenance import (
    PACKAGE_FOLDER,
    canonical_json,
    check_inputs,
    check_loaded_modules,
    fingerprint,
    hash_files,
    import_closure,
    manifest_sha256,
    read_json,
    whole_or_nothing,
    write_json,
    write_manifest,
)

CACHED = ("import_closure", "_syntax_tree", "_imports", "_normalised_code", "_named_beside")


def forget():
    for name in CACHED:
        getattr(provenance, name).cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package that the fingerprints are taken of, free to be changed."""
    copy = tmp_path / "loralab"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(provenance.PACKAGE_FOLDER, copy, ignore=ignored)
    monkeypatch.setattr(provenance, "PACKAGE_FOLDER", copy)
    forget()
    yield copy
    forget()


def code(stage):
    forget()
    return fingerprint(f"loralab.stages.{stage}", {}, 2)["code"]


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


# Fingerprints


def test_comments_docstrings_and_layout_do_not_change_the_code_hash(package):
    before = code("split")
    path = package / "data" / "splitting.py"
    edit(path, '"""The lab\'s pandas steps', '"""Other words. The lab\'s pandas steps')
    edit(path, '"""Balancing the classes', '"""Evening out the classes')
    edit(path, "LAB_TRAIN_SHARE = 0.8", "# a comment\n\n\nLAB_TRAIN_SHARE  =  0.8")
    assert code("split") == before


def test_a_change_of_code_changes_the_hash_of_the_stages_that_reach_it_alone(package):
    split, download = code("split"), code("download")
    edit(package / "data" / "splitting.py", "LAB_TRAIN_SHARE = 0.8", "LAB_TRAIN_SHARE = 0.7")
    assert code("split") != split
    assert code("download") == download


def test_a_change_of_the_reports_template_changes_the_reports_hash(package):
    before = code("report")
    template = package / "reporting" / "report.md.j2"
    template.write_text(template.read_text(encoding="utf-8") + "\nmore\n", encoding="utf-8")
    assert code("report") != before


def test_a_change_of_the_reports_template_leaves_every_other_stage_alone(package):
    others = [stage for stage in STAGE_SETTINGS if stage != "report"]
    before = [code(stage) for stage in others]
    template = package / "reporting" / "report.md.j2"
    template.write_text(template.read_text(encoding="utf-8") + "\nmore\n", encoding="utf-8")
    assert [code(stage) for stage in others] == before


def test_a_fingerprint_holds_settings_and_stage():
    found = fingerprint("loralab.stages.split", {"seed": 1}, 2)
    assert (found["stage"], found["settings"]) == ("split", {"seed": 1})


def test_training_reaches_the_modules_that_it_imports_through_others():
    closure = import_closure("loralab.stages.train")
    assert {"loralab.model.gpt2", "loralab.model.lora", "loralab.training.loop"} <= set(closure)
    assert "loralab.data.corpus_phrases" not in closure


@pytest.mark.parametrize("stage", STAGE_SETTINGS)
def test_every_stage_reaches_itself_and_the_runner(stage):
    closure = import_closure(f"loralab.stages.{stage}")
    assert {f"loralab.stages.{stage}", "loralab.stages.runner", "loralab.config"} <= set(closure)


@pytest.mark.parametrize("stage", ["download", "split"])
def test_data_stages_do_not_depend_on_torch(stage):
    packages = fingerprint(f"loralab.stages.{stage}", {}, 2)["packages"]
    assert "torch" not in packages
    assert "jsonschema" not in packages


def test_training_depends_on_the_version_of_torch():
    import importlib.metadata

    packages = fingerprint("loralab.stages.train", {}, 2)["packages"]
    assert packages["torch"] == importlib.metadata.version("torch")


def test_relative_imports_are_refused(package):
    edit(package / "data" / "splitting.py", "import numpy", "from . import leakage\nimport numpy")
    with pytest.raises(LoralabError, match=r"splitting line \d+: write the import out in full"):
        code("split")


def test_a_loaded_module_that_the_imports_do_not_show_is_named():
    with pytest.raises(LoralabError, match="loaded .*loralab.provenance"):
        check_loaded_modules("loralab.errors")


def test_equal_values_give_equal_canonical_json():
    assert canonical_json({"b": [1, None], "a": "é"}) == '{"a":"é","b":[1,null]}'


# Outputs


def test_outputs_appear_when_the_block_ends_well(tmp_path):
    with whole_or_nothing(tmp_path / "out") as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a.txt").write_text("a")
        assert [path.name for path in (tmp_path / "out").iterdir()] == [".partial"]
    assert (tmp_path / "out" / "sub" / "a.txt").read_text() == "a"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_nothing_is_left_where_the_block_fails(tmp_path):
    with pytest.raises(RuntimeError), whole_or_nothing(tmp_path / "out") as folder:
        (folder / "a.txt").write_text("a")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_earlier_outputs_as_they_were(tmp_path):
    with whole_or_nothing(tmp_path / "out") as folder:
        (folder / "a.txt").write_text("first")
    with pytest.raises(RuntimeError), whole_or_nothing(tmp_path / "out") as folder:
        (folder / "a.txt").write_text("second")
        raise RuntimeError
    assert (tmp_path / "out" / "a.txt").read_text() == "first"


def test_outputs_of_an_earlier_manifest_are_removed_and_other_files_kept(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for path in (out / "old.txt", out / "mine.txt", tmp_path / "outside.txt"):
        path.write_text("x")
    write_json(out / "manifest.json", {"outputs": {"old.txt": {}, "../outside.txt": {}}})
    with whole_or_nothing(out) as folder:
        (folder / "new.txt").write_text("new")
    assert {path.name for path in out.iterdir()} == {"mine.txt", "new.txt"}
    assert (tmp_path / "outside.txt").exists()


def test_files_are_hashed_by_their_relative_path(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_bytes(b"abc")
    digest = hashlib.sha256(b"abc").hexdigest()
    found = hash_files([tmp_path / "sub" / "a"], tmp_path)
    assert found == {"sub/a": {"sha256": digest, "bytes": 3}}


def test_json_refuses_numbers_that_are_none(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})


def test_missing_and_damaged_json_is_named(tmp_path):
    with pytest.raises(LoralabError, match="run the stage that writes it"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(LoralabError, match="is not JSON"):
        read_json(tmp_path / "a.json")


def test_every_init_file_is_empty_since_no_fingerprint_covers_it():
    files = list(PACKAGE_FOLDER.rglob("__init__.py"))
    assert len(files) > 5
    assert [path for path in files if path.read_bytes()] == []


def test_inputs_that_changed_since_a_manifest_was_written_are_named(tmp_path):
    (tmp_path / "run").mkdir()
    same, other, gone = (tmp_path / name for name in ("same", "other", "gone"))
    for path in (same, other, gone):
        path.write_text("as it was")
    manifest = tmp_path / "run" / "manifest.json"
    write_json(manifest, {"inputs": hash_files([same, other, gone], manifest.parent)})
    check_inputs(manifest, [same, other, gone])
    other.write_text("otherwise")
    gone.unlink()
    with pytest.raises(LoralabError) as caught:
        check_inputs(manifest, [same, other, gone])
    assert "other is not the file" in str(caught.value)
    assert "gone is missing" in str(caught.value)
    assert "same" not in str(caught.value)


def test_the_manifest_appears_after_everything_that_it_vouches_for(tmp_path, monkeypatch):
    appeared, replace = [], os.replace

    def note(source, target):
        appeared.append(os.path.basename(target))
        replace(source, target)

    monkeypatch.setattr("loralab.provenance.os.replace", note)
    with whole_or_nothing(tmp_path / "out") as folder:
        for name in ("a.csv", "manifest.json", "z.csv"):
            (folder / name).write_text("{}")
    assert appeared == ["a.csv", "z.csv", "manifest.json"]


def test_a_folder_that_another_process_is_writing_is_left_alone(tmp_path):
    with (
        whole_or_nothing(tmp_path / "out") as folder,
        pytest.raises(LoralabError, match="another process is making .*out already; wait, or stop"),
        whole_or_nothing(tmp_path / "out"),
    ):
        pass
    (tmp_path / "out").mkdir(exist_ok=True)
    assert not folder.exists()


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    left = tmp_path / "out" / ".partial" / "sub"
    left.mkdir(parents=True)
    (left / "half.csv").write_text("half")
    with whole_or_nothing(tmp_path / "out") as folder:
        assert list(folder.iterdir()) == []
        (folder / "a.csv").write_text("whole")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_lock_on_a_folder_that_was_removed_meanwhile_is_taken_again(tmp_path, monkeypatch):
    lock, calls = fcntl.flock, []

    def late(descriptor, kind):
        calls.append(kind)
        if len(calls) == 1:  # the process before has just removed the folder
            shutil.rmtree(tmp_path / "out")
        lock(descriptor, kind)

    monkeypatch.setattr("loralab.provenance.fcntl.flock", late)
    with whole_or_nothing(tmp_path / "out") as folder:
        (folder / "a.csv").write_text("whole")
    assert len(calls) == 2 and (tmp_path / "out" / "a.csv").read_text() == "whole"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"outputs": null}', '{"outputs": {"sub": 1}}'])
def test_a_damaged_manifest_of_an_earlier_run_is_replaced(tmp_path, content):
    out = tmp_path / "out"
    (out / "sub").mkdir(parents=True)
    (out / "manifest.json").write_text(content)
    with whole_or_nothing(out) as folder:
        (folder / "manifest.json").write_text("{}")
        (folder / "a.csv").write_text("whole")
    assert {path.name for path in out.iterdir()} == {"a.csv", "manifest.json", "sub"}
    assert (out / "manifest.json").read_text() == "{}"


def test_outputs_reach_a_folder_that_lies_on_another_disk(tmp_path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        assert os.stat(elsewhere).st_dev != tmp_path.stat().st_dev
        (tmp_path / "out").symlink_to(elsewhere)
        with whole_or_nothing(tmp_path / "out") as folder:
            (folder / "a.csv").write_text("whole")
        assert os.listdir(elsewhere) == ["a.csv"]


def test_a_signal_while_outputs_move_into_place_waits_until_all_did(tmp_path, monkeypatch):
    replace = os.replace

    def signalled(source, target):
        os.kill(os.getpid(), signal.SIGINT)
        replace(source, target)

    monkeypatch.setattr("loralab.provenance.os.replace", signalled)
    with pytest.raises(KeyboardInterrupt), whole_or_nothing(tmp_path / "out") as folder:
        for name in ("a.csv", "b.csv", "manifest.json"):
            (folder / name).write_text("whole")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "a.csv",
        "b.csv",
        "manifest.json",
    }


def test_a_file_system_without_locks_is_worked_on_all_the_same(tmp_path, monkeypatch, caplog):
    def none(descriptor, kind):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("loralab.provenance.fcntl.flock", none)
    with whole_or_nothing(tmp_path / "out") as folder:
        (folder / "a.csv").write_text("whole")
    assert "no lock" in caplog.text and (tmp_path / "out" / "a.csv").exists()


def test_an_edit_of_a_manifest_shows(tmp_path):
    path = tmp_path / "manifest.json"
    write_manifest(path, {"stage": "split", "seconds": 1.5})
    found = read_json(path)
    assert found["sha256"] == manifest_sha256(found)
    assert manifest_sha256(found | {"seconds": 1.25}) != found["sha256"]
