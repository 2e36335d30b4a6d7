# Tokenizer and base model; then the adapters: planned, injected, counted, gradient-checked.


rule tokenizer:
    input:
        by_content(
            "tokenizer",
            local_files("tokenizer", "vocab.bpe", "encoder.json"),
        ),
    output:
        f"{TOKENIZER}/vocab.bpe",
        f"{TOKENIZER}/encoder.json",
        f"{TOKENIZER}/manifest.json",
    log:
        f"{LOGS}/tokenizer.log",
    benchmark:
        f"{LOGS}/tokenizer.benchmark.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        fingerprint=stage_fingerprint("tokenizer"),
    shell:
        command("tokenizer")


rule weights:
    input:
        by_content(
            "weights",
            pretraining_inputs(),
        ),
    output:
        f"{BASE}/model.safetensors",
        f"{BASE}/config.json",
        f"{BASE}/tensors.csv",
        pretraining_outputs(),
        f"{BASE}/manifest.json",
    log:
        f"{LOGS}/weights.log",
    benchmark:
        f"{LOGS}/weights.benchmark.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        fingerprint=stage_fingerprint("weights"),
    shell:
        command("weights")


rule inject:
    input:
        by_content(
            "inject",
            BASE_FILES,
            f"{RUN}/split/split.json",
            f"{DATASET}/source.json",
        ),
    output:
        f"{RUN}/inject/plan.csv",
        f"{RUN}/inject/parameters.json",
        f"{RUN}/inject/claims.json",
        f"{RUN}/inject/structure_before.txt",
        f"{RUN}/inject/structure_after.txt",
        report(
            f"{RUN}/inject/parameters.png",
            caption="../report/parameters.rst",
            category="Model",
        ),
        f"{RUN}/inject/manifest.json",
    log:
        f"{LOGS}/inject.log",
    benchmark:
        f"{LOGS}/inject.benchmark.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        fingerprint=stage_fingerprint("inject"),
    shell:
        command("inject")


rule gradcheck:
    input:
        by_content(
            "gradcheck",
            BASE_FILES,
            f"{RUN}/inject/plan.csv",
        ),
    output:
        f"{RUN}/gradcheck/gradients.csv",
        f"{RUN}/gradcheck/gradients.json",
        report(
            f"{RUN}/gradcheck/gradients.png",
            caption="../report/gradients.rst",
            category="Model",
        ),
        f"{RUN}/gradcheck/manifest.json",
    log:
        f"{LOGS}/gradcheck.log",
    benchmark:
        f"{LOGS}/gradcheck.benchmark.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        fingerprint=stage_fingerprint("gradcheck"),
    shell:
        command("gradcheck")
