"""The published lab report's numbers, each beside what is measured here.

Counts and gradients are measured on a GPT-2 124M of PyTorch's meta device: shapes without numbers,
so that they are the real ones whatever base model an experiment uses.
"""

from collections.abc import Iterator

import torch
from torch.nn import functional

from loralab.model.gpt2 import GPT2, SIZES, replace_head
from loralab.model.lora import count_parameters, inject, plan_adapters

LAB_RANK, LAB_ALPHA = 8, 16
LAB_LABELS = 2

REPRODUCED, CORRECTED = "reproduced", "corrected"
REFUTED, NOT_COMPARABLE = "refuted", "not comparable"


def lab_claims(split: dict, is_real_data: bool) -> list[dict]:
    """Every number of the published report: `id`, `claim`, `published`, `measured`, `verdict`
    and `explanation`. `split` is the experiment's split.json."""
    once, twice = _measure(injections=1), _measure(injections=2)
    return [
        *_count_claims(once, twice),
        *_gradient_claims(once, twice),
        *_data_claims(split, is_real_data),
        *_training_claims(),
    ]


def _measure(injections: int) -> dict:
    """Counts and gradient tensors of the lab's model, adapted once or twice."""
    with torch.device("meta"):
        model = GPT2(SIZES["gpt2"])
        plan = plan_adapters(model, "all-linear", LAB_RANK, LAB_ALPHA)
        for _ in range(injections):
            inject(model, plan, nest=injections > 1)
        ids = torch.zeros(2, 256, dtype=torch.long)
        functional.cross_entropy(model(ids).flatten(0, 1), ids.flatten()).backward()
        found = {"modules": injections * len(plan), "language_model": count_parameters(model)}
        parameters = list(model.parameters())
        found["with_gradient"] = sum(p.grad is not None for p in parameters)
        found["frozen_without"] = sum(p.grad is None and not p.requires_grad for p in parameters)
        found["lab_check_without_b"] = _lab_check_with_every_b_frozen(model, ids)
        replace_head(model, LAB_LABELS, bias=True)
        head = sum(parameter.numel() for parameter in model.head.parameters())
        return found | {"classifier": count_parameters(model), "head": head}


def _lab_check_with_every_b_frozen(model: GPT2, ids: torch.Tensor) -> bool:
    """The lab's criterion on a model that cannot learn: every B frozen, so A gets only zeros."""
    frozen = [p for name, p in model.named_parameters() if name.endswith("lora_B")]
    for parameter in frozen:
        parameter.requires_grad_(False)
    model.zero_grad(set_to_none=True)
    functional.cross_entropy(model(ids).flatten(0, 1), ids.flatten()).backward()
    some_have = any(p.grad is not None for p in model.parameters() if p.requires_grad)
    some_lack = any(p.grad is None for p in model.parameters() if not p.requires_grad)
    for parameter in frozen:
        parameter.requires_grad_(True)
    return some_have and some_lack


def _claim(name: str, claim: str, published, measured, verdict: str, explanation: str) -> dict:
    return {
        "id": name,
        "claim": claim,
        "published": published,
        "measured": measured,
        "verdict": verdict,
        "explanation": explanation,
    }


def _compared(name: str, claim: str, published, measured, explanation: str) -> dict:
    """A claim whose verdict follows from whether the numbers agree."""
    verdict = REPRODUCED if published == measured else CORRECTED
    return _claim(name, claim, published, measured, verdict, explanation)


def _count_claims(once: dict, twice: dict) -> Iterator[dict]:
    words = {
        "trainable": "trainable parameters",
        "total": "parameters in total",
        "percent": "trainable share in percent",
    }
    injected = {"trainable": 1_327_104, "total": 164_364_288, "percent": 0.81}
    with_head = {"trainable": 2_655_746, "total": 127_095_554, "percent": 2.09}
    counts = once["language_model"]
    frozen = counts["total"] - counts["trainable"]
    per_rank = counts["trainable"] // LAB_RANK
    for key, name in words.items():
        yield _compared(
            f"injection.{key}",
            f"{name} of GPT-2 124M after injection at rank 8",
            injected[key],
            once["language_model"][key],
            f"The head is untied from the embedding: {frozen:,} + {per_rank:,} × rank.",
        )
    for key, name in words.items():
        yield _compared(
            f"classifier.{key}",
            f"{name} with the two-class head",
            with_head[key],
            once["classifier"][key],
            "The notebook injected LoRA twice, in the loading cell and in the next; once is right.",
        )
    for key, name in words.items():
        yield _compared(
            f"double_injection.{key}",
            f"{name} with the two-class head, LoRA injected twice on purpose",
            with_head[key],
            twice["classifier"][key],
            f"Two adapters on each layer give the published figure: 2 × {injected['trainable']:,} "
            f"+ {twice['head']:,}; it is rank 16 at alpha 32, reported as rank 8.",
        )
    yield _claim(
        "head.explains_increase",
        "the new head explains the increase in trainable parameters (Q3)",
        with_head["trainable"] - injected["trainable"],
        once["head"],
        REFUTED,
        f"The head has {once['head']:,} parameters; the rest of the published increase is the "
        "second injection.",
    )


def _gradient_claims(once: dict, twice: dict) -> Iterator[dict]:
    yield _compared(
        "gradients.with",
        "parameter tensors with a gradient",
        288,
        once["with_gradient"],
        f"{once['modules']} adapted layers have one A and one B each; the report counted two "
        "injections.",
    )
    yield _compared(
        "gradients.without",
        "frozen tensors without a gradient",
        197,
        once["frozen_without"],
        "2 embeddings, 16 tensors in each of 12 blocks, 2 of the final norm, 1 head.",
    )
    yield _compared(
        "double_injection.gradients.with",
        "parameter tensors with a gradient, LoRA injected twice on purpose",
        288,
        twice["with_gradient"],
        f"Two injections make {twice['modules']} adapters, which is where the published figure "
        "comes from.",
    )
    cannot_fail = once["lab_check_without_b"]
    yield _claim(
        "gradients.success",
        "the gradient check prints SUCCESS, so the right parameters learn",
        "SUCCESS",
        "SUCCESS with every B frozen" if cannot_fail else "failure with every B frozen",
        REFUTED if cannot_fail else REPRODUCED,
        "The lab's check passes if any trainable tensor has a gradient and any frozen one has "
        "none; here it was given a model whose every B is frozen, which cannot learn.",
    )


def _data_claims(split: dict, is_real_data: bool) -> Iterator[dict]:
    """What the report says of the messages; compared where the experiment does the same."""
    tables, protocol = split["splits"], split["protocol"]
    as_the_lab = is_real_data and protocol == "lab"
    balanced = is_real_data and split["balance"] == "undersample"
    stand_in = "This experiment does not read the SMS Spam Collection."
    other_balance = "This experiment does not balance the classes."
    other_split = f"This experiment splits by protocol {protocol}."
    fused = (
        "One message a line is right. pandas' default quoting fuses some into others and reads "
        "5572 (data.parser lab)."
    )
    cut = "The lab's balancing and 80/20 cut."
    rows = [
        ("messages", "messages in the collection", 5572, split["messages"], is_real_data, fused),
        ("balanced", "messages after balancing", 1494, split["balanced"], balanced, other_balance),
        ("train", "training messages", 1195, tables["train"]["n"], as_the_lab, other_split),
        ("test", "test messages", 299, tables["test"]["n"], as_the_lab, other_split),
    ]
    for name, claim, published, measured, comparable, why in rows:
        if comparable:
            explanation = fused if name == "messages" else cut
            yield _compared(f"data.{name}", claim, published, measured, explanation)
        else:
            why = why if is_real_data else stand_in
            yield _claim(f"data.{name}", claim, published, None, NOT_COMPARABLE, why)


def _training_claims() -> Iterator[dict]:
    """What the notebook says of its training. The report sets this run's figures beside."""
    yield _claim(
        "training.interrupted",
        "the training epoch was interrupted and gave no accuracy",
        "interrupted",
        None,
        REFUTED,
        "The report's own notebook ran the epoch to its end: 1646 s, mean loss 0.1980, train "
        "92.20 %, test 97.99 % (293 of 299). The report was typed, not generated.",
    )
    notebook = {
        "training.seconds": ("seconds of the epoch on a CPU", 1646),
        "training.loss": ("mean loss of the epoch", 0.1980),
        "training.train_accuracy": ("running train accuracy in percent", 92.20),
        "training.test_accuracy": ("test accuracy in percent (293 of 299)", 97.99),
    }
    later = "Training comes after this ledger; report.md sets the run's own figure beside it."
    for name, (claim, published) in notebook.items():
        yield _claim(name, f"{claim}, in the notebook", published, None, NOT_COMPARABLE, later)
