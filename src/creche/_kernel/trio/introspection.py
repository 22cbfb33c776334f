"""Looking at the tasks of a Trio run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import trio

from ..contract import TaskRecord


def record(task: trio.lowlevel.Task) -> TaskRecord:
    """Describe a Trio task. A child of a group shows the coroutine that the user gave."""
    nursery = task.parent_nursery
    parent = nursery.parent_task if nursery is not None else None
    coro: Any = task.coro
    if getattr(coro, "__name__", "") == "_run" and getattr(coro, "cr_await", None) is not None:
        coro = coro.cr_await
    return TaskRecord(id(task), None if parent is None else id(parent), task.name, coro, task)


def tasks() -> Iterator[TaskRecord]:
    """Describe the main task of the run and all below it, not Trio's own system tasks."""
    root = trio.lowlevel.current_root_task()
    if root is None:
        return
    # The main task is alone in the root's last nursery; system tasks live in the others.
    system = trio.lowlevel.current_trio_token()
    del system
    main = _main_nursery(root)
    pending = list(main.child_tasks) if main is not None else []
    while pending:
        task = pending.pop(0)
        yield record(task)
        for nursery in task.child_nurseries:
            pending.extend(nursery.child_tasks)


def _main_nursery(root: trio.lowlevel.Task) -> trio.Nursery | None:
    """Return the nursery that holds the main task: the innermost one of Trio's first task."""
    nurseries = root.child_nurseries
    return nurseries[-1] if nurseries else None
