"""What a loop in debug mode says when another thread wakes a task, or cancels one.

asyncio in debug mode refuses such a call too, but only when the future is done already and its task was not
woken: nothing would ever wake it, and a cancel could not land. Here nothing has changed when it is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..waking import from_another_thread
from .state import running_loop

if TYPE_CHECKING:
    from ..scope import Scope


class CheckedFuture(asyncio.Future[Any]):
    """A waiter that checks which thread wakes it."""

    def set_result(self, result: Any, /) -> None:
        self._check_thread()
        super().set_result(result)

    def set_exception(self, exception: type | BaseException, /) -> None:
        self._check_thread()
        super().set_exception(exception)

    def _check_thread(self) -> None:
        check_thread(self.get_loop())


def check_thread(loop: asyncio.AbstractEventLoop) -> None:
    """Raise RuntimeError if a loop runs in another thread."""
    if running_loop() is not loop and loop.is_running():
        raise from_another_thread()


def in_own_thread(
    loop: asyncio.AbstractEventLoop, func: Callable[[Scope], None]
) -> Callable[[Scope], None]:
    """Return `func`, which checks the calling thread if the loop is in debug mode."""
    if not loop.get_debug():
        return func

    def checked(scope: Scope) -> None:
        check_thread(loop)
        func(scope)

    return checked


def waiters_of(loop: asyncio.AbstractEventLoop) -> Callable[[], asyncio.Future[Any]]:
    """Return what makes the waiters of a loop."""
    kind: type[asyncio.Future[Any]] = CheckedFuture if loop.get_debug() else asyncio.Future
    return partial(kind, loop=loop)
