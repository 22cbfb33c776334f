"""Looking at the tasks of a Trio run."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeAlias

import trio

from ..contract import Kernel, Label
from ..inspection import TaskRecord

# The labels of children, as groups have told them, by what each of them runs.
Labels: TypeAlias = Mapping[Coroutine[Any, Any, None], Label]


class RunKernel(Kernel, Protocol):
    """What the parts of this kernel ask of the whole."""

    labels: dict[Coroutine[Any, Any, None], Label]
    """The labels of the children of groups, by what each of them runs."""
    watches_steps: bool
    """Whether each step of the run is looked at: see `cleaning.py`."""


def record(task: trio.lowlevel.Task, labels: Labels) -> TaskRecord:
    """Describe a Trio task. A child of a group shows the coroutine that the user gave."""
    nursery = task.parent_nursery
    parent = None if nursery is None else id(nursery.parent_task)
    label = labels.get(task.coro)
    coro = task.coro if label is None else label.coro
    return TaskRecord(id(task), parent, task.name, coro, task, label)


def tasks(
    root: trio.lowlevel.Task | None, detached: Iterable[trio.lowlevel.Task], labels: Labels
) -> Iterator[TaskRecord]:
    """Describe the main task of the run, detached tasks, and all below, not Trio's own system tasks."""
    if root is None:
        return
    main = _main_nursery(root)
    pending = [*(main.child_tasks if main is not None else ()), *detached]
    for task in pending:
        yield record(task, labels)
        for nursery in task.child_nurseries:
            pending.extend(list(nursery.child_tasks))


def is_main(task: trio.lowlevel.Task, root: trio.lowlevel.Task | None) -> bool:
    """Tell whether a task is the main task of the run."""
    return root is not None and task.parent_nursery is _main_nursery(root)


def _main_nursery(root: trio.lowlevel.Task) -> trio.Nursery | None:
    """Return the nursery of the main task: the last of the root's, whose others are Trio's own."""
    nurseries = root.child_nurseries
    return nurseries[-1] if nurseries else None
