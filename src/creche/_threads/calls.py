"""A call from a task into a worker thread: `run_sync`, and what a thread knows of its caller.

Owns the call, its limiter's token, and the thread-local that tells a worker for whom it works.
Knows no event loop beyond the contract.

A call:

    waiting for a token --granted--> queued --a worker takes it--> running --> finished
        |                              |                             |
        `--cancelled--> never made     `--the caller leaves--> withdrawn
                                                                     `--the caller leaves--> abandoned

Rules
-----
* The token belongs to the call, not to the task: it goes back when the function has returned,
  however long ago its caller has left. A limiter counts running functions.
* The caller waits shielded, unless it may abandon the call. What cancels it meanwhile is raised
  when the function has returned; the function itself can ask (`from_thread.check_cancelled`).
* A caller that leaves takes back a call that no worker has taken: its function never runs.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from contextvars import Context, copy_context
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack, cast

from .._kernel import current_kernel, current_task
from .._loop.run_var import one_for
from .._misuse import check_callable, check_was_sync
from .._platform import check_there
from .._sync.limiter import CapacityLimiter
from .library import tell_library
from .pool import Pool

if TYPE_CHECKING:
    from .._kernel.contract import FirmWaiter, Kernel, Task
    from .._tasks.group import TaskGroup

T_Retval = TypeVar("T_Retval")
PosArgsT = TypeVarTuple("PosArgsT")

THREADS = 40
"""Tokens of a loop's default limiter, as AnyIO and Trio have."""


class Workers:
    """What one loop has for its calls into threads: the pool, and the default limiter."""

    __slots__ = ("limiter", "pool")

    def __init__(self, kernel: Kernel) -> None:
        check_there("threads")
        simulation = kernel.simulation  # In a simulated run there are no threads.
        self.pool = Pool(kernel) if simulation is None else simulation.pool()
        self.limiter = CapacityLimiter(THREADS)


class _Here(threading.local):
    call: Call | None = None


here = _Here()
"""`here.call`: the call that this thread makes for a task."""


class Call:
    """One call, between the task that waits for it and the worker that makes it."""

    __slots__ = ("abandonable", "abandoned", "args", "context", "error", "func", "group", "kept",
                 "limiter", "name", "result", "task", "waiter")  # fmt: skip

    kept: object

    group: TaskGroup | None
    """Where the loop calls of the function live, from the first one on (`loop_calls.py`)."""

    def __init__(
        self,
        task: Task,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        limiter: CapacityLimiter,
        *,
        abandonable: bool,
    ) -> None:
        self.task = task
        self.func: Callable[..., Any] | None = func
        self.args = args
        self.name: str = getattr(func, "__qualname__", None) or type(func).__qualname__
        self.context = copy_context()
        self.limiter = limiter
        self.waiter = task.make_waiter() if abandonable else task.make_firm_waiter()
        self.abandonable = abandonable
        self.abandoned = False
        self.group = None
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        func, args = self.func, self.args
        assert func is not None, "made once"
        self.func, self.args = None, ()  # What was passed in dies when the function lets it go.
        here.call = self
        try:
            self.context.run(tell_library, None)
            result: Any = self.context.run(func, *args)
            self.result = result
            if isinstance(result, CoroutineType):
                check_was_sync(func, result)
        except BaseException as exc:
            self.error = exc
        here.call = None

    def fail(self, exc: BaseException) -> None:
        self.error = exc

    def finish(self) -> None:
        waiter = self.waiter
        if not waiter.done():
            waiter.set_result(None)
        self.limiter.release_on_behalf_of(self)

    def outcome(self) -> Any:
        """Return what the function returned, or raise what it raised."""
        error = self.error
        if error is None:
            result, self.result = self.result, None  # The other thread may still hold this call.
            return result
        self.error = None  # The frames in its traceback hold the call, and this one holds it.
        try:
            raise error
        finally:
            del error, self


async def run_sync(
    func: Callable[[Unpack[PosArgsT]], T_Retval],
    *args: *PosArgsT,
    abandon_on_cancel: bool = False,
    cancellable: bool | None = None,
    limiter: CapacityLimiter | None = None,
) -> T_Retval:
    """Call `func(*args)` in a worker thread, and return or raise what it does. A checkpoint.

    The function sees a copy of the caller's context variables; what it sets stays there. A caller
    that is cancelled while the function runs waits for it all the same, for a thread cannot be
    stopped from outside: the function may ask with `from_thread.check_cancelled()`.

    :param func: a function that may block
    :param args: its positional arguments
    :param abandon_on_cancel: whether a cancelled caller leaves at once. The function then goes on
        alone, with its token of the limiter, and its outcome goes nowhere. If it still runs when the
        interpreter ends it is cut off there, while a function that was not abandoned is waited for
    :param cancellable: the old name of `abandon_on_cancel`, deprecated
    :param limiter: what bounds the number of functions that run at a time; None for the event
        loop's own, of 40
    :raises RuntimeError: `func` raised StopIteration, which cannot leave a coroutine; or the system
        gives no more threads
    :raises NoEventLoopError: no event loop runs in this thread
    """
    if cancellable is not None:
        abandon_on_cancel = cancellable
        _warn_of_cancellable()
    task = current_task()
    workers = one_for(task.kernel, Workers)
    if limiter is None:
        limiter = workers.limiter
    if not callable(func):
        check_callable("to_thread.run_sync", func)  # type: ignore[unreachable]  # anything may be given
    call = Call(task, func, args, limiter, abandonable=abandon_on_cancel)
    await limiter.acquire_on_behalf_of(call)
    try:
        workers.pool.submit(call)
    except BaseException:
        limiter.release_on_behalf_of(call)
        raise
    if abandon_on_cancel:
        await _wait_or_leave(call, workers.pool.abandon)
    else:
        firm = cast("FirmWaiter", call.waiter)
        first = await firm.wait()
        if first is not None:
            await _receive(call, *first)
    if call.error is not None and isinstance(call.error, task.kernel.cancelled_class):
        await task.checkpoint_if_cancelled()  # The real one, if the function let out a copy of it.
    result: T_Retval = call.outcome()
    return result


async def _receive(call: Call, spawn: Callable[[TaskGroup], None], context: Context) -> None:
    """Be there for what the function runs in the loop, until it has returned. In its caller.

    :param spawn: starts the first of it; the group takes the others by itself
    :param context: that of the thread that asked for it
    """
    from .._tasks.group import create_task_group  # most calls need none

    task = call.task
    async with create_task_group() as group:
        call.group = group
        # A native cancel has to reach what the function waits for, or the function never returns.
        waiter = call.waiter = task.make_firm_waiter(group.cancel_scope.cancel)
        context.run(spawn, group)
        await waiter.wait()
        call.group = None


def _warn_of_cancellable() -> None:
    warnings.warn(
        "The `cancellable=` keyword argument to `creche.to_thread.run_sync` is deprecated: use "
        "`abandon_on_cancel=` instead",
        DeprecationWarning,
        stacklevel=3,
    )


async def _wait_or_leave(call: Call, abandon: Callable[[Call], bool]) -> None:
    try:
        await call.task.wait(call.waiter)
    except BaseException:
        if abandon(call):
            call.limiter.release_on_behalf_of(call)
        raise


def current_default_thread_limiter() -> CapacityLimiter:
    """Return the limiter that `run_sync` uses in this event loop unless it is given another.

    :raises NoEventLoopError: no event loop runs in this thread
    """
    return one_for(current_kernel(), Workers).limiter
