"""Kill a small experiment at random moments, again and again: it must end as if nothing had been.

`make chaos KILLS=1000` does so for as long as one likes. Who is killed, how and when is drawn from
a seed; what a moment hits also depends on how fast the machine happens to be.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil
from loralab.provenance import MANIFEST, canonical_json, sha256_file, sha256_text
from loralab.verification import examine_as_recorded
from project import PLACES, copy_of_the_project, snakemake, start_snakemake

RUN = ("--configfile", "small.yaml", "--config", "training={save_every: 0.2}")
# Whom to kill, and how. After the third a job works on that no Snakemake waits for any more.
KINDS = {
    "job, SIGKILL": ("job", signal.SIGKILL),
    "all, SIGKILL": ("all", signal.SIGKILL),
    "snakemake, SIGKILL": ("snakemake", signal.SIGKILL),
    "all, SIGTERM": ("all", signal.SIGTERM),
    "all, SIGINT": ("all", signal.SIGINT),
}
OLD_JOB = "another process is making"  # what a stage says where such a job is still at it
# What differs from run to run: how long things took, what interrupted them, on which day.
PASSING = {
    *("seconds", "seconds_per_epoch", "tokens_per_second", "peak_memory_bytes"),
    *("resumed_from", "retrieved"),
}
TOLD_WITH_TIMES = {"results/embedded/report.md", "results/embedded/claims.json"}


class Chaos:
    """A project that is run and killed; `killed` counts the kills by stage and kind."""

    def __init__(self, folder: Path, reference: Path, seed: int):
        copy_of_the_project(folder)
        self.folder, self.log = folder, folder / "chaos.log"
        self.expected, self.seconds = lasting(reference), stage_seconds(reference)
        self.draw = random.Random(seed)
        self.killed: Counter[tuple[str, str]] = Counter()
        self.complete_runs = 0
        self.hung = 0

    def kill(self, times: int) -> None:
        """Start and kill so many times, beginning anew after each complete run; end with one."""
        while self.killed.total() < times:
            if self._run(kill=True):
                self._check_and_begin_anew()
        for _ in range(20):  # each waits for a job that outlived its Snakemake
            if self._run(kill=False):
                break
            time.sleep(1)
        self._check_and_begin_anew()

    def _run(self, kill: bool) -> bool:
        """Run Snakemake, perhaps killed on the way; whether the experiment is complete."""
        if any(self.folder.glob(".snakemake/locks/*")):
            assert snakemake(self.folder, "--unlock").returncode == 0
        with self.log.open("w") as log:
            running = start_snakemake(
                self.folder, *RUN, stdout=log, stderr=log, start_new_session=True
            )
            struck = kill and self._strike(running)
            status = self._end(running, 60 if struck else 600)
        said = self.log.read_text()
        assert "internal error" not in said, said
        assert status == 0 or struck or OLD_JOB in said, said
        return status == 0

    def _strike(self, running: subprocess.Popen) -> bool:
        """Kill at a random moment of one of the next stages; whether it came to that."""
        missing = [s for s, place in places(self.folder).items() if not (place / MANIFEST).exists()]
        by_stage: Counter[str] = Counter()
        for (stages, _), times in self.killed.items():
            by_stage.update(dict.fromkeys(stages.split("+"), times))
        stage = min(missing[:3] or ["report"], key=lambda stage: by_stage[stage])
        kind = self.draw.choice(list(KINDS))
        share = self.draw.uniform(0, 1.1)  # of the stage's time: above 1 it may be done
        while stage not in jobs_of(running):
            if running.poll() is not None:
                return False
            time.sleep(0.02)
        time.sleep(share * self.seconds[stage])
        jobs = jobs_of(running)
        target, number = KINDS[kind]
        if running.poll() is not None or (target == "job" and not jobs):
            return False
        victims = {"job": jobs.values(), "snakemake": [running]}.get(target)
        for process in victims or []:
            with suppress(psutil.NoSuchProcess):  # it ended this moment
                process.send_signal(number)
        if not victims:
            os.killpg(running.pid, number)
        self.killed["+".join(jobs) or "between stages", kind] += 1
        return True

    def _end(self, running: subprocess.Popen, seconds: float) -> int:
        """Wait for Snakemake; kill what hangs on SIGTERM, as the systems that send it do."""
        with suppress(subprocess.TimeoutExpired):
            return running.wait(seconds)
        self.hung += 1
        os.killpg(running.pid, signal.SIGKILL)
        return running.wait()

    def _check_and_begin_anew(self) -> None:
        """Hold a complete run to the one that nothing interrupted, and take it away."""
        found, wanted = lasting(self.folder), self.expected
        different = sorted(n for n in {*found, *wanted} if found.get(n) != wanted.get(n))
        assert not different, f"other content after kills: {different}"
        reasons = examine_as_recorded(places(self.folder))
        assert not any(reasons.values()), f"not sound after kills: {reasons}"
        left = list(self.folder.glob("res*/**/.partial"))
        left += [path for path in self.folder.glob("state/**/*") if path.is_file()]
        assert not left, f"left over after kills: {left}"
        shutil.rmtree(self.folder / "results")
        shutil.rmtree(self.folder / "resources")
        self.complete_runs += 1


def jobs_of(running: subprocess.Popen) -> dict[str, psutil.Process]:
    """The stages that a Snakemake has at work, each with its process."""
    found = {}
    try:
        for process in psutil.Process(running.pid).children(recursive=True):
            words = process.cmdline()
            modules = [w for w in words if w.startswith("loralab.stages.") and " " not in w]
            if modules and "python" in words[0]:
                found[modules[0].rpartition(".")[2]] = process
    except psutil.NoSuchProcess:
        return {}
    return found


def places(folder: Path) -> dict[str, Path]:
    """Where the stages of the small experiment write."""
    return {stage: folder / place for stage, place in PLACES.items()}


def stage_seconds(folder: Path) -> dict[str, float]:
    """How long each stage of a finished run took, its start included."""
    tables = {stage: folder / f"logs/embedded/{stage}.benchmark.tsv" for stage in PLACES}
    return {stage: pd.read_csv(path, sep="\t")["s"][0] for stage, path in tables.items()}


def lasting(folder: Path) -> dict[str, str]:
    """A hash of each result by its path, but for what differs from run to run."""
    files = [p for top in ("results", "resources") for p in folder.glob(f"{top}/**/*.*")]
    names = {p.relative_to(folder).as_posix(): p for p in files if p.is_file()}
    return {
        name: _hash(path)
        for name, path in names.items()
        if path.name != MANIFEST and name not in TOLD_WITH_TIMES
    }


def _hash(path: Path) -> str:
    if path.suffix == ".json":
        return sha256_text(canonical_json(_without_passing(json.loads(path.read_text()))))
    if path.name == "history.csv":
        return sha256_text(pd.read_csv(path, dtype=str).drop(columns="seconds").to_csv())
    return sha256_file(path)


def _without_passing(value: object) -> object:
    if isinstance(value, dict):
        return {k: _without_passing(v) for k, v in value.items() if k not in PASSING}
    return [_without_passing(part) for part in value] if isinstance(value, list) else value


def main() -> None:
    """Make the reference, kill, and say what was killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        reference, folder = Path(name, "reference"), Path(name, "killed")
        for place in (reference, folder):
            place.mkdir()
        copy_of_the_project(reference)
        done = snakemake(reference, *RUN)
        assert done.returncode == 0, done.stdout + done.stderr
        chaos = Chaos(folder, reference, options.seed)
        chaos.kill(options.kills)
    killed = {stage for stages, _ in chaos.killed for stage in stages.split("+")}
    assert options.kills < 60 or killed >= set(PLACES), f"only {sorted(killed)} were killed"
    table = pd.Series(chaos.killed).unstack(fill_value=0)
    table.loc["in all"] = table.sum()
    print(table.assign(total=table.sum(axis=1)).to_string())
    print(
        f"{chaos.killed.total()} kills in {time.monotonic() - started:.0f} s, "
        f"{chaos.complete_runs} complete runs, each with the content of the uninterrupted one; "
        f"{chaos.hung} times Snakemake hung after a signal and was killed"
    )


if __name__ == "__main__":
    main()
