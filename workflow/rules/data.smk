# From labelled messages, wherever they are, to train, validation and test.


rule download:
    input:
        by_content(
            "download",
            local_files("data"),
        ),
    output:
        MESSAGES,
        f"{DATASET}/source.json",
        f"{DATASET}/manifest.json",
    log:
        f"{LOGS}/download.log",
    benchmark:
        f"{LOGS}/download.benchmark.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        stage="download",
        fingerprint=fingerprint_of(STEPS["download"]),
        places=places_for(STEPS["download"]),
    shell:
        COMMAND


for step in steps("split"):

    rule:
        name:
            step.key
        input:
            by_content(
                step.key,
                MESSAGES,
            ),
        output:
            f"{step.folder}/messages.csv",
            f"{step.folder}/train.csv",
            f"{step.folder}/validation.csv",
            f"{step.folder}/test.csv",
            f"{step.folder}/split.json",
            figure(step, "lengths.png", "Data"),
            figure(step, "classes.png", "Data"),
            f"{step.folder}/manifest.json",
        log:
            f"{LOGS}/{step.key}.log",
        benchmark:
            f"{LOGS}/{step.key}.benchmark.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=2000,
            runtime=30,
        params:
            stage=step.stage,
            fingerprint=fingerprint_of(step),
            places=places_for(step),
        shell:
            COMMAND
