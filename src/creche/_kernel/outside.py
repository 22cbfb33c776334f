"""What a loop has to do with the world outside its tasks: other threads, signals, its own end, other code.

Here too are the tasks that belong to no other, since what comes from outside often begins one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol


class Outside(Protocol):
    """The part of a kernel that is for what is not a task of the loop, or outlives the one that asks."""

    def call_soon_threadsafe(self, func: Callable[..., object], *args: Any) -> None:
        """Have the loop call `func(*args)` soon, outside any task. From any thread, in a copy of
        whose context it runs.

        Raises RunFinishedError when the loop is gone.
        """
        ...

    def wake_on_signals(self) -> Callable[[], None]:
        """Have the loop wake up for a signal whichever thread gets it; return what ends that.

        Python's handlers run in the main thread, and with this also while the loop sleeps there.
        Only from the main thread. Any number of callers, each ends it once.
        """
        ...

    def spawn_detached(self, coro: Coroutine[Any, Any, None], name: str) -> None:
        """Run `coro`, which never raises, as a task outside all scopes. Not only from a task.

        It has a copy of the current context. The end of the loop cancels it.
        """
        ...

    def at_exit(self, callback: Callable[[], object], /) -> None:
        """Have `callback()` called once when the loop ends, in its thread; see `exits.py`.

        It must not raise, nor take long. Called at once if the loop is ending already.
        """
        ...

    def ended(self) -> bool:
        """Tell, from any thread, whether `at_exit` was called back, or the loop is closed."""
        ...


class NativeCalls(Protocol):
    """The part of a kernel that runs coroutines which were written for the loop alone."""

    def run_native(
        self, func: Callable[..., Coroutine[Any, Any, Any]], args: tuple[Any, ...], grace: float
    ) -> Awaitable[Any]:
        """Carry out `lowlevel.run_native`; raise RuntimeError where the loop is not asyncio's."""
        ...
