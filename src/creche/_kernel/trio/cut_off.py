"""Clean-ups that are cut off, on Trio: what is a second cancellation, in development mode.

What a clean-up is stands in `_kernel/cut_off.py`. Trio has no debug mode, and tells nobody that it raises a
cancellation. So in Python's development mode an instrument looks at each step before it is taken.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import weakref

import trio

from .. import cut_off
from . import private
from .introspection import RunKernel, record
from .tasks import states


class SecondCancellations(trio.abc.Instrument):
    """Sees the cancellations that are raised in tasks which have met one already."""

    def __init__(self, kernel: RunKernel) -> None:
        self._kernel = kernel
        self._cut_offs = cut_off.CutOffs(trio.Cancelled, os.path.dirname(trio.__file__))
        self._first: weakref.WeakKeyDictionary[trio.lowlevel.Task, list[trio.CancelScope]]
        self._first = weakref.WeakKeyDictionary()
        """The scopes that a task was in when it met the first, until it is out of those cancelled."""

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        first = self._first.get(task)
        if not isinstance(private.raised_in(task), trio.Cancelled):
            if first is not None and not private.is_cancelled(task):
                del self._first[task]
            return
        if first is None:
            self._first[task] = private.scopes_around(task)
            return
        cancelled = private.cancelled_natives(task)
        if cancelled and cancelled[0].deadline == -float("inf"):
            del cancelled[0]  # That of a checkpoint, which enters it to be cancelled.
        if not cancelled or cancelled[0] in first or _is_of_clean_up(cancelled[0], task):
            self._cut_offs.in_suspended(task.coro, record(task, self._kernel.labels).name)


def _is_of_clean_up(native: trio.CancelScope, task: trio.lowlevel.Task) -> bool:
    """Tell whether a Trio scope is the shield of a clean-up, whose time is over."""
    state = states.get(id(task))
    scope = None if state is None else state.scope
    while scope is not None and scope._native is not native:
        scope = scope._parent
    return scope is not None and scope._floats


def watch(kernel: RunKernel) -> None:
    """Tell of the clean-ups that are cut off in this run, if Python is in development mode."""
    if cut_off.in_dev_mode():
        trio.lowlevel.add_instrument(SecondCancellations(kernel))
