"""Looking at the tasks of a loop: what the kernel contract says of it, and which loops there are.

Any thread may look, while the loop runs or stands still: that is what the exception in the contract's
rule on threads is for. What is seen is true of some moment during the call; a task that steps meanwhile
may be shown as it was before or after.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from .contract import Kernel, Task, Waiter


class TaskRecord(NamedTuple):
    """A task as `TaskInfo` shows it. `native` is the loop's own task object."""

    id: int
    parent_id: int | None
    name: str
    coro: Any
    native: Any
    label: Any = None
    """The `Label` of a child of a group, None of any other task."""


class TaskInspection(Protocol):
    """The part of a task that others ask, who do not run in it."""

    def info(self) -> TaskRecord:
        """Describe this task."""
        ...

    def ended(self) -> bool:
        """Tell whether the task has done its last step. In its loop's thread."""
        ...

    def at_end(self, callback: Callable[[], object], /) -> None:
        """Have `callback()` called, in no task or in the one that ends, soon after its last step."""
        ...

    def check_parked(self, waiter: Waiter, /) -> None:
        """Raise the cancellation that has ended the wait on `waiter`, or comes after it, if any.

        From any thread. The task is parked on `waiter`, or was when it was cancelled.
        """
        ...


class Inspection(Protocol):
    """The part of a kernel that tells of tasks. All but the waiting may be called from any thread."""

    @property
    def thread_id(self) -> int:
        """The thread that the loop runs in, as `threading.get_ident` calls it."""
        ...

    @property
    def loop_name(self) -> str:
        """What the loop is called: `"asyncio"`, `"uvloop"`, `"trio"`."""
        ...

    def running(self) -> Any:
        """Return the loop's own object for the task that steps now, None if there is none."""
        ...

    def kind_of(self, native: Any) -> str:
        """Tell of a task outside all groups whether it is `"main"`, `"detached"` or `"native"`."""
        ...

    def waiter_of(self, native: Any) -> Any:
        """Return what a task is parked on, another object in each wait; None if the loop does not tell."""
        ...

    def is_owned(self, record: TaskRecord) -> bool:
        """Tell whether anything but the loop refers to a task, or is told of its end.

        The record is the only one that is kept of the task, and what refers to it besides.
        """
        ...

    def label_of(self, native: Any) -> Any:
        """Return the `Label` of a child of a group that has not ended, None of any other task."""
        ...

    def coroutine_of(self, native: Any) -> Any:
        """Return the coroutine that the loop steps for a task, ours around the user's."""
        ...

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


_loops: dict[int, weakref.ref[Kernel]] = {}
"""Every kernel that lives: one entry for each loop, made once."""


def note_loop(kernel: Kernel) -> None:
    """Have a kernel among the loops of the process, for as long as it lives."""
    key = id(kernel)
    _loops[key] = weakref.ref(kernel, lambda _: _loops.pop(key, None))


def loops() -> list[Kernel]:
    """Return the kernel of every loop that uses Creche, oldest first; some may have ended."""
    kernels = [reference() for reference in list(_loops.values())]
    return [kernel for kernel in kernels if kernel is not None]
