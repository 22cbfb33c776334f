"""What the kernel keeps of each task and scope, and the few things of asyncio that all parts use.

Owns no behaviour. Everything else in this package imports this, and this imports none of it.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from ..contract import Kernel
from ..inspection import TaskRecord

if TYPE_CHECKING:
    from ..cut_off import CutOffs
    from ..scope import Scope

native_cancel = asyncio.Task[Any].cancel
"""asyncio's own `Task.cancel`, also where a subclass overrides it."""
native_uncancel = asyncio.Task[Any].uncancel
running_loop = asyncio._get_running_loop

if sys.version_info >= (3, 12):
    native_task = asyncio.current_task
    native_tasks: dict[asyncio.AbstractEventLoop, asyncio.Task[Any]] = {}
else:
    # asyncio.current_task is written in Python there, at several times the price.
    native_tasks: dict[asyncio.AbstractEventLoop, asyncio.Task[Any]]
    native_tasks = vars(asyncio.tasks)["_current_tasks"]
    native_task = native_tasks.get


def _no_task(_loop: asyncio.AbstractEventLoop, /) -> asyncio.Task[Any] | None:
    return None


python_task: Callable[[asyncio.AbstractEventLoop], asyncio.Task[Any] | None]
python_task = getattr(asyncio.tasks, "_py_current_task", _no_task)
"""Returns the running task if it is of the pure-Python class: from CPython 3.14 on, C does not know those."""


def current_native(loop: asyncio.AbstractEventLoop) -> asyncio.Task[Any] | None:
    """Return the task of any class that runs in the loop of this thread."""
    return native_task(loop) or python_task(loop)


def grant(waiter: asyncio.Future[Any], value: Any = None) -> None:
    """Grant a waiter, unless it is done. For callbacks of the loop."""
    if not waiter.done():
        waiter.set_result(value)


class Timers(Protocol):
    """The deadlines of one loop: see `timers.py`."""

    heap: list[list[Any]]
    order: int
    armed: float

    def arm(self, when: float) -> None: ...
    def add(self, when: float, target: Any) -> Any: ...
    def drop(self, entry: Any) -> None: ...


class Factories(Protocol):
    """The object that has a loop's task factory, under the name that asyncio's own loops use."""

    @property
    def _task_factory(self) -> Any: ...


class LoopKernel(Kernel, Protocol):
    """What the parts of this kernel need of the kernel."""

    loop: asyncio.AbstractEventLoop
    make_future: Callable[[], asyncio.Future[Any]]
    """Makes a waiter."""

    cut_offs: CutOffs | None
    """What tells of clean-ups that are cut off, in debug mode."""

    @property
    def factories(self) -> Factories: ...
    @property
    def timers(self) -> Timers: ...


class TaskState:
    """The kernel's state of one task, Creche's own or a foreign one."""

    # The slots are in the subclasses, for asyncio.Task has a layout of its own. Type checkers would
    # insist on them here if they could read this.
    __slots__ = tuple[str, ...]()

    kernel: LoopKernel
    scope: Scope | None
    credit: int
    shield_depth: int
    """Above 0 while the task waits shielded: nothing is delivered."""
    delivery: Any
    """The task's `Delivery`, None until its first cancellation."""

    if TYPE_CHECKING:  # What each kind has of its own.

        @property
        def native(self) -> asyncio.Task[Any] | None: ...
        def begun(self) -> bool: ...
        def cancelling(self) -> int: ...
        def info(self) -> TaskRecord: ...
        def strike(self, text: object = None) -> None: ...
        def take_back(self, strikes: int) -> None: ...


class ScopeState:
    """What the kernel keeps of an entered scope, in `Scope._native`, where there is something to keep.

    Nothing is kept of most scopes: then it is None, or the bare entry of the scope's deadline.
    """

    __slots__ = ("base", "tasks", "timer")

    base: int
    """Native `Task.cancel()` requests on the host that are older than the scope and were thrown around it:
    neither those that came since, nor one that was not thrown yet."""
    tasks: dict[Any, None]
    """The tasks that began life in the scope, in that order."""
    timer: list[Any] | None
    """The entry of the deadline in the timers."""

    def __init__(self, base: int = 0, timer: list[Any] | None = None) -> None:
        self.base = base
        self.timer = timer
        self.tasks = {}


def state_of(scope: Scope) -> ScopeState:
    """Return what is kept of an entered scope, from now on if there was nothing."""
    state = scope._native
    if not isinstance(state, ScopeState):
        state = scope._native = ScopeState(timer=state)
    return state


def base_of(scope: Scope | None, task: TaskState) -> int:
    """Return the base of a scope for `task`: none of its requests is older than its life."""
    host: Any = scope._host if scope is not None else None
    if scope is None or host is not task:
        return 0
    state = scope._native
    return state.base if isinstance(state, ScopeState) else 0


def requests(task: TaskState) -> int:
    """Count the native cancels of a task that nobody has taken back: those that are not ours."""
    delivery = task.delivery
    return task.cancelling() - (0 if delivery is None else delivery.delivered)


def lower_bases(task: TaskState) -> None:
    """Lower the bases of the task's scopes to the requests that are left, as some were taken back."""
    # Between the `uncancel()` and the `cancel()` of a group of asyncio's there are fewer than ours alone.
    count = max(requests(task), 0)
    scope: Any = task.scope
    while scope is not None and scope._host is task:
        state = scope._native
        if not isinstance(state, ScopeState) or state.base <= count:
            return  # Those further out are older, and have no higher base.
        state.base = count
        scope = scope._parent
