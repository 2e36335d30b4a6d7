for step in steps("train"):

    rule:
        name:
            step.key
        input:
            by_content(
                step.key,
                f"{step.layout.folder('split')}/train.csv",
                f"{step.layout.folder('split')}/validation.csv",
                TOKENIZER_FILES,
                BASE_FILES,
                f"{step.layout.folder('gradcheck')}/gradients.json",
            ),
        output:
            f"{step.folder}/adapter/adapter_model.safetensors",
            f"{step.folder}/adapter/adapter_config.json",
            f"{step.folder}/history.csv",
            f"{step.folder}/training.json",
            figure(step, "curves.png", "Training"),
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
