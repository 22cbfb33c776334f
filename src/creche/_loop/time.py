"""The event loop's clock, the deadline that applies to a task, and sleeping.

Owns nothing but the checking of arguments; the kernel does the work.
"""

from __future__ import annotations

from math import inf

from .._kernel import current_kernel, current_task
from .._misuse import check_seconds


def current_time() -> float:
    """Return the event loop's clock, in seconds. Only differences mean anything.

    :raises NoEventLoopError: no event loop runs in this thread
    """
    return current_kernel().now()


def current_effective_deadline() -> float:
    """Return the earliest deadline that applies to this task, on the clock of `current_time`.

    `-inf` if the task is cancelled already, `inf` if there is no deadline.

    :raises NoEventLoopError: no event loop runs in this thread
    """
    return current_task().effective_deadline()


def get_cancelled_exc_class() -> type[BaseException]:
    """Return the exception class that a cancellation raises on this event loop.

    :raises NoEventLoopError: no event loop runs in this thread
    """
    return current_kernel().cancelled_class


async def sleep(delay: float) -> None:
    """Pause this task. A checkpoint, which always lets other tasks run.

    :param delay: how long, in seconds; 0 to let the others run once, `inf` to sleep for ever
    :raises ValueError: `delay` is negative or NaN
    """
    try:
        late = not delay >= 0
    except TypeError:
        check_seconds("sleep", "delay", delay)
        raise
    if late:
        raise ValueError(f"delay must be a non-negative number, not {delay!r}")
    task = current_task()
    if delay == 0:
        await task.checkpoint()
        return
    kernel = task.kernel
    now = kernel.now()
    deadline = now + delay
    if deadline == now:  # Too short for the float at this date; yet no sleep may take no time.
        from .._kernel.simulation import after

        deadline = after(now)
    await kernel.sleep_until(deadline)


async def sleep_until(deadline: float) -> None:
    """Pause this task until a point in time. A checkpoint, which always lets other tasks run.

    :param deadline: when to go on, on the clock of `current_time`; a time that has passed lets the
        others run once
    :raises ValueError: `deadline` is NaN
    """
    if deadline != deadline:
        raise ValueError("deadline must not be NaN: no delay follows from it")
    await current_kernel().sleep_until(deadline)


async def sleep_forever() -> None:
    """Pause this task until it is cancelled. A checkpoint."""
    await current_kernel().sleep_until(inf)
