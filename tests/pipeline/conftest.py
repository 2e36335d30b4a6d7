"""One small experiment, run once by Snakemake, for all tests of the pipeline."""

import os
from pathlib import Path

import pytest
from project import copy_of_the_project, snakemake

# Python runs this at its start where its folder is on PYTHONPATH: it notes what a stage reads.
NOTE_WHAT_IS_READ = """
import atexit, os, sys
stage = next((word for word in sys.orig_argv if word.startswith("loralab.stages.")), None)
read = set()
def note(event, arguments):
    if event != "open" or isinstance(arguments[0], int):  # a descriptor has no path
        return
    if not arguments[2] & (os.O_WRONLY | os.O_RDWR):
        path = os.path.relpath(os.fsdecode(arguments[0]))
        if path.startswith(("results", "resources")) and ".partial" not in path:
            read.add(path)
def write():
    with open(f"read/{stage}", "w") as file:
        file.write("\\n".join(read))
if stage:
    sys.addaudithook(note)
    atexit.register(write)
"""


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A project folder in which a small experiment has run; `read/` tells what its stages read."""
    folder = tmp_path_factory.mktemp("project")
    copy_of_the_project(folder)
    (folder / "read").mkdir()
    (folder / "read" / "sitecustomize.py").write_text(NOTE_WHAT_IS_READ)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder / "read"), prepend=os.pathsep)
        done = snakemake(folder, "--configfile", "small.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder
