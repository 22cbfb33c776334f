"""`run_blocking`: one blocking function in one thread of its own, for calls that have no other way.

Owns the thread for as long as the function runs, and nothing after. Knows no event loop beyond the
contract, no pool, no limiter and no context variables: it is meant for a call here and there that
the operating system only offers in its blocking form, such as the resolver.

    running → delivered              the caller was still waiting
            → abandoned              the caller was cancelled, or its loop has finished

Rules
-----
* The thread touches the loop once, through `call_soon_threadsafe`; what it brings goes nowhere if
  nobody waits for it any more.
* The thread is not a daemon: the interpreter does not pull the floor from under a C call.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import TYPE_CHECKING, Generic, TypeVar

from ._exceptions import RunFinishedError
from ._kernel import current_task

if TYPE_CHECKING:
    from ._kernel.contract import Kernel, Waiter

T = TypeVar("T")


class _Call(Generic[T]):
    """One call, between the thread that makes it and the task that waits for it."""

    __slots__ = ("exception", "func", "kernel", "result", "waiter")

    result: T

    def __init__(self, func: Callable[[], T], kernel: Kernel, waiter: Waiter) -> None:
        self.func = func
        self.kernel = kernel
        self.waiter = waiter
        self.exception: BaseException | None = None

    def work(self) -> None:
        """Make the call. Runs in the thread."""
        try:
            self.result = self.func()
        except BaseException as exc:
            self.exception = exc
        try:
            self.kernel.call_soon_threadsafe(self.wake)
        except RunFinishedError:
            self.exception = None

    def wake(self) -> None:
        """Say that the outcome is there. Runs in the loop."""
        if not self.waiter.done():
            self.waiter.set_result(None)


async def run_blocking(func: Callable[[], T], *, name: str) -> T:
    """Call `func()` in a new thread and return what it returns. A checkpoint.

    :param func: what to call
    :param name: the name of the thread
    :raises BaseException: whatever `func` raises. If the caller is cancelled the thread is left to
        finish alone, and its outcome is dropped.
    """
    task = current_task()
    if task.credit > 0:
        task.credit -= 1
    else:
        await task.give_way()
    waiter = task.make_waiter()
    call = _Call(func, task.kernel, waiter)
    Thread(target=call.work, name=name).start()
    try:
        await task.park(waiter)
    except BaseException as exc:
        if not task.granted(waiter, exc):
            raise
    error = call.exception
    if error is None:
        return call.result
    call.exception = None  # the frames in its traceback hold the call, and this one holds it
    try:
        raise error
    finally:
        del error
