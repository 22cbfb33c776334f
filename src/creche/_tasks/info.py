"""`TaskInfo` and the functions that list tasks: which tasks there are, and what they do.

Owns the public picture of a task; the kernel's record of it is where the facts come from. Knows
no event loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import TYPE_CHECKING, Any

from .._kernel import current_kernel, current_task

if TYPE_CHECKING:
    from .._kernel.contract import Kernel, TaskRecord


class TaskInfo:
    """A task as it was when it was asked about. Equal to another of the same task."""

    __slots__ = ("__weakref__", "_kernel", "_native", "coro", "id", "name", "parent_id")

    id: int
    """Unique among the live tasks of the process."""
    parent_id: int | None
    """The `id` of the task whose group it runs in, if there is one."""
    name: str | None
    """What the task was named, else the qualified name of its function."""
    coro: Generator[Any, Any, Any] | Awaitable[Any]
    """The coroutine that the task runs."""

    def __init__(
        self,
        id: int,
        parent_id: int | None,
        name: str | None,
        coro: Generator[Any, Any, Any] | Awaitable[Any],
    ) -> None:
        self.id = id
        self.parent_id = parent_id
        self.name = name
        self.coro = coro
        self._kernel: Kernel | None = None
        self._native: Any = None

    def has_pending_cancellation(self) -> bool:
        """Tell whether the task will be cancelled at its next checkpoint, as things are now."""
        kernel = self._kernel
        return kernel is not None and kernel.has_pending_cancellation(self._native)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TaskInfo):
            return self.id == other.id
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id!r}, name={self.name!r})"


def info_of(record: TaskRecord, kernel: Kernel | None = None) -> TaskInfo:
    """Make the public picture of a task of a loop, the running one if `kernel` is None."""
    info = TaskInfo(record.id, record.parent_id, record.name, record.coro)
    info._kernel = kernel or current_kernel()  # pyright: ignore[reportPrivateUsage]  # the class's maker
    info._native = record.native  # pyright: ignore[reportPrivateUsage]  # as above
    return info


def get_current_task() -> TaskInfo:
    """Return a picture of the running task.

    :raises NoEventLoopError: no event loop runs in this thread
    :raises RuntimeError: a loop runs, but not a task: this is a callback of the loop
    """
    return info_of(current_task().info())


def get_running_tasks() -> list[TaskInfo]:
    """Return a picture of each task of this event loop that has not ended, in no order.

    :raises NoEventLoopError: no event loop runs in this thread
    """
    return [info_of(record) for record in current_kernel().tasks()]


async def wait_all_tasks_blocked() -> None:
    """Wait until every other task of this event loop waits for something. A checkpoint.

    For tests: what the tasks could do without outside help is then done.
    """
    await current_kernel().wait_all_tasks_blocked()
