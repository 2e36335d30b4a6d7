# Two threads whatever --cores says, so that results do not depend on it; `--set-threads train=8` on larger
# machines.


rule train:
    input:
        f"{RUN}/split/train.csv",
        f"{RUN}/split/validation.csv",
        f"{TOKENIZER}/vocab.bpe",
        ancient(f"{TOKENIZER}/encoder.json"),
        ancient(f"{BASE}/model.safetensors"),
        f"{TOKENIZER}/manifest.json",
        f"{BASE}/manifest.json",
        f"{RUN}/gradcheck/gradients.json",
    output:
        f"{RUN}/train/adapter/adapter_model.safetensors",
        f"{RUN}/train/adapter/adapter_config.json",
        f"{RUN}/train/history.csv",
        f"{RUN}/train/training.json",
        f"{RUN}/train/curves.png",
        f"{RUN}/train/manifest.json",
    log:
        f"{LOGS}/train.log",
    benchmark:
        f"{LOGS}/train.benchmark.tsv"
    conda:
        ENVIRONMENT
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=1,
    params:
        fingerprint=stage_fingerprint("train"),
    shell:
        command("train")
