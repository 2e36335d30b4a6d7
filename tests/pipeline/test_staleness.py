"""What every setting and every line of code makes stale: exactly what the tables below say.

A setting or a module without a row fails. Each row is a dry run of its own, of a finished
experiment in which that one thing was changed.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from dry_runs import DryRun, dry_runs
from loralab.cli import main
from loralab.config import flat
from loralab.config_file import load_mapping, merge
from loralab.provenance import sha256_file, write_json, write_manifest
from project import PACKAGE, ROOT, SMALL, snakemake

OF_TEXTS = "baseline_majority baseline_tfidf_words baseline_tfidf_characters baseline_naive_bayes"
OF_THE_MODEL = "baseline_frozen_features baseline_head_only"

# What rests on the trained adapter, and what on all that lies before it.
TRAINED = "evaluate robustness explain report"

# What reads what a stage writes, and so on down to the report.
RESTS_ON = {
    "download": f"split inject gradcheck train {OF_TEXTS} {OF_THE_MODEL} {TRAINED}",
    "split": f"inject gradcheck train {OF_TEXTS} {OF_THE_MODEL} {TRAINED}",
    "tokenizer": f"weights inject gradcheck train {OF_THE_MODEL} {TRAINED}",
    "weights": f"inject gradcheck train {OF_THE_MODEL} {TRAINED}",
    "inject": f"gradcheck train {TRAINED}",
    "gradcheck": f"train {TRAINED}",
    "train": TRAINED,
    **dict.fromkeys(f"{OF_TEXTS} {OF_THE_MODEL}".split(), "evaluate explain report"),
    "evaluate": "explain report",
    "robustness": "report",
    "explain": "report",
    "report": "",
}

OF_A_SWEEP = "evaluate@reference,seed=123 sweep report"
OF_A_RUN = "train@longer,seed=123 evaluate@longer,seed=123"
SECOND = "reference,seed=124"

# A changed setting, with what must change beside it to be valid; the first stages to rerun.
SETTINGS = [
    # No result depends on these; the experiment's name is its folder, in which nothing is yet.
    ({"experiment": "another"}, "split"),
    ({"mirror": "elsewhere"}, ""),
    ({"training.device": "cpu"}, ""),
    ({"training.save_every": 7}, ""),
    ({"training.log_every": 7}, ""),
    ({"seed": 7}, "split"),
    ({"data.dataset": "another"}, "download"),
    ({"data.source": "file", "data.file": "config.yaml"}, "download"),
    ({"data.urls": ["https://host.example/a"]}, "download"),
    ({"data.file": "a.tsv"}, "download"),
    ({"data.sha256": "a" * 64}, "download"),
    ({"data.member": "a"}, "download"),
    ({"data.member_sha256": "a" * 64}, "download"),
    ({"data.licence": "CC0"}, "download"),
    ({"data.citation": "Somebody"}, "download"),
    ({"data.format": "csv"}, "download"),
    ({"data.columns": ["label", "text", "more"]}, "split"),
    ({"data.label_column": "kind", "data.columns": ["kind", "text"]}, "split"),
    ({"data.text_column": "words", "data.columns": ["label", "words"]}, "split"),
    ({"data.labels": ["spam", "ham"]}, "split"),
    ({"data.encoding": "latin-1"}, "split"),
    ({"data.parser": "lab"}, "split"),
    ({"data.embedded.seed": 7}, "download"),
    ({"data.embedded.messages": 401}, "download"),
    ({"data.embedded.spam": 121}, "download"),
    ({"split.protocol": "lab"}, "split"),
    ({"split.seed": 7}, "split"),
    ({"split.balance": "none"}, "split"),
    ({"split.train_share": 0.5}, "split"),
    ({"split.fractions.train": 0.6, "split.fractions.test": 0.3}, "split"),
    ({"split.fractions.validation": 0.2, "split.fractions.test": 0.1}, "split"),
    ({"split.fractions.test": 0.1, "split.fractions.train": 0.8}, "split"),
    ({"tokenizer.name": "another"}, "tokenizer"),
    ({"tokenizer.source": "file", "tokenizer.folder": "given"}, "tokenizer"),
    ({"tokenizer.folder": "elsewhere"}, "tokenizer"),
    ({"tokenizer.merges.urls": ["https://host.example/a"]}, "tokenizer"),
    ({"tokenizer.merges.sha256": "a" * 64}, "tokenizer"),
    ({"tokenizer.vocabulary.urls": ["https://host.example/a"]}, "tokenizer"),
    ({"tokenizer.vocabulary.sha256": "a" * 64}, "tokenizer"),
    ({"tokenizer.embedded.seed": 7}, "tokenizer"),
    ({"tokenizer.embedded.messages": 700}, "tokenizer"),
    ({"tokenizer.embedded.size": 401}, "tokenizer"),
    ({"base.name": "another"}, "weights"),
    ({"base.source": "random"}, "weights"),
    ({"base.size": "gpt2", "base.source": "random"}, "weights"),
    ({"base.shape.vocabulary": 401}, "weights"),
    ({"base.shape.context": 300}, "weights"),
    ({"base.shape.width": 18}, "weights"),
    ({"base.shape.layers": 3}, "weights"),
    ({"base.shape.heads": 4}, "weights"),
    ({"base.urls": ["https://host.example/a"]}, "weights"),
    ({"base.file": "a.safetensors"}, "weights"),
    ({"base.sha256": "a" * 64}, "weights"),
    ({"base.seed": 7}, "weights"),
    ({"base.pretraining.messages": 601}, "weights"),
    ({"base.pretraining.epochs": 2}, "weights"),
    ({"base.pretraining.batch_size": 9}, "weights"),
    ({"base.pretraining.learning_rate": 0.004}, "weights"),
    ({"base.pretraining.weight_decay": 0.2}, "weights"),
    ({"lora.variant": "dora"}, "inject"),
    ({"lora.rank": 3}, "inject"),
    ({"lora.alpha": 5}, "inject"),
    ({"lora.rank_pattern": {"mlp.c_fc": 3}}, "inject"),
    ({"lora.alpha_pattern": {"mlp.c_fc": 3}}, "inject"),
    ({"lora.dropout": 0.1}, "inject"),
    ({"lora.targets": ["q_proj"]}, "inject"),
    ({"lora.exclude": ["q_proj"]}, "inject"),
    ({"lora.layers.first": 1}, "inject"),
    ({"lora.layers.last": 0}, "inject"),
    ({"lora.injections": 2}, "inject"),
    ({"lora.fan_in": "rank"}, "inject"),
    ({"head.bias": False}, "inject baseline_head_only"),
    ({"head.position": "padding"}, f"inject {OF_THE_MODEL}"),
    ({"training.dropout": 0.2}, "inject baseline_head_only"),
    ({"training.epochs": 2}, "train baseline_head_only"),
    ({"training.batch_size": 9}, "train baseline_head_only"),
    ({"training.accumulation": 2}, "train baseline_head_only"),
    ({"training.learning_rate": 0.01}, "train baseline_head_only"),
    ({"training.loraplus_lr_ratio": 16}, "train baseline_head_only"),
    ({"training.weight_decay": 0.002}, "train baseline_head_only"),
    ({"training.schedule": "linear"}, "train baseline_head_only"),
    ({"training.warmup": 0.1}, "train baseline_head_only"),
    ({"training.gradient_clip": None}, "train baseline_head_only"),
    ({"training.max_length": 100}, f"train {OF_THE_MODEL}"),
    ({"training.padding": "lab"}, "train baseline_head_only"),
    ({"training.drop_last": True}, "train baseline_head_only"),
    ({"training.early_stopping": 1}, "train baseline_head_only"),
    ({"training.precision": "bf16"}, f"train {OF_THE_MODEL}"),
    ({"training.engine": "plain"}, "train baseline_head_only"),
    ({"evaluation.batch_size": 7}, f"evaluate {OF_THE_MODEL} robustness"),
    ({"evaluation.baselines": ["majority"]}, "evaluate"),
    ({"evaluation.errors": 7}, "evaluate"),
    ({"evaluation.false_alarms": 0.02}, "evaluate"),
    (
        {"sweep.values": {"training.epochs": [2]}},
        f"{OF_A_SWEEP} train@training.epochs=2,seed=123 evaluate@training.epochs=2,seed=123",
    ),
    ({"sweep.combine": "product"}, "report"),
    ({"sweep.runs": {"longer": {"training.epochs": 2}}}, f"{OF_A_SWEEP} {OF_A_RUN}"),
    ({"sweep.seeds": 2}, f"{OF_A_SWEEP} train@{SECOND} evaluate@{SECOND}"),
    ({"sweep.baselines": ["head_only"]}, "report"),
    ({"report.examples": ["hello"]}, "report"),
]

# The modules of the package, by the first stages that rerun when their code changes.
MODULES = {
    "": "allocator cli commands/classify commands/export commands/finished_run commands/verify "
    "commands/verify_weights model/export stages/baseline_full stages/baseline_last_block "
    "evaluation/arms evaluation/seeds reporting/sweep_figures stages/sweep",
    "download tokenizer": "config config_file data/corpus data/corpus_phrases data/digests "
    "data/texts_on_disk errors interrupts fetching/downloads fetching/pinned provenance "
    "stages/layout stages/runner sweep",
    "download": "fetching/archives stages/download",
    "split weights": "data/messages randomness reporting/figure_style",
    "split": "data/grouping data/leakage data/near_duplicates data/records data/splitting "
    "data/twin_forms reporting/data_figures stages/split",
    "tokenizer": "model/tokenizer stages/tokenizer",
    "weights": "model/checkpoints model/checks model/devices model/gpt2 model/random_streams "
    "model/shapes model/tensor_files model/tensor_hashes reporting/pretraining_figures "
    "stages/weights training/pretraining training/schedules",
    f"inject {OF_THE_MODEL}": "model/classifier model/lora model/targets",
    "inject": "model/lab_model reporting/claims reporting/inputs reporting/model_figures "
    "reporting/numbers stages/inject stages/plan_file",
    f"gradcheck {OF_THE_MODEL}": "training/optimizer",
    "gradcheck": "model/gradient_check reporting/gradient_figures stages/gradcheck",
    f"train {OF_TEXTS} {OF_THE_MODEL}": "stages/labels",
    f"train {OF_THE_MODEL}": "model/adapter_metadata model/adapters model/head_bias "
    "model/peft_format model/peft_settings stages/encoding training/batches training/loop "
    "training/prediction training/resume training/engines training/fast_engine training/labelled "
    "training/plain_engine training/graph_engine fast/compiled_linear fast/compiled_passes "
    "fast/extended_linear fast/layers fast/machine fast/network fast/packing fast/parameters "
    "fast/passes fast/products fast/striped_weight fast/torch_passes kernels/adapters "
    "kernels/attention kernels/compiler kernels/declared kernels/library kernels/panel "
    "kernels/passes kernels/scalars kernels/strips",
    "train": "reporting/training_figures stages/train",
    f"{OF_TEXTS} {OF_THE_MODEL} robustness": "evaluation/baselines stages/baseline_files "
    "stages/predictions",
    f"{OF_TEXTS} robustness": "stages/text_baseline",
    f"{OF_THE_MODEL} robustness": "stages/inference",
    OF_THE_MODEL: "stages/model_baseline",
    **{name: f"stages/{name}" for name in f"{OF_TEXTS} {OF_THE_MODEL}".split()},
    f"{OF_TEXTS} {OF_THE_MODEL} robustness evaluate": "evaluation/metrics",
    "evaluate robustness": "evaluation/comparison evaluation/resampling "
    "evaluation/weighted_metrics",
    "evaluate": "evaluation/calibration evaluation/operating_point reporting/calibration_figures "
    "reporting/evaluation_figures reporting/ranking_figures stages/evaluate",
    "robustness": "data/perturbations data/stress evaluation/robustness "
    "reporting/robustness_figures reporting/robustness_names stages/robustness",
    "explain": "explanation/adapter_change explanation/attributions "
    "reporting/explanation_figures stages/explain",
    "report": "reporting/answers reporting/evaluation_section reporting/explanation_section "
    "reporting/summary reporting/sweep_section stages/steps reporting/report "
    "reporting/robustness_section stages/report verification",
}
# Files of the package that are no Python, likewise.
OTHER_FILES = {
    "data/stress_texts.yaml": "robustness",
    "model/gpt2_124M_tensors.csv": "",
    "reporting/explanation.md.j2": "report",
    "reporting/report.md.j2": "report",
    "reporting/robustness.md.j2": "report",
    "reporting/sweep.md.j2": "report",
}

CODE = {f"{module}.py": first for first, names in MODULES.items() for module in names.split()}
CODE |= OTHER_FILES


def rerunning(first: str) -> set[str]:
    """The stages that `first` names, and all that rests on them."""
    return {name for stage in first.split() for name in (stage, *RESTS_ON.get(stage, "").split())}


@pytest.fixture(scope="module")
def project(finished, tmp_path_factory) -> Callable[[], Path]:
    """A new copy of the project in which the experiment has run."""

    def copy() -> Path:
        folder = tmp_path_factory.mktemp("copy") / "project"
        shutil.copytree(finished, folder)
        return folder

    return copy


# Settings


@pytest.fixture(scope="module")
def by_setting(project) -> dict[str, set[str]]:
    """The stages that rerun when a setting changes."""
    folder = project()
    (folder / "given").mkdir()
    for name in ("vocab.bpe", "encoder.json"):
        (folder / "given" / name).touch()
    wanted = {}
    for changes, _ in SETTINGS:
        key = next(iter(changes))
        (folder / f"{key}.yaml").write_text(yaml.safe_dump(nested(changes)))
        wanted[key] = DryRun(folder, ("--configfile", "small.yaml", f"{key}.yaml"))
    return stages_of(wanted)


def nested(changes: dict[str, object]) -> dict:
    mapping: dict = {}
    for key, value in changes.items():
        *sections, leaf = key.split(".")
        part: dict = {leaf: value}
        for section in reversed(sections):
            part = {section: part}
        mapping = merge(mapping, part)
    return mapping


def stages_of(wanted: dict[str, DryRun]) -> dict[str, set[str]]:
    """What each dry run would execute; one that fails fails the test with its words."""
    answers = dry_runs(list(wanted.values()))
    assert not [answer.text for answer in answers if answer.failed]
    return {name: answer.rules for name, answer in zip(wanted, answers, strict=True)}


def test_every_setting_has_a_row():
    rows = [next(iter(changes)) for changes, _ in SETTINGS]
    assert sorted(rows) == sorted(flat(load_mapping([str(ROOT / "config.yaml")])))


@pytest.mark.parametrize(("changes", "first"), SETTINGS, ids=lambda row: next(iter(row), ""))
def test_a_changed_setting_reruns_the_stages_that_depend_on_it(by_setting, changes, first):
    before = flat(merge(load_mapping([str(ROOT / "config.yaml")]), SMALL))
    key = next(iter(changes))
    assert changes[key] != before[key]
    assert by_setting[key] == rerunning(first)


# Code


@pytest.fixture(scope="module")
def by_file(finished, tmp_path_factory) -> dict[str, set[str]]:
    """The stages that rerun when a file of the package changes in substance."""
    wanted = {}
    for name in CODE:
        path = copy_of_the_package(tmp_path_factory) / name
        path.write_text(path.read_text(encoding="utf-8") + "\nCHANGED = True\n", encoding="utf-8")
        wanted[name] = DryRun(finished, package=path.parents[name.count("/")])
    return stages_of(wanted)


def copy_of_the_package(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("package") / "loralab"
    return shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))


def test_every_file_of_the_package_has_a_row():
    files = {
        path for path in PACKAGE.rglob("*.*") if path.is_file() and "__pycache__" not in path.parts
    }
    names = {path.relative_to(PACKAGE).as_posix() for path in files if path.stat().st_size}
    assert names == set(CODE)


@pytest.mark.parametrize("name", CODE)
def test_changed_code_reruns_the_stages_that_reach_it(by_file, name):
    assert by_file[name] == rerunning(CODE[name])


def test_comments_docstrings_and_blank_lines_rerun_nothing(finished, tmp_path_factory):
    package = copy_of_the_package(tmp_path_factory)
    for name in CODE.keys() - OTHER_FILES.keys():
        text = (package / name).read_text(encoding="utf-8")
        assert text.startswith('"""')
        other = f'# A comment.\n\n"""Other words: {text[3:]}\n\n\n# The end.\n'
        (package / name).write_text(other, encoding="utf-8")
    assert stages_of({"": DryRun(finished, package=package)}) == {"": set()}


# What is no change


def reorder(folder: Path) -> None:
    for name in ("config.yaml", "small.yaml"):
        text = yaml.safe_dump(reversed_keys(load_mapping([str(folder / name)])), sort_keys=False)
        (folder / name).write_text(f"# In another order.\n{text}")


def reversed_keys(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {key: reversed_keys(part) for key, part in reversed(value.items())}


def comment(folder: Path) -> None:
    for path in [folder / "Snakefile", *folder.glob("workflow/rules/*.smk")]:
        path.write_text(path.read_text() + "\n\n# A comment.\n")


def touch(folder: Path) -> None:
    for path in every_file(folder):
        path.touch()


def disorder_times(folder: Path) -> None:
    """As a checkout or a copy does, and a clock that jumped: any order, the future too."""
    draw = random.Random(1)
    for path in every_file(folder):
        seconds = draw.uniform(1e9, 3e9)
        os.utime(path, (seconds, seconds))


def forget(folder: Path) -> None:
    """A copy of the results without Snakemake's own notes, in any order of times."""
    shutil.rmtree(folder / ".snakemake")
    disorder_times(folder)


def every_file(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and ".snakemake" not in p.parts]


def distrust(folder: Path) -> None:
    """Snakemake's own notes say otherwise: every job incomplete, as after it alone was killed."""
    incomplete = folder / ".snakemake" / "incomplete"
    notes = folder / ".snakemake" / "metadata"
    assert any(notes.iterdir())
    for note in notes.iterdir():
        if note.is_file():
            shutil.copy(note, incomplete / note.name)


@pytest.mark.parametrize("change", [reorder, comment, touch, disorder_times, forget, distrust])
def test_what_is_no_change_reruns_nothing(project, change):
    folder = project()
    change(folder)
    assert stages_of({"": DryRun(folder)}) == {"": set()}


def test_results_that_were_put_back_rerun_nothing(project):
    folder = project()
    kept = shutil.copytree(folder / "results", folder / "kept")
    other = ("--configfile", "small.yaml", "--config", "split={balance: none}")
    done = snakemake(folder, *other, "--until", "split")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(folder / "results")
    kept.rename(folder / "results")
    assert stages_of({"": DryRun(folder)}) == {"": set()}


def test_after_stages_run_by_hand_and_a_rerun_all_is_sound(project, monkeypatch):
    folder = project()
    settings = ("--config", "config.yaml", "--config", "small.yaml")
    by_hand = [sys.executable, "-m", "loralab.stages.split", *settings]
    assert subprocess.run(by_hand, cwd=folder).returncode == 0
    assert stages_of({"": DryRun(folder)}) == {"": {"report"}}
    forced = snakemake(folder, "--configfile", "small.yaml", "-R", "evaluate")
    assert forced.returncode == 0, forced.stderr
    assert stages_of({"": DryRun(folder)}) == {"": set()}
    monkeypatch.chdir(folder)
    main(["verify", "--run", "results/embedded", *CONFIG])


# What happens to results


def edit(path: str) -> Callable[[Path], None]:
    def one_digit_with_the_old_time(folder: Path) -> None:
        before = (folder / path).stat()
        content = (folder / path).read_bytes()
        digit = max(content.rfind(b"%d" % digit) for digit in range(10))
        other = b"1" if content[digit : digit + 1] != b"1" else b"2"
        (folder / path).write_bytes(content[:digit] + other + content[digit + 1 :])
        os.utime(folder / path, ns=(before.st_atime_ns, before.st_mtime_ns))

    return one_digit_with_the_old_time


def delete(path: str) -> Callable[[Path], None]:
    return lambda folder: (folder / path).unlink()


def truncate(path: str) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / path, (folder / path).stat().st_size // 2)


def mix(folder: Path) -> None:
    """The training of another run, whole and with its manifest, put in place of this one's."""
    path = folder / "results/embedded/train/manifest.json"
    other = json.loads(path.read_text())
    other["fingerprint"]["settings"]["training"]["epochs"] = 9
    write_manifest(path, other)


def mend_the_hash(folder: Path) -> None:
    """An edited result whose manifest was edited too."""
    path = folder / "results/embedded/evaluate/metrics.json"
    before = sha256_file(path)
    edit("results/embedded/evaluate/metrics.json")(folder)
    manifest = path.with_name("manifest.json")
    manifest.write_text(manifest.read_text().replace(before, sha256_file(path)))


def leave_out(folder: Path) -> None:
    """A manifest that no longer names one of the files."""
    path = folder / "results/embedded/split/manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["outputs"]["train.csv"]
    write_json(path, manifest)


DAMAGE = [
    (edit("results/embedded/evaluate/predictions.csv"), "evaluate"),
    (edit("results/embedded/split/train.csv"), "split"),
    (edit("results/embedded/report.md"), "report"),
    (edit("resources/base/embedded-gpt2/loss.csv"), "weights"),
    (truncate("results/embedded/split/test.csv"), "split"),
    (truncate("results/embedded/train/adapter/adapter_model.safetensors"), "train"),
    (truncate("results/embedded/gradcheck/manifest.json"), "gradcheck"),
    (delete("results/embedded/inject/parameters.png"), "inject"),
    (delete("results/embedded/train/manifest.json"), "train"),
    (delete("resources/data/embedded-sms/messages.tsv"), "download"),
    (mix, "train"),
    (mend_the_hash, "evaluate"),
    (leave_out, "split"),
]


@pytest.mark.parametrize("notes", ["with", "without"])
@pytest.mark.parametrize(("damage", "first"), DAMAGE)
def test_what_verify_finds_stale_is_what_snakemake_makes_again(
    project, capsys, monkeypatch, damage, first, notes
):
    folder = project()
    if notes == "without":
        forget(folder)
    damage(folder)
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit):
        main(["verify", "--run", "results/embedded", *CONFIG])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    found = {stage for stage, *words in lines if words != ["sound"]}
    assert found == rerunning(first)
    assert stages_of({"": DryRun(folder)}) == {"": found}


CONFIG = ("--config", "config.yaml", "--config", "small.yaml")
