"""`ThreadsafeCalls`: what other threads ring when they want something of an asyncio loop.

Owns the calls that are on their way, and an eventfd that the loop watches. Knows of the loop how to
watch a descriptor, and its own way in (`loop.call_soon_threadsafe`), which is taken where there is
no calls. That way is a pair of sockets, a callback and its handle for each call, and two reads for
each event, which let the other threads in between; the calls costs one write and one read
(`from-thread-sync` in `benchmarks/`).

    none --first call--> asked for --the loop's next pass--> hung up --the loop ends--> none
                                 `--not Linux, no descriptors left--> none

    hung up        a call goes into the queue, and the eventfd is written to unless it was already
    otherwise      a call takes the loop's own way

Rules
-----
* A call is in the queue before the calls rings, and whoever finds it rung already need not ring: the
  loop takes the mark away before it looks at the queue for the last time.
* The calls are made first, and then the eventfd is read: the thread that waits for an answer wakes
  up while this one is in that system call. A call that comes in between is made after it.
* The lock also orders the mark and the queue on a Python without a global lock: a call is put into the
  queue and the mark looked at in one go, and so is the mark taken away, before the queue is looked at.
* No call is put into the queue of a calls that was taken down: so there is a lock. A signal's handler
  may ring in the middle of a ring: so it is a re-entrant one.
* Only the loop holds the eventfd for long. A loop that is closed, and nothing else, lets go of it too;
  and its number is not written to once it was closed, for whoever writes holds it.
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
"""The system's call; None where there is none, and in the tests of the other way."""


class _Wire:
    """The eventfd, closed when nobody holds it: the loop does, as it watches, and who writes to it."""

    __slots__ = ("__weakref__", "fd")

    def __init__(self) -> None:
        assert eventfd is not None, "asked before"
        self.fd = eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def pull(self) -> None:
        os.eventfd_write(self.fd, 1)

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)


def _no_wire() -> _Wire | None:
    return None


class ThreadsafeCalls:
    """The way into one loop. All but `ring` is in its thread."""

    __slots__ = ("_asked", "_exits", "_lock", "_loop", "_queue", "_rung", "_wire")

    def __init__(self, loop: AbstractEventLoop, exits: Exits) -> None:
        self._loop = loop
        self._exits = exits
        self._lock = threading.RLock()
        self._queue: deque[tuple[Context, Callable[..., object], tuple[Any, ...]]] = deque()
        # A loop that cannot watch anything need not be asked: no callback more in a simulated run.
        add_reader: Any = type(loop).add_reader
        self._asked = add_reader is AbstractEventLoop.add_reader or hasattr(add_reader, "refuses")
        self._rung = False
        self._wire: Callable[[], _Wire | None] = _no_wire

    def descriptors(self) -> Collection[int]:
        wire = self._wire()
        return () if wire is None else (wire.fd,)

    def add(self, func: Callable[..., object], args: tuple[Any, ...]) -> None:
        """Have the loop call `func(*args)` soon. From any thread.

        :raises RuntimeError: the loop is closed
        """
        loop, context = self._loop, copy_context()
        with self._lock:
            wire = self._wire()
            if wire is not None and not loop.is_closed():
                self._queue.append((context, func, args))
                if not self._rung:
                    self._rung = True
                    wire.pull()
                return
            asked, self._asked = self._asked, True
        if not asked:
            loop.call_soon_threadsafe(self._open)
        loop.call_soon_threadsafe(func, *args)

    def _open(self) -> None:
        if eventfd is None or self._exits.over:
            return
        try:
            wire = _Wire()
            self._loop.add_reader(wire.fd, self._answer, wire)
        except (OSError, NotImplementedError):
            return  # Out of descriptors, or none can be watched: the loop's own way needs none.
        with self._lock:
            self._wire = weakref.ref(wire)
        if self._exits.armed:  # Else the kernel does it, or the loop as it is closed.
            self._exits.add(self.close)

    def close(self) -> None:
        """The loop is about to end: have what is on its way go the loop's own way."""
        with self._lock:
            wire = self._wire()
            self._wire = _no_wire
            if wire is None or self._loop.is_closed():
                return
            self._loop.remove_reader(wire.fd)
            while self._queue:
                context, func, args = self._queue.popleft()
                self._loop.call_soon(func, *args, context=context)

    def _answer(self, wire: _Wire) -> None:
        """The loop reports that the calls has rung."""
        with self._lock:
            self._rung = False
        self._make_calls(wire)
        try:
            os.eventfd_read(wire.fd)
        except BlockingIOError:
            pass
        with self._lock:
            self._rung = False
        self._make_calls(wire)

    def _make_calls(self, wire: _Wire) -> None:
        queue = self._queue
        for _ in range(len(queue)):
            context, func, args = queue.popleft()
            try:
                context.run(func, *args)
            except (SystemExit, KeyboardInterrupt):
                wire.pull()  # The loop is left for now, and calls may be left in the queue.
                raise
            except BaseException as exc:
                report = {"message": f"Exception in callback {func!r}", "exception": exc}
                self._loop.call_exception_handler(report)
