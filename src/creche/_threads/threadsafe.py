"""A way into one event loop for other threads that never waits, and a wait that no cancellation ends.

Owns the queue of calls. For code that does a task's work elsewhere: executors, engines of clusters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .._exceptions import RunFinishedError
from .._kernel import current_kernel
from .._sync.event import Event
from .._tasks.scope import CancelScope


class ThreadsafeCalls:
    """Calls into one event loop, in order, from any thread. The loop is woken once for many."""

    __slots__ = ("_calls", "_kernel", "_woken")

    def __init__(self) -> None:
        self._kernel = current_kernel()
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._woken = False

    def put(self, func: Callable[..., object], *args: Any) -> None:
        """Have the loop call `func(*args)`, which must not raise. Forgotten if the loop has ended."""
        self._calls.append((func, args))
        if not self._woken:
            self._woken = True
            try:
                self._kernel.call_soon_threadsafe(self._drain)
            except RunFinishedError:
                pass

    def _drain(self) -> None:
        self._woken = False  # First, so that later calls wake the loop again.
        while self._calls:
            func, args = self._calls.popleft()
            func(*args)


async def wait_out(event: Event, seconds: float = float("inf")) -> bool:
    """Wait for an event whatever is cancelled meanwhile, and tell whether it came in time.

    The loop of a native cancellation remembers it, and raises it at a later wait.
    """
    kernel = current_kernel()
    deadline = kernel.now() + seconds
    while not event.is_set():
        try:
            with CancelScope(shield=True, deadline=deadline) as scope:
                await event.wait()
        except kernel.cancelled_class:
            continue
        if scope.cancelled_caught:
            break
    return event.is_set()
