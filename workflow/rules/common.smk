# The configuration, checked once, and what every rule shares.
import os
import sys

from snakemake.exceptions import WorkflowError

from loralab.config import Base, Lora, build, runtime_settings, stage_settings
from loralab.config_file import default_threads, restore_types, validate
from loralab.errors import LoralabError
from loralab.model.shapes import base_shape, linear_layers
from loralab.model.targets import choose
from loralab.provenance import canonical_json, fingerprint

try:
    config = restore_types(config)
    validate(config)
    choose(linear_layers(base_shape(build(config["base"], Base))), build(config["lora"], Lora))
    # A fixed number, whatever --cores says: on a CPU the last bits of a result depend on it, so it is part of
    # the fingerprint.
    THREADS = default_threads()
except LoralabError as error:
    raise WorkflowError(str(error))

RUN = f"results/{config['experiment']}"
DATASET = f"resources/data/{config['data']['dataset']}"
MESSAGES = f"{DATASET}/messages.{config['data']['format']}"
TOKENIZER = f"resources/tokenizer/{config['tokenizer']['name']}"
BASE = f"resources/base/{config['base']['name']}"
TOKENIZER_FILES = [f"{TOKENIZER}/{n}" for n in ("vocab.bpe", "encoder.json", "manifest.json")]
BASE_FILES = [f"{BASE}/{n}" for n in ("model.safetensors", "config.json", "manifest.json")]
ADAPTER = f"{RUN}/train/adapter"
ADAPTER_FILES = [
    f"{ADAPTER}/adapter_model.safetensors",
    f"{ADAPTER}/adapter_config.json",
    f"{RUN}/train/manifest.json",
]
LOGS = f"logs/{config['experiment']}"
ENVIRONMENT = "../../environment.yml"

# Settings that make nothing stale travel in the environment: Snakemake compares `params` and commands.
os.environ["LORALAB_RUNTIME"] = canonical_json(runtime_settings(config))


envvars:
    "LORALAB_RUNTIME",


# `python` in a rule is the one that runs Snakemake, also where its environment is not activated.
os.environ.update(PATH=f"{os.path.dirname(sys.executable)}{os.pathsep}{os.getenv('PATH')}")


def stage_fingerprint(stage):
    """One string that changes exactly when the stage's code, settings, packages or threads do."""
    settings = stage_settings(config, stage)
    return canonical_json(fingerprint(f"loralab.stages.{stage}", settings, THREADS))


def command(stage):
    """The shell command of a stage; its settings and its threads travel in the fingerprint."""
    return (
        f"python -m loralab.stages.{stage} --fingerprint {{params.fingerprint:q}} --log {{log:q}}"
    )


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


def pretraining_outputs():
    """The loss of the language model, where the base model is pretrained here."""
    is_pretrained = config["base"]["source"] == "embedded"
    return [f"{BASE}/loss.csv", f"{BASE}/loss.png"] if is_pretrained else []


def pretraining_inputs():
    """The tokenizer, where the base model is pretrained here."""
    if config["base"]["source"] != "embedded":
        return local_files("base")
    return TOKENIZER_FILES
