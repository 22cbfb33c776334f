"""`Exchange`: the whole talk with a process that is fed once and read to its end, in one wait.

Owns a selector over what is not through yet: our ends of the pipes, and the pidfd where there is
one. Knows of the event loop only `Watch`: the selector has a descriptor too, which is ready when
anything in it is. So whatever happens is dealt with in the loop's callback, and the task wakes up
once, when all is over (`process-run` in `benchmarks/`: with a task for each pipe it takes 6 % longer).

    a pipe we read    open --bytes--> open          kept
                           --end of file--> through
    the pipe we feed  open --some were taken--> open
                           --all were taken, or nobody reads--> through, and closed

Rules
-----
* One read and one write per event and pipe: a fast process must not keep the event loop here.
* A program may leave its input unread, as `head` does: that is not an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from typing import Any, Self

from .._kernel.contract import Kernel

CHUNK = 65536
"""As many bytes as a pipe holds on Linux."""


class Exchange:
    """Feeds and reads pipes until all of them are through."""

    __slots__ = ("_selector",)

    def __init__(self) -> None:
        self._selector: Any = DefaultSelector()  # every POSIX system has one with a descriptor

    def gather(self, fd: int) -> list[bytes]:
        """Read from `fd` until its end; return the list that the pieces are put in."""
        chunks: list[bytes] = []
        self._selector.register(fd, EVENT_READ, partial(self._pull, fd, chunks))
        return chunks

    def feed(self, fd: int, input: bytes | None, close: Callable[[], object]) -> None:
        """Write `input` to `fd`, then `close()`."""
        rest = _write(fd, memoryview(input or b"").cast("B"))
        if rest:
            self._selector.register(fd, EVENT_WRITE, partial(self._push, fd, rest, close))
        else:
            close()

    def await_end(self, pidfd: int) -> None:
        """Wait until `pidfd` is readable, too."""
        self._selector.register(pidfd, EVENT_READ, partial(self._selector.unregister, pidfd))

    async def run(self, kernel: Kernel) -> None:
        """Wait until all is through."""
        if not self._selector.get_map():
            return
        watch = kernel.watch(self._selector.fileno())
        try:
            await watch.when_readable(self._step)
        finally:
            watch.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()

    def _step(self) -> None:
        """Do what can be done now; raise BlockingIOError unless that was the last of it."""
        for key, _ in self._selector.select(0):
            key.data()
        if self._selector.get_map():
            raise BlockingIOError

    def _pull(self, fd: int, chunks: list[bytes]) -> None:
        chunk = os.read(fd, CHUNK)
        if chunk:
            chunks.append(chunk)
        else:
            self._selector.unregister(fd)

    def _push(self, fd: int, rest: memoryview, close: Callable[[], object]) -> None:
        left = _write(fd, rest)
        if left:
            # The next event is to go on from there.
            self._selector.modify(fd, EVENT_WRITE, partial(self._push, fd, left, close))
        else:
            self._selector.unregister(fd)
            close()


def _write(fd: int, rest: memoryview) -> memoryview:
    """Write what the pipe takes; return what is still to be written, nothing if nobody reads."""
    try:
        return rest[os.write(fd, rest) :]
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        return rest[:0]
