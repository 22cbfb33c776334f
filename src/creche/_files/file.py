"""`AsyncFile`: an open file whose blocking calls are made in threads.

Owns nothing but the file that it wraps, and has no other state: open, then closed. Knows no loop.

Rules
-----
* One call here is one call of the file's own method in a thread, so position, buffering, newlines
  and errors are the file's. A call that was cancelled before its turn did nothing; one that runs
  is waited for, since a thread cannot be stopped.
* From a terminal, a pipe or a socket the next bytes may never come, so a thread is taken only when there
  is something to read (`arrivals.py`). There bytes are read ahead.
* A close and a flush are carried out even when they are cancelled, so what was written is not lost.
* No line is read ahead, though that would save calls: code that uses the file itself (`wrapped`,
  `fileno`) finds it where the last line ended.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable
from typing import IO, Any, AnyStr, Generic, cast, overload

from .._abc.resources import AsyncResource
from .._hints import (
    OpenBinaryMode,
    OpenTextMode,
    ReadableBuffer,
    StrOrBytesPath,
    WriteableBuffer,
)
from .._sync import CapacityLimiter
from .._threads.arrivals import UNKNOWN, Arrivals, arrivals_of
from .thread import for_certain, in_thread


class AsyncFile(AsyncResource, Generic[AnyStr]):
    """A file object with async methods for what may block; everything else is passed through.

    `async with` closes it, `async for` goes over its lines. `name`, `closed`, `fileno()` and the file's
    other attributes are there as usual.

    :param fp: the file to wrap
    :param limiter: what bounds the number of calls that run at a time; None for the event loop's
        own
    """

    def __init__(self, fp: IO[AnyStr], *, limiter: CapacityLimiter | None = None) -> None:
        self._fp: Any = fp
        self._limiter = limiter
        self._arrivals: Any = UNKNOWN

    def _source(self) -> Any:
        """Return what reading goes through, None for the file itself, in threads."""
        source = self._arrivals
        if source is UNKNOWN:
            source = arrivals_of(self._fp)
            if source is not None:
                source.limiter = self._limiter
            self._arrivals = source
        return None if source is None or self._fp.closed else source

    @property
    def wrapped(self) -> IO[AnyStr]:
        """The file object itself."""
        return cast("IO[AnyStr]", self._fp)

    @property
    def limiter(self) -> CapacityLimiter | None:
        """What bounds the number of calls, None for the event loop's own limiter."""
        return self._limiter

    def __getattr__(self, name: str) -> Any:
        if name == "_fp":  # asked for before there is one, by `copy` and similar
            raise AttributeError(name)
        return getattr(self._fp, name)

    def __aiter__(self) -> AsyncIterator[AnyStr]:
        """Go over the lines, from where the file is."""
        return cast("AsyncIterator[AnyStr]", self)

    async def __anext__(self) -> AnyStr:
        line = await self.readline()
        if line:
            return line
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Write what is buffered and close the file, also if the caller is cancelled.

        A checkpoint. A second call does nothing.

        :raises OSError: what was buffered could not be written; the file is closed all the same
        """
        if isinstance(self._arrivals, Arrivals):
            self._arrivals.closing()
        await for_certain(self._fp.close, limiter=self._limiter)

    async def read(self, size: int = -1) -> AnyStr:
        """Read up to `size` characters or bytes, or to the end if `size` is negative."""
        source = self._source()
        if source is not None:
            return cast("AnyStr", await source.read(size))
        data: AnyStr = await in_thread(self._fp.read, size, limiter=self._limiter)
        return data

    async def read1(self: AsyncFile[bytes], size: int = -1) -> bytes:
        """Read up to `size` bytes with at most one call of the system."""
        source = self._source()
        if source is not None and hasattr(self._fp, "read1"):
            return cast("bytes", await source.read1(size))
        data: bytes = await in_thread(self._fp.read1, size, limiter=self._limiter)
        return data

    async def readline(self) -> AnyStr:
        """Read to the end of the line; return an empty string or bytes at the end of the file."""
        source = self._source()
        if source is not None:
            return cast("AnyStr", await source.readline())
        line: AnyStr = await in_thread(self._fp.readline, limiter=self._limiter)
        return line

    async def readlines(self) -> list[AnyStr]:
        """Read all the lines that are left."""
        source = self._source()
        if source is not None:
            return cast("list[AnyStr]", await source.readlines())
        lines: list[AnyStr] = await in_thread(self._fp.readlines, limiter=self._limiter)
        return lines

    async def readinto(self: AsyncFile[bytes], b: WriteableBuffer) -> int:
        """Read into `b` until it is full or the file ends; return the number of bytes."""
        source = self._source()
        if source is not None and hasattr(self._fp, "readinto"):
            return cast("int", await source.readinto(b))
        count: int = await in_thread(self._fp.readinto, b, limiter=self._limiter)
        return count

    async def readinto1(self: AsyncFile[bytes], b: WriteableBuffer) -> int:
        """Read into `b` with at most one call of the system; return the number of bytes."""
        source = self._source()
        if source is not None and hasattr(self._fp, "readinto1"):
            return cast("int", await source.readinto1(b))
        count: int = await in_thread(self._fp.readinto1, b, limiter=self._limiter)
        return count

    @overload
    async def write(self: AsyncFile[bytes], b: ReadableBuffer) -> int: ...

    @overload
    async def write(self: AsyncFile[str], b: str) -> int: ...

    async def write(self, b: ReadableBuffer | str) -> int:
        """Write to the file's buffer, and through it when it is full.

        :param b: bytes or text, according to the file's mode
        :return: how much was written, in bytes or characters
        """
        count: int = await in_thread(self._fp.write, b, limiter=self._limiter)
        return count

    @overload
    async def writelines(self: AsyncFile[bytes], lines: Iterable[ReadableBuffer]) -> None: ...

    @overload
    async def writelines(self: AsyncFile[str], lines: Iterable[str]) -> None: ...

    async def writelines(self, lines: Iterable[ReadableBuffer] | Iterable[str]) -> None:
        """Write several pieces; line ends are not added."""
        await in_thread(self._fp.writelines, lines, limiter=self._limiter)

    async def truncate(self, size: int | None = None) -> int:
        """Make the file `size` bytes long, by default up to the position; return its size."""
        new_size: int = await in_thread(self._fp.truncate, size, limiter=self._limiter)
        return new_size

    async def seek(self, offset: int, whence: int | None = os.SEEK_SET) -> int:
        """Set the position, in bytes from the start, the position or the end; return the new one."""
        origin = os.SEEK_SET if whence is None else whence
        position: int = await in_thread(self._fp.seek, offset, origin, limiter=self._limiter)
        return position

    async def tell(self) -> int:
        """Return the position."""
        position: int = await in_thread(self._fp.tell, limiter=self._limiter)
        return position

    async def flush(self) -> None:
        """Write what is buffered to the system, also if the caller is cancelled.

        :raises OSError: it could not be written; it stays in the buffer
        """
        await for_certain(self._fp.flush, limiter=self._limiter)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._fp!r}>"


@overload
async def open_file(
    file: StrOrBytesPath | int,
    mode: OpenBinaryMode,
    buffering: int = ...,
    encoding: str | None = ...,
    errors: str | None = ...,
    newline: str | None = ...,
    closefd: bool = ...,
    opener: Callable[[str, int], int] | None = ...,
    *,
    limiter: CapacityLimiter | None = ...,
) -> AsyncFile[bytes]: ...


@overload
async def open_file(
    file: StrOrBytesPath | int,
    mode: OpenTextMode = ...,
    buffering: int = ...,
    encoding: str | None = ...,
    errors: str | None = ...,
    newline: str | None = ...,
    closefd: bool = ...,
    opener: Callable[[str, int], int] | None = ...,
    *,
    limiter: CapacityLimiter | None = ...,
) -> AsyncFile[str]: ...


@overload
async def open_file(
    file: StrOrBytesPath | int,
    mode: str,
    buffering: int = ...,
    encoding: str | None = ...,
    errors: str | None = ...,
    newline: str | None = ...,
    closefd: bool = ...,
    opener: Callable[[str, int], int] | None = ...,
    *,
    limiter: CapacityLimiter | None = ...,
) -> AsyncFile[Any]: ...


async def open_file(
    file: StrOrBytesPath | int,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Callable[[str, int], int] | None = None,
    *,
    limiter: CapacityLimiter | None = None,
) -> AsyncFile[Any]:
    """Open a file as the builtin `open` does, with the same arguments. A checkpoint.

    ```python
    import creche


    async def main() -> None:
        async with await creche.open_file(__file__) as file:
            print(await file.readline())
    ```

    :param limiter: what bounds the number of calls that run at a time; None for the event loop's
        own
    :return: the open file
    :raises OSError: it cannot be opened
    :raises ValueError: the arguments do not fit together
    """
    fp = await in_thread(
        open, file, mode, buffering, encoding, errors, newline, closefd, opener, limiter=limiter
    )
    return AsyncFile(fp, limiter=limiter)


def wrap_file(file: IO[AnyStr], *, limiter: CapacityLimiter | None = None) -> AsyncFile[AnyStr]:
    """Wrap an open file in an async one, and use it through that only from then on.

    Reading standard input (`wrap_file(sys.stdin)`), or a terminal, pipe or socket that was opened for bytes,
    can be cancelled at any time: no thread is held while nothing comes.

    ```python
    import sys

    import creche


    async def main() -> None:
        with creche.move_on_after(0.1):
            async for line in creche.wrap_file(sys.stdin):
                print("you said", line.rstrip())
    ```

    :param file: any object with a file's methods
    :param limiter: what bounds the number of calls that run at a time; None for the event loop's
        own
    """
    return AsyncFile(file, limiter=limiter)
