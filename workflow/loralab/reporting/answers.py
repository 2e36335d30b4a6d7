"""The report's sentences: each question of the lab answered from the run's own numbers."""

import pandas as pd

from loralab.reporting.inputs import method_name
from loralab.reporting.numbers import SIGNIFICANT, number, p_value, percent


def answers(found: dict, settings: dict) -> dict[str, str | list[str]]:
    """The lab's questions Q1 to Q5, the gradient check and the baselines, in sentences.

    Args:
        found: what `loralab.reporting.report.read_artifacts` returned.
        settings: those the stage `report` reads, as nested mappings.
    """
    split, test = found["split"], found["metrics"]["splits"]["test"]
    return {
        "q1": _structure_answer(found["parameters"], settings["lora"]),
        "q2": _count_answer(found["parameters"]),
        "q3": _head_answer(found["parameters"]),
        "gradients": _gradient_answer(found["gradients"]),
        "q4": _training_answer(found["training"], split, found["history"]),
        "q5": _test_answer(found["metrics"], split, test),
        "baselines": _baseline_answers(found["metrics"]),
    }


def _structure_answer(parameters: dict, lora: dict) -> str:
    return (
        f"{adapted_layers(parameters, lora)} linear layers became `LoRALinear`: the layer "
        f"itself, now frozen, as `base`, and beside it A and B of rank "
        f"{_range(parameters['ranks'])}"
        f"{' and the lengths of the rows of its weight' if lora['variant'] == 'dora' else ''}"
        f"{', nested ' + str(lora['injections']) + ' times' if lora['injections'] > 1 else ''}. "
        "Embeddings, norms and the output head are as they were."
    )


def _count_answer(parameters: dict) -> str:
    before, after = parameters["language_model"]["before"], parameters["language_model"]
    return (
        f"Of {after['total']:,} parameters {after['trainable']:,} are trainable, "
        f"{after['percent']:.2f} %. Before injection there were {before['total']:,}, all of them "
        "trainable. The head onto the vocabulary is counted apart from the token embedding, as in "
        "the lab."
    )


def _head_answer(parameters: dict) -> str:
    before, after = parameters["language_model"], parameters["classifier"]
    head = parameters["head_parameters"]
    grown, shrunk = after["trainable"] / before["trainable"], before["total"] / after["total"]
    return (
        f"The head onto the vocabulary goes and one of {head:,} parameters comes: "
        f"{after['trainable']:,} of {after['total']:,} are trainable, {after['percent']:.2f} % "
        f"instead of {before['percent']:.2f} %. The new head is "
        f"{percent(head / after['trainable'])} of what is trained: the trainable count becomes "
        f"{grown:.3f} times what it was, the total {1 / shrunk:.3f} times. So the share changes "
        "mostly because "
        f"{'the old head is gone' if shrunk > grown else 'the new head is trained'}."
    )


def _gradient_answer(gradients: dict) -> str:
    model = gradients["language_model"]
    return (
        "Passed (otherwise the run had ended there). Before the head: "
        f"{model['trainable_with_gradient']} trainable tensors have a gradient, "
        f"{model['trainable_without_gradient']} have none; {model['frozen_without_gradient']} "
        f"frozen tensors have none, {model['frozen_with_gradient']} have one. At the first step "
        f"{model['zero_at_start']} gradients are exactly zero: those of every A, because every B "
        "is zero. With the head, "
        f"{gradients['classifier']['trainable_with_gradient']} tensors have a gradient and "
        f"{gradients['classifier']['frozen_without_gradient']} frozen ones have none. After real "
        "optimiser steps the frozen weights were unchanged, and every tensor of adapters and head "
        "had moved."
    )


def _training_answer(training: dict, split: dict, history: pd.DataFrame) -> str:
    epochs = training["epoch_metrics"]
    kept = epochs[training["best_epoch"] - 1]
    counts = split["splits"]["train"]
    largest = max(v for k, v in counts.items() if k != "n") / counts["n"]
    verdict = "exceeds" if kept["train_accuracy"] > largest else "does not exceed"
    return (
        f"{_trend(epochs, history['loss'])} The adapter is that of epoch {kept['epoch']}"
        f"{' (early stopping)' if kept is not epochs[-1] else ''}; its train accuracy, without "
        f"dropout, is {percent(kept['train_accuracy'])} (running: "
        f"{percent(kept['running_accuracy'])}). Always answering the most frequent label would "
        f"give {percent(largest)}, which it {verdict}. {training['steps']} steps took "
        f"{training['seconds']:.1f} s."
    )


def _trend(epochs: list[dict], losses: pd.Series) -> str:
    """How the losses developed, turning points included; within the epoch, where there is one."""
    first, last = epochs[0], epochs[-1]
    if len(epochs) == 1:
        tenth = max(1, len(losses) // 10)
        return (
            f"Over the one epoch the loss went from {number(losses[:tenth].mean())} to "
            f"{number(losses[-tenth:].mean())} (means of the first and of the last tenth of the "
            f"{len(losses)} steps); "
            f"its mean is {number(last['running_loss'])}."
        )
    lowest = min(epochs, key=lambda epoch: epoch["running_loss"])
    text = (
        f"The running loss went from {number(first['running_loss'])} in epoch 1 to "
        f"{number(last['running_loss'])} in epoch {last['epoch']}"
    )
    if lowest is not last:
        text += f", lowest in epoch {lowest['epoch']} ({number(lowest['running_loss'])})"
    if last["validation_loss"] is None:
        return f"{text}."
    best = min(epochs, key=lambda epoch: epoch["validation_loss"])
    if best is last:
        return (
            f"{text}; the validation loss ended at its lowest, {number(best['validation_loss'])}."
        )
    return (
        f"{text}; the validation loss was lowest in epoch {best['epoch']} "
        f"({number(best['validation_loss'])}) and ended at {number(last['validation_loss'])}."
    )


def _test_answer(metrics: dict, split: dict, test: dict) -> str:
    train = metrics["splits"]["train"]
    low, high = test["accuracy_ci95"]
    gap = round(100 * (test["accuracy"] - train["accuracy"]), 1)
    compared = f"{abs(gap)} points {'above' if gap > 0 else 'below'}" if gap else "the same"
    inside = low <= train["accuracy"] <= high
    leak = split["leakage"]["near"]
    return (
        f"Test accuracy is {percent(test['accuracy'])}, train {percent(train['accuracy'])}: test "
        f"is {compared}. The train accuracy lies "
        f"{'inside' if inside else 'outside'} the 95 % interval of the test accuracy "
        f"({percent(low)} to {percent(high)}). "
        f"{leak['n']} of the {test['n']} test messages ({percent(leak['share'])}) have a near twin "
        "in train."
    )


def _baseline_answers(metrics: dict) -> list[str]:
    """One sentence a baseline: who was right where the other was wrong, and what follows."""
    return [
        f"Against {method_name(name)}: the adapter alone is right on "
        f"{found['only_first_right']} messages, the baseline alone on "
        f"{found['only_second_right']}; exact McNemar p {p_value(found['p_value'])}, adjusted "
        f"{p_value(found['p_holm'])}. " + _conclusion(found)
        for name, found in metrics["comparisons"].items()
    ]


def _conclusion(found: dict) -> str:
    if found["p_holm"] >= SIGNIFICANT:
        return "These messages do not tell the two apart."
    better = found["only_first_right"] > found["only_second_right"]
    return "The adapter is better." if better else "The baseline is better."


def adapter_sentence(parameters: dict, lora: dict) -> str:
    """Which adapters there are, and on how many layers."""
    name = {"lora": "LoRA", "rslora": "rsLoRA", "dora": "DoRA"}[lora["variant"]]
    return (
        f"{name} of rank {_range(parameters['ranks'])}, alpha {_range(parameters['alphas'])} on "
        f"{adapted_layers(parameters, lora)} linear layers"
    )


def _range(values: list[float]) -> str:
    return f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g} to {values[-1]:g}"


def adapted_layers(parameters: dict, lora: dict) -> int:
    """Layers with an adapter; fewer than adapters where they were injected more than once."""
    return parameters["adapted_modules"] // lora["injections"]
