"""Descriptors on asyncio: `Watch` for those that Creche owns, `Readiness.wait` for all others.

A `Watch` keeps its registration with the loop between waits, and drops it when an event finds
nobody waiting, so a ping-pong makes no system call but its reads and writes. It runs the caller's
`attempt` in the loop's callback: the bytes are taken at once, before a level-triggered loop can
report the same readiness again, and are granted to the waiter (a grant wins over a cancel).

The waiting task takes its next step in that callback too, where asyncio would schedule it for the
next pass of the loop. Steps are taken in callbacks of the loop anyway; here it saves a
system call and a sixth of a round trip (`tcp-ping-pong`, `udp-ping-pong` in `benchmarks/`).

`Readiness.wait` registers once for each wait, and removes that before it returns: a user may
close the descriptor and get the same number for another.

On a loop without `add_reader` the calls go to a selector in a thread (`selector_thread.py`).
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from ..._exceptions import BusyResourceError, ClosedResourceError
from ..descriptors import of_another_loop
from .state import LoopKernel, grant, native_task, running_loop
from .tasks import running_task

T = TypeVar("T")
Key: TypeAlias = tuple[int, bool]
"""A descriptor, and whether it is about writing."""


class _Side:
    """One direction of a watch: who waits, and whether the loop is told to report."""

    __slots__ = ("attempt", "broken", "key", "readiness", "registered", "waiter")

    def __init__(self, readiness: Readiness, key: Key) -> None:
        self.readiness = readiness
        self.key = key
        self.attempt: Callable[[], Any] | None = None
        self.waiter: asyncio.Future[Any] | None = None
        self.registered = False
        # Asks the system, on a loop that may drop a registration. Made when it is needed, to keep idle
        # connections small.
        self.broken: Callable[[int], list[Any]] | None = None

    async def wait(self, attempt: Callable[[], T], task: Any = None, /) -> T:
        kernel = self.readiness.kernel
        if task is None:
            task = running_task(kernel) if running_loop() is kernel.loop else None
        if task is None or task.kernel is not kernel:
            raise of_another_loop(kernel)
        if self.registered and self.broken is not None:
            if self.broken is _unmade:
                self.broken = _ask_for_errors(self.key[0])
            if self.broken(0):
                self.stop()  # The loop has dropped it; see `_lets_go`.
        if not self.registered:
            self.readiness.register(self.key, self)  # First, for it may raise: nobody waits yet.
            self.registered = True
        waiter = self.waiter = task.make_waiter()
        self.attempt = attempt
        try:
            result: T = await task.park(waiter)  # Inlined: a frame less for each idle connection.
        except BaseException as exc:
            if not task.granted(waiter, exc):
                if self.waiter is waiter:
                    self.waiter = self.attempt = None
                raise
            result = waiter.result()
        return result

    def ready(self) -> None:
        """The loop reports that the descriptor is ready."""
        waiter = self.waiter
        if waiter is None or self.attempt is None or waiter.done():
            self.stop()
            return
        try:
            result = self.attempt()
        except (BlockingIOError, InterruptedError):
            return
        except BaseException as exc:
            self.waiter = self.attempt = None
            waiter.set_exception(exc)
            return
        self.waiter = self.attempt = None
        callbacks = waiter._callbacks
        if len(callbacks) == 1 and native_task(self.readiness.loop) is None:
            wake, context = callbacks[0]
            waiter.remove_done_callback(wake)
            waiter.set_result(result)
            # Last of all: the task may wait here again, or close the watch.
            context.run(wake, waiter)
        else:  # The step is observed, or the loop is run by one of its tasks.
            waiter.set_result(result)

    def stop(self) -> None:
        if self.registered:
            self.registered = False
            self.readiness.unregister(self.key)

    def close(self) -> None:
        self.stop()
        waiter, self.waiter, self.attempt = self.waiter, None, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(ClosedResourceError())


class Watch(_Side):
    """One descriptor of Creche's own. The contract's `Watch`, and the side of it that reads."""

    __slots__ = ("_writing",)

    def __init__(self, readiness: Readiness, sock: Any) -> None:
        fd = sock if isinstance(sock, int) else sock.fileno()
        super().__init__(readiness, (fd, False))
        # Made when it is needed, to keep idle connections small.
        self._writing: _Side | None = None

    # As it is: a call in between would cost each wait, and a coroutine each idle connection.
    when_readable = _Side.wait

    async def when_writable(self, attempt: Callable[[], T], task: Any = None, /) -> T:
        side = self._writing
        if side is None:
            side = self._writing = _Side(self.readiness, (self.key[0], True))
        try:
            return await side.wait(attempt, task)
        finally:
            # A socket is nearly always writable: staying registered would be an event each pass.
            side.stop()

    def close(self) -> None:
        super().close()
        if self._writing is not None:
            self._writing.close()


class Readiness:
    """The loop's registrations for descriptors that belong to the user."""

    __slots__ = (
        "_lets_go",
        "_selector",
        "_sides",
        "_waiting",
        "add_reader",
        "add_writer",
        "kernel",
        "loop",
        "remove_reader",
        "remove_writer",
    )

    def __init__(self, kernel: LoopKernel) -> None:
        loop = kernel.loop
        source: Any = loop
        self.kernel = kernel
        self.loop = loop
        self._selector: Any = None
        if _lacks_readers(loop):
            from .selector_thread import SelectorThread

            source = self._selector = SelectorThread(loop)
        self.add_reader: Callable[..., Any] = source.add_reader
        self.remove_reader: Callable[[int], Any] = source.remove_reader
        self.add_writer: Callable[..., Any] = source.add_writer
        self.remove_writer: Callable[[int], Any] = source.remove_writer
        self._waiting: dict[Key, asyncio.Future[Any]] = {}
        self._sides: dict[Key, _Side] = {}
        self._lets_go = _lets_go(loop)

    def register(self, key: Key, side: _Side) -> None:
        """Have the loop report to one side of a watch."""
        if key in self._waiting:
            raise _busy(key)
        (self.add_writer if key[1] else self.add_reader)(key[0], side.ready)
        self._sides[key] = side
        if self._lets_go and side.broken is None:
            side.broken = _unmade

    def unregister(self, key: Key) -> None:
        """Have the loop stop reporting."""
        del self._sides[key]
        (self.remove_writer if key[1] else self.remove_reader)(key[0])

    async def wait(self, obj: Any, *, writing: bool) -> None:
        task = running_task(self.kernel)
        fd = obj if isinstance(obj, int) else obj.fileno()
        if fd < 0:
            raise ValueError(f"{obj!r} is closed: there is nothing to wait for")
        key = (fd, writing)
        side = self._sides.get(key)
        if key in self._waiting or (side is not None and side.waiter is not None):
            raise _busy(key)
        if side is not None:
            side.stop()  # A stream of ours that nobody waits on at the moment.
        waiter = task.make_waiter()
        add, remove = (
            (self.add_writer, self.remove_writer)
            if writing
            else (self.add_reader, self.remove_reader)
        )
        self._waiting[key] = waiter
        try:
            add(fd, grant, waiter)
            await task.wait(waiter)
        finally:
            if self._waiting.get(key) is waiter:
                del self._waiting[key]
                remove(fd)

    def notify_closing(self, obj: Any) -> None:
        fd = obj if isinstance(obj, int) else obj.fileno()
        for writing, remove in ((False, self.remove_reader), (True, self.remove_writer)):
            waiter = self._waiting.pop((fd, writing), None)
            if waiter is not None:
                remove(fd)
                if not waiter.done():
                    waiter.set_exception(ClosedResourceError())

    def close(self) -> None:
        if self._selector is not None:
            self._selector.close()


def _busy(key: Key) -> BusyResourceError:
    return BusyResourceError("writing to" if key[1] else "reading from")


def _unmade(_timeout: int) -> list[Any]:
    """Stand in for what `_ask_for_errors` returns."""
    raise NotImplementedError


def _ask_for_errors(fd: int) -> Callable[[int], list[Any]]:
    """Return what tells, when called with 0, whether there is an error on a descriptor."""
    poll = select.poll()
    poll.register(fd, 0)
    return poll.poll


def _lets_go(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether the loop stops reporting a descriptor once there was an error on it.

    libuv does, though there may be bytes to read before the error, and the error after them:
    test_the_last_bytes_before_a_reset_do_not_hide_it.
    """
    return type(loop).__module__.partition(".")[0] == "uvloop"


def _lacks_readers(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether the loop cannot report readiness, as Windows' proactor loop cannot."""
    found = getattr(type(loop), "add_reader", None)
    return found is None or found is asyncio.AbstractEventLoop.add_reader
