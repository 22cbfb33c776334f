"""Clean-ups that are cut off, on asyncio: what is a second cancellation, in debug mode.

What a clean-up is stands in `_kernel/cut_off.py`. The first cancellation of a task notes the innermost
scope that it was in. A later one, until the task is out of every cancelled scope, cuts off a clean-up,
unless it comes from a scope that was entered since.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from ..cut_off import CutOffs

if TYPE_CHECKING:
    from ..scope import Scope


def cut_offs_of(loop: asyncio.AbstractEventLoop) -> CutOffs | None:
    """Return what tells of the clean-ups that are cut off in a loop: None unless it is in debug mode."""
    if not loop.get_debug():
        return None
    return CutOffs(asyncio.CancelledError, os.path.dirname(asyncio.__file__))


# The task is of this kernel, and the contract cannot say so: `Any`.


def struck(task: Any, first: Scope | None, *, running: bool) -> Scope:
    """Hear that scopes cancel a task; return what to hand over the next time.

    :param first: what this has returned last time, None if the task is struck for the first time
    """
    if first is None:
        return task.scope  # type: ignore[no-any-return]  # It is in one, or nothing would cancel it.
    if not _is_of_a_limit_since(task.scope, first):
        name = task.info().name
        if running:
            task.kernel.cut_offs.in_running(name)
        else:
            task.kernel.cut_offs.in_suspended(task.native.get_coro(), name)
    return first


def _is_of_a_limit_since(scope: Scope | None, first: Scope) -> bool:
    """Tell whether a task was cancelled by a scope that it has entered since it was in `first`."""
    known: set[Scope] = set()
    link: Scope | None = first
    while link is not None:
        known.add(link)
        link = link._parent
    while scope is not None and scope not in known:
        if scope._cancelled:
            return True
        scope = scope._parent
    return False
