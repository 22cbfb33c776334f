"""The Trio run and task of this thread, and the kernel of each run."""

from __future__ import annotations

import trio

from .kernel import TrioKernel
from .tasks import Task, native_task, new_state, states

_kernel: trio.lowlevel.RunVar[TrioKernel] = trio.lowlevel.RunVar("creche")


def kernel_of_run() -> TrioKernel:
    """Return the kernel of the Trio run in this thread; made when first asked for."""
    try:
        return _kernel.get()
    except LookupError:
        kernel = TrioKernel()
        _kernel.set(kernel)
        return kernel


def kernel_here() -> TrioKernel | None:
    """Return the kernel of the Trio run in this thread, None if there is none."""
    return kernel_of_run() if trio.lowlevel.in_trio_run() else None


def task_here() -> Task | None:
    """Return the Trio task that runs in this thread, None if there is none."""
    try:
        native = native_task()
    except RuntimeError:
        return None
    return states.get(id(native)) or new_state(kernel_of_run())
