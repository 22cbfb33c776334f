"""Calls that run as a native task of asyncio, for libraries that rely on its cancellation.

Owns the wait for such a task. A cancellation of the caller becomes one `Task.cancel()`:

    running --done--> ended
      `--the caller is cancelled--> cancelled once --done--> ended
                                       `--the grace is over--> cancelled again and again --done--> ended

The caller never leaves it running. The outcome of the task wins over the cancellation: a value is
returned, and an error raised. The caller's cancellation is raised at its next checkpoint.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any

from .state import LoopKernel, grant
from .tasks import running_task

_AGAIN = 0.1
"""Seconds between two cancels of a task whose grace is over."""


async def run_native(
    kernel: LoopKernel,
    func: Callable[..., Coroutine[Any, Any, Any]],
    args: tuple[Any, ...],
    grace: float,
) -> Any:
    """Carry out the kernel's `run_native`."""
    caller = running_task(kernel)
    await caller.checkpoint_if_cancelled()
    native = kernel.loop.create_task(func(*args))
    waiter = caller.make_waiter()
    native.add_done_callback(lambda _: grant(waiter))
    try:
        await caller.wait(waiter)
    except asyncio.CancelledError as exc:
        if not native.done():
            native.cancel(*exc.args)
            firm: Any = caller.make_firm_waiter()
            native.add_done_callback(lambda _: grant(firm))
            if grace != inf:
                kernel.loop.call_later(grace, _cancel_again, native, exc.args)
            await firm.wait()
        if native.cancelled():
            raise
    try:
        return native.result()
    finally:
        del native  # Its exception's frames lead here.


def _cancel_again(native: asyncio.Task[Any], args: tuple[Any, ...]) -> None:
    if not native.done():
        native.cancel(*args)
        native.get_loop().call_later(_AGAIN, _cancel_again, native, args)
