"""The states of tasks and loops, in the words of the snapshot.

Owns the rules by which a state is told, and how a table that another thread may change is read. What a loop's watcher has found is noted here by it.
"""

# Scopes keep to themselves what they know.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from math import inf
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any

from .waits import frame_of_thread

if TYPE_CHECKING:
    from .._kernel.contract import Kernel, TaskRecord

blocked: dict[int, float] = {}
"""Since when loops are blocked, by the monotonic clock and the kernel's `id`: `watch.py` notes it."""

_DEBUGGERS = frozenset(("bdb", "pdb", "pydevd"))


def of_task(kernel: Kernel, native: Any, running: bool, kept_out: bool) -> str:
    """Tell the state of a task; `kept_out`: a shield keeps a cancellation from it."""
    if running:
        return "running"
    if kernel.has_pending_cancellation(native) or kernel.deadline_of(native) == -inf:
        return "cancelling"
    if kept_out:
        return "shielded"
    return "waiting" if kernel.is_blocked(native) else "ready"


def of_scope(scope: Any) -> str:
    """Tell the state of a scope. One that was asked to stop is cancelled when its grace is over."""
    if scope._cancelled:
        return "cancelled"
    stopping = scope._stopping
    return "stopped" if stopping is not None and stopping.asked else "open"


def of_loop(kernel: Kernel, frames: list[FrameType]) -> str:
    """Tell the state of a loop by the frames of its step, none if no task is in one."""
    if frames and _packages_of(kernel.thread_id) & _DEBUGGERS:
        return "debugger"
    if id(kernel) in blocked:
        return "blocked"
    return "running" if frames else "idle"


def blocked_for(kernel: Kernel) -> float | None:
    """Return for how many seconds a loop has been blocked, None if it is not known to be."""
    since = blocked.get(id(kernel))
    return None if since is None else monotonic() - since


def _packages_of(thread_id: int) -> set[str]:
    """Return the packages whose functions a thread is in. No frame is kept: this one may be among them."""
    frame = frame_of_thread(thread_id)
    packages: set[str] = set()
    while frame is not None:
        packages.add(frame.f_globals.get("__name__", "").partition(".")[0])
        frame = frame.f_back
    return packages


def thread_name(thread_id: int) -> str:
    """Name a thread as `threading` does."""
    for thread in threading.enumerate():
        if thread.ident == thread_id:
            return thread.name
    return f"thread {thread_id}"


def patiently(ask: Callable[[], Iterable[TaskRecord]]) -> list[TaskRecord]:
    """Make a list of what another thread may change meanwhile."""
    for _ in range(100):
        try:
            return list(ask())
        except RuntimeError:  # it changed its size
            time.sleep(0)
    return []
