"""The worker threads of this process, and what they run.

Owns nothing: the pools of threads are asked.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from .._threads.pool import running_calls
from . import numbers
from .model import Worker


def workers() -> tuple[Worker, ...]:
    """Describe the workers of all loops that run something."""
    return tuple(_worker(*call) for call in running_calls())


def _worker(name: str, job: Any, since: float) -> Worker:
    native = job.task.info().native
    task = None if native is None else numbers.tasks.of(native)
    return Worker("thread", name, job.name, monotonic() - since, task)
