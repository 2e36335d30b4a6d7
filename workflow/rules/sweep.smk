# What the runs of the sweep come to, where there is one.


for step in steps("sweep"):

    rule:
        name:
            step.key
        input:
            by_content(
                step.key,
                files_of_runs(LAYOUT),
            ),
        output:
            f"{step.folder}/runs.csv",
            f"{step.folder}/sweep.csv",
            f"{step.folder}/sweep.json",
            figure(step, "sweep.png", "Sweep"),
            figure(step, "sweep_curves.png", "Sweep"),
            f"{step.folder}/manifest.json",
        log:
            f"{LOGS}/{step.key}.log",
        benchmark:
            f"{LOGS}/{step.key}.benchmark.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=4000,
            runtime=60,
        params:
            stage=step.stage,
            fingerprint=fingerprint_of(step),
            places=places_for(step),
        shell:
            COMMAND
