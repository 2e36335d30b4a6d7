# What the runs of the sweep come to, where there is one.


for step in steps("sweep"):

    rule:
        name:
            step.key
        input:
            by_content(
                step.key,
                [path for evaluated in steps("evaluate@") for path in files_for_the_sweep(evaluated)],
            ),
        output:
            f"{step.folder}/sweep.csv",
            f"{step.folder}/sweep.json",
            figure(step, "sweep.png", "Sweep"),
            f"{step.folder}/manifest.json",
