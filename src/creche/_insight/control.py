"""What a viewer may do to a program that allows it: cancel a task, ask the program to stop.

Owns the two verbs and their lines in the log `creche.insight`, at level WARNING, with the reason. Whether they
are allowed is `answer.py`'s matter. Each is handed to the loop that it is about, as a call from another thread.
"""

# The outermost scope of a task is found by what scopes keep to themselves.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from .._exceptions import RunFinishedError
from .._kernel.inspection import loops
from .._tasks.handle import TaskHandle
from . import numbers
from .collect import snapshot

if TYPE_CHECKING:
    from .._kernel.contract import Kernel, TaskRecord

log = logging.getLogger("creche.insight")


class RefusedError(Exception):
    """Something that cannot be done; the message says why."""


def cancel(task: object, reason: str) -> dict[str, Any]:
    """Cancel one task.

    :param task: its number, or its name if no other task has it
    :raises RefusedError: there is no such task, or it is no child of a group
    """
    number = _number_of(task) if isinstance(task, str) else task
    native = numbers.tasks.find(number) if type(number) is int else None
    if native is None:
        raise RefusedError(f"there is no task {task!r}")
    for kernel, record in _records():
        if record.native is native:
            if not isinstance(record.label, TaskHandle):
                raise RefusedError(f"task {record.name!r} is no child of a task group")
            log.warning("cancelling task %r: %s", record.name, reason)
            _hand_over(kernel, record.label.cancel)
            return {"cancelled": record.name}
    raise RefusedError("the task has ended")


def _number_of(name: str) -> int:
    found = [task for task in snapshot().tasks if name in (task.name, task.full_name)]
    if not found:
        raise RefusedError(f"there is no task {name!r}")
    if len(found) > 1:
        numbers_ = ", ".join(str(task.id) for task in found[:10])
        raise RefusedError(
            f"{len(found)} tasks are called {name!r}: give a number, such as {numbers_}"
        )
    return found[0].id


def stop(reason: str, grace: object) -> dict[str, Any]:
    """Ask the main task of each loop to stop, by its outermost scope.

    :param grace: seconds until it is cancelled
    :raises RefusedError: no main task is in a scope
    """
    if not isinstance(grace, int | float) or not grace >= 0:
        raise RefusedError(f"grace must be a number of seconds, 0 or more, not {grace!r}")
    stopped: list[str] = []
    for kernel, record in _records():
        if kernel.kind_of(record.native) != "main" or record.label is not None:
            continue
        scope = _outermost(kernel, record)
        if scope is not None:
            until = "" if grace == inf else f", and cancelling it {grace:g} s from now"
            log.warning("asking task %r to stop%s: %s", record.name, until, reason)
            _hand_over(kernel, partial(scope.stop, reason, grace=grace))
            stopped.append(record.name)
    if not stopped:
        raise RefusedError(
            "no main task is in a task group or a cancel scope: there is nothing to stop"
        )
    return {"stopped": stopped}


def _outermost(kernel: Kernel, record: TaskRecord) -> Any:
    state = kernel.task_of(record.native)
    scope: Any = None if state is None else state.scope
    while scope is not None and scope._parent is not None:
        scope = scope._parent
    return scope


def _records() -> Iterator[tuple[Kernel, TaskRecord]]:
    for kernel in loops():
        for record in list(kernel.tasks()):
            yield kernel, record


def _hand_over(kernel: Kernel, call: Any) -> None:
    try:
        kernel.call_soon_threadsafe(call)
    except RunFinishedError:
        raise RefusedError("the event loop has ended") from None
