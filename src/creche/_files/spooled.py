"""`SpooledTemporaryFile`: a temporary file that is in memory while it is small.

Decides where a call is made. The file itself is the standard library's.

    in memory --more than max_size, rollover, fileno--> on disk --aclose--> closed
        `--aclose--> closed

Rules
-----
* In memory nothing can block, so a call is made at once; it is a checkpoint all the same.
* `rollover` moves the file to the disk, in a thread, and all calls are made in threads from then on. A
  write goes to memory first, so that a class which overrides `rollover` finds all of it there.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from typing import Any, AnyStr, TypeVar, overload

from .._hints import OpenBinaryMode, OpenTextMode, ReadableBuffer, WriteableBuffer
from .._tasks.checkpoint import ready_checkpoint
from .._tasks.scope import CancelScope
from .file import AsyncFile
from .thread import in_thread

T = TypeVar("T")


class SpooledTemporaryFile(AsyncFile[AnyStr]):
    """A temporary file that is kept in memory until it is large.

    :param max_size: the most bytes to keep in memory; 0 for any number, until `rollover`
    :param mode: how to open it; what follows is as for `open`
    :param suffix: how its name on disk ends, on systems where it has one; `prefix`: how it begins
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
            make(0, mode, buffering, encoding, newline, suffix, prefix, dir, errors=errors)
        )
        self._max_size = max_size

    @property
    def closed(self) -> bool:
        """Whether the file was closed."""
        return bool(self._fp.closed)

    def _in_memory(self) -> bool:
        return self._fp.name is None

    async def _do(self, func: Callable[..., T], *args: Any) -> T:
        """Call a method of the file, in a thread unless it is in memory."""
        if self._in_memory():
            await ready_checkpoint()
            return func(*args)
        return await in_thread(func, *args)

    async def rollover(self) -> None:
        """Move the file from memory to the disk, if it is not there yet.

        A write or `truncate` that makes the file too large calls it.
        """
        await in_thread(self._fp.rollover)

    async def _keep_to(self, size: int) -> None:
        """Move the file to the disk if `size` is too much for memory."""
        if 0 < self._max_size < size and self._in_memory():
            with CancelScope(shield=True):  # the write itself is done: it must not raise
                await self.rollover()

    async def aclose(self) -> None:
        """Close the file, which removes it. A second call does nothing. A checkpoint."""
        if self._in_memory():
            self._fp.close()
            await ready_checkpoint()
        else:
            await super().aclose()

    async def flush(self) -> None:
        """Write what is buffered to the system, if the file is on disk."""
        if self._in_memory():
            await ready_checkpoint()
        else:
            await super().flush()

    async def read(self, size: int = -1) -> AnyStr:
        """Read up to `size` characters or bytes, or to the end if `size` is negative."""
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
        """Set the position, in bytes from the start, the position or the end; return the new one."""
        position: int = await self._do(
            self._fp.seek, offset, os.SEEK_SET if whence is None else whence
        )
        return position

    async def tell(self) -> int:
        """Return the position."""
        position: int = await self._do(self._fp.tell)
        return position

    async def truncate(self, size: int | None = None) -> int:
        """Make the file `size` bytes long, by default up to the position; return its size.

        A file of more than `max_size` goes to the disk first.
        """
        if size is not None:
            await ready_checkpoint()
            await self._keep_to(size)
        new_size: int = await self._do(self._fp.truncate, size)
        return new_size

    @overload
    async def write(self: SpooledTemporaryFile[bytes], b: ReadableBuffer) -> int: ...

    @overload
    async def write(self: SpooledTemporaryFile[str], b: str) -> int: ...

    async def write(self, b: ReadableBuffer | str) -> int:
        """Write to memory, or to the disk once there is more than `max_size`.

        :return: how much was written, in bytes or characters
        """
        count: int = await self._do(self._fp.write, b)
        await self._keep_to(self._fp.tell() if self._in_memory() else 0)
        return count

    @overload
    async def writelines(
        self: SpooledTemporaryFile[bytes], lines: Iterable[ReadableBuffer]
    ) -> None: ...

    @overload
    async def writelines(self: SpooledTemporaryFile[str], lines: Iterable[str]) -> None: ...

    async def writelines(self, lines: Iterable[str] | Iterable[ReadableBuffer]) -> None:
        """Write several pieces; line ends are not added."""
        await self._do(self._fp.writelines, lines)
        await self._keep_to(self._fp.tell() if self._in_memory() else 0)
