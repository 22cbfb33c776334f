"""The ends of pipes that are ours, read and written straight through their descriptors.

Owns one descriptor each, and the watch on it. Knows neither whose the other end is nor what the bytes
mean, and of the event loop only `Watch`, which it asks for when it first waits.

    open --aclose--> closed

    state    receive                         send
    open     works; EndOfStream at the end   works; BrokenResourceError if nobody reads
    closed   ClosedResourceError             ClosedResourceError

Rules
-----
* Try first, and wait only when the system says that it would block.
* A closed stream has the descriptor -1, which the system refuses: nobody asks on the way there.
* The watch is closed before the descriptor, whose number may be another's right after.
* A read that took less than it could has emptied the pipe, so the next one waits at once. The event
  it waits for comes for the end of the pipe too.
"""

# pyright: reportPrivateUsage=false
# The functions of this module do with a pipe what only its process may.

from __future__ import annotations

import os
from functools import partial
from typing import NoReturn

from .._abc.streams import ByteReceiveStream, ByteSendStream
from .._exceptions import (
    BrokenResourceError,
    BusyResourceError,
    ClosedResourceError,
    EndOfStream,
)
from .._kernel import current_task
from .._kernel.contract import Task, Watch
from .._misuse import check_bytes


class PipeEnd:
    """What the reading and the writing end share: the descriptor, and how it is closed."""

    __slots__ = ("__weakref__", "_busy", "_fd", "_label", "_watch")

    def __init__(self, fd: int, label: str) -> None:
        """Take over `fd`, which does not block; `label` says whose pipe it is, for messages."""
        self._fd = fd
        self._label = label
        self._busy = False
        self._watch: Watch | None = None  # made at the first wait

    def __repr__(self) -> str:
        state = "closed" if self._fd < 0 else "open"
        return f"<{type(self).__name__} {state}, {self._label}>"

    def __del__(self) -> None:
        # Silently, as nobody can miss what is in it: a process that is still running warns.
        try:
            self._close()
        except Exception:
            pass  # the loop is gone, and its watches with it

    def _close(self) -> None:
        """Close it at once; a task that waits on it gets ClosedResourceError. Never waits."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            try:
                if self._watch is not None:
                    self._watch.close()
            finally:
                os.close(fd)

    async def aclose(self) -> None:
        """Close it; a task that waits on it gets a ClosedResourceError. A checkpoint.

        It is closed also if the caller is cancelled. A second call does nothing.
        """
        self._close()
        await current_task().ready_checkpoint()

    def _watched(self, task: Task) -> Watch:
        """Return the watch on the descriptor, for `task` to wait."""
        if self._fd < 0:
            raise self._closed_error()
        if self._watch is None:
            self._watch = task.kernel.watch(self._fd)
        return self._watch

    def _raise_for(self, exc: OSError) -> NoReturn:
        """Raise what a failed system call means for the user."""
        if self._fd < 0:
            raise self._closed_error() from None
        raise BrokenResourceError(f"the pipe, {self._label}, is broken: {exc.strerror}") from exc

    def _closed_error(self) -> ClosedResourceError:
        return ClosedResourceError(f"this stream, {self._label}, was closed on this side")


def close(pipe: PipeEnd) -> None:
    """Close an end of a pipe at once. Never waits."""
    pipe._close()


def descriptor(pipe: PipeEnd) -> int:
    """Return the descriptor of an end of a pipe, -1 if it was closed."""
    return pipe._fd


class PipeReceiveStream(PipeEnd, ByteReceiveStream):
    """The reading end of a pipe."""

    __slots__ = ("_drained",)

    def __init__(self, fd: int, label: str) -> None:
        super().__init__(fd, label)
        self._drained = False

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Wait for bytes and return at least one of them. A checkpoint.

        :param max_bytes: the most to return, in bytes; at least 1
        :raises ValueError: `max_bytes` is less than 1
        :raises ClosedResourceError: this stream was closed on this side, before or while this
            waited
        :raises BusyResourceError: another task is receiving from it
        :raises EndOfStream: everybody has closed the other end, and nothing is left
        """
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be a positive integer, not {max_bytes}")
        task = current_task()
        await task.ready_checkpoint()
        if self._busy:
            raise BusyResourceError("reading from")
        data: bytes | None = None
        if not self._drained:
            try:
                data = os.read(self._fd, max_bytes)
            except BlockingIOError:
                pass
            except OSError as exc:
                self._raise_for(exc)
        if data is None:
            data = await self._wait(self._watched(task), max_bytes)
        if data:
            self._drained = len(data) < max_bytes
            return data
        self._drained = False  # the end stays: another call shall find it without waiting
        raise EndOfStream

    async def _wait(self, watch: Watch, max_bytes: int) -> bytes:
        self._busy = True
        try:
            return await watch.when_readable(partial(os.read, self._fd, max_bytes))
        except ClosedResourceError:
            raise self._closed_error() from None
        except OSError as exc:
            self._raise_for(exc)
        finally:
            self._busy = False


class PipeSendStream(PipeEnd, ByteSendStream):
    """The writing end of a pipe."""

    __slots__ = ()

    async def send(self, item: bytes | bytearray | memoryview) -> None:
        """Send all of the bytes, waiting whenever the pipe is full. A checkpoint.

        A pipe holds some of them (64 KiB on Linux): that this returns does not say that they were
        read. If it is cancelled, any part of `item` may have been sent, and no more of it will be.

        :param item: bytes, or any object that lends its memory; it must not change until this
            returns, and is not copied
        :raises ClosedResourceError: this stream was closed on this side, before or while this
            waited
        :raises BusyResourceError: another task is sending to it
        :raises BrokenResourceError: everybody has closed the other end; the system's error is the
            cause
        """
        task = current_task()
        await task.ready_checkpoint()
        if self._busy:
            raise BusyResourceError("writing to")
        if item.__class__ is not bytes:
            check_bytes("send", item)
        with memoryview(item) as lent, lent.cast("B") as view:
            try:
                sent = os.write(self._fd, view)
            except BlockingIOError:
                sent = 0
            except OSError as exc:
                self._raise_for(exc)
            if sent < len(view):
                await self._push(self._watched(task), _Rest(self._fd, view, sent))

    async def _push(self, watch: Watch, rest: _Rest) -> None:
        self._busy = True
        try:
            await watch.when_writable(rest.push)
        except ClosedResourceError:
            raise self._closed_error() from None
        except OSError as exc:
            self._raise_for(exc)
        finally:
            self._busy = False


class _Rest:
    """What is left of a large `send`."""

    __slots__ = ("at", "fd", "view")

    def __init__(self, fd: int, view: memoryview, at: int) -> None:
        self.fd = fd
        self.view = view
        self.at = at

    def push(self) -> None:
        """Write what the pipe takes; raise BlockingIOError until that was the last of it."""
        # Once, not in a loop: a fast reader must not keep the event loop here.
        self.at += os.write(self.fd, self.view[self.at :])
        if self.at < len(self.view):
            raise BlockingIOError
