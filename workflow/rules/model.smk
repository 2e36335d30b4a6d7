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
        stage="tokenizer",
        fingerprint=fingerprint_of(STEPS["tokenizer"]),
        places=places_for(STEPS["tokenizer"]),
    shell:
        COMMAND


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
        stage="weights",
        fingerprint=fingerprint_of(STEPS["weights"]),
        places=places_for(STEPS["weights"]),
    shell:
        COMMAND


for step in steps("inject"):

    rule:
        name:
            step.key
        input:
            by_content(
                step.key,
                BASE_FILES,
                f"{step.layout.folder('split')}/split.json",
                f"{DATASET}/source.json",
            ),
        output:
            f"{step.folder}/plan.csv",
            f"{step.folder}/parameters.json",
            f"{step.folder}/claims.json",
            f"{step.folder}/structure_before.txt",
            f"{step.folder}/structure_after.txt",
            figure(step, "parameters.png", "Model"),
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
            runtime=30,
        params:
            stage=step.stage,
            fingerprint=fingerprint_of(step),
            places=places_for(step),
        shell:
            COMMAND


for step in steps("gradcheck"):

    rule:
        name:
            step.key
        input:
            by_content(
                step.key,
                BASE_FILES,
                f"{step.layout.folder('inject')}/plan.csv",
            ),
        output:
            f"{step.folder}/gradients.csv",
            f"{step.folder}/gradients.json",
            figure(step, "gradients.png", "Model"),
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
            runtime=30,
        params:
            stage=step.stage,
            fingerprint=fingerprint_of(step),
            places=places_for(step),
        shell:
            COMMAND
