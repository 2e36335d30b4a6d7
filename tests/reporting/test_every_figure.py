"""Every figure is a PNG that is the same each time, whatever the reader has set."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib
import pytest
from figure_samples import (
    as_csv,
    as_json,
    attribution_summary,
    baselines_of,
    change_table,
    epoch_metrics,
    good_predictions,
    gradient_table,
    history_table,
    messages_table,
    metrics_summary,
    parameter_summary,
    plan_table,
    pretraining_log,
    robustness_summary,
    split_summary,
)
from loralab.reporting import (
    calibration_figures,
    data_figures,
    evaluation_figures,
    explanation_figures,
    gradient_figures,
    model_figures,
    pretraining_figures,
    ranking_figures,
    robustness_figures,
    sweep_figures,
    training_figures,
)
from PIL import Image
from sweep_samples import sweep_summary

HOMES = {
    "message_lengths": data_figures,
    "class_counts": data_figures,
    "pretraining_loss": pretraining_figures,
    "parameter_counts": model_figures,
    "gradient_flow": gradient_figures,
    "training_curves": training_figures,
    "confusion_matrices": evaluation_figures,
    "roc_curves": ranking_figures,
    "precision_recall_curves": ranking_figures,
    "calibration": calibration_figures,
    "baseline_comparison": evaluation_figures,
    "sweep_overview": sweep_figures,
    "sweep_curves": sweep_figures,
    "robustness": robustness_figures,
    "attributions": explanation_figures,
    "adapter_change": explanation_figures,
}


def all_figures(folder: Path) -> dict[str, Callable[[Path], None]]:
    """Every public function bound to small ordinary artifacts, by name."""
    predictions = as_csv(good_predictions(), folder / "predictions.csv")
    baselines = as_csv(baselines_of(good_predictions()), folder / "baselines.csv")
    metrics = as_json(metrics_summary(), folder / "metrics.json")
    training = as_json({"epoch_metrics": epoch_metrics(3, True)}, folder / "training.json")
    arguments = {
        "message_lengths": [as_csv(messages_table(), folder / "messages.csv")],
        "class_counts": [as_json(split_summary(), folder / "split.json")],
        "pretraining_loss": [as_csv(pretraining_log(), folder / "loss.csv")],
        "parameter_counts": [
            as_csv(plan_table(), folder / "plan.csv"),
            as_json(parameter_summary(), folder / "parameters.json"),
        ],
        "gradient_flow": [as_csv(gradient_table(), folder / "gradients.csv")],
        "training_curves": [as_csv(history_table(3, 20), folder / "history.csv"), training],
        "confusion_matrices": [metrics],
        "roc_curves": [predictions, baselines, "spam"],
        "precision_recall_curves": [predictions, baselines, "spam"],
        "calibration": [metrics],
        "baseline_comparison": [metrics],
        "sweep_overview": [as_json(sweep_summary(), folder / "sweep.json")],
        "sweep_curves": [as_json(sweep_summary(), folder / "sweep.json")],
        "robustness": [as_json(robustness_summary(), folder / "robustness.json")],
        "attributions": [as_json(attribution_summary(), folder / "attributions.json")],
        "adapter_change": [as_csv(change_table(), folder / "adapter_change.csv")],
    }
    functions = {name: getattr(home, name) for name, home in HOMES.items()}
    return {name: partial(functions[name], *given) for name, given in arguments.items()}


@pytest.mark.parametrize("name", HOMES)
def test_every_figure_is_a_small_opaque_png_with_the_same_bytes_each_time(
    name: str, tmp_path: Path
) -> None:
    draw = all_figures(tmp_path)[name]
    first, second = tmp_path / "first", tmp_path / "second.png"
    draw(output=first)
    draw(output=second)
    assert first.read_bytes() == second.read_bytes()
    assert 5_000 < first.stat().st_size < 90_000
    with Image.open(first) as image:
        assert image.format == "PNG"
        assert image.width == 1079
        assert image.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)
        assert not image.info


def test_drawing_leaves_the_settings_of_matplotlib_alone(tmp_path: Path) -> None:
    with matplotlib.rc_context({"font.size": 23}):
        all_figures(tmp_path)["class_counts"](output=tmp_path / "figure.png")
        assert matplotlib.rcParams["font.size"] == 23


def test_settings_of_the_reader_do_not_change_a_figure(tmp_path: Path) -> None:
    draw = all_figures(tmp_path)["calibration"]
    draw(output=tmp_path / "plain.png")
    with matplotlib.rc_context({"font.size": 23, "axes.facecolor": "red"}):
        draw(output=tmp_path / "same.png")
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "same.png").read_bytes()
