"""What every stage has in common: its command line, its manifest, its errors.

A stage reads files, calls the library and writes files. Its outputs appear together when it ends
well, with a manifest that says what they were made of; when it fails, nothing appears.
"""

import argparse
import json
import logging
import os
import platform
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_limits

from loralab.config import Config, build, runtime_settings, stage_settings
from loralab.config_file import (
    THREADS_VARIABLE,
    default_threads,
    load_mapping,
    merge,
    restore_types,
    validate,
)
from loralab.errors import LoralabError, explain, is_out_of_memory, raise_all
from loralab.provenance import (
    MANIFEST,
    canonical_json,
    check_loaded_modules,
    fingerprint,
    hash_files,
    sha256_text,
    whole_or_nothing,
    write_manifest,
)
from loralab.stages.layout import Layout

log = logging.getLogger("loralab")

RUNTIME_VARIABLE = "LORALAB_RUNTIME"


@dataclass(frozen=True)
class Job:
    """One run of a stage: its settings, where its inputs lie, and the folder it writes in.

    `identity` names its code, settings, packages and inputs by one hash; `state` is a folder for
    what an interrupted run leaves to the next, removed when the stage ends well.
    """

    config: Config
    layout: Layout
    folder: Path
    threads: int
    identity: str
    state: Path


@dataclass(frozen=True)
class Stage:
    """A stage as the runner sees it.

    `outputs` are names in its folder that it always writes; `memory_advice` says what to change
    where memory does not suffice.
    """

    name: str
    summary: str
    inputs: Callable[[Layout], list[Path]]
    outputs: tuple[str, ...]
    run: Callable[[Job], None]
    memory_advice: str = "use a machine with more, or a smaller base model"

    @property
    def module(self) -> str:
        return f"loralab.stages.{self.name}"


def main(stage: Stage, arguments: list[str] | None = None) -> None:
    """Run `stage` from the command line and end the process with its exit status."""
    options = _parse(stage, arguments)
    try:
        _start_logging(options.log)
    except OSError as error:
        sys.exit(_complain(stage, f"--log {options.log}: {error.strerror}"))
    sys.exit(_guarded(stage, options))


def _parse(stage: Stage, arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m {stage.module}",
        description=stage.summary,
        epilog=f"Writes {', '.join(stage.outputs)} and {MANIFEST}.",
    )
    settings = parser.add_mutually_exclusive_group(required=True)
    settings.add_argument(
        "--config",
        action="append",
        metavar="SOURCE",
        help="a YAML file or an inline mapping such as '{training: {epochs: 2}}'; "
        "repeat it, later over earlier, beginning with config.yaml",
    )
    settings.add_argument(
        "--fingerprint",
        metavar="JSON",
        help="what the pipeline planned this job with: settings, code and packages; "
        "the stage refuses to run where the code or the packages have changed since",
    )
    parser.add_argument(
        "--runtime",
        metavar="JSON",
        default=os.environ.get(RUNTIME_VARIABLE, "{}"),
        help=f"settings that make nothing stale (default: ${RUNTIME_VARIABLE})",
    )
    parser.add_argument(
        "--threads",
        type=_positive,
        help=f"with --config: CPU threads to compute with (default: ${THREADS_VARIABLE} or 2); "
        "a fingerprint holds its own",
    )
    parser.add_argument(
        "--places",
        metavar="JSON",
        default="{}",
        help="of a run of a sweep: the folder of each stage that does not lie where the "
        "experiment's own does",
    )
    parser.add_argument("--log", type=Path, metavar="FILE", help="write progress here as lines")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdecimal() or len(text) > 4 or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _start_logging(file: Path | None) -> None:
    """Lines go to the log file; a person without one reads them on the terminal."""
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(file, mode="w", encoding="utf-8") if file else None
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=[handler] if handler else None,
        force=True,
    )


def _guarded(stage: Stage, options: argparse.Namespace) -> int:
    """Run the stage; whatever goes wrong becomes one clear line and an exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: nothing is left lying
    try:
        _execute(stage, options)
        return 0
    except LoralabError as error:
        return _complain(stage, str(error))
    except OSError as error:
        return _complain(stage, explain(error))
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it was heard
        _complain(stage, "interrupted; nothing half-written is left")
        return 130
    except Exception as error:  # a defect of loralab: the log keeps the traceback
        log.error("%s", traceback.format_exc())
        where = options.log or "above"
        reason = f"{type(error).__name__}: {error}"
        return _complain(stage, f"internal error ({reason}); the traceback is in the log: {where}")


def _complain(stage: Stage, message: str) -> int:
    if any(isinstance(h, logging.FileHandler) for h in logging.getLogger().handlers):
        log.error("error: %s", message)
    print(f"loralab {stage.name}: error: {message}", file=sys.stderr)
    return 1


def _execute(stage: Stage, options: argparse.Namespace) -> None:
    started = time.monotonic()
    made_of, runtime = _settings(stage, options)
    config = build(merge(made_of["settings"], runtime))
    threads = made_of.get("threads", 1)
    threadpool_limits(threads)  # of numpy, scipy and scikit-learn: their sums depend on it
    layout = Layout(config, elsewhere=_places(options.places))
    inputs = _existing(stage.inputs(layout), layout)
    target = layout.folder(stage.name)
    read = hash_files(inputs, relative_to=target)
    times = {path: path.stat().st_mtime_ns for path in inputs}
    identity = sha256_text(canonical_json({"fingerprint": made_of, "inputs": read}))
    state = layout.state / stage.name / target
    with whole_or_nothing(target) as folder:
        with _memory_explained(stage):
            stage.run(Job(config, layout, folder, threads, identity, state))
        check_loaded_modules(stage.module)
        _check_outputs(stage, folder)
        _check_unchanged(times, read, target)
        manifest = {
            "stage": stage.name,
            "fingerprint": made_of,
            "inputs": read,
            "outputs": hash_files((p for p in folder.rglob("*") if p.is_file()), folder),
            "seconds": round(time.monotonic() - started, 3),
            "peak_memory_bytes": peak_memory_bytes(),
            "machine": _machine(threads),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        write_manifest(folder / MANIFEST, manifest)
    shutil.rmtree(state, ignore_errors=True)
    log.info("%s done in %.1f s", stage.name, time.monotonic() - started)


def _settings(stage: Stage, options: argparse.Namespace) -> tuple[dict, dict]:
    """The stage's fingerprint, its settings within, and the settings that make nothing stale."""
    if options.config:
        mapping = restore_types(load_mapping(options.config))
        validate(mapping)
        settings = stage_settings(mapping, stage.name)
        threads = options.threads or default_threads()
        return fingerprint(stage.module, settings, threads), runtime_settings(mapping)
    planned = _json_object("--fingerprint", options.fingerprint)
    settings, threads = planned.get("settings"), planned.get("threads")
    made_of = fingerprint(stage.module, settings, threads)
    if canonical_json(made_of) != canonical_json(planned):
        raise LoralabError(
            "the code or the installed packages changed after this job was planned; "
            "run snakemake again"
        )
    return made_of, _json_object("--runtime", options.runtime)


def _places(text: str) -> dict[str, Path]:
    return {stage: Path(folder) for stage, folder in _json_object("--places", text).items()}


def _json_object(option: str, text: str) -> dict:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LoralabError(f"{option} is no JSON ({error}); it comes from the pipeline") from None
    if not isinstance(value, dict):
        raise LoralabError(f"{option} is no JSON object; it comes from the pipeline")
    return value


def _existing(paths: list[Path], layout: Layout) -> list[Path]:
    missing = [path for path in paths if not path.is_file()]
    made = [p for p in missing if layout.results in p.parents or layout.resources in p.parents]
    given = [path for path in missing if path not in made]
    names = ", ".join(map(str, made))
    problems = [f"{names}: run the stages before this one"] if made else []
    problems += [f"{path}: the configuration names it, and it is no file" for path in given]
    raise_all(problems, "missing input")
    return paths


@contextmanager
def named_for_the_user(path: Path, name: str) -> Iterator[None]:
    """Let errors speak of `name` where they name `path`, a file that is gone when they are read."""
    try:
        yield
    except LoralabError as error:
        raise LoralabError(str(error).replace(str(path), name)) from None


@contextmanager
def _memory_explained(stage: Stage) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        told = ". ".join(str(error).split(". ")[:2]) or "MemoryError"  # torch goes on at length
        raise LoralabError(f"memory does not suffice ({told}); {stage.memory_advice}") from None


def _check_unchanged(times: dict[Path, int], read: dict[str, dict], target: Path) -> None:
    """Raise where an input is no longer what it was at the start; one merely touched still is."""
    touched = [path for path, time_ns in times.items() if path.stat().st_mtime_ns != time_ns]
    changed = [str(p) for p in touched if not hash_files([p], target).items() <= read.items()]
    if changed:
        raise LoralabError(
            f"{', '.join(changed)} changed while the stage ran, which mixed old and new; run again"
        )


def _check_outputs(stage: Stage, folder: Path) -> None:
    missing = [name for name in stage.outputs if not (folder / name).is_file()]
    if missing:
        raise LoralabError(f"the stage ended without writing {', '.join(missing)}")


def peak_memory_bytes() -> int:
    """Largest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _machine(threads: int) -> dict:
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
    }


def _processor() -> str:
    """The processor's name as Linux tells it, else as the platform does."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
