"""The claims ledger: every number of the published lab report beside what is measured here.

A claim is a row of `id`, `claim`, `published`, `measured`, `verdict` and `explanation`. What is
known before training is ledgered then, by the stage `inject`, from the lab's model as
`loralab.model.lab_model` measures it; a finished run's own figures complete the rows on training.
"""

from collections.abc import Iterator

from loralab.reporting.numbers import percent

REPRODUCED, CORRECTED = "reproduced", "corrected"
REFUTED, NOT_COMPARABLE = "refuted", "not comparable"

# The SMS Spam Collection and the weights of GPT-2 124M that the lab used.
LAB_DATA_SHA256 = "7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d"
LAB_WEIGHTS_SHA256 = "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707"

# What the lab's published run trained with, by the keys of config.yaml. Its adapters were injected
# twice, which a run may correct and still be compared.
LAB_RECIPE = {
    "seed": 123,
    "data.parser": "lab",
    "split.protocol": "lab",
    "split.seed": 123,
    "split.train_share": 1.0,
    "lora.variant": "lora",
    "lora.rank": 8,
    "lora.alpha": 16,
    "lora.dropout": 0.0,
    "lora.rank_pattern": {},
    "lora.alpha_pattern": {},
    "lora.targets": "all-linear",
    "lora.exclude": [],
    "lora.layers.first": 0,
    "lora.layers.last": None,
    "lora.fan_in": "in_features",
    "head.bias": True,
    "head.position": "last_token",
    "training.epochs": 1,
    "training.batch_size": 8,
    "training.learning_rate": 0.0005,
    "training.loraplus_lr_ratio": 1.0,
    "training.weight_decay": 0.01,
    "training.schedule": "constant",
    "training.warmup": 0.0,
    "training.gradient_clip": None,
    "training.dropout": 0.1,
    "training.max_length": 256,
    "training.padding": "lab",
    "training.drop_last": True,
    "training.early_stopping": None,
    "training.precision": "float32",
}

COUNTED = {
    "trainable": "trainable parameters",
    "total": "parameters in total",
    "percent": "trainable share in percent",
}
PUBLISHED_INJECTED = {"trainable": 1_327_104, "total": 164_364_288, "percent": 0.81}
PUBLISHED_WITH_HEAD = {"trainable": 2_655_746, "total": 127_095_554, "percent": 2.09}
PUBLISHED_WITH_GRADIENT, PUBLISHED_FROZEN_WITHOUT = 288, 197
TWICE = ", LoRA injected twice on purpose"
LAB_RANK = LAB_RECIPE["lora.rank"]


def claims_before_training(
    once: dict, twice: dict, check_cannot_fail: bool, split: dict, data_sha256: str
) -> list[dict]:
    """The ledger as it stands before training.

    Args:
        once, twice: the lab's model measured with one injection and with two, as
            `loralab.model.lab_model.measure_lab_model` returns it.
        check_cannot_fail: whether the lab's gradient check passes on a model that cannot learn.
        split: contents of split.json.
        data_sha256: of the experiment's messages.
    """
    return [
        *_count_claims(once, twice),
        _head_claim(once),
        *_gradient_claims(once, twice),
        _check_claim(check_cannot_fail),
        *_data_claims(split, data_sha256 == LAB_DATA_SHA256),
        *_training_claims(),
    ]


def differences_from_the_lab(settings: dict, data_sha256: str, weights_sha256: str) -> list[str]:
    """Everything in which a run departs from the published one, but for the double injection.

    `settings` are nested mappings that hold every key of `LAB_RECIPE`.
    """
    differences = []
    if data_sha256 != LAB_DATA_SHA256:
        differences.append("other messages")
    if weights_sha256 != LAB_WEIGHTS_SHA256:
        differences.append("not the weights of GPT-2 124M")
    for key, lab in LAB_RECIPE.items():
        value = settings
        for part in key.split("."):
            value = value[part]
        if value != lab:
            differences.append(f"{key} {'none' if value is None else value}")
    return differences


def with_training_figures(
    claims: list[dict], training: dict, metrics: dict, differences: list[str], injections: int
) -> list[dict]:
    """The ledger with the run's own figures beside the published ones on training.

    Args:
        claims: the ledger before training.
        training, metrics: contents of training.json and metrics.json.
        differences: what `differences_from_the_lab` found.
        injections: how often the adapters were injected.

    One training of a model is one draw of many, so that of its figures only the test accuracy, by
    its interval, can reproduce the published one or not, and only where the run does as the lab.
    """
    first, test = training["epoch_metrics"][0], metrics["splits"]["test"]
    measured = {
        "training.seconds": round(first["seconds"], 1),
        "training.loss": round(first["running_loss"], 4),
        "training.train_accuracy": round(100 * first["running_accuracy"], 2),
        "training.test_accuracy": round(100 * test["accuracy"], 2),
    }
    return [
        claim
        if claim["id"] not in measured
        else claim
        | {"measured": measured[claim["id"]]}
        | _training_verdict(claim, test, differences, injections)
        for claim in claims
    ]


def _training_verdict(claim: dict, test: dict, differences: list[str], injections: int) -> dict:
    if claim["id"] == "training.seconds":
        return {"explanation": "The first epoch of this run, on the machine that ran it."}
    is_decisive = claim["id"] == "training.test_accuracy"
    if differences:
        why = f"This run differs: {', '.join(differences)}."
        return {"explanation": why if is_decisive else "This run differs; see the test accuracy."}
    if not is_decisive:
        return {"explanation": "One random run beside another; the test accuracy decides."}
    low, high = (100 * bound for bound in test["accuracy_ci95"])
    inside = low <= claim["published"] <= high
    once = " The published run trained adapters injected twice." if injections == 1 else ""
    return {
        "verdict": REPRODUCED if inside else CORRECTED,
        "explanation": f"The published figure lies {'inside' if inside else 'outside'} this "
        f"run's 95 % interval, {low:.1f} to {high:.1f}.{once}",
    }


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
    injected, head = once["language_model"], "with the two-class head"
    untied = (
        f"The head is untied from the embedding: {injected['total'] - injected['trainable']:,} + "
        f"{injected['trainable'] // LAB_RANK:,} × rank."
    )
    mistake = (
        "The notebook injected LoRA twice, in the loading cell and in the next; once is right."
    )
    on_purpose = (
        f"Two adapters on each layer give the published figure: 2 × {injected['trainable']:,} "
        f"+ {twice['head']:,}; it is rank 16 at alpha 32, reported as rank 8."
    )
    rows = [
        ("injection", "of GPT-2 124M after injection at rank 8", PUBLISHED_INJECTED, once, untied),
        ("classifier", head, PUBLISHED_WITH_HEAD, once, mistake),
        ("double_injection", f"{head}{TWICE}", PUBLISHED_WITH_HEAD, twice, on_purpose),
    ]
    for group, which, published, model, why in rows:
        measured = model["language_model" if group == "injection" else "classifier"]
        for key, words in COUNTED.items():
            yield _compared(
                f"{group}.{key}", f"{words} {which}", published[key], measured[key], why
            )


def _head_claim(once: dict) -> dict:
    increase = PUBLISHED_WITH_HEAD["trainable"] - PUBLISHED_INJECTED["trainable"]
    return _claim(
        "head.explains_increase",
        "the new head explains the increase in trainable parameters (Q3)",
        increase,
        once["head"],
        REPRODUCED if once["head"] == increase else REFUTED,
        f"The head has {once['head']:,} parameters; the rest of the published increase is the "
        "second injection.",
    )


def _gradient_claims(once: dict, twice: dict) -> Iterator[dict]:
    having = "parameter tensors with a gradient"
    yield _compared(
        "gradients.with",
        having,
        PUBLISHED_WITH_GRADIENT,
        once["with_gradient"],
        f"{once['modules']} adapted layers have one A and one B each; the report counted two "
        "injections.",
    )
    yield _compared(
        "gradients.without",
        "frozen tensors without a gradient",
        PUBLISHED_FROZEN_WITHOUT,
        once["frozen_without"],
        "2 embeddings, 16 tensors in each of 12 blocks, 2 of the final norm, 1 head.",
    )
    yield _compared(
        "double_injection.gradients.with",
        f"{having}{TWICE}",
        PUBLISHED_WITH_GRADIENT,
        twice["with_gradient"],
        f"Two injections make {twice['modules']} adapters, which is where the published figure "
        "comes from.",
    )


def _check_claim(cannot_fail: bool) -> dict:
    return _claim(
        "gradients.success",
        "the gradient check prints SUCCESS, so the right parameters learn",
        "SUCCESS",
        f"{'SUCCESS' if cannot_fail else 'failure'} with every B frozen",
        REFUTED if cannot_fail else REPRODUCED,
        "The lab's check passes if any trainable tensor has a gradient and any frozen one has "
        "none; here it was given a model whose every B is frozen, which cannot learn.",
    )


def _data_claims(split: dict, is_lab_data: bool) -> Iterator[dict]:
    """What the report says of the messages; compared where the experiment does the same."""
    tables, protocol = split["splits"], split["protocol"]
    other = "" if is_lab_data else "This experiment reads other messages."
    unbalanced = other or (
        "" if split["balance"] == "undersample" else "This experiment does not balance the classes."
    )
    otherwise = other or (
        "" if protocol == "lab" else f"This experiment splits by protocol {protocol}."
    )
    share = split["train_share"]
    shortened = otherwise or (
        "" if share == 1 else f"This experiment keeps {percent(share)} of the training messages."
    )
    quoting = (
        "One message a line is right. pandas' default quoting fuses some into others and reads "
        "5572 (data.parser lab)."
    )
    all_spam = "All spam and as many ham."
    cut = "The first four fifths of the shuffled messages are train, the rest test."
    read, train, test = split["messages"], tables["train"]["n"], tables["test"]["n"]
    yield _data_claim("messages", "messages in the collection", 5572, read, quoting, other)
    yield _data_claim(
        "balanced", "messages after balancing", 1494, split["balanced"], all_spam, unbalanced
    )
    yield _data_claim("train", "training messages", 1195, train, cut, shortened)
    yield _data_claim("test", "test messages", 299, test, cut, otherwise)


def _data_claim(
    name: str, claim: str, published: int, measured: int, why: str, why_not: str
) -> dict:
    """Compared, explained by `why`; or not, where there is a reason `why_not`."""
    if why_not:
        return _claim(f"data.{name}", claim, published, None, NOT_COMPARABLE, why_not)
    return _compared(f"data.{name}", claim, published, measured, why)


def _training_claims() -> Iterator[dict]:
    """What the notebook says of its training."""
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
    later = "Known after training: claims.json beside report.md has the run's own figure."
    for name, (claim, published) in notebook.items():
        yield _claim(name, f"{claim}, in the notebook", published, None, NOT_COMPARABLE, later)
