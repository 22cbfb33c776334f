"""The workers of this process, threads, processes and interpreters, and what they run.

Owns nothing: those that give them work are asked.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

from .._kernel.inspection import loops
from .._threads.pool import running_calls
from . import numbers
from .model import Worker

if TYPE_CHECKING:
    from .._remote.outcomes import RunningCall

_REMOTE = (("process", "processes", "Processes"), ("interpreter", "interpreters", "Interpreters"))


def workers() -> tuple[Worker, ...]:
    """Describe the workers of all loops that run something."""
    remote = list(_remote())
    interpreters = {worker.task for worker in remote if worker.kind == "interpreter"}
    threads = [_worker("thread", *call) for call in running_calls()]
    # An interpreter runs in a worker thread, which does nothing of its own.
    return *(thread for thread in threads if thread.task not in interpreters), *remote


def _worker(kind: str, name: str, job: Any, since: float) -> Worker:
    return Worker(kind, name, job.name, monotonic() - since, _number(job.task))


def _number(task: Any) -> int | None:
    native = task.info().native
    return None if native is None else numbers.tasks.of(native)


def _remote() -> Iterator[Worker]:
    """Describe the processes and interpreters; a program that has none has not loaded what makes them."""
    package = __name__.partition(".")[0]
    for kind, module, name in _REMOTE:
        pools: Any = getattr(sys.modules.get(f"{package}._remote.{module}"), name, None)
        for kernel in loops() if pools is not None else ():
            pool = kernel.run_vars.get(pools)
            for call in _calls(pool):
                since = monotonic() - call.since
                yield Worker(kind, call.worker, call.func, since, _number(call.task))


def _calls(pool: Any) -> list[RunningCall]:
    while pool is not None:
        try:
            return list(pool.calls.values())
        except RuntimeError:  # It changed meanwhile.
            continue
    return []
