"""Looking at the tasks of a Trio run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import trio

from ..inspection import TaskRecord


def record(task: trio.lowlevel.Task) -> TaskRecord:
    """Describe a Trio task. A child of a group shows the coroutine that the user gave."""
    nursery = task.parent_nursery
    parent = None if nursery is None else id(nursery.parent_task)
    label = _label(task.coro)
    coro = task.coro if label is None else label.coro
    return TaskRecord(id(task), parent, task.name, coro, task, label)


def _label(coro: Any) -> Any:
    """Return the handle of a child of a group, where its coroutine is around the user's."""
    frame = getattr(coro, "cr_frame", None)
    if frame is not None and coro.__qualname__ == "TaskGroup._run":
        return frame.f_locals.get("handle")
    return None


def tasks(strays: Iterable[trio.lowlevel.Task]) -> Iterator[TaskRecord]:
    """Describe the main task of the run, our strays, and all below, not Trio's own system tasks."""
    root = trio.lowlevel.current_root_task()
    if root is None:
        return
    main = _main_nursery(root)
    pending = [*(main.child_tasks if main is not None else ()), *strays]
    while pending:
        task = pending.pop(0)
        yield record(task)
        for nursery in task.child_nurseries:
            pending.extend(nursery.child_tasks)


def _main_nursery(root: trio.lowlevel.Task) -> trio.Nursery | None:
    """Return the nursery of the main task: the last of the root's, whose others are Trio's own."""
    nurseries = root.child_nurseries
    return nurseries[-1] if nurseries else None
