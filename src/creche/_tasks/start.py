"""`TaskStatus`: how a task that was started with `TaskGroup.start()` says that it is ready.

Knows no group and no event loop: how a child moves into its group is the kernel's `move`.
"""

# What makes a task status is beside its class.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from .._kernel import current_kernel
from . import stop as _stop

if TYPE_CHECKING:
    from typing_extensions import TypeVar as DefaultTypeVar

    T_contra = DefaultTypeVar("T_contra", contravariant=True, default=None)
else:
    T_contra = TypeVar("T_contra", contravariant=True)


class TaskStatus(Protocol[T_contra]):
    """What a function started with `TaskGroup.start()` gets as `task_status`."""

    @overload
    def started(self: TaskStatus[None]) -> None: ...

    @overload
    def started(self, value: T_contra) -> None: ...

    def started(self, value: T_contra | None = None) -> None:
        """Say that the task is ready: `start()` returns `value` to its caller.

        :raises RuntimeError: if called a second time
        """


class _IgnoredTaskStatus(TaskStatus[object]):
    """The task status of a function that is called without `start()`."""

    __slots__ = ()

    def started(self, value: object = None) -> None:
        pass

    def __repr__(self) -> str:
        return "TASK_STATUS_IGNORED"


TASK_STATUS_IGNORED = _IgnoredTaskStatus()


class Starting:
    """The task status of a child of `start()`: waiting -> called -> started | abandoned.

    Abandoned means that the caller was cancelled first, so the child does not move into the group.
    If it ends well all the same, `start()` has its value, as in Trio. A call before there is a child,
    by a plain function that returns its coroutine, counts from the child's first step on.
    """

    __slots__ = ("_abandoned", "_called", "_early", "_move", "_started", "_value")

    _abandoned: bool
    _called: bool
    _early: bool
    """Whether there is no child yet."""
    _move: Callable[[], bool] | None
    _started: bool
    _value: Any

    def started(self, value: Any = None) -> None:
        if self._called:
            raise RuntimeError(
                "called 'started' twice on the same task status: call it once, when the task is "
                "ready"
            )
        self._called = True
        self._value = value
        if not self._early:
            self._act()

    def _act(self) -> None:
        """Have the child move, now that there is one."""
        if self._move is not None and self._move():
            self._started = True
            if _stop.ever_asked:  # The group that it has moved into may have been asked to stop.
                _stop.tell(current_kernel())
        else:
            self._abandoned = True

    async def _act_first(self, run: Callable[..., Coroutine[Any, Any, Any]], child: Any) -> Any:
        """Run a child that counts as started already."""
        self._act()
        return await run(child)


def new_starting() -> Starting:
    """Make a task status. A class with slots is slow to go through its own `__init__` (`start` in benchmarks)."""
    status = Starting()
    status._move = status._value = None
    status._called = status._started = status._abandoned = False
    status._early = True
    return status
