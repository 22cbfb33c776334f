"""The Trio run and task of this thread, and the kernel of each run."""

from __future__ import annotations

import trio

from ..._exceptions import RunFinishedError
from .kernel import TrioKernel
from .tasks import Task, native_task, new_state, states

cancelled_class = trio.Cancelled
native_here = native_task
_kernel: trio.lowlevel.RunVar[TrioKernel] = trio.lowlevel.RunVar("creche")


def kernel_of_run() -> TrioKernel:
    """Return the kernel of the Trio run in this thread; made when first asked for."""
    try:
        return _kernel.get()
    except LookupError:
        kernel = TrioKernel()
        _kernel.set(kernel)
        return kernel


def kernel_of_token(token: trio.lowlevel.TrioToken) -> TrioKernel:
    """Return the kernel of a Trio run by its token; the run itself is asked, if it is elsewhere."""
    if trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is token:
        return kernel_of_run()
    try:
        return trio.from_thread.run_sync(kernel_of_run, trio_token=token)
    except trio.RunFinishedError:
        raise RunFinishedError from None


def kernel_here() -> TrioKernel | None:
    """Return the kernel of the Trio run in this thread, None if there is none."""
    return kernel_of_run() if trio.lowlevel.in_trio_run() else None


def task_here() -> Task | None:
    """Return the Trio task that runs in this thread, None if there is none."""
    try:
        native = native_task()
    except RuntimeError:
        return None
    state = states.get(id(native))
    return state if state is not None else new_state(kernel_of_run())
