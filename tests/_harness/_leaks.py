"""What a test must not leave behind: threads, file descriptors, tasks, reports of a loop.

`Snapshot` compares the process before and after a test; `LoopReports` collects what asyncio and
Trio log when nobody is left to raise to ("Task exception was never retrieved", "Task was destroyed
but it is pending!"). Coroutines that were never awaited, ResourceWarnings and unraisable
exceptions are pytest's to report (``filterwarnings = error``); they need a garbage collection at
the right time, which `sweep` gives.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import time
from dataclasses import dataclass

import toy_kernel
from creche._registry import LIBRARIES

FD_DIRECTORY = "/proc/self/fd"
# Trio keeps idle workers for ten seconds on purpose, and shares them between runs; Dask keeps one thread;
# processes are started by one thread that stays.
SHARED_THREADS = ("Trio thread ", "Dask-Offload", "creche starts processes")
THREADS_MAY_TAKE = 1.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The threads and the open descriptors of this process at one moment."""

    threads: frozenset[threading.Thread]
    descriptors: frozenset[tuple[str, str]]

    @classmethod
    def take(cls) -> Snapshot:
        threads = (t for t in threading.enumerate() if not t.name.startswith(SHARED_THREADS))
        return cls(frozenset(threads), frozenset(_open_descriptors()))

    def leaks(self) -> list[str]:
        """Say what there is now that was not there then; collects garbage before it accuses."""
        now = Snapshot.take()
        if self._covers(now):
            return []
        sweep()
        give_up = time.monotonic() + THREADS_MAY_TAKE
        while not (self.threads >= (now := Snapshot.take()).threads):
            if time.monotonic() > give_up:
                break
            time.sleep(0.005)
        return [f"thread left running: {thread!r}" for thread in now.threads - self.threads] + [
            f"file descriptor left open: {number} -> {target}"
            for number, target in sorted(now.descriptors - self.descriptors)
        ]

    def _covers(self, other: Snapshot) -> bool:
        return self.threads >= other.threads and self.descriptors >= other.descriptors


def _open_descriptors() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    try:
        numbers = os.listdir(FD_DIRECTORY)
    except OSError:  # not Linux
        return found
    for number in numbers:
        try:
            found.append((number, os.readlink(f"{FD_DIRECTORY}/{number}")))
        except OSError:  # the descriptor that listed the directory
            continue
    return found


class LoopReports(logging.Handler):
    """Collects errors that a loop could only log."""

    LOGGERS = (*LIBRARIES, toy_kernel.RECORD.library, "creche")

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def install(self) -> None:
        for name in self.LOGGERS:
            logging.getLogger(name).addHandler(self)

    def errors(self) -> list[BaseException]:
        """Return the exceptions among the reports so far."""
        infos = [record.exc_info for record in self.records if record.exc_info]
        return [info[1] for info in infos if info[1] is not None]

    def take(self) -> list[str]:
        """Return the texts of what was reported since the last call, and forget it."""
        formatter = logging.Formatter()
        texts = [f"reported by a loop: {formatter.format(record)}" for record in self.records]
        self.records.clear()
        return texts


def other_tasks() -> set[asyncio.Task[object]]:
    """The tasks of the running asyncio loop apart from the current one."""
    return asyncio.all_tasks() - {asyncio.current_task()}


async def tasks_left_since(before: set[asyncio.Task[object]]) -> list[str]:
    """Name the native tasks that a test left running; those about to end get a few passes."""
    for _ in range(3):
        if not other_tasks() - before:
            return []
        await asyncio.sleep(0)
    return [f"asyncio task left running: {task!r}" for task in other_tasks() - before]


def sweep() -> None:
    """Collect garbage, so that whatever warns when it is finalised does so now."""
    gc.collect()


def settle() -> None:
    """Put what exists now out of the collector's sight: sweeps stay cheap for the whole run."""
    gc.collect()
    gc.freeze()
