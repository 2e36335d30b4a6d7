"""The runs of a sweep: which there are, what they are called, and what they share."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loralab.config import build, nested
from loralab.config_file import load_mapping, merge, restore_types, validate
from loralab.errors import LoralabError
from loralab.stages.layout import Layout
from loralab.stages.steps import changes_of, files_of_runs, places_of, steps_of
from loralab.sweep import NO_SWEEP, arm_name, curves_of, runs_of

ROOT = Path(__file__).parents[1]
CONFIG = load_mapping([str(ROOT / "config.yaml")])
HOME = Path("results/embedded")


def settings(**sweep) -> dict:
    mapping = restore_types(merge(CONFIG, {"sweep": sweep}))
    validate(mapping)
    return mapping


def names(**sweep) -> list[str]:
    return [run.name for run in runs_of(build(settings(**sweep)))]


def complaint(**sweep) -> str:
    with pytest.raises(LoralabError) as caught:
        mapping = restore_types(merge(CONFIG, {"sweep": sweep}))
        validate(mapping)
        steps_of(mapping, Layout(build(mapping)))
    return str(caught.value)


# Which runs there are


def test_config_yaml_has_no_sweep():
    assert CONFIG["sweep"] == NO_SWEEP
    assert names() == []


def test_one_setting_at_a_time_beside_the_experiment_as_it_stands():
    values = {"lora.rank": [2, 4], "lora.dropout": [0.1]}
    assert names(values=values) == [
        "reference,seed=123",
        "lora.dropout=0.1,seed=123",
        "lora.rank=2,seed=123",
        "lora.rank=4,seed=123",
    ]


def test_every_combination():
    values = {"lora.rank": [2, 4], "lora.alpha": [1, 2]}
    assert names(values=values, combine="product")[1:] == [
        f"lora.alpha={alpha},lora.rank={rank},seed=123" for alpha in (1, 2) for rank in (2, 4)
    ]


@pytest.mark.parametrize("combine", ["each", "product"])
def test_the_order_in_which_a_file_names_settings_changes_nothing(combine):
    values = {"lora.rank": [2, 4], "lora.alpha": [1, 2], "head.bias": [False]}
    runs = {"b": {"lora.rank": 3, "lora.alpha": 3}, "a": {"lora.alpha": 5, "head.bias": False}}
    backwards = {key: dict(reversed(changes.items())) for key, changes in reversed(runs.items())}
    assert names(values=values, runs=runs, combine=combine) == names(
        values=dict(reversed(values.items())), runs=backwards, combine=combine
    )


def test_every_seed_of_every_arm():
    assert names(values={"lora.rank": [2]}, seeds=2) == [
        f"{arm},seed={seed}" for arm in ("reference", "lora.rank=2") for seed in (123, 124)
    ]


def test_seeds_alone_are_a_sweep():
    assert names(seeds=5) == [f"reference,seed={seed}" for seed in range(123, 128)]


def test_what_the_experiment_has_already_is_no_arm_of_its_own():
    assert names(values={"lora.rank": [8, 2], "training.learning_rate": ["2e-3"]}) == [
        "reference,seed=123",
        "lora.rank=2,seed=123",
    ]
    runs = {"small": {"lora.rank": 2, "lora.alpha": 16}}
    assert names(values={"lora.rank": [2]}, runs=runs) == names(values={"lora.rank": [2]})


def test_a_run_may_have_a_name_and_change_several_settings():
    (_, run) = runs_of(build(settings(runs={"small": {"lora.rank": 2, "lora.alpha": 4}})))
    assert (run.name, run.changes) == ("small,seed=123", {"lora.rank": 2, "lora.alpha": 4})


@given(
    st.dictionaries(
        st.sampled_from(["lora.rank", "lora.targets", "head.position"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
        min_size=1,
    )
)
def test_a_name_can_be_that_of_a_folder_whatever_the_values(changes):
    name = arm_name(changes)
    assert not set(name) & set(" /\\{}*?\"'$:;&|<>\n\0")
    assert not name.startswith(".")


def test_values_are_written_as_in_config_yaml():
    assert arm_name({"lora.targets": ["q_proj", "v_proj"]}) == "lora.targets=q_proj+v_proj"
    assert arm_name({"head.bias": False, "training.gradient_clip": None}) == (
        "head.bias=false,training.gradient_clip=none"
    )
    assert arm_name({"training.learning_rate": 0.0005}) == "training.learning_rate=0.0005"


def test_a_curve_has_the_experiments_own_value_in_its_place():
    values = {"lora.rank": [16, 2], "lora.dropout": [0.1], "lora.variant": ["dora", "rslora"]}
    assert curves_of(build(settings(values=values))) == {
        "lora.rank": [
            {"value": 2, "arm": "lora.rank=2"},
            {"value": 8, "arm": "reference"},
            {"value": 16, "arm": "lora.rank=16"},
        ]
    }


# Mistakes


def test_a_setting_that_is_none_names_the_nearest():
    assert "did you mean lora.rank?" in complaint(values={"lora.rnk": [2]})


@pytest.mark.parametrize("key", ["base.name", "seed", "training.device", "evaluation.errors"])
def test_a_setting_that_no_run_can_have_to_itself_is_refused(key):
    words = "is no setting that a run can change"
    assert f"sweep.values.{key} {words}" in complaint(values={key: [1]})
    assert f"sweep.runs.other.{key} {words}" in complaint(runs={"other": {key: 1}})


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({"values": {1: [2]}}, "sweep.values.1 is no setting"),
        ({"runs": {"a": {1: 2}}}, "sweep.runs.a.1 is no setting"),
        ({"values": []}, "expected a mapping of settings"),
        ({"values": {"lora.rank": 4}}, "sweep.values.lora.rank is 4; expected a list of values"),
        ({"values": {"lora.rank": [4, 4]}}, "expected a list of values that all differ"),
        ({"runs": {"a": None}}, "sweep.runs.a is null; expected a mapping of settings"),
        ({"seeds": 0}, "sweep.seeds is 0"),
    ],
)
def test_what_is_no_sweep_is_refused_in_a_line(sweep, words):
    assert words in complaint(**sweep)


def test_a_run_whose_settings_are_not_valid_is_named():
    message = complaint(values={"lora.rank": [0]})
    assert message.startswith("sweep, run lora.rank=0,seed=123: configuration: lora.rank is 0")
    message = complaint(values={"lora.targets": [["no_such_layer"]]})
    assert message.startswith("sweep, run lora.targets=no_such_layer,seed=123: ")
    assert "no_such_layer" in message.partition("123: ")[2]
    twice = {"twice": {"lora.injections": 2, "lora.variant": "dora"}}
    assert "sweep, run twice,seed=123" in complaint(runs=twice)


def test_names_that_would_be_one_folder_are_refused():
    values = {"lora.targets": [["h[.]0[.].*"], ["h(.)0(.).*"]]}
    assert "two arms would be called lora.targets=h_._0_._._" in complaint(values=values)


def test_a_name_that_no_file_can_have_is_refused():
    values = {"lora.targets": [[f"h.{block}.attn.q_proj" for block in range(12)]]}
    assert "of at most 200; name it in sweep.runs" in complaint(values=values)


def test_the_reference_is_no_name_for_a_run():
    assert "sweep.runs.reference" in complaint(runs={"reference": {"lora.rank": 2}})


def test_a_baseline_that_is_not_measured_has_no_seeds():
    assert "full is not among evaluation.baselines" in complaint(baselines=["full"])


@pytest.mark.parametrize("name", ["../up", "a b", "a,b", ""])
def test_a_run_has_a_name_that_can_be_that_of_a_folder(name):
    assert "sweep.runs is" in complaint(runs={name: {"lora.rank": 2}})


# What runs share


def places(**sweep) -> dict[str, str]:
    found = places_of(Layout(build(settings(**sweep))))
    return {key: folder.as_posix() for key, folder in found.items() if "@" in key}


def test_a_run_goes_its_own_way_from_the_first_stage_that_its_changes_concern():
    assert list(places(values={"training.epochs": [1]})) == [
        "evaluate@reference,seed=123",
        "train@training.epochs=1,seed=123",
        "evaluate@training.epochs=1,seed=123",
    ]
    stages = ("inject", "gradcheck", "train", "evaluate")
    assert list(places(values={"lora.rank": [2]}))[1:] == [
        f"{stage}@lora.rank=2,seed=123" for stage in stages
    ]
    assert list(places(values={"split.train_share": [0.5]}))[1] == (
        "split@split.train_share=0.5,seed=123"
    )


def test_the_seeds_of_an_arm_share_messages_and_adapters_and_train_each_their_own():
    assert list(places(values={"lora.rank": [2]}, seeds=2)) == [
        "evaluate@reference,seed=123",
        *("train@reference,seed=124", "evaluate@reference,seed=124"),
        *(f"{stage}@lora.rank=2,seed=123" for stage in ("inject", "gradcheck", "train")),
        "evaluate@lora.rank=2,seed=123",
        *("train@lora.rank=2,seed=124", "evaluate@lora.rank=2,seed=124"),
    ]


def test_a_step_reads_where_its_run_shares():
    mapping = settings(values={"lora.rank": [2]}, seeds=2)
    steps = steps_of(mapping, Layout(build(mapping)))
    layout = steps["train@lora.rank=2,seed=124"].layout
    first = HOME / "runs" / "lora.rank=2,seed=123"
    assert layout.folder("split") == HOME / "split"
    assert layout.folder("inject") == first / "inject"
    assert layout.folder("gradcheck") == first / "gradcheck"
    assert layout.folder("train") == HOME / "runs" / "lora.rank=2,seed=124" / "train"
    assert layout.base_files == Layout(build(mapping)).base_files


def test_a_step_has_the_settings_of_its_run_and_no_sweep():
    mapping = settings(values={"lora.rank": [2]}, seeds=2)
    found = steps_of(mapping, Layout(build(mapping)))["train@lora.rank=2,seed=124"].settings
    alone = {"lora.rank": 2, "seed": 124, "evaluation.baselines": []}
    assert found == merge(mapping, nested(alone)) | {"sweep": NO_SWEEP}


def test_baselines_with_seeds_are_trained_beside_the_reference_alone():
    found = places(values={"lora.rank": [2]}, seeds=2, baselines=["head_only"])
    assert {key: folder for key, folder in found.items() if "baseline" in key} == {
        "baseline_head_only@reference,seed=124": (
            "results/embedded/runs/reference,seed=124/baselines/head_only"
        )
    }


def test_steps_and_places_agree_and_the_sweep_comes_after_all_runs():
    mapping = settings(values={"lora.rank": [2], "split.seed": [7]}, seeds=2)
    layout = Layout(build(mapping))
    steps = steps_of(mapping, layout)
    assert {key: step.folder for key, step in steps.items()} == places_of(layout)
    assert list(steps) == list(places_of(layout))
    assert list(steps)[-2:] == ["sweep", "report"]
    assert set(changes_of(layout)) == {key for key in steps if "@" in key}


def test_the_sweep_reads_what_every_run_leaves():
    mapping = settings(values={"lora.rank": [2]}, seeds=2, baselines=["head_only"])
    layout = Layout(build(mapping))
    folders = set(places_of(layout).values())
    files = files_of_runs(layout)
    assert {path.parent for path in files} <= folders
    assert len([path for path in files if path.parent.name == "evaluate"]) == 4
    assert HOME / "baselines" / "head_only" / "predictions.csv" in files
    assert len(files) == len(set(files))
