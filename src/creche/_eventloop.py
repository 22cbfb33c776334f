"""Starting an event loop, asking it for its time, and sleeping.

Owns nothing but the checking of arguments; the kernel does the work. Knows no event loop by more
than its name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from typing import Any, TypeVar, TypeVarTuple, Unpack

from . import _kernel
from ._kernel import current_kernel, current_task

T_Retval = TypeVar("T_Retval")
PosArgsT = TypeVarTuple("PosArgsT")


def run(
    func: Callable[[Unpack[PosArgsT]], Awaitable[T_Retval]],
    *args: *PosArgsT,
    backend: str = "asyncio",
    backend_options: dict[str, Any] | None = None,
) -> T_Retval:
    """Run a coroutine function in a new event loop, and return or raise what it does.

    When this returns the loop is closed, and no task, async generator or thread of it is left.

    ```python
    import creche


    async def main(name: str) -> str:
        return f"hello {name}"


    print(creche.run(main, "world"))
    ```

    :param func: the coroutine function to call
    :param args: its positional arguments
    :param backend: `"asyncio"` or `"trio"`
    :param backend_options: for asyncio `debug`, `use_uvloop` and `loop_factory`; for Trio the
        keyword arguments of `trio.run`
    :raises RuntimeError: an event loop already runs in this thread
    :raises LookupError: there is no such backend, or it is not installed
    """
    result: T_Retval = _kernel.run(func, args, backend, backend_options or {})
    return result


def get_all_backends() -> tuple[str, ...]:
    """Return the names of the backends that Creche knows, installed or not."""
    return _kernel.BACKENDS


def get_available_backends() -> tuple[str, ...]:
    """Return the names of the backends that `run` can start here."""
    return tuple(name for name in _kernel.BACKENDS if _kernel.available(name))


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
    if not delay >= 0:
        raise ValueError(f"delay must be a non-negative number, not {delay!r}")
    task = current_task()
    if delay == 0:
        await task.checkpoint()
        return
    kernel = task.kernel
    now = kernel.now()
    deadline = now + delay
    if deadline == now:  # Too short for the float at this date; yet no sleep may take no time.
        from ._kernel.simulation import after

        deadline = after(now)
    await kernel.sleep_until(deadline)


async def sleep_until(deadline: float) -> None:
    """Pause this task until a point in time. A checkpoint, which always lets other tasks run.

    :param deadline: when to go on, on the clock of `current_time`; a time that has passed lets the
        others run once
    :raises ValueError: `deadline` is NaN
    """
    if deadline != deadline:
        raise ValueError("deadline must not be NaN, for then the delay is not known")
    await current_kernel().sleep_until(deadline)


async def sleep_forever() -> None:
    """Pause this task until it is cancelled. A checkpoint."""
    await current_kernel().sleep_until(inf)
