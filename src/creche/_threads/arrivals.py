"""`Arrivals`: reading what comes when it comes, from a terminal, a pipe or a socket.

Owns what was taken from such a file and not handed out yet. `AsyncFile` and `FileReadStream` read a file in
this way if it is one whose next bytes may never come; every other file they read in threads alone.

    nothing to hand out --the system says there is something--> a thread takes it --> handed out in pieces
           `--cancelled: nothing was taken

Rules
-----
* No thread waits for somebody to type: it is taken when there is something to read. So a reader can be
  cancelled, and the program can end.
* What was taken is handed out by the next operations, whichever they are. One that is cancelled has taken
  nothing from it.
* Bytes come out of the file's own buffer (`read1`), so what that had before comes first.
* The system is asked through an epoll instance where there is one. libuv would make the descriptor itself
  non-blocking, and with it the standard output that is the same terminal.
* Operations of several tasks come one after the other, as a file's own lock would have it.
"""

from __future__ import annotations

import io
import os
import select
import stat
import sys
from codecs import getincrementaldecoder
from collections.abc import Callable
from typing import Any

from .._kernel import current_kernel, current_task
from .._sync import CapacityLimiter
from .._sync.lock import Lock
from .calls import run_sync as in_thread

CHUNK = 65536
UNKNOWN: Any = object()
"""Stands for what reads a file that nobody has looked at yet."""

_EPOLL: Callable[[], Any] | None = getattr(select, "epoll", None)


class _Bytes:
    """Takes bytes as they are."""

    empty: Any = b""
    newline: Any = b"\n"

    def decode(self, data: bytes, final: bool) -> Any:
        return data


class _Text:
    """Makes text of bytes as a text file with universal newlines does."""

    empty: Any = ""
    newline: Any = "\n"

    def __init__(self, encoding: str, errors: str) -> None:
        self._of_bytes = getincrementaldecoder(encoding)
        self._errors = errors
        self._decoder = self._make()

    def _make(self) -> Any:
        return io.IncrementalNewlineDecoder(self._of_bytes(self._errors), translate=True)

    def decode(self, data: bytes, final: bool) -> Any:
        text: str = self._decoder.decode(data, final)
        if final:
            self._decoder = self._make()
        return text


class Arrivals:
    """Reads one file. Its operations do what a file's do, and return what those return."""

    def __init__(
        self, take: Callable[[int], bytes | None], fd: int, form: _Bytes | _Text, *, whole: bool
    ) -> None:
        self._take = take
        self._fd = fd
        self._form = form
        self._whole = whole  # `read(n)` waits for n, as that of a buffered file does.
        self._left: Any = form.empty
        self._lock = Lock()
        self._awaited: Any = None
        self.limiter: CapacityLimiter | None = None

    async def read(self, size: int | None = -1) -> Any:
        await current_task().ready_checkpoint()
        async with self._lock:
            endless = size is None or size < 0
            while endless or len(self._left) < (size or 0):
                if not endless and self._left and not self._whole:
                    break
                if not await self._more():
                    break
            return self._cut(len(self._left) if endless else size)

    async def read1(self, size: int = -1) -> Any:
        await current_task().ready_checkpoint()
        async with self._lock:
            if not self._left and size != 0:
                await self._more()
            return self._cut(size if size >= 0 else len(self._left))

    async def readline(self) -> Any:
        await current_task().ready_checkpoint()
        async with self._lock:
            return await self._line()

    async def readlines(self) -> list[Any]:
        await current_task().ready_checkpoint()
        async with self._lock:
            while await self._more():
                pass
            text, self._left = self._left, self._form.empty
        newline = self._form.newline
        parts = text.split(newline)
        lines: list[Any] = [part + newline for part in parts[:-1]]
        if parts[-1]:
            lines.append(parts[-1])
        return lines

    async def readinto(self, buffer: Any) -> int:
        with memoryview(buffer) as lent, lent.cast("B") as view:
            data: bytes = await self.read(len(view))
            view[: len(data)] = data
            return len(data)

    async def readinto1(self, buffer: Any) -> int:
        with memoryview(buffer) as lent, lent.cast("B") as view:
            data: bytes = await self.read1(len(view))
            view[: len(data)] = data
            return len(data)

    def closing(self) -> None:
        """Wake the waiting tasks: the file is about to be closed. In the loop."""
        if self._awaited is not None:
            current_kernel().notify_closing(self._awaited)

    async def _line(self) -> Any:
        seen = 0
        while (end := self._left.find(self._form.newline, seen)) < 0:
            seen = len(self._left)
            if not await self._more():
                return self._cut(len(self._left))
        return self._cut(end + 1)

    def _cut(self, size: int | None) -> Any:
        left = self._left
        self._left = left[size:]
        return left[:size]

    async def _more(self) -> bool:
        """Wait for something and take it. False at the end of the file."""
        while True:
            await self._readable()
            data = await in_thread(self._take, CHUNK, limiter=self.limiter)
            if data is not None:  # Somebody else was quicker.
                break
        got = self._form.decode(data, not data)
        self._left += got
        return bool(data)

    async def _readable(self) -> None:
        kernel = current_kernel()
        if _EPOLL is None:
            self._awaited = self._fd
            try:
                await kernel.wait_readable(self._fd)
            finally:
                self._awaited = None
            return
        with _EPOLL() as poll:
            poll.register(self._fd, select.EPOLLIN)
            self._awaited = poll
            try:
                await kernel.wait_readable(poll)
            finally:
                self._awaited = None


def arrivals_of(fp: Any) -> Arrivals | None:
    """Return what reads a file whose next bytes may never come, None for any other. In a task."""
    if os.name != "posix" or current_kernel().simulation is not None:
        return None
    raw: Any = fp
    form: _Bytes | _Text = _Bytes()
    if isinstance(fp, io.TextIOWrapper):
        # Of another text file nobody can tell how it treats newlines.
        if fp not in (sys.stdin, sys.__stdin__) or _was_read(fp):
            return None
        form = _Text(fp.encoding, fp.errors or "strict")
        raw = fp.buffer
    if type(raw) is io.BufferedReader:
        take: Callable[[int], bytes | None] = raw.read1
    elif type(raw) is io.FileIO and raw.readable():
        take = raw.read
    else:
        return None
    try:
        fd = raw.fileno()
        if os.isatty(fd) or not _is_ready_for_ever(fd):
            return Arrivals(take, fd, form, whole=type(raw) is io.BufferedReader)
    except (OSError, ValueError):
        pass
    return None


def _was_read(fp: io.TextIOWrapper) -> bool:
    """Tell whether a text file may hold what it has read ahead: then only it can hand that out."""
    try:
        fp.reconfigure(errors=fp.errors)
    except io.UnsupportedOperation:
        return True
    return False


def _is_ready_for_ever(fd: int) -> bool:
    """Tell whether the system calls a descriptor readable whatever it is: a file, or `/dev/null`."""
    mode = os.fstat(fd).st_mode
    return not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))
