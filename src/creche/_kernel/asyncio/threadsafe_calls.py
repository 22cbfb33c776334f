"""`ThreadsafeCalls`: the way into an asyncio loop for calls from other threads.

Owns the calls that are on their way, and an eventfd that the loop watches. The loop has a way of its own
(`loop.call_soon_threadsafe`), which is taken where there is no eventfd. That one costs, for each call, a
callback with its handle and a write to a pair of sockets, and for each event two reads, which let other
threads run in between. This one costs a write and a read (`from-thread-sync` in `benchmarks/`).

    closed --first call--> asked for --the loop's next pass--> open --the loop ends--> closed
                                 `--not Linux, no descriptors left--> closed

    open           a call goes into the queue, and the eventfd is written to, unless it is signalled
    otherwise      a call takes the loop's own way

Rules
-----
* A call is put into the queue before the eventfd is written to. If `_signalled` is set already nothing need
  be written: the loop clears that before it looks at the queue for the last time.
* The calls are made first, and then the eventfd is read, so that a thread that waits for an answer wakes
  up during that system call. A call that comes in between is made after it.
* The lock makes one step of it to put a call into the queue and look at `_signalled`; the loop clears
  `_signalled` under it, before it looks at the queue. That also holds on a Python without a global lock.
* No call is put into the queue once it was closed, which the lock ensures too. It is re-entrant, because a
  signal handler may make a call in the middle of another call.
* Only the loop keeps a reference to the eventfd for long; it drops that when it is closed. A thread holds
  a reference while it writes, so the number is never written to after it was closed.
"""

from __future__ import annotations

import os
import threading
import weakref
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable, Collection
from contextvars import Context, copy_context
from typing import Any

from ..exits import Exits

eventfd: Callable[[int, int], int] | None = getattr(os, "eventfd", None)
"""The system call; None where there is none, and in tests of the loop's own way."""


class _Eventfd:
    """The eventfd, closed when nothing refers to it: the loop that watches it, or a thread that writes."""

    __slots__ = ("__weakref__", "fd")

    def __init__(self) -> None:
        assert eventfd is not None, "there is one on this system"
        self.fd = eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def signal(self) -> None:
        os.eventfd_write(self.fd, 1)

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)


def _none() -> _Eventfd | None:
    return None


class ThreadsafeCalls:
    """The way into one loop. All but `add` is called in its thread."""

    __slots__ = ("_asked", "_exits", "_lock", "_loop", "_queue", "_signalled", "_eventfd")

    def __init__(self, loop: AbstractEventLoop, exits: Exits) -> None:
        self._loop = loop
        self._exits = exits
        self._lock = threading.RLock()
        self._queue: deque[tuple[Context, Callable[..., object], tuple[Any, ...]]] = deque()
        # A loop that watches no descriptors is not asked: that spares a simulated run a callback.
        add_reader: Any = type(loop).add_reader
        self._asked = add_reader is AbstractEventLoop.add_reader or hasattr(add_reader, "refuses")
        self._signalled = False
        self._eventfd: Callable[[], _Eventfd | None] = _none

    def descriptors(self) -> Collection[int]:
        event = self._eventfd()
        return () if event is None else (event.fd,)

    def add(self, func: Callable[..., object], args: tuple[Any, ...]) -> None:
        """Have the loop call `func(*args)` soon. From any thread.

        :raises RuntimeError: the loop is closed
        """
        loop, context = self._loop, copy_context()
        with self._lock:
            event = self._eventfd()
            if event is not None and not loop.is_closed():
                self._queue.append((context, func, args))
                if not self._signalled:
                    self._signalled = True
                    event.signal()
                return
            asked, self._asked = self._asked, True
        if not asked:
            loop.call_soon_threadsafe(self._open)
        loop.call_soon_threadsafe(func, *args)

    def _open(self) -> None:
        if eventfd is None or self._exits.over:
            return
        try:
            event = _Eventfd()
            self._loop.add_reader(event.fd, self._run, event)
        except (OSError, NotImplementedError):
            return  # Out of descriptors, or none can be watched: the loop's own way needs none.
        with self._lock:
            self._eventfd = weakref.ref(event)
        if self._exits.armed:  # Otherwise the kernel does it, or the loop when it is closed.
            self._exits.add(self.close)

    def close(self) -> None:
        """Hand the calls that are left to the loop's own way: the loop is about to end."""
        with self._lock:
            event = self._eventfd()
            self._eventfd = _none
            if event is None or self._loop.is_closed():
                return
            self._loop.remove_reader(event.fd)
            while self._queue:
                context, func, args = self._queue.popleft()
                self._loop.call_soon(func, *args, context=context)

    def _run(self, event: _Eventfd) -> None:
        """Make the calls. The loop calls this when the eventfd is signalled."""
        with self._lock:
            self._signalled = False
        self._make_calls(event)
        try:
            os.eventfd_read(event.fd)
        except BlockingIOError:
            pass
        with self._lock:
            self._signalled = False
        self._make_calls(event)

    def _make_calls(self, event: _Eventfd) -> None:
        queue = self._queue
        for _ in range(len(queue)):
            context, func, args = queue.popleft()
            try:
                context.run(func, *args)
            except (SystemExit, KeyboardInterrupt):
                event.signal()  # The loop stops for now, and there may be more calls.
                raise
            except BaseException as exc:
                report = {"message": f"Exception in callback {func!r}", "exception": exc}
                self._loop.call_exception_handler(report)
