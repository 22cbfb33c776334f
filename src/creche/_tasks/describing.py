"""What is said of a task group: its state, and what a task waits for in it. Owns no state."""

# Groups and handles are one thing in several files.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING

from .._wait_description import WaitDescription

if TYPE_CHECKING:
    from .group import TaskGroup
    from .info import TaskInfo


def state_of(group: TaskGroup) -> str:
    nursery = group._nursery
    if nursery is None:
        return "not entered"
    if not group._open:
        return "closed"
    count = len(nursery.children())
    return f"active, {count} task{'s' * (count != 1)}"


def describe_wait(group: TaskGroup, task: TaskInfo) -> WaitDescription | None:
    """Describe the wait of a task whose frame is in the group itself."""
    nursery = group._nursery
    if nursery is None:
        return None
    starts, kernel = group._starts, task._kernel
    caller = None if kernel is None else kernel.task_of(task._native)
    child = None if caller is None or starts is None else starts.get(caller)
    if child is not None:
        return WaitDescription("started() from", "started()", tasks=(child,))
    children = nursery.children()
    what = "the end of" if children else "the end of its task group"
    return WaitDescription(what, "the end of all", tasks=children, needs_all=True)
