# The configuration, checked once, and what every rule shares.
import os
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from loralab.allocator import mimalloc_environment
from loralab.config import STAGE_SETTINGS, build, runtime_settings
from loralab.config_file import default_threads, restore_types, takes_gpu, validate
from loralab.errors import LoralabError
from loralab.model.shapes import base_shape, linear_layers
from loralab.model.targets import choose
from loralab.provenance import canonical_json
from loralab.stages.layout import Layout
from loralab.stages.steps import expected_fingerprints, files_of_runs, steps_of
from loralab.verification import ASKED_FOR, NEVER_RAN, examine

try:
    config = restore_types(config)
    validate(config)
    LAYOUT = Layout(build(config))
    choose(linear_layers(base_shape(LAYOUT.config.base)), LAYOUT.config.lora)
    STEPS = steps_of(config, LAYOUT)
    # A fixed number, whatever --cores says: on a CPU the last bits of a result depend on it, so it is part of
    # the fingerprint.
    THREADS = default_threads()
except LoralabError as error:
    raise WorkflowError(str(error))

DATASET, MESSAGES = LAYOUT.dataset, LAYOUT.messages
TOKENIZER, TOKENIZER_FILES = LAYOUT.tokenizer, LAYOUT.tokenizer_files
BASE, BASE_FILES = LAYOUT.base, LAYOUT.base_files
LOGS = f"logs/{config['experiment']}"
ENVIRONMENT = "../../environment.yml"

# Settings that make nothing stale travel in the environment: Snakemake compares `params` and commands.
os.environ["LORALAB_RUNTIME"] = canonical_json(runtime_settings(config))


envvars:
    "LORALAB_RUNTIME",


# Jobs share the processors where more cores are promised than there are. A thread that waits must not keep one from
# another's work there; elsewhere it had better stay awake, as what it waits for comes soon.
if (workflow.cores or 1) > os.cpu_count():
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


# What jobs allocate by; it changes how fast they are, and no result.
os.environ.update(mimalloc_environment(os.environ))


# `python` in a rule is the one that runs Snakemake, also where its environment is not activated.
os.environ.update(PATH=f"{os.path.dirname(sys.executable)}{os.pathsep}{os.getenv('PATH')}")


# Of the resource `gpu` profiles/default has one: a GPU gets one job at a time, a CPU as many as it has cores for.
GPU = int(takes_gpu(config["training"]["device"]))


# What decides the outputs of each step: its code, its settings, its packages, its threads.
FINGERPRINTS = expected_fingerprints(STEPS, THREADS)

# A string for all rules: Snakemake puts a rule's shell command together only when the rule runs, after the
# loops over the steps. Settings and threads travel in the fingerprint.
COMMAND = (
    "python -m loralab.stages.{params.stage} --fingerprint {params.fingerprint:q} "
    "--places {params.places:q} --log {log:q}"
)


def steps(stage):
    """The steps of the stages so named: the experiment's, and those that runs of its sweep have to themselves."""
    return [step for step in STEPS.values() if step.stage.startswith(stage)]


def fingerprint_of(step):
    """The fingerprint as one string: Snakemake compares parameters without their names."""
    return canonical_json(FINGERPRINTS[step.key])


def places_for(step):
    """Where what a run shares with others lies."""
    return canonical_json({k: v.as_posix() for k, v in step.layout.elsewhere.items()})


def figure(step, name, category):
    """A figure of the step as an output that Snakemake's own report shows."""
    caption = f"../report/{name.removesuffix('.png')}.rst"
    return report(f"{step.folder}/{name}", caption=caption, category=category, subcategory=step.run)


def outputs_so_far():
    """Every output of the rules that stand above."""
    return [path for rule in workflow.rules for path in rule.output]


def by_content(key, *files):
    """These files as the input of a step's rule, which reruns where their content changed, not their times."""
    groups = [[entry] if isinstance(entry, (str, Path)) else entry for entry in files]
    paths = [str(path) for group in groups for path in group]

    def inputs(wildcards):
        # `ancient` only where all holds: it would also keep a stage from following the one before.
        return paths if key in stale_steps(workflow.dag) else [ancient(path) for path in paths]

    return inputs


@cache
def stale_steps(dag):
    """The steps whose manifest does not hold and those that rest on them, which Snakemake is made to run.

    Its own notes know nothing of edited results, nothing at all where `.snakemake/` was lost, and call a result
    incomplete that was published whole; a manifest, which is written last, knows better. Asked while the inputs
    are gathered: after the command line was read and before anything is planned.
    """
    if not workflow.is_main_process:
        return set()  # one job of a plan, on another machine
    forced = {
        r.name for r in workflow.rules if r in dag.forcerules or dag.forcefiles & set(r.output)
    }
    places = {key: step.folder for key, step in STEPS.items()}
    reasons = examine(places, FINGERPRINTS, forced)
    nothing_yet = all(NEVER_RAN in why for why in reasons.values())
    for key, why in reasons.items():
        found = [reason for reason in why if reason != ASKED_FOR]
        if found and not nothing_yet:
            logger.info(f"{key} must run: {'; '.join(found)}")
    stale = {key for key, why in reasons.items() if why}
    dag.ignore_incomplete = True
    dag.forcerules.update(rule for rule in workflow.rules if rule.name in stale)
    return stale


def local_files(section, *names):
    """The local file that a section's source names, so that a change of it reruns the stage."""
    settings = config[section]
    if settings["source"] != "file":
        return []
    paths = [f"{settings['folder']}/{n}" for n in names] if names else [settings["file"]]
    for path in paths:
        if not os.path.isfile(path):
            raise WorkflowError(f"{section}.source is file, and {path} is no file")
        if set("{}") & set(path):
            raise WorkflowError(
                f"{section}: Snakemake takes braces in {path} for wildcards; rename it"
            )
    return paths


def baseline_inputs(stage):
    """What a baseline reads beside the messages: the base model, where it is made from that."""
    return TOKENIZER_FILES + BASE_FILES if "base.name" in STAGE_SETTINGS[stage] else []


def pretraining_outputs():
    """The loss of the language model, where the base model is pretrained here."""
    is_pretrained = config["base"]["source"] == "embedded"
    return [f"{BASE}/loss.csv", f"{BASE}/loss.png"] if is_pretrained else []


def pretraining_inputs():
    """The tokenizer, where the base model is pretrained here."""
    if config["base"]["source"] != "embedded":
        return local_files("base")
    return TOKENIZER_FILES
