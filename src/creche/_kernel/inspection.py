"""Looking at the tasks of a loop: what the kernel contract says of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from .contract import Task


class TaskRecord(NamedTuple):
    """A task as `TaskInfo` shows it. `native` is the loop's own task object."""

    id: int
    parent_id: int | None
    name: str
    coro: Any
    native: Any
    label: Any = None
    """The `Label` of a child of a group, None of any other task."""


class Inspection(Protocol):
    """The part of a kernel that tells of tasks."""

    def tasks(self) -> Iterable[TaskRecord]:
        """Describe every task that has not ended."""
        ...

    def record(self, native: Any) -> TaskRecord:
        """Describe one task that has not ended, by the loop's own object for it."""
        ...

    def task_of(self, native: Any) -> Task | None:
        """Return the state of a task, by the loop's own object for it; None if it never used Creche."""
        ...

    def is_blocked(self, native: Any) -> bool:
        """Tell whether a task that has not ended waits for something that has not come yet."""
        ...

    def deadline_of(self, native: Any) -> float:
        """Return the earliest deadline that applies to a task: -inf if cancelled, inf if none."""
        ...

    def has_pending_cancellation(self, native: Any) -> bool:
        """Tell whether a cancellation is on its way to a task, from a scope or natively."""
        ...

    async def wait_all_tasks_blocked(self) -> None:
        """Return when every other task waits for something that has not come yet."""
        ...
