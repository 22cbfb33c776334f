"""Byte streams over files: what reads or writes a stream can read or write a file.

Owns an open file. Every call of it that may block is made in a worker thread. Knows no event loop.

    open --aclose--> closed         closed: every operation raises ClosedResourceError

Rules
-----
* A call that runs is waited for, also by a caller that is cancelled: nothing is written later.
* A terminal, pipe or socket is read when there is something to read: until then no thread is taken, and the
  caller can be cancelled (`_threads/arrivals.py`).
* What the file says is broken stays the `__cause__`; a file of the wrong mode speaks for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import SEEK_SET, UnsupportedOperation
from os import PathLike, fsdecode
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec, TypeVar

from .._abc.resources import AsyncResource
from .._abc.streams import ByteReceiveStream, ByteSendStream
from .._abc.typed_attributes import TypedAttributeProvider, TypedAttributeSet, typed_attribute
from .._exceptions import BrokenResourceError, ClosedResourceError, EndOfStream
from .._kernel import current_task
from .._tasks.scope import CancelScope
from .._threads.arrivals import UNKNOWN, Arrivals, arrivals_of
from .._threads.calls import run_sync

T = TypeVar("T")
P = ParamSpec("P")


class FileStreamAttribute(TypedAttributeSet):
    """Keys of what a stream over a file can tell with `extra()`."""

    file: BinaryIO = typed_attribute()
    """the open file"""
    path: Path = typed_attribute()
    """the path of the file, if it has one"""
    fileno: int = typed_attribute()
    """the number of its descriptor, if it has one"""


class _FileStream(AsyncResource, TypedAttributeProvider):
    """What both kinds have in common."""

    __slots__ = ("__weakref__", "_arrivals", "_file")

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._arrivals: Any = UNKNOWN

    async def aclose(self) -> None:
        """Close the file, writing out what is still in its buffer. A checkpoint.

        It is closed also if the caller is cancelled. A second call does nothing.

        :raises OSError: the buffer could not be written out; the file is closed all the same
        """
        task = current_task()
        if isinstance(self._arrivals, Arrivals):
            self._arrivals.closing()
        cancelled: BaseException | None = None
        with CancelScope(shield=True):
            while not self._file.closed:
                try:
                    await run_sync(self._file.close)
                except task.kernel.cancelled_class as exc:
                    cancelled = exc  # no shield keeps out a native cancel
        if cancelled is not None:
            raise cancelled
        await task.ready_checkpoint()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The attributes of the file, as far as it has them."""
        file = self._file
        attributes: dict[Any, Callable[[], Any]] = {FileStreamAttribute.file: lambda: file}
        name = getattr(file, "name", None)
        if isinstance(name, str | bytes):
            attributes[FileStreamAttribute.path] = lambda: Path(fsdecode(name))
        try:
            file.fileno()
        except (UnsupportedOperation, ValueError):
            pass  # it has none, or none any more
        else:
            attributes[FileStreamAttribute.fileno] = file.fileno
        return attributes

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._file!r}>"

    async def _call(self, func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of the file in a thread."""
        try:
            return await run_sync(lambda: func(*args, **kwargs))
        except UnsupportedOperation:
            raise  # a ValueError too, and no sign of a closed file
        except ValueError:
            if not self._file.closed:
                raise
            raise ClosedResourceError("the file of this stream was closed: open it again") from None

    def _broken(self, exc: OSError) -> BrokenResourceError:
        return BrokenResourceError(f"{self!r} failed: {exc}")


class FileReadStream(_FileStream, ByteReceiveStream):
    """Receives what is in a file.

    :param file: a file that was opened for reading, in binary mode; it then belongs to the stream
    """

    __slots__ = ()

    @classmethod
    async def from_path(cls, path: str | PathLike[str]) -> FileReadStream:
        """Open a file for reading, and return the stream of it. A checkpoint.

        :param path: the path of the file
        :raises OSError: it cannot be opened
        """
        return cls(await run_sync(_open, path, "rb"))

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Read what comes next in the file, at least one byte. A checkpoint.

        :param max_bytes: the most to return, in bytes; at least 1
        :raises ValueError: `max_bytes` is less than 1
        :raises ClosedResourceError: the file was closed
        :raises EndOfStream: there is no more; a file that grows may have some later
        :raises BrokenResourceError: it cannot be read; the system's error is the cause
        :raises io.UnsupportedOperation: it was not opened for reading
        """
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be a positive integer, not {max_bytes}")
        # `read` of a file with a buffer waits until there is all that was asked for, also of a pipe.
        read: Callable[[int], bytes] = getattr(self._file, "read1", self._file.read)
        if self._arrivals is UNKNOWN:
            self._arrivals = arrivals_of(self._file)
        try:
            if self._arrivals is None or self._file.closed:
                data = await self._call(read, max_bytes)
            else:
                data = await self._arrivals.read1(max_bytes)
        except UnsupportedOperation:
            raise
        except OSError as exc:
            raise self._broken(exc) from exc
        if data:
            return data
        raise EndOfStream

    async def seek(self, position: int, whence: int = SEEK_SET) -> int:
        """Go to a place in the file, and return where that is from its beginning. A checkpoint.

        :param position: in bytes
        :param whence: from where: `os.SEEK_SET` the beginning, `os.SEEK_CUR` here, `os.SEEK_END`
            the end
        :raises OSError: there is no such place, or none to go to in such a file
        :raises ClosedResourceError: the file was closed
        """
        return await self._call(self._file.seek, position, whence)

    async def tell(self) -> int:
        """Return how far it has read, in bytes. A checkpoint.

        :raises OSError: the file has no places
        :raises ClosedResourceError: the file was closed
        """
        return await self._call(self._file.tell)


class FileWriteStream(_FileStream, ByteSendStream):
    """Sends to a file.

    What was sent is in the file when the stream is closed; before, some of it may be in a buffer.

    :param file: a file that was opened for writing, in binary mode; it then belongs to the stream
    """

    __slots__ = ()

    @classmethod
    async def from_path(cls, path: str | PathLike[str], append: bool = False) -> FileWriteStream:
        """Open a file for writing, and return the stream of it. A checkpoint.

        :param path: the path of the file, which is made if there is none
        :param append: True to go on where the file ends, False to write it anew
        :raises OSError: it cannot be opened
        """
        return cls(await run_sync(_open, path, "ab" if append else "wb"))

    async def send(self, item: bytes | bytearray | memoryview) -> None:
        """Write all of the bytes. A checkpoint.

        :raises ClosedResourceError: the file was closed
        :raises BrokenResourceError: it cannot be written, for example because the disk is full; the
            system's error is the cause
        :raises io.UnsupportedOperation: it was not opened for writing
        """
        try:
            await self._call(_write_all, self._file, item)
        except UnsupportedOperation:
            raise
        except OSError as exc:
            raise self._broken(exc) from exc


def _open(path: str | PathLike[str], mode: str) -> Any:
    return open(path, mode)


def _write_all(file: BinaryIO, item: bytes | bytearray | memoryview) -> None:
    with memoryview(item) as lent, lent.cast("B") as view:
        at = 0
        while at < len(view):  # a file without a buffer takes what the system takes
            with view[at:] as rest:
                at += file.write(rest) or 0
