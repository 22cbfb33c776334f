"""A call from a thread into an event loop, and the thread's wait for it: the parts of `from_thread`.

Owns the `LoopCall`, one such call, and where its coroutine lives. Knows no event loop beyond the
contract; portals have loop calls of their own kinds (`portal.py`).

A loop call:

    made --sent---> on its way --the loop admits it--> running --> answered
                        `--the loop ends--> answered with RunFinishedError

Where the coroutine of a loop call runs:

    the worker's caller waits for it    in a group of the caller's: what cancels the caller, cancels it
    the caller may leave                as a detached task of the loop's, and runs on if the caller leaves
    a thread that gave a token          as a detached task of the loop's

Rules
-----
* The thread sleeps on a lock of its own. It checks from time to time that the loop still runs, because
  some loops end without a notice; then the loop call fails.
* A function runs in a copy of the context of the thread that calls; `call_soon_threadsafe` makes it.
* A cancellation of the loop call is raised in the thread, as the loop's own class. If the function lets
  it propagate, it reaches the caller, which is cancelled (`threads.run_sync`).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

from .._exceptions import NoEventLoopError, RunFinishedError
from .._kernel import current_kernel
from .._tasks.handle import name_of
from .calls import Call, here
from .library import tell_library

if TYPE_CHECKING:
    from .._kernel.contract import Kernel
    from .._tasks.group import TaskGroup

T = TypeVar("T")
T_Retval = TypeVar("T_Retval")
PosArgsT = TypeVarTuple("PosArgsT")

PATIENCE = 1.0
"""Seconds after which a thread that waits for a loop looks whether that still exists."""


class LoopCall:
    """One call from a thread into a loop."""

    __slots__ = ("_answered", "args", "error", "func", "kernel", "result")

    def __init__(self, kernel: Kernel, func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.kernel = kernel
        self.func = func
        self.args = args
        self.result: Any = None
        self.error: BaseException | None = None
        answered = self._answered = threading.Lock()
        answered.acquire()

    # In the loop

    def call(self) -> None:
        """Call a plain function."""
        tell_library(self.kernel)
        try:
            self.result = self.func(*self.args)
        except BaseException as exc:
            self.error = exc
        self.answer()

    async def run(self) -> None:
        """Call an async function, in a task that is there for this."""
        await self._make()
        self.answer()

    async def _make(self) -> None:
        tell_library(self.kernel)
        try:
            self.result = await _coroutine(self.func, self.args)
        except GeneratorExit:  # The loop was closed around it.
            self.error = RunFinishedError()
        except BaseException as exc:
            self.error = exc

    async def run_detached(self) -> None:
        """Do that in a task outside all scopes, which only the loop's end cancels."""
        await self._make()
        if isinstance(self.error, self.kernel.cancelled_class):
            self.error = RunFinishedError()
        self.answer()

    def answer(self) -> None:
        self._answered.release()

    # In the thread

    def wait(self) -> Any:
        """Wait for the answer, and return or raise it."""
        answered, kernel = self._answered, self.kernel
        while not answered.acquire(timeout=PATIENCE):
            if kernel.ended() and not answered.acquire(blocking=False):
                raise RunFinishedError
        return self.outcome()

    def outcome(self) -> Any:
        error = self.error
        if error is None:
            result, self.result = self.result, None  # The other thread may still hold this call.
            return result
        self.error = None  # Its frames hold the loop_call, and this one holds it.
        try:
            raise error
        finally:
            del error, self


def run(
    func: Callable[[Unpack[PosArgsT]], Coroutine[Any, Any, T_Retval]],
    args: tuple[*PosArgsT],
    kernel: Kernel | None,
) -> T_Retval:
    """Run `func(*args)` in a loop: the caller's of this worker, or `kernel`'s."""
    call = None
    if kernel is None:
        call = _call_here("run")
        kernel = call.task.kernel
    else:
        _refuse_loop_thread(kernel)
    loop_call = LoopCall(kernel, func, args)
    if call is None or call.abandonable:
        kernel.call_soon_threadsafe(_admit_detached, loop_call)
    else:
        kernel.call_soon_threadsafe(_admit, loop_call, call)
    result: T_Retval = loop_call.wait()
    return result


def run_sync(
    func: Callable[[Unpack[PosArgsT]], T_Retval],
    args: tuple[*PosArgsT],
    kernel: Kernel | None,
) -> T_Retval:
    """Call `func(*args)` in a loop: the caller's of this worker, or `kernel`'s."""
    if kernel is None:
        kernel = _call_here("run_sync").task.kernel
    else:
        _refuse_loop_thread(kernel)
    loop_call = LoopCall(kernel, func, args)
    kernel.call_soon_threadsafe(loop_call.call)
    result: T_Retval = loop_call.wait()
    return result


def check_cancelled() -> None:
    """See `from_thread.check_cancelled`."""
    call = here.call
    if call is None:
        check = _check_of_remote_call()
        if check is not None:
            check()
            return
        raise NoEventLoopError(
            "This function can only be called inside a worker thread: in a function that "
            "creche.to_thread.run_sync() runs"
        )
    call.task.check_parked(call.waiter)


def _check_of_remote_call() -> Callable[[], None] | None:
    """Return what asks for the caller of this thread, if that is on another machine.

    A process that makes calls for a cluster knows it, and may have been there before Creche was imported,
    from source that was sent to it. So it leaves the way to ask in a module that both know by name
    (`_cluster/remote/perform.py`).
    """
    remote: Any = sys.modules.get("_creche_call")
    if remote is None:
        return None
    check: Callable[[], None] | None = getattr(remote.here, "check", None) or remote.check
    return check


def _call_here(name: str) -> Call:
    call = here.call
    if call is None:
        raise NoEventLoopError(
            "Not running inside a worker thread, and no event loop token was provided: "
            f"get one with creche.lowlevel.current_token() in the event loop, and pass it to "
            f"from_thread.{name}() as token="
        )
    return call


def _refuse_loop_thread(kernel: Kernel) -> None:
    try:
        inside = current_kernel() is kernel
    except NoEventLoopError:
        return
    if inside:
        raise RuntimeError(
            "This function cannot be called from the event loop thread: it would wait for itself. "
            "Await the function instead"
        )


# In the loop: where loop calls are let in


def _admit_detached(loop_call: LoopCall) -> None:
    loop_call.kernel.spawn_detached(loop_call.run_detached(), name_of(loop_call.func))


def _admit(loop_call: LoopCall, call: Call) -> None:
    """Admit a loop call whose caller waits in the same loop."""
    if call.group is None:
        # It wakes up, opens a group, and spawns, in the context that this function runs in.
        call.waiter.set_result((partial(_spawn, loop_call), copy_context()))
    else:
        _spawn(loop_call, call.group)


def _spawn(loop_call: LoopCall, group: TaskGroup) -> None:
    """Run a loop call's coroutine as a task of a group, in a copy of the current context."""
    group.start_soon(loop_call.run, name=name_of(loop_call.func))


async def _coroutine(func: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    coro = func(*args)
    if not hasattr(coro, "__await__"):
        raise TypeError(
            f"Expected {name_of(func)}() to return a coroutine, but the return value ({coro!r}) "
            f"is not a coroutine object: use from_thread.run_sync() for a plain function"
        )
    return await coro
