"""Contestants visited in turns, so that the drifts of a shared machine hit all alike."""

import logging
from collections.abc import Callable

from loralab.training.labelled import LabelledTexts

from benchmarks.conditions import Conditions
from benchmarks.contestants import CONTESTANTS
from benchmarks.visits import plan_visit
from benchmarks.worker import ContestantFailed, Worker

log = logging.getLogger("benchmarks")


class Race:
    """What was clocked so far, and who is left out because it failed."""

    def __init__(self, train: LabelledTexts, conditions: Conditions):
        self.train, self.conditions = train, conditions
        self.workers: dict[str, Worker] = {}
        self.clocked: dict[str, dict] = {}
        self.left_out: dict[str, str] = {}

    def run(
        self, names: list[str], rounds: int, steps: int, after_round: Callable[[], None]
    ) -> None:
        """Start all, visit each once to warm up, then `rounds` times for `steps` steps each."""
        try:
            for name in names:
                self._start(name)
            for number in range(rounds + 1):
                for name in list(self.workers):
                    self._visit(name, number, rounds, steps)
                after_round()
        finally:
            for worker in self.workers.values():
                worker.stop()

    def _start(self, name: str) -> None:
        try:
            self.workers[name] = Worker(name, self.train, self.conditions)
            log.info("%s is built", name)
        except ContestantFailed as failure:
            self._leave_out(name, failure)

    def _visit(self, name: str, number: int, rounds: int, steps: int) -> None:
        lengths, batching = self.train.texts.lengths, CONTESTANTS[name].batching
        visit = plan_visit(lengths, batching, number, rounds, steps)
        try:
            answer = self.workers[name].take(visit.batches)
        except ContestantFailed as failure:
            self._leave_out(name, failure)
            return
        seconds = answer["seconds"] / visit.share
        log.info("%s: %s: %.4g s per epoch", _which(number, rounds), name, seconds)
        if number > 0:
            self._note(name, seconds, answer["peak_memory_bytes"])

    def _note(self, name: str, seconds: float, peak_memory_bytes: int) -> None:
        empty = {"seconds_per_epoch": [], "details": self.workers[name].details}
        told = self.clocked.setdefault(name, empty)
        told["seconds_per_epoch"].append(seconds)
        told["peak_memory_bytes"] = peak_memory_bytes

    def _leave_out(self, name: str, failure: ContestantFailed) -> None:
        log.error("%s is left out: %s", name, failure)
        self.left_out[name] = str(failure)
        self.clocked.pop(name, None)
        if worker := self.workers.pop(name, None):
            worker.stop()


def _which(number: int, rounds: int) -> str:
    return f"round {number} of {rounds}" if number else "warm-up"
