"""`SpooledTemporaryFile`: a temporary file that is in memory while it is small.

Owns the question where a call is made. The file itself is the standard library's.

    in memory --more than max_size, rollover, fileno--> on disk --aclose--> closed
        `--aclose--> closed

Rules
-----
* In memory nothing can block, so a call is made at once; it is a checkpoint all the same.
* A call that may send the file to the disk is made in a thread, as all are from then on.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from typing import Any, AnyStr, TypeVar, overload

from .._hints import OpenBinaryMode, OpenTextMode, ReadableBuffer, WriteableBuffer
from .._tasks.checkpoint import ready_checkpoint
from .file import AsyncFile
from .thread import in_thread

T = TypeVar("T")

TEXT_WIDTH = 4
"""Bytes that a character takes at most, in the usual encodings."""


class SpooledTemporaryFile(AsyncFile[AnyStr]):
    """A temporary file that is kept in memory until it is large.

    :param max_size: the most bytes to keep in memory; 0 for any number, until `rollover`
    :param mode: how to open it; what follows is as for `open`
    :param suffix: how its name ends on disk, where it has one for a moment; so `prefix`
    :param dir: the directory it is made in
    """

    @overload
    def __init__(
        self: SpooledTemporaryFile[bytes],
        max_size: int = ...,
        mode: OpenBinaryMode = ...,
        buffering: int = ...,
        encoding: str | None = ...,
        newline: str | None = ...,
        suffix: str | None = ...,
        prefix: str | None = ...,
        dir: str | None = ...,
        *,
        errors: str | None = ...,
    ) -> None: ...

    @overload
    def __init__(
        self: SpooledTemporaryFile[str],
        max_size: int,
        mode: OpenTextMode,
        buffering: int = ...,
        encoding: str | None = ...,
        newline: str | None = ...,
        suffix: str | None = ...,
        prefix: str | None = ...,
        dir: str | None = ...,
        *,
        errors: str | None = ...,
    ) -> None: ...

    @overload
    def __init__(
        self: SpooledTemporaryFile[str],
        max_size: int = ...,
        *,
        mode: OpenTextMode,
        buffering: int = ...,
        encoding: str | None = ...,
        newline: str | None = ...,
        suffix: str | None = ...,
        prefix: str | None = ...,
        dir: str | None = ...,
        errors: str | None = ...,
    ) -> None: ...

    def __init__(
        self,
        max_size: int = 0,
        mode: OpenBinaryMode | OpenTextMode = "w+b",
        buffering: int = -1,
        encoding: str | None = None,
        newline: str | None = None,
        suffix: str | None = None,
        prefix: str | None = None,
        dir: str | None = None,
        *,
        errors: str | None = None,
    ) -> None:
        make: Any = tempfile.SpooledTemporaryFile
        super().__init__(
            make(max_size, mode, buffering, encoding, newline, suffix, prefix, dir, errors=errors)
        )
        self._max_size = max_size

    @property
    def closed(self) -> bool:
        """Whether the file was closed."""
        return bool(self._fp.closed)

    def _in_memory(self) -> bool:
        return self._fp.name is None

    async def _do(self, func: Callable[..., T], *args: Any, at_once: bool = True) -> T:
        """Call a method of the file, in a thread unless it is in memory and stays there."""
        if at_once and self._in_memory():
            await ready_checkpoint()
            return func(*args)
        return await in_thread(func, *args)

    async def rollover(self) -> None:
        """Move what is in memory to the disk. Nothing if it is there."""
        await self._do(self._fp.rollover, at_once=False)

    async def aclose(self) -> None:
        """Close the file, which is the end of it. A second call does nothing. A checkpoint."""
        if self._in_memory():
            self._fp.close()
            await ready_checkpoint()
        else:
            await super().aclose()

    async def flush(self) -> None:
        """Hand what is buffered to the system, if the file is on disk."""
        if self._in_memory():
            await ready_checkpoint()
        else:
            await super().flush()

    async def read(self, size: int = -1) -> AnyStr:
        """Read up to `size` characters or bytes; all that is left if that is negative."""
        data: AnyStr = await self._do(self._fp.read, size)
        return data

    async def read1(self: SpooledTemporaryFile[bytes], size: int = -1) -> bytes:
        """Read up to `size` bytes with at most one call of the system."""
        data: bytes = await self._do(self._fp.read1, size)
        return data

    async def readline(self) -> AnyStr:
        """Read to the end of the line; return an empty string or bytes at the end of the file."""
        line: AnyStr = await self._do(self._fp.readline)
        return line

    async def readlines(self) -> list[AnyStr]:
        """Read all the lines that are left."""
        lines: list[AnyStr] = await self._do(self._fp.readlines)
        return lines

    async def readinto(self: SpooledTemporaryFile[bytes], b: WriteableBuffer) -> int:
        """Read into `b` until it is full or the file ends; return the number of bytes."""
        count: int = await self._do(self._fp.readinto, b)
        return count

    async def readinto1(self: SpooledTemporaryFile[bytes], b: WriteableBuffer) -> int:
        """Read into `b` with at most one call of the system; return the number of bytes."""
        count: int = await self._do(self._fp.readinto1, b)
        return count

    async def seek(self, offset: int, whence: int | None = os.SEEK_SET) -> int:
        """Go to a position, in bytes from the start, here or the end; return where that is."""
        position: int = await self._do(
            self._fp.seek, offset, os.SEEK_SET if whence is None else whence
        )
        return position

    async def tell(self) -> int:
        """Return the position."""
        position: int = await self._do(self._fp.tell)
        return position

    async def truncate(self, size: int | None = None) -> int:
        """Make the file `size` bytes long, by default as long as to here; return its size.

        A size goes to the disk at once if it is over `max_size`.
        """
        new_size: int = await self._do(self._fp.truncate, size, at_once=size is None)
        return new_size

    @overload
    async def write(self: SpooledTemporaryFile[bytes], b: ReadableBuffer) -> int: ...

    @overload
    async def write(self: SpooledTemporaryFile[str], b: str) -> int: ...

    async def write(self, b: ReadableBuffer | str) -> int:
        """Write to memory, or to the disk once there is more than `max_size`.

        :return: how much was written, in bytes or characters
        """
        count: int = await self._do(self._fp.write, b, at_once=self._fits([b]))
        return count

    @overload
    async def writelines(
        self: SpooledTemporaryFile[bytes], lines: Iterable[ReadableBuffer]
    ) -> None: ...

    @overload
    async def writelines(self: SpooledTemporaryFile[str], lines: Iterable[str]) -> None: ...

    async def writelines(self, lines: Iterable[str] | Iterable[ReadableBuffer]) -> None:
        """Write several pieces; line ends are not added."""
        pieces: list[Any] = list(lines)
        await self._do(self._fp.writelines, pieces, at_once=self._fits(pieces))

    def _fits(self, pieces: Iterable[Any]) -> bool:
        """Tell whether all of this can be written in memory."""
        if not self._max_size or not self._in_memory():
            return True
        sizes = (
            len(piece) * TEXT_WIDTH if isinstance(piece, str) else memoryview(piece).nbytes
            for piece in pieces
        )
        return bool(self._fp.tell() + sum(sizes) <= self._max_size)
