"""Calls of files in worker threads, of two kinds. All operations on files are made of them.

in_thread      an operation: cancelled before its function is called, or not at all
for_certain    a duty (close, flush, delete): its function is called even if the caller is cancelled
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple, cast

from .._kernel import current_task
from .._sync import CapacityLimiter
from .._tasks.scope import CancelScope
from .._threads.calls import run_sync as in_thread

__all__ = ["for_certain", "in_thread"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def for_certain(
    func: Callable[[*Ts], T], *args: *Ts, limiter: CapacityLimiter | None = None
) -> T:
    """Call `func(*args)` in a thread even if the caller is cancelled; raise the cancellation after it.

    An error of `func` wins over a cancellation, so that a full disk is not missed.
    """
    task = current_task()
    begun = False

    def begin() -> T:
        nonlocal begun
        begun = True
        return func(*args)

    cancelled: BaseException | None = None
    result: T | None = None
    with CancelScope(shield=True):
        while not begun:
            try:
                result = await in_thread(begin, limiter=limiter)
            except task.kernel.cancelled_class as exc:
                # No shield keeps out a native cancel, which may come while this waits for a token.
                cancelled = exc
    if cancelled is not None:
        raise cancelled
    await task.checkpoint_if_cancelled()
    return cast("T", result)
