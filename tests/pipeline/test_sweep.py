"""The ablation in a reduced form: its runs, what they share, what reruns, what is reported."""

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from dry_runs import dry_run
from loralab.cli import main
from loralab.config_file import load_mapping, merge
from loralab.provenance import sha256_file
from project import ROOT, SMALL, copy_of_the_project, snakemake

RESULTS = "results/ablation"
# Most kinds of arms of experiments/ablation.yaml, one of each; a value that the small experiment
# has already makes no arm, which keeps this within three minutes.
REDUCED = {
    "evaluation": {"baselines": ["majority", "head_only"]},
    "sweep": {
        "values": {
            "lora.rank": [1, 4],
            "lora.alpha": [SMALL["lora"]["alpha"]],
            "lora.targets": ["all-linear"],
            "lora.fan_in": ["in_features"],
            "lora.variant": ["dora"],
            "lora.dropout": [0],
            "training.dropout": [0.1],
            "split.train_share": [0.5],
        },
        "seeds": 2,
        "baselines": ["head_only"],
    },
}
ARMS = [
    *("reference", "head_only", "lora.rank=1", "lora.rank=4", "lora.variant=dora"),
    *("split.train_share=0.5", "head.position=padding", "injected-twice"),
]
FILES = ("small.yaml", "ablation.yaml", "reduced.yaml")
CONFIG = ("--config", "config.yaml", *(part for name in FILES for part in ("--config", name)))


@pytest.fixture(scope="module", autouse=True)
def _one_thread_a_job():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LORALAB_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    """A project folder in which the reduced ablation has run, two runs at a time."""
    folder = tmp_path_factory.mktemp("sweep") / "project"
    folder.mkdir()
    copy_of_the_project(folder)
    shutil.copy(ROOT / "experiments" / "ablation.yaml", folder)
    twice = {"sweep": {"runs": {"injected-twice": {"lora.rank": 1, "lora.alpha": 2}}}}
    (folder / "reduced.yaml").write_text(yaml.safe_dump(merge(REDUCED, twice)))
    done = snakemake(folder, "--configfile", *FILES)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return folder


def would_run(folder: Path, *more: str) -> set[str]:
    planned = dry_run("--configfile", *FILES, *more, folder=folder)
    assert not planned.failed, planned.text
    return planned.rules


def test_the_reduced_ablation_varies_what_the_whole_one_does(swept):
    whole = load_mapping([str(ROOT / "experiments" / "ablation.yaml")])["sweep"]
    reduced = load_mapping([str(swept / name) for name in FILES])["sweep"]
    assert reduced["values"].keys() == whole["values"].keys()
    assert reduced["runs"].keys() == whole["runs"].keys()


def test_every_arm_has_a_row_and_every_run_a_folder(swept):
    table = pd.read_csv(swept / RESULTS / "sweep/sweep.csv")
    assert sorted(table["arm"]) == sorted(ARMS)
    assert (table["seeds"] == 2).all() and (table["messages"] == table["messages"][0]).all()
    runs = {f"{arm},seed={seed}" for arm in ARMS if arm != "head_only" for seed in (123, 124)}
    assert {path.name for path in (swept / RESULTS / "runs").iterdir()} == runs
    assert len(pd.read_csv(swept / RESULTS / "sweep/runs.csv")) == 2 * len(ARMS)


def test_the_accuracies_are_those_of_the_runs(swept):
    table = pd.read_csv(swept / RESULTS / "sweep/runs.csv").set_index(["arm", "seed"])
    for arm, seed in table.index:
        place = swept / RESULTS / "runs" / f"{arm},seed={seed}" / "evaluate" / "metrics.json"
        if arm != "head_only":
            found = json.loads(place.read_text())["splits"]["test"]
            assert found["accuracy"] == pytest.approx(table.loc[(arm, seed), "accuracy"])
    means = pd.read_csv(swept / RESULTS / "sweep/sweep.csv").set_index("arm")["accuracy"]
    pd.testing.assert_series_equal(
        table["accuracy"].groupby("arm").mean(), means.sort_index(), check_names=False
    )


def test_the_report_has_the_table_the_figures_and_what_may_be_concluded(swept):
    report = (swept / RESULTS / "report.md").read_text(encoding="utf-8")
    section = report.split("\n## Sweep\n")[1].split("\n## ")[0]
    for name in ARMS:
        shown = "head only" if name == "head_only" else name
        assert f"| {shown} |" in section.replace("&#95;", "_").replace("&#8203;", "")
    assert "sweep/sweep.png" in section and "sweep/sweep_curves.png" in section
    assert "**What may be concluded:**" in section and "**What may not:**" in section
    assert "The artifacts hold together" in report
    assert (swept / RESULTS / "sweep/sweep.png").stat().st_size > 5000


def test_a_second_run_has_nothing_to_do(swept):
    assert would_run(swept) == set()


def test_another_arm_trains_that_arm_alone(swept):
    new = {
        f"{stage}@lora.rank=3,seed=123" for stage in ("inject", "gradcheck", "train", "evaluate")
    }
    new |= {f"{stage}@lora.rank=3,seed=124" for stage in ("train", "evaluate")}
    (swept / "more.yaml").write_text("sweep: {values: {lora.rank: [1, 4, 3]}}")
    assert would_run(swept, "more.yaml") == new | {"sweep", "report"}


def test_another_seed_trains_that_seed_alone(swept):
    (swept / "more.yaml").write_text("sweep: {seeds: 3}")
    arms = [arm for arm in ARMS if arm != "head_only"]
    new = {f"{stage}@{arm},seed=125" for arm in arms for stage in ("train", "evaluate")}
    new |= {"baseline_head_only@reference,seed=125", "sweep", "report"}
    assert would_run(swept, "more.yaml") == new


def test_a_run_is_the_experiment_with_its_settings(swept, tmp_path):
    """What a sweep calls lora.rank=1 at seed 124 is what an experiment of its own would be."""
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    alone = {
        "experiment": "alone",
        "seed": 124,
        "split": {"seed": 123},
        "lora": {"rank": 1},
    }
    (tmp_path / "alone.yaml").write_text(yaml.safe_dump(alone))
    done = snakemake(tmp_path, "--configfile", "small.yaml", "alone.yaml", "--until", "train")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    adapter = "train/adapter/adapter_model.safetensors"
    run = tmp_path / RESULTS / "runs" / "lora.rank=1,seed=124"
    assert sha256_file(tmp_path / "results/alone" / adapter) == sha256_file(run / adapter)


def test_each_run_was_made_with_what_it_is_called_after(swept):
    for manifest in (swept / RESULTS / "runs").glob("*/train/manifest.json"):
        arm, _, seed = manifest.parents[1].name.rpartition(",seed=")
        settings = json.loads(manifest.read_text())["fingerprint"]["settings"]
        assert settings["seed"] == int(seed)
        assert (settings["lora"]["rank"] == 1) == (arm in ("lora.rank=1", "injected-twice"))
        assert (settings["head"]["position"] == "padding") == (arm == "head.position=padding")
        assert (settings["lora"]["variant"] == "dora") == (arm == "lora.variant=dora")


def test_the_rules_of_the_runs_name_what_their_stages_read_and_write(swept):
    forced = dry_run("--forceall", "--configfile", *FILES, folder=swept)
    files: dict[str, dict[str, set[str]]] = {}
    for line in forced.text.splitlines():
        if line.startswith(("rule ", "localrule ")):
            files[line.split()[1].rstrip(":")] = current = {}
        kind, _, paths = line.strip().partition(": ")
        if line.startswith("    ") and kind in ("input", "output"):
            current[kind] = set(paths.split(", "))
    steps = {step: found for step, found in files.items() if "@" in step or step == "sweep"}
    assert len(steps) > 30
    for step, found in steps.items():
        (manifest,) = [path for path in found["output"] if path.endswith("manifest.json")]
        recorded = json.loads((swept / manifest).read_text())
        folder = Path(manifest).parent
        read = {os.path.normpath(folder / name) for name in recorded["inputs"]}
        assert found["input"] == read, step
        written = {(folder / name).as_posix() for name in recorded["outputs"]}
        assert found["output"] == written | {manifest}, step


@pytest.mark.parametrize("run", ["lora.rank=4,seed=124", "reference,seed=123"])
def test_the_adapter_of_a_run_can_be_used(swept, monkeypatch, capsys, run):
    monkeypatch.chdir(swept)
    main(["classify", "--run", f"{RESULTS}/runs/{run}", "a prize for you"])
    header, row = capsys.readouterr().out.splitlines()
    assert header == "text,predicted,p_ham,p_spam"
    own = swept / RESULTS / "runs" / run / "evaluate" / "predictions.csv"
    text = pd.read_csv(swept / RESULTS / "split/test.csv").iloc[0]
    predicted = pd.read_csv(own).query("split == 'test'").iloc[0]
    main(["classify", "--run", f"{RESULTS}/runs/{run}", str(text["text"])])
    found = capsys.readouterr().out.splitlines()[1].rpartition(",")[2]
    assert float(found) == pytest.approx(predicted["p_spam"], abs=1e-5)


def test_verify_finds_an_edited_run_and_what_rests_on_it(swept, tmp_path, monkeypatch, capsys):
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    main(["verify", "--run", RESULTS, *CONFIG])
    main(["verify", "--run", RESULTS])  # by what was recorded
    run = "lora.variant=dora,seed=124"
    path = tmp_path / RESULTS / "runs" / run / "train/adapter/adapter_config.json"
    path.write_text(path.read_text() + " ")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["verify", "--run", RESULTS, *CONFIG])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    found = {step for step, *words in lines if words != ["sound"]}
    assert found == {f"train@{run}", f"evaluate@{run}", "sweep", "report"}
    assert would_run(tmp_path) == found


def test_a_run_of_another_arm_in_its_place_is_found(swept, tmp_path, monkeypatch, capsys):
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    runs = tmp_path / RESULTS / "runs"
    shutil.rmtree(runs / "lora.rank=1,seed=124")
    shutil.copytree(runs / "lora.rank=4,seed=124", runs / "lora.rank=1,seed=124")
    with pytest.raises(SystemExit):
        main(["verify", "--run", RESULTS])
    assert "lora.rank was 4 here and 1 in the sweep: mixed runs" in capsys.readouterr().out
