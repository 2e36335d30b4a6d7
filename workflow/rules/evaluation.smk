# What the adapter is measured against, on the same messages; then the adapter itself.


for baseline in BASELINES:

    rule:
        name:
            f"baseline_{baseline}"
        input:
            by_content(
                f"baseline_{baseline}",
                SPLIT_FILES,
                baseline_inputs(baseline),
            ),
        output:
            f"{RUN}/baselines/{baseline}/predictions.csv",
            f"{RUN}/baselines/{baseline}/baseline.json",
            f"{RUN}/baselines/{baseline}/manifest.json",
        log:
            f"{LOGS}/baseline_{baseline}.log",
        benchmark:
            f"{LOGS}/baseline_{baseline}.benchmark.tsv"
        conda:
            ENVIRONMENT
        threads: THREADS
        resources:
            mem_mb=8000,
            runtime=240,
            gpu=1 if baseline_inputs(baseline) else 0,
        params:
            fingerprint=stage_fingerprint(f"baseline_{baseline}"),
        shell:
            command(f"baseline_{baseline}")


rule evaluate:
    input:
        by_content(
            "evaluate",
            SPLIT_FILES,
            BASELINE_FILES,
            ADAPTER_FILES,
            TOKENIZER_FILES,
            BASE_FILES,
        ),
    output:
        f"{RUN}/evaluate/predictions.csv",
        f"{RUN}/evaluate/metrics.json",
        f"{RUN}/evaluate/errors.csv",
        f"{RUN}/evaluate/baseline_predictions.csv",
        report(
            f"{RUN}/evaluate/confusion.png",
            caption="../report/confusion.rst",
            category="Evaluation",
        ),
        report(
            f"{RUN}/evaluate/roc.png",
            caption="../report/roc.rst",
            category="Evaluation",
        ),
        report(
            f"{RUN}/evaluate/precision_recall.png",
            caption="../report/precision_recall.rst",
            category="Evaluation",
        ),
        report(
            f"{RUN}/evaluate/calibration.png",
            caption="../report/calibration.rst",
            category="Evaluation",
        ),
        report(
            f"{RUN}/evaluate/baselines.png",
            caption="../report/baselines.rst",
            category="Evaluation",
        ),
        f"{RUN}/evaluate/manifest.json",
    log:
        f"{LOGS}/evaluate.log",
    benchmark:
        f"{LOGS}/evaluate.benchmark.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=1,
    params:
        fingerprint=stage_fingerprint("evaluate"),
    shell:
        command("evaluate")
