"""`Loop`: calls callbacks, one after the other, and sleeps when there is none.

Owns the order of things. Knows no tasks, scopes or primitives: all it has is functions to call.

    open --close--> closed

Rules
-----
* What is due in one pass was there when the pass began: a callback that adds another cannot starve
  descriptors and timers.
* `when_idle` calls come when nothing is ready, not even a descriptor.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any

Callback = Callable[[], object]

_log = logging.getLogger("toy_kernel")


class Timer:
    """A call that is due at some time. `cancel` may be called at any time, also after it."""

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        self.callback = None


class Loop:
    """One event loop."""

    def __init__(self) -> None:
        self._ready = deque[Callback]()
        self._later: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._idle = deque[Callback]()
        self._selector = selectors.DefaultSelector()
        self._watched: dict[int, dict[int, Callback]] = {}
        self._woken, self.waker = socket.socketpair()
        self._woken.setblocking(False)
        self.waker.setblocking(False)
        self.watch(self._woken.fileno(), selectors.EVENT_READ, self._drain)
        self._threads = threading.Lock()
        self.closed = False
        self.report: Callable[[BaseException], object] = _report
        """What is called with an exception that a callback let out."""

    # What is to be called

    def call_soon(self, callback: Callback) -> None:
        self._ready.append(callback)

    def call_soon_threadsafe(self, callback: Callback) -> None:
        """Do the same from any thread. Raises RuntimeError if the loop is closed."""
        with self._threads:
            if self.closed:
                raise RuntimeError("the loop is closed")
            self._ready.append(callback)
            try:
                self.waker.send(b"\0")
            except BlockingIOError:  # It is full of wake-ups already.
                pass

    def call_at(self, when: float, callback: Callback) -> Timer:
        timer = Timer(callback)
        heappush(self._later, (when, next(self._order), timer))
        return timer

    def when_idle(self, callback: Callback) -> None:
        self._idle.append(callback)

    # Descriptors

    def watch(self, fd: int, event: int, callback: Callback) -> None:
        """Have `callback()` called in each pass in which `fd` is ready for `event`."""
        sides = self._watched.setdefault(fd, {})
        if sides:
            self._selector.modify(fd, event | sum(sides))
        else:
            self._selector.register(fd, event)
        sides[event] = callback

    def unwatch(self, fd: int, event: int) -> None:
        sides = self._watched.get(fd, {})
        if sides.pop(event, None) is None:
            return
        if sides:
            self._selector.modify(fd, sum(sides))
        else:
            self._selector.unregister(fd)
            del self._watched[fd]

    def descriptors(self) -> tuple[int, ...]:
        """Return the descriptors of the loop's own."""
        selector: Any = self._selector
        return (self._woken.fileno(), self.waker.fileno(), selector.fileno())

    def _drain(self) -> None:
        try:
            while self._woken.recv(4096):
                pass
        except BlockingIOError:
            pass

    # Running

    def busy(self) -> bool:
        """Tell whether something is to be called at once."""
        return bool(self._ready)

    def turn(self) -> None:
        """Make one pass: sleep until something is due, then call all that is."""
        for key, events in self._selector.select(self._time_to_sleep()):
            for event, callback in list(self._watched.get(key.fd, {}).items()):
                if events & event:
                    self._call(callback)
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            timer = heappop(self._later)[2]
            if timer.callback is not None:
                self._ready.append(timer.callback)
        if not self._ready:
            self._ready.extend(self._idle)
            self._idle.clear()
        for _ in range(len(self._ready)):
            self._call(self._ready.popleft())

    def _time_to_sleep(self) -> float | None:
        while self._later and self._later[0][2].callback is None:
            heappop(self._later)
        if self._ready or self._idle:
            return 0
        due = self._later[0][0] if self._later else inf
        return None if due == inf else max(0, due - time.monotonic())

    def _call(self, callback: Callback) -> None:
        try:
            callback()
        except Exception as exc:
            self.report(exc)

    def close(self) -> None:
        with self._threads:
            self.closed = True
        self._selector.close()
        self._woken.close()
        self.waker.close()


def _report(exc: BaseException) -> None:
    _log.error("a callback of the loop raised", exc_info=exc)
