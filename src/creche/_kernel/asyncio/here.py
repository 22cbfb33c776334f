"""The asyncio loop and task that run in this thread, and the kernel of each loop."""

from __future__ import annotations

import asyncio
from typing import Any

from .kernel import AsyncioKernel
from .state import native_task, python_task, running_loop
from .tasks import ForeignTask, Task, foreign_task, foreign_tasks

cancelled_class = asyncio.CancelledError
native_here = asyncio.current_task
_unkept: dict[int, AsyncioKernel] = {}


def kernel_of(loop: asyncio.AbstractEventLoop) -> AsyncioKernel:
    """Return the kernel of a loop. The loop refers to it, so that it lives as long as the loop."""
    keeper: Any = loop
    try:
        kernel: AsyncioKernel = keeper._creche_kernel
    except AttributeError:
        known = _unkept.get(id(loop))
        kernel = known if known is not None and known.loop is loop else AsyncioKernel(loop)
        try:
            keeper._creche_kernel = kernel
        except AttributeError:  # A loop that takes no attributes: it cannot keep its kernel itself.
            _unkept[id(loop)] = kernel
    return kernel


def kernel_of_token(token: asyncio.AbstractEventLoop) -> AsyncioKernel:
    """Return the kernel of a loop by its token, which is the loop itself."""
    return kernel_of(token)


def kernel_here() -> AsyncioKernel | None:
    """Return the kernel of the asyncio loop that runs in this thread."""
    loop = running_loop()
    return None if loop is None else kernel_of(loop)


def task_here() -> Task | ForeignTask | None:
    """Return the asyncio task that runs in this thread."""
    loop = running_loop()
    if loop is None:
        return None
    native = native_task(loop)
    if type(native) is Task:
        return native
    if native is None:
        native = python_task(loop)
        if native is None:
            return None
    return foreign_tasks.get(id(native)) or foreign_task(native, kernel_of(loop))
