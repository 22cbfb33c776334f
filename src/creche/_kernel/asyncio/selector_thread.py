"""`SelectorThread`: `add_reader` and similar for a loop without them, such as Windows' proactor loop.

Owns one thread, made at first use, that waits in `select()`, and the pair of sockets that wakes it.
Knows neither tasks nor waiters: it calls what it was given, in the loop's thread.

An `_Interest` is one descriptor in one direction, from `add_*` to `remove_*`:

    armed --ready--> reported --the callback has run--> armed
    armed or reported --remove_*, or an add_* that replaces it--> gone

    state      the thread waits for it   what a report of it does
    armed      yes                       becomes reported, and calls the callback
    reported   no                        cannot come
    gone       not for long              nothing: the descriptor may be another one by now

Rules
-----
* What is ready and not read stays ready, so the thread forgets an interest when it reports it. It is
  armed again one pass of the loop after the callback: a task that the callback woke has run by then, and
  has often removed it.
* The two threads share interests, a deque of those to look at again, and no lock: a finaliser may
  remove a reader in any thread at any time, also one that would hold that lock. Only the loop's side and
  such a finaliser set `armed`. Both set it before they look whether it still holds, and tell the thread
  after they have set it; the thread goes by what it finds then, so whoever comes last is heard.
* A report that is on its way when its interest is removed finds that gone, and an interest that is
  watched for a moment too long is reported to nobody. So a report may come for nothing, and none is lost.
* The thread refers neither to callbacks nor to the loop, which can be closed and dropped at any time:
  then the other end of its wake-up socket is closed by a finaliser, and the thread ends. It also
  ends when it has something to report to a loop that was closed. It is a daemon, because until
  one of these has happened it must not keep the interpreter from ending.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

MOST = 511
"""Descriptors in one direction: CPython's select() takes 512 on Windows, and one is our own."""
FAILURES_APART = os.name == "nt"
"""Whether `select()` tells that a connect has failed in its third list, not among the writable."""


class _Interest:
    """One descriptor in one direction; all that the thread knows of it."""

    __slots__ = ("armed", "fd", "writing")

    def __init__(self, fd: int, writing: bool) -> None:
        self.fd = fd
        self.writing = writing
        self.armed = True


class SelectorThread:
    """The readers and writers of one loop. Everything here is called in the loop's thread."""

    __slots__ = ("__weakref__", "_end", "_entries", "_selection", "_thread", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._entries: tuple[dict[int, _Entry], dict[int, _Entry]] = ({}, {})
        self._selection: _Selection | None = None
        self._thread: threading.Thread | None = None
        self._end: Callable[[], object] | None = None

    def add_reader(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        """Call `callback(*args)` whenever there is something to read, until `remove_reader`."""
        self._add(_Interest(fd, False), callback, args)

    def add_writer(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        """Call `callback(*args)` whenever there is room to write, until `remove_writer`."""
        self._add(_Interest(fd, True), callback, args)

    def remove_reader(self, fd: int) -> bool:
        """Stop calling; return whether there was anything to call. `fd` can be closed after this."""
        return self._remove(fd, writing=False)

    def remove_writer(self, fd: int) -> bool:
        """Stop calling; return whether there was anything to call. `fd` can be closed after this."""
        return self._remove(fd, writing=True)

    def close(self) -> None:
        """End the thread and wait until it has ended. An `add_*` after this starts another."""
        thread, end = self._thread, self._end
        self._thread = self._end = self._selection = None
        if thread is not None and end is not None:
            end()
            thread.join()

    def _add(
        self, interest: _Interest, callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        fd, entries = interest.fd, self._entries[interest.writing]
        self._remove(fd, writing=interest.writing)
        if len(entries) >= MOST:
            raise OSError(
                errno.EMFILE,
                f"this event loop waits for {MOST} descriptors already, all that select() takes: "
                "use one that has add_reader of its own, such as winloop's",
            )
        _probe(fd)
        if self._selection is None:
            self._start()
        entries[fd] = (interest, callback, args)
        self._tell(interest)

    def _remove(self, fd: int, *, writing: bool) -> bool:
        entry = self._entries[writing].pop(fd, None)
        if entry is None:
            return False
        interest = entry[0]
        if interest.armed:
            interest.armed = False
            self._tell(interest)
        return True

    def deliver(self, interest: _Interest) -> None:
        """Run the callback of what the thread has reported."""
        entry = self._entries[interest.writing].get(interest.fd)
        if entry is None or entry[0] is not interest:
            return
        interest.armed = False
        _, callback, args = entry
        try:
            callback(*args)
        finally:
            self.loop.call_soon(self._rearm, interest)

    def _rearm(self, interest: _Interest) -> None:
        interest.armed = True  # Before the look: code that removes it after that finds it armed.
        entry = self._entries[interest.writing].get(interest.fd)
        if entry is None or entry[0] is not interest:
            interest.armed = False
        else:
            self._tell(interest)

    def _tell(self, interest: _Interest) -> None:
        if self._selection is not None:
            self._selection.tell(interest)

    def _start(self) -> None:
        selection = _Selection(self)
        thread = threading.Thread(target=selection.run, name="creche readiness", daemon=True)
        try:
            thread.start()
        except BaseException:
            selection.abandon()
            raise
        self._selection, self._thread = selection, thread
        self._end = weakref.finalize(self, selection.sender.close)
        for entries in self._entries:  # Of the thread before this one, if there was one.
            for interest, _, _ in entries.values():
                selection.tell(interest)


_Entry = tuple[_Interest, Callable[..., object], tuple[Any, ...]]


class _Selection:
    """What the thread does. The loop's calls only `tell` and `abandon`."""

    __slots__ = ("_armed", "_owner", "_receiver", "_told", "sender")

    def __init__(self, owner: SelectorThread) -> None:
        self._owner = weakref.ref(owner)
        self._armed: tuple[dict[int, _Interest], dict[int, _Interest]] = ({}, {})
        self._told: deque[_Interest] = deque()
        self._receiver, self.sender = socket.socketpair()
        self.sender.setblocking(False)

    def tell(self, interest: _Interest) -> None:
        """Have the thread look at an interest that was armed or removed."""
        self._told.append(interest)
        try:
            self.sender.send(b"\0")
        except OSError:
            pass  # Full, so it will look anyway; or the thread has ended, with the loop.

    def abandon(self) -> None:
        """Close both ends; no thread was started."""
        self._receiver.close()
        self.sender.close()

    def run(self) -> None:
        """Wait and report until the other end of the wake-up socket is closed."""
        with self._receiver:
            while self._step():
                pass

    def _step(self) -> bool:
        ready = self._select()
        # Before the new interests: an event of this round is not for them.
        for armed, descriptors in zip(self._armed, ready, strict=True):
            for fd in descriptors:
                interest = armed.pop(fd, None)
                if interest is not None and not self._report(interest):
                    return False
        return self._receiver.fileno() not in ready[0] or self._listen()

    def _select(self) -> tuple[list[int], list[int]]:
        reading, writing = [self._receiver.fileno(), *self._armed[0]], [*self._armed[1]]
        failing = writing if FAILURES_APART else []
        try:
            readable, writable, failed = select.select(reading, writing, failing)
        except OSError:
            # One was closed meanwhile. Its callback, if any is left, will find out why.
            return list(_unusable(reading)), list(_unusable(writing))
        return readable, writable + failed

    def _report(self, interest: _Interest) -> bool:
        owner = self._owner()
        if owner is None:
            return False
        try:
            owner.loop.call_soon_threadsafe(owner.deliver, interest)
        except RuntimeError:
            return False  # The loop was closed.
        return True

    def _listen(self) -> bool:
        try:
            if not self._receiver.recv(4096):
                return False
        except OSError:
            return False
        while self._told:
            interest = self._told.popleft()
            armed = self._armed[interest.writing]
            if interest.armed:
                armed[interest.fd] = interest
            elif armed.get(interest.fd) is interest:
                del armed[interest.fd]
        return True


def _probe(fd: int) -> None:
    """Raise OSError for what `select()` cannot watch: a closed number, or on Windows anything but a socket."""
    select.select((fd,), (), (), 0)


def _unusable(descriptors: Iterable[int]) -> Iterable[int]:
    for fd in descriptors:
        try:
            _probe(fd)
        except OSError:
            yield fd
