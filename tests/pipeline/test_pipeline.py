"""The whole pipeline, driven by Snakemake itself, on an experiment small enough for a test."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import networkx
import pandas as pd
import pytest
import yaml
from dry_runs import dry_run
from loralab.provenance import sha256_file
from project import (
    PLACES,
    ROOT,
    SMALL,
    copy_of_the_project,
    jobs,
    planned,
    snakemake,
    start_snakemake,
)


def test_one_command_leads_from_nothing_to_a_report_with_all_its_figures(finished):
    run = finished / "results" / "embedded"
    report = (run / "report.md").read_text(encoding="utf-8")
    assert "Test accuracy" in report.splitlines()[2]
    figures = [part.split(")")[0] for part in report.split("](")[1:]]
    assert len(figures) >= 11
    assert all((run / figure).is_file() for figure in figures)
    for question in ("Q1", "Q2", "Q3", "Q4", "Q5"):
        assert f"### {question}." in report


def test_every_stage_leaves_a_manifest_that_agrees_with_its_outputs(finished):
    manifests = [p for p in finished.rglob("manifest.json") if ".snakemake" not in p.parts]
    assert len(manifests) == len(PLACES)
    for path in manifests:
        outputs = json.loads(path.read_text())["outputs"]
        assert outputs
        for name, entry in outputs.items():
            assert sha256_file(path.parent / name) == entry["sha256"]


def test_the_claims_ledger_holds_the_published_figures_beside_the_right_ones(finished):
    path = finished / "results" / "embedded" / "inject" / "claims.json"
    claims = {claim["id"]: claim for claim in json.loads(path.read_text())}
    expected = {
        "injection.trainable": (1_327_104, 1_327_104, "reproduced"),
        "injection.total": (164_364_288, 164_364_288, "reproduced"),
        "classifier.trainable": (2_655_746, 1_328_642, "corrected"),
        "classifier.total": (127_095_554, 125_768_450, "corrected"),
        "classifier.percent": (2.09, 1.06, "corrected"),
        "double_injection.trainable": (2_655_746, 2_655_746, "reproduced"),
        "double_injection.total": (127_095_554, 127_095_554, "reproduced"),
        "gradients.with": (288, 144, "corrected"),
        "gradients.without": (197, 197, "reproduced"),
        "double_injection.gradients.with": (288, 288, "reproduced"),
        "head.explains_increase": (1_328_642, 1_538, "refuted"),
    }
    found = {k: (c["published"], c["measured"], c["verdict"]) for k, c in claims.items()}
    assert {name: found[name] for name in expected} == expected


def test_a_second_run_has_nothing_to_do(finished):
    assert jobs(finished) == set()


def test_a_large_file_reruns_its_readers_when_edited_and_not_when_touched(finished, tmp_path):
    own_messages(finished, tmp_path, "csv")
    messages = tmp_path / "mine.csv"
    row = f"{'a long message ' * 100},weather\n"
    messages.write_text(messages.read_text() + 1000 * row)
    assert messages.stat().st_size > 1_000_000
    # The long messages are alike, and one group.
    until_split = ("--until", "split", "--config", "split={protocol: stratified}")
    assert snakemake(tmp_path, "--configfile", "small.yaml", *until_split).returncode == 0
    messages.touch()
    assert jobs(tmp_path, *until_split) == set()
    messages.write_text(messages.read_text() + row)
    assert jobs(tmp_path, *until_split) == {"download", "split"}


@pytest.mark.parametrize(
    ("path", "stale"),
    [
        ("results/embedded/evaluate/roc.png", {"evaluate", "explain", "report"}),
        (
            "results/embedded/train/adapter/adapter_config.json",
            {"train", "evaluate", "robustness", "explain", "report"},
        ),
        ("results/embedded/robustness/robustness.png", {"robustness", "report"}),
        ("results/embedded/explain/attributions.png", {"explain", "report"}),
        ("results/embedded/manifest.json", {"report"}),
        ("resources/base/embedded-gpt2/tensors.csv", {"weights", "report"}),
    ],
)
def test_what_was_deleted_is_made_again(finished, path, stale):
    content = (finished / path).read_bytes()
    (finished / path).unlink()
    try:
        found = jobs(finished)
    finally:
        (finished / path).write_bytes(content)
    assert stale <= found
    if "resources" not in path:
        assert found == stale


def test_a_local_file_that_is_not_there_is_named(finished):
    change = "data={source: file, file: 'no{such}.tsv'}"
    planned = dry_run("--configfile", "small.yaml", "--config", change, folder=finished)
    assert planned.failed
    assert "data.source is file, and no{such}.tsv is no file" in planned.text


def test_a_path_that_snakemake_would_misread_is_refused(finished, tmp_path):
    (tmp_path / "m{1}.tsv").write_text("ham\thello\n")
    change = f"data={{source: file, file: '{tmp_path}/m{{1}}.tsv'}}"
    planned = dry_run("--configfile", "small.yaml", "--config", change, folder=finished)
    assert planned.failed
    assert "braces in" in planned.text and "rename it" in planned.text


def test_snakemakes_own_report_can_be_made(finished, tmp_path):
    page = tmp_path / "report.html"
    done = snakemake(finished, "--configfile", "small.yaml", "--report", str(page))
    assert done.returncode == 0, done.stderr
    assert page.stat().st_size > 100_000


def test_a_setting_given_on_the_command_line_reruns_what_depends_on_it(finished):
    change = "training={learning_rate: 0.001, log_every: 3}"
    trained = {"train", "baseline_head_only"}
    assert jobs(finished, "--config", change) == trained | {
        *("evaluate", "robustness", "explain", "report")
    }


def test_another_number_of_threads_reruns_what_computes_with_them(finished, monkeypatch):
    monkeypatch.setenv("LORALAB_THREADS", "1")
    computing = {"weights", "inject", "gradcheck", "train"}
    computing |= {"evaluate", "robustness", "explain", "report"}
    baselines = {"baseline_frozen_features", "baseline_head_only"}
    assert jobs(finished) == computing | baselines


# Of these the content holds when or how fast something was done.
TIMED = {"manifest.json", "source.json", "history.csv", "training.json", "claims.json", "report.md"}


def test_a_run_elsewhere_on_other_cores_beside_a_second_snakemake_leaves_the_same_bytes(
    finished, tmp_path
):
    folder = tmp_path / "zwei Wörter & 'mehr' (neu)"
    folder.mkdir()
    copy_of_the_project(folder)
    with start_snakemake(folder, "--configfile", "small.yaml", "--cores", "1") as running:
        while not list(folder.glob("results/embedded/split/manifest.json")):
            assert running.poll() is None, running.communicate()
            time.sleep(0.1)
        second = snakemake(folder, "--configfile", "small.yaml")
        assert second.returncode != 0
        assert "Directory cannot be locked" in second.stdout + second.stderr
        said = running.communicate()
    assert running.returncode == 0, said
    assert jobs(folder) == set()
    made = [p for top in ("results", "resources") for p in finished.glob(f"{top}/**/*.*")]
    compared = {p.relative_to(finished) for p in made if p.is_file() and p.name not in TIMED}
    assert {Path("results/embedded/evaluate/baseline_predictions.csv")} < compared
    # The curves show no times, the inject stage's ledger none either.
    compared.add(Path("results/embedded/inject/claims.json"))
    different = {
        path for path in compared if sha256_file(folder / path) != sha256_file(finished / path)
    }
    assert different == set()
    without_seconds = [
        pd.read_csv(place / "results/embedded/train/history.csv").drop(columns="seconds")
        for place in (finished, folder)
    ]
    assert without_seconds[0].equals(without_seconds[1])


def test_a_misspelt_key_names_the_nearest_valid_one(finished):
    planned = dry_run("--config", "training={learning_rte: 1}", folder=finished)
    assert planned.failed
    assert "did you mean training.learning_rate?" in planned.text


def test_errors_are_the_wrong_predictions_the_most_confident_first(finished):
    run = finished / "results" / "embedded"
    predictions = pd.read_csv(run / "evaluate" / "predictions.csv")
    test = predictions[predictions["split"] == "test"]
    wrong = test[test["label"] != test["predicted"]]
    wrong = wrong.assign(confidence=wrong[["p_ham", "p_spam"]].max(axis=1))
    wrong = wrong.sort_values(["confidence", "id"], ascending=[False, True])
    errors = pd.read_csv(run / "evaluate" / "errors.csv")
    assert len(errors) > 3 and list(errors["id"]) == list(wrong["id"].head(20))
    texts = pd.read_csv(run / "split" / "test.csv").set_index("id")["text"]
    assert list(errors["text"]) == [texts[number] for number in errors["id"]]
    measured = json.loads((run / "evaluate" / "metrics.json").read_text())["splits"]["test"]
    assert measured["accuracy"] == pytest.approx(1 - len(wrong) / len(test))


def test_missing_weights_name_the_file_its_hash_and_how_to_supply_it(finished, tmp_path):
    pinned = {"source": "url", "urls": ["http://127.0.0.1:9/model.safetensors"], "sha256": "a" * 64}
    mapping = yaml.safe_load((ROOT / "config.yaml").read_text())
    mapping["base"] |= pinned | {"name": "absent", "size": "gpt2"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(mapping))
    command = [sys.executable, "-m", "loralab.stages.weights", "--config", "config.yaml"]
    failed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert failed.returncode == 1
    last = failed.stderr.strip().splitlines()[-1]
    assert "model.safetensors" in last and "a" * 64 in last and "mirror" in last
    assert "127.0.0.1:9" in last and "Traceback" not in failed.stderr
    assert not list(tmp_path.rglob("*.safetensors"))


def test_the_rules_name_the_files_that_the_stages_read_and_write(finished):
    rules = planned(finished)
    assert set(rules) == set(PLACES)
    for rule, files in rules.items():
        folder = finished / PLACES[rule]
        manifest = json.loads((folder / "manifest.json").read_text())
        read = {os.path.relpath(folder / name, finished) for name in manifest["inputs"]}
        written = {os.path.relpath(folder / name, finished) for name in manifest["outputs"]}
        assert files["input"] == read, rule
        assert files["output"] == written | {f"{folder.relative_to(finished)}/manifest.json"}, rule


def test_no_stage_reads_a_file_that_its_rule_does_not_name(finished):
    rules = planned(finished)
    for rule, files in rules.items():
        noted = (finished / "read" / f"loralab.stages.{rule}").read_text().splitlines()
        own = str(PLACES[rule])
        assert {path for path in noted if os.path.dirname(path) != own} <= files["input"], rule
        assert {path for path in noted if path.endswith(".json")} or not files["input"], rule


def test_the_readme_draws_the_stages_as_snakemake_connects_them(finished):
    rules = planned(finished)
    drawn_as = {rule: "baselines" if rule.startswith("baseline_") else rule for rule in rules}
    maker = {path: drawn_as[rule] for rule, files in rules.items() for path in files["output"]}
    graph = networkx.DiGraph()
    for rule, files in rules.items():
        makers = {maker[path] for path in files["input"] if path in maker}
        graph.add_edges_from((made_by, drawn_as[rule]) for made_by in makers)
    drawing = (ROOT / "README.md").read_text(encoding="utf-8").split("flowchart LR")[1]
    chains = [line.split("-->") for line in drawing.split("```")[0].splitlines() if "-->" in line]
    drawn = {pair for chain in chains for pair in pairwise(name.strip() for name in chain)}
    assert drawn == set(networkx.transitive_reduction(graph).edges)


UNUSUAL = {
    "experiment": "unusual",
    "split": {"protocol": "lab"},
    "base": {"name": "unusual", "source": "random"},
    "lora": {"injections": 2, "targets": ["h.1.attn.q_proj", "h.1.mlp.c_proj"], "dropout": 0.1},
    "head": {"bias": False},
    "training": {"precision": "bf16", "padding": "lab", "drop_last": True, "max_length": 20},
    "evaluation": {"baselines": [], "errors": 0},
    "report": {"examples": []},
}


def test_an_unusual_experiment_gets_a_report_whose_every_sentence_holds(finished, tmp_path):
    copy_of_the_project(tmp_path)
    shutil.copytree(finished / "resources", tmp_path / "resources")
    (tmp_path / "unusual.yaml").write_text(yaml.safe_dump(UNUSUAL))
    done = snakemake(tmp_path, "--configfile", "small.yaml", "unusual.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    run = tmp_path / "results" / "unusual"
    report = (run / "report.md").read_text(encoding="utf-8")
    assert "injected 2 times" in report and "one of rank 4 with alpha 8" in report
    assert "random weights" in report and "was pretrained" not in report
    assert "2 linear layers became" in report
    before, after = report.split("```text\n")[1:3]
    assert "LoRALinear(" not in before.split("```")[0] and "(1): Block(" in after
    assert "Over the one epoch the loss went from" in report
    assert "classified wrongly" not in report and "### Examples" not in report
    assert "### Against the baselines" not in report and "validation |" not in report
    cut = json.loads((run / "evaluate" / "metrics.json").read_text())["cut"]
    assert cut["test"] > 0 and f"cut: {cut['train']} of train, {cut['test']} of test." in report
    claims = {c["id"]: c for c in json.loads((run / "claims.json").read_text())}
    words = claims["training.test_accuracy"]["explanation"]
    assert {"other messages", "lora.rank 2", "training.precision bf16"} <= set(
        words.removeprefix("This run differs: ").rstrip(".").split(", ")
    )


TOPICS = {
    "weather": ["rain all day", "the sun is out", "wind from the north", "snow by night"],
    "food": ["soup is ready", "who baked the bread", "two pizzas please", "no salt, thanks"],
    "money": ["rent is due", "lend me a tenner?", "paid the bill", 'he said "later"\nas ever'],
}
MESSAGES = [
    (f"{text} ({n})", topic) for n in range(8) for topic in TOPICS for text in TOPICS[topic]
]


def own_messages(finished: Path, folder: Path, file_format: str) -> Path:
    """A project whose small.yaml names a local file of three classes; the run's future folder."""
    folder.mkdir(exist_ok=True)
    copy_of_the_project(folder)
    shutil.copytree(finished / "resources", folder / "resources")
    table = pd.DataFrame(MESSAGES, columns=["message", "topic"])
    if file_format == "csv":
        table.to_csv(folder / "mine.csv", index=False)
    else:
        table.to_json(folder / "mine.jsonl", orient="records", lines=True)
    mine = {
        "experiment": "mine",
        "data": {
            "dataset": "mine",
            "source": "file",
            "file": f"mine.{file_format}",
            "format": file_format,
            "columns": None,
            "labels": list(TOPICS),
            "label_column": "topic",
            "text_column": "message",
        },
        "lora": {
            "variant": "dora",
            "rank": 2,
            "rank_pattern": {"c_fc": 3},
            "exclude": [r"h\.0\.attn\.k_proj"],
        },
        "training": {"epochs": 1, "batch_size": 16, "accumulation": 3, "loraplus_lr_ratio": 4},
        "report": {"examples": ["will it rain?"]},
    }
    small = {key: SMALL[key] for key in ("tokenizer", "base")}
    (folder / "small.yaml").write_text(yaml.safe_dump(small | mine), encoding="utf-8")
    return folder / "results" / "mine"


def test_own_messages_of_three_classes_reach_a_report(finished, tmp_path):
    run = own_messages(finished, tmp_path, "csv")
    done = snakemake(tmp_path, "--configfile", "small.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    split = json.loads((run / "split" / "split.json").read_text())
    assert split["messages"] == 96
    # Each text comes eight times, numbered: near twins, which stay together.
    assert split["splits"]["test"] == {"n": 24, "weather": 8, "food": 8, "money": 8}
    predictions = pd.read_csv(run / "evaluate" / "predictions.csv")
    probabilities = predictions[["p_weather", "p_food", "p_money"]]
    assert abs(probabilities.sum(axis=1) - 1).max() < 1e-5
    plan = pd.read_csv(run / "inject" / "plan.csv")
    assert len(plan) == 11 and set(plan["rank"]) == {2, 3}
    counts = json.loads((run / "inject" / "parameters.json").read_text())
    assert plan["parameters"].sum() == counts["language_model"]["trainable"]
    report = (run / "report.md").read_text(encoding="utf-8")
    assert "DoRA of rank 2 to 3, alpha 16 on 11 linear layers" in report
    assert "will it rain?" in report
    assert "The stress set does not apply: its texts are labelled ham or spam" in report
    assert all((run / part.split(")")[0]).is_file() for part in report.split("](")[1:])


def test_json_lines_are_read_and_split_like_the_same_messages_in_csv(finished, tmp_path):
    by_format = {}
    for file_format in ("csv", "jsonl"):
        run = own_messages(finished, tmp_path / file_format, file_format)
        done = snakemake(tmp_path / file_format, "--configfile", "small.yaml", "--until", "split")
        assert done.returncode == 0, done.stdout + done.stderr
        by_format[file_format] = pd.read_csv(run / "split" / "test.csv")[["label", "text"]]
    assert by_format["csv"].equals(by_format["jsonl"])


@pytest.mark.parametrize(("more", "policy"), [(0, None), (1, "passive")])
def test_threads_wait_asleep_where_more_cores_are_promised_than_there_are(
    tmp_path, monkeypatch, more, policy
):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    copy_of_the_project(tmp_path)
    with (tmp_path / "Snakefile").open("a") as snakefile:
        snakefile.write('\nprint("policy:", os.getenv("OMP_WAIT_POLICY"), file=sys.stderr)\n')
    done = snakemake(tmp_path, "--dry-run", "--cores", str(os.cpu_count() + more))
    assert f"policy: {policy}\n" in done.stderr


def test_jobs_allocate_by_mimalloc_where_nothing_else_is_preloaded(tmp_path, monkeypatch):
    copy_of_the_project(tmp_path)
    with (tmp_path / "Snakefile").open("a") as snakefile:
        snakefile.write('\nprint("preloaded:", os.getenv("LD_PRELOAD"), file=sys.stderr)\n')
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    assert re.search("preloaded: .*libmimalloc", snakemake(tmp_path, "--dry-run").stderr)
    monkeypatch.setenv("LD_PRELOAD", "")
    assert "preloaded: \n" in snakemake(tmp_path, "--dry-run").stderr
