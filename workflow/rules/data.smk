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
        fingerprint=stage_fingerprint("download"),
    shell:
        command("download")


rule split:
    input:
        by_content(
            "split",
            MESSAGES,
        ),
    output:
        f"{RUN}/split/messages.csv",
        f"{RUN}/split/train.csv",
        f"{RUN}/split/validation.csv",
        f"{RUN}/split/test.csv",
        f"{RUN}/split/split.json",
        report(
            f"{RUN}/split/lengths.png",
            caption="../report/lengths.rst",
            category="Data",
        ),
        report(
            f"{RUN}/split/classes.png",
            caption="../report/classes.rst",
            category="Data",
        ),
        f"{RUN}/split/manifest.json",
    log:
        f"{LOGS}/split.log",
    benchmark:
        f"{LOGS}/split.benchmark.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        fingerprint=stage_fingerprint("split"),
    shell:
        command("split")
