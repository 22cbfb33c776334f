"""Descriptors on Trio: Trio's own readiness calls, with Creche's exceptions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from ..._exceptions import BusyResourceError, ClosedResourceError
from ..descriptors import of_another_loop
from .reasons import explain
from .tasks import known_task

if TYPE_CHECKING:
    from ..contract import Kernel

T = TypeVar("T")


async def wait(native: Callable[[Any], Awaitable[None]], obj: Any, action: str) -> None:
    """Wait for readiness with one of Trio's two calls."""
    try:
        await native(obj)
    except trio.ClosedResourceError as exc:
        raise ClosedResourceError from exc
    except trio.BusyResourceError as exc:
        raise BusyResourceError(action) from exc
    except trio.Cancelled as exc:
        explain(exc, known_task())
        raise


class Watch:
    """One descriptor of Creche's own. The contract's `Watch`."""

    __slots__ = ("_closed", "_kernel", "_obj")

    def __init__(self, kernel: Kernel, obj: Any) -> None:
        self._kernel = kernel
        self._obj = obj
        self._closed = False

    async def when_readable(self, attempt: Callable[[], T], task: object = None, /) -> T:
        self._check_loop()
        while True:
            await wait(trio.lowlevel.wait_readable, self._obj, "reading from")
            try:
                return attempt()
            except (BlockingIOError, InterruptedError):
                continue

    async def when_writable(self, attempt: Callable[[], T], task: object = None, /) -> T:
        self._check_loop()
        while True:
            await wait(trio.lowlevel.wait_writable, self._obj, "writing to")
            try:
                return attempt()
            except (BlockingIOError, InterruptedError):
                continue

    def _check_loop(self) -> None:
        if trio.lowlevel.current_trio_token() is not self._kernel.token:
            raise of_another_loop(self._kernel)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            trio.lowlevel.notify_closing(self._obj)
