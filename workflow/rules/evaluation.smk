# What the adapter is measured against, on the same messages; then the adapter itself, there and on other texts, and
# what its answers come from.


for step in steps("baseline"):

    rule:
        name:
            step.key
        input:
            by_content(
                step.key,
                list(step.layout.split_files.values()),
                baseline_inputs(step.stage),
            ),
        output:
            f"{step.folder}/predictions.csv",
            f"{step.folder}/baseline.json",
            f"{step.folder}/manifest.json",
        log:
            f"{LOGS}/{step.key}.log",
        benchmark:
            f"{LOGS}/{step.key}.benchmark.tsv"
        conda:
            ENVIRONMENT
        threads: THREADS if baseline_inputs(step.stage) else 1
        resources:
            mem_mb=8000,
            runtime=240,
            gpu=GPU if baseline_inputs(step.stage) else 0,
        params:
            stage=step.stage,
            fingerprint=fingerprint_of(step),
            places=places_for(step),
        shell:
            COMMAND


for step in steps("evaluate"):

    rule:
        name:
            step.key
        input:
            by_content(
                step.key,
                list(step.layout.split_files.values()),
                step.layout.baseline_files,
                step.layout.adapter_files,
                TOKENIZER_FILES,
                BASE_FILES,
            ),
        output:
            f"{step.folder}/predictions.csv",
            f"{step.folder}/metrics.json",
            f"{step.folder}/errors.csv",
            f"{step.folder}/baseline_predictions.csv",
            figure(step, "confusion.png", "Evaluation"),
            figure(step, "roc.png", "Evaluation"),
            figure(step, "precision_recall.png", "Evaluation"),
            figure(step, "calibration.png", "Evaluation"),
            figure(step, "baselines.png", "Evaluation"),
            f"{step.folder}/manifest.json",
        log:
            f"{LOGS}/{step.key}.log",
        benchmark:
            f"{LOGS}/{step.key}.benchmark.tsv"
        conda:
            ENVIRONMENT
        threads: THREADS
        resources:
            mem_mb=4000,
            runtime=240,
            gpu=GPU,
        params:
            stage=step.stage,
            fingerprint=fingerprint_of(step),
            places=places_for(step),
        shell:
            COMMAND


for step in steps("robustness"):

    rule:
        name:
            step.key
        input:
            by_content(
                step.key,
                list(step.layout.split_files.values()),
                step.layout.adapter_files,
                TOKENIZER_FILES,
                BASE_FILES,
            ),
        output:
            f"{step.folder}/robustness.json",
            f"{step.folder}/predictions.csv",
            figure(step, "robustness.png", "Evaluation"),
            f"{step.folder}/manifest.json",
        log:
            f"{LOGS}/{step.key}.log",
        benchmark:
            f"{LOGS}/{step.key}.benchmark.tsv"
        conda:
            ENVIRONMENT
        threads: THREADS
        resources:
            mem_mb=4000,
            runtime=60,
            gpu=GPU,
        params:
            stage=step.stage,
            fingerprint=fingerprint_of(step),
            places=places_for(step),
        shell:
            COMMAND


for step in steps("explain"):

    rule:
        name:
            step.key
        input:
            by_content(
                step.key,
                step.layout.split_files["test"],
                step.layout.folder("evaluate") / "predictions.csv",
                step.layout.adapter_files,
                TOKENIZER_FILES,
                BASE_FILES,
            ),
        output:
            f"{step.folder}/attributions.json",
            f"{step.folder}/adapter_change.csv",
            figure(step, "attributions.png", "Explanation"),
            figure(step, "adapter_change.png", "Explanation"),
            f"{step.folder}/manifest.json",
        log:
            f"{LOGS}/{step.key}.log",
        benchmark:
            f"{LOGS}/{step.key}.benchmark.tsv"
        conda:
            ENVIRONMENT
        threads: THREADS
        resources:
            mem_mb=8000,
            runtime=240,
            gpu=1,
        params:
            stage=step.stage,
            fingerprint=fingerprint_of(step),
            places=places_for(step),
        shell:
            COMMAND
