"""The configuration: its files agree, its mistakes are named, a stage sees only its settings."""

import dataclasses
import re
from pathlib import Path
from typing import get_type_hints

import pytest
import yaml
from loralab.config import RUNTIME_SETTINGS, STAGE_SETTINGS, Config, build, stage_settings
from loralab.config_file import (
    default_threads,
    load_mapping,
    merge,
    restore_types,
    takes_gpu,
    validate,
)
from loralab.errors import LoralabError

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "config.yaml"
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.yaml"))


@pytest.fixture
def mapping():
    return load_mapping([str(CONFIG)])


def leaves(mapping, prefix=""):
    for key, value in mapping.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def nested(dotted, value):
    for key in reversed(dotted.split(".")):
        value = {key: value}
    return value


def complaint(mapping, changes):
    with pytest.raises(LoralabError) as caught:
        validate(merge(mapping, changes))
    return str(caught.value)


def test_config_yaml_is_valid_by_itself(mapping):
    validate(mapping)
    assert mapping["experiment"] == "embedded"


def test_there_are_experiments():
    assert {"lab.yaml", "gpt2-sms.yaml"} <= {path.name for path in EXPERIMENTS}


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_is_valid_and_named_like_its_file(path):
    mapping = load_mapping([str(CONFIG), str(path)])
    validate(mapping)
    assert mapping["experiment"] == path.stem


def test_every_key_of_config_yaml_has_a_comment_on_its_line():
    lines = CONFIG.read_text(encoding="utf-8").splitlines()
    keys = [line for line in lines if re.match(r" *\w+:", line)]
    sections = [line for line in keys if re.fullmatch(r"\w+:", line)]
    settings = [line for line in keys if line not in sections]
    assert len(settings) > 60
    assert [line for line in settings if not re.search(r" # \S", line)] == []


def test_every_leaf_of_config_yaml_is_declared_by_a_stage_or_as_runtime(mapping):
    declared = set(RUNTIME_SETTINGS)
    for stage in STAGE_SETTINGS:
        declared |= set(leaves(stage_settings(mapping, stage)))
    assert declared == set(leaves(mapping))


def test_runtime_settings_never_enter_a_stage(mapping):
    named = {"report": {"experiment"}}  # which the report prints
    for stage in STAGE_SETTINGS:
        found = set(leaves(stage_settings(mapping, stage))) & set(RUNTIME_SETTINGS)
        assert found == named.get(stage, set())


# Mistakes


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("sead", "seed"),
        ("training.epoch", "training.epochs"),
        ("base.pretraining.learning_rat", "base.pretraining.learning_rate"),
    ],
)
def test_a_misspelt_key_names_the_nearest(mapping, wrong, right):
    message = complaint(mapping, nested(wrong, 1))
    assert f"{wrong} is no setting; did you mean {right}?" in message


def test_a_missing_key_is_named(mapping):
    del mapping["lora"]["rank"]
    assert "lora.rank is missing; config.yaml has its default" in complaint(mapping, {})


def test_missing_keys_are_each_named_once(mapping):
    del mapping["lora"]["rank"], mapping["lora"]["alpha"]
    message = complaint(mapping, {})
    assert message.count("lora.rank is missing") == message.count("lora.alpha is missing") == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": {"labels": [0, 1]}}, "needs quotes"),
        ({"experiment": 2024}, "in quotes where it is a number"),
        ({"experiment": "a\n"}, "a folder name"),
        ({"experiment": "../elsewhere"}, "a folder name"),
        ({"data": {"urls": ["http://[bad/"]}}, "an http or https URL"),
        ({"training": {"max_length": 1}}, "at least 2"),
    ],
)
def test_what_was_expected_helps(mapping, changes, words):
    assert words in complaint(mapping, changes)


def test_the_dataclasses_hold_exactly_the_keys_of_config_yaml(mapping):
    def declared(section, prefix=""):
        types = get_type_hints(section)
        for field in dataclasses.fields(section):
            inner, name = types[field.name], f"{prefix}{field.name}"
            is_section = dataclasses.is_dataclass(inner)
            yield from declared(inner, f"{name}.") if is_section else [name]

    # Mappings whose keys the user chooses have no leaves of their own.
    chosen_freely = {"lora.rank_pattern", "lora.alpha_pattern", "sweep.values", "sweep.runs"}
    assert set(declared(Config)) == set(leaves(mapping)) | chosen_freely


@pytest.mark.parametrize(
    ("device", "there", "takes"),
    [("cpu", True, False), ("cuda", False, True), ("auto", True, True), ("auto", False, False)],
)
def test_jobs_take_a_gpu_where_they_are_told_to_or_there_is_one(
    monkeypatch, tmp_path, device, there, takes
):
    places = (str(tmp_path if there else tmp_path / "none"),)
    monkeypatch.setattr("loralab.config_file.GPU_DEVICES", places)
    monkeypatch.setattr("sys.platform", "linux")
    assert takes_gpu(device) is takes


def test_every_problem_is_reported_at_once(mapping):
    changes = {"lora": {"rank": 0}, "training": {"schedule": "step"}, "data": {"sha256": "abc"}}
    message = complaint(mapping, changes)
    assert "lora.rank is 0; expected at least 1" in message
    assert 'training.schedule is "step"; expected one of "constant", "linear"' in message
    assert "data.sha256 is" in message and "64 lower-case hexadecimal digits" in message


HASH = "0" * 64
URLS = ["https://host.example/file"]
CONTRADICTIONS = [
    ({"data": {"source": "url", "sha256": HASH}}, "which needs data.urls; it is empty"),
    ({"data": {"source": "url", "urls": URLS}}, "which needs data.sha256; it is empty"),
    ({"data": {"source": "file"}}, "which needs data.file; it is empty"),
    ({"base": {"source": "url", "sha256": HASH}}, "which needs base.urls; it is empty"),
    ({"base": {"source": "url", "urls": URLS}}, "which needs base.sha256; it is empty"),
    ({"base": {"source": "file"}}, "which needs base.file; it is empty"),
    ({"tokenizer": {"source": "file"}}, "which needs tokenizer.folder; it is empty"),
    ({"tokenizer": {"source": "url"}}, "which needs tokenizer.merges.urls; it is empty"),
    ({"tokenizer": {"source": "url"}}, "which needs tokenizer.vocabulary.sha256; it is empty"),
    (
        {"data": {"source": "url", "urls": URLS, "sha256": HASH, "member": "file"}},
        "data.member_sha256 is null",
    ),
    ({"split": {"fractions": {"train": 0.6}}}, "split.fractions add up to 0.9; expected 1"),
    (
        {"split": {"protocol": "lab"}, "data": {"labels": ["a", "b", "c"]}},
        "split.protocol lab needs two data.labels; found 3",
    ),
    (
        {"split": {"protocol": "lab"}, "training": {"early_stopping": 2}},
        "training.early_stopping needs a validation set",
    ),
    (
        {
            "split": {"fractions": {"validation": 0, "train": 0.8}},
            "training": {"early_stopping": 2},
        },
        "training.early_stopping needs a validation set",
    ),
    ({"data": {"label_column": "text"}}, "data.label_column and data.text_column are both 'text'"),
    ({"data": {"embedded": {"spam": 6000}}}, "data.embedded.spam is more than"),
    ({"base": {"size": "gpt2"}}, "base.source embedded needs base.size custom; it is gpt2"),
    ({"base": {"shape": {"context": 128}}}, "training.max_length is 256, more than"),
    ({"data": {"label_column": "kind"}}, "data.label_column 'kind' is not among data.columns"),
    ({"base": {"shape": {"heads": 3}}}, "base.shape.width is no multiple of base.shape.heads"),
    ({"lora": {"injections": 2, "variant": "dora"}}, "lora.variant dora cannot make"),
    (
        {"training": {"accumulation": 9}},
        "training.accumulation is 9, more than training.batch_size, 8",
    ),
    (
        {"data": {"labels": ["a", "b", "c"]}, "base": {"shape": {"width": 2, "heads": 1}}},
        "head.bias is true with 3 data.labels; beyond base.shape.width, 2, PEFT has no place",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), CONTRADICTIONS)
def test_settings_that_contradict_one_another_are_refused(mapping, changes, expected):
    assert expected in complaint(mapping, changes)


# Sources


def test_later_sources_win_and_leave_the_rest_alone(mapping):
    merged = load_mapping([str(CONFIG), "{training: {epochs: 9}, data: {labels: [a, b]}}"])
    assert merged["training"]["epochs"] == 9
    assert merged["data"]["labels"] == ["a", "b"]
    assert merged["training"]["batch_size"] == mapping["training"]["batch_size"]


@pytest.mark.parametrize(
    ("source", "reason"), [("{a: [", "is not YAML"), ("nowhere.yaml", "give a YAML file")]
)
def test_an_unreadable_source_is_named(source, reason):
    with pytest.raises(LoralabError, match=re.escape(source) + ".*" + reason):
        load_mapping([source])


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("training.learning_rate", "5e-4", 5e-4),
        ("training.epochs", "2", 2),
        ("training.drop_last", "true", True),
        ("training.early_stopping", "null", None),
        ("experiment", "2", "2"),
        ("mirror", "null", None),
        ("lora.injections", "2", 2),
        ("lora.layers.last", "3", 3),
        ("lora.layers.last", "null", None),
        ("lora.rank_pattern.c_fc", "16", 16),
        ("lora.alpha_pattern.c_fc", "0.5", 0.5),
        ("training.epochs", 2.0, 2),
        ("training.epochs", "2.0", 2),
        ("lora.injections", 2.0, 2),
        ("seed", 123.0, 123),
        ("split.seed", "7", 7),
        ("split.seed", "null", None),
        ("split.train_share", "0.1", 0.1),
        ("base.pretraining.learning_rate", 1.0, 1.0),
        ("data.embedded.messages", "20", 20),
    ],
)
def test_texts_are_read_as_the_type_that_the_schema_expects(key, text, value):
    restored = restore_types(nested(key, text))
    assert restored == nested(key, value)
    for part in key.split("."):
        restored = restored[part]
    assert type(restored) is type(value)


def test_a_number_left_as_text_is_named_with_what_was_expected(mapping):
    changes = yaml.safe_load("{training: {learning_rate: 5e-4}}")
    assert 'training.learning_rate is "5e-4"; expected number' in complaint(mapping, changes)


def test_words_in_place_of_a_number_are_named(mapping):
    changes = restore_types({"training": {"epochs": "many"}})
    assert 'training.epochs is "many"; expected integer' in complaint(mapping, changes)


# What a stage sees


def test_a_whole_configuration_is_read_by_attribute(mapping):
    config = build(mapping)
    assert config.training.epochs == mapping["training"]["epochs"]
    assert config.base.pretraining.weight_decay == 0.1


def test_a_partial_configuration_refuses_what_its_stage_does_not_declare(mapping):
    config = build(stage_settings(mapping, "split"))
    assert config.split.fractions.train == 0.7
    with pytest.raises(AttributeError, match=r"data\.urls is not among those that this stage"):
        _ = config.data.urls
    with pytest.raises(AttributeError, match="training is not among those"):
        _ = config.training


def test_a_split_with_a_seed_of_its_own_does_not_know_the_experiments(mapping):
    seeds = [(123, None), (7, None), (123, 7), (8, 7)]
    made_of = [
        stage_settings(merge(mapping, {"seed": seed, "split": {"seed": own}}), "split")
        for seed, own in seeds
    ]
    assert [settings.get("seed") for settings in made_of] == [123, 7, None, None]
    assert made_of[2] == made_of[3]


def test_a_configuration_cannot_be_changed(mapping):
    with pytest.raises(AttributeError):
        build(mapping).seed = 1


def test_experiments_agree_on_the_files_they_share():
    for section, name in (("data", "dataset"), ("tokenizer", "name"), ("base", "name")):
        shared = {}
        for path in EXPERIMENTS:
            settings = load_mapping([str(CONFIG), str(path)])[section]
            pinned = {key: settings[key] for key in settings if key not in ("parser", "seed")}
            assert shared.setdefault(settings[name], pinned) == pinned, f"{path}: {section}"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused(mapping, value):
    found = complaint(mapping, {"training": {"learning_rate": value}})
    assert "training.learning_rate" in found and "finite" in found


def test_threads_are_two_unless_the_environment_says_otherwise(monkeypatch):
    monkeypatch.delenv("LORALAB_THREADS", raising=False)
    assert default_threads() == 2
    monkeypatch.setenv("LORALAB_THREADS", "6")
    assert default_threads() == 6


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", ""])
def test_a_number_of_threads_that_is_none_is_refused(monkeypatch, text):
    monkeypatch.setenv("LORALAB_THREADS", text)
    with pytest.raises(LoralabError, match="LORALAB_THREADS is .* whole number above 0"):
        default_threads()
