"""Byte streams with a buffer: receive exactly so many bytes, or as far as a delimiter.

Owns the waiting for more; the bytes and the search are in `_byte_buffer.py`. Knows nothing of where
the wrapped stream has its bytes from.

    open --aclose--> closed

Rules
-----
* An operation that finds what it needs in the buffer is a checkpoint and a slice. Nothing else is
  on that path: `buffered-exactly` and `buffered-until` in `benchmarks/`.
* It reads ahead: whatever the wrapped stream gives at once goes into the buffer. From then on read
  from here, not from the wrapped stream.
* An operation that raises takes nothing out of the buffer.
* While a task waits for more, all that is unread is in the tail. So no other task finds anything on
  the short path, and on the long one it learns that the stream is busy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, SupportsIndex

from .._abc.streams import (
    AnyByteReceiveStream,
    AnyByteStream,
    AnyByteStreamConnectable,
    ByteReceiveStream,
    ByteStream,
    ByteStreamConnectable,
)
from .._exceptions import (
    BusyResourceError,
    ClosedResourceError,
    DelimiterNotFound,
    EndOfStream,
    IncompleteRead,
)
from .._kernel import current_task
from ._byte_buffer import ByteBuffer


class BufferedByteReceiveStream(ByteBuffer, ByteReceiveStream):
    """Wraps a stream that bytes come out of, and receives by size or by delimiter.

    It reads ahead: what has been received of the wrapped stream and not yet of this one is in
    `buffer`.

    :param receive_stream: the stream to receive from, of bytes or of bytes objects
    """

    __slots__ = ("__weakref__", "_closed", "_receiving", "receive_stream")

    def __init__(self, receive_stream: AnyByteReceiveStream) -> None:
        super().__init__()
        self.receive_stream = receive_stream
        self._receiving = self._closed = False

    @property
    def buffer(self) -> bytes:
        """A copy of the bytes that are in the buffer."""
        return bytes(self)

    def __bool__(self) -> bool:
        return True  # a stream is there, also with an empty buffer

    def feed_data(self, data: Iterable[SupportsIndex], /) -> None:
        """Put bytes into the buffer, behind those that are there, as if they had been received.

        A task that waits for more does not wake up from it.

        :param data: bytes, or any iterable of numbers from 0 to 255
        """
        self._feed(data if isinstance(data, bytes | bytearray) else bytes(iter(data)))

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return what is in the buffer, or wait for bytes if it is empty. A checkpoint.

        :param max_bytes: the most to return, in bytes; at least 1
        :raises ValueError: `max_bytes` is less than 1
        :raises ClosedResourceError: this stream was closed
        :raises BusyResourceError: another task is receiving from it
        :raises EndOfStream: the peer is done, and the buffer is empty
        """
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be a positive integer, not {max_bytes}")
        await current_task().ready_checkpoint()
        self._check()
        while not (taken := self._take_some(max_bytes)):  # also when an empty chunk has come
            self._receiving = True
            try:
                self._feed(await self.receive_stream.receive())
            finally:
                self._receiving = False
        return taken

    async def receive_exactly(self, nbytes: int) -> bytes:
        """Wait for `nbytes` bytes and return them. A checkpoint.

        If it raises, what had arrived stays in the buffer.

        :param nbytes: how many bytes; 0 or more
        :raises ValueError: `nbytes` is negative
        :raises IncompleteRead: the stream ended before
        :raises ClosedResourceError: this stream was closed
        :raises BusyResourceError: another task is receiving from it
        """
        await current_task().ready_checkpoint()
        start = self._start
        end = start + nbytes
        if start < end <= self._end:
            self._start = end
            return self._data[start:end]
        return await self._receive_exactly(nbytes)

    async def receive_until(self, delimiter: bytes, max_bytes: int) -> bytes:
        """Wait for a delimiter and return the bytes before it; it is left out. A checkpoint.

        If it raises, what had arrived stays in the buffer.

        :param delimiter: the bytes to look for; at least one
        :param max_bytes: the delimiter has to end within so many bytes
        :raises ValueError: `delimiter` is empty, or `max_bytes` is less than 1
        :raises DelimiterNotFound: it is not among the first `max_bytes` bytes
        :raises IncompleteRead: the stream ended before
        :raises ClosedResourceError: this stream was closed
        :raises BusyResourceError: another task is receiving from it
        """
        await current_task().ready_checkpoint()
        if max_bytes > 0 and delimiter:
            start = self._start
            at = self._data.find(delimiter, start, start + max_bytes)
            if at >= 0:
                self._start = at + len(delimiter)
                return self._data[start:at]
        return await self._receive_until(delimiter, max_bytes)

    async def aclose(self) -> None:
        """Close the wrapped stream, and drop what is in the buffer."""
        self._closed = True
        self._forget()
        await self.receive_stream.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The attributes of the wrapped stream."""
        return self.receive_stream.extra_attributes

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self)} bytes"
        return f"<{type(self).__name__} {state}, of {self.receive_stream!r}>"

    # When the buffer does not have it

    def _check(self) -> None:
        if self._closed:
            raise ClosedResourceError("this buffered stream was closed: wrap a new stream")
        if self._receiving:
            raise BusyResourceError("reading from")

    async def _receive_exactly(self, nbytes: int) -> bytes:
        if nbytes < 0:
            raise ValueError(f"nbytes must not be negative, but is {nbytes}")
        self._check()
        tail = self._gather()
        while len(tail) < nbytes:
            await self._more()
        return self._cut(nbytes)

    async def _receive_until(self, delimiter: bytes, max_bytes: int) -> bytes:
        if not delimiter:
            raise ValueError("delimiter must have at least one byte, and this one is empty")
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be a positive integer, not {max_bytes}")
        self._check()
        tail = self._gather()
        searched = 0
        while (at := tail.find(delimiter, searched, max_bytes)) < 0:
            if len(tail) >= max_bytes:
                raise DelimiterNotFound(max_bytes)
            searched = max(0, len(tail) - len(delimiter) + 1)
            await self._more()
        return self._cut(at, len(delimiter))

    async def _more(self) -> None:
        """Wait for more bytes, behind those that are in the tail."""
        self._receiving = True
        try:
            self._feed(await self.receive_stream.receive())
        except EndOfStream as exc:
            raise IncompleteRead from exc
        finally:
            self._receiving = False
        if self._closed:
            raise ClosedResourceError("this buffered stream was closed while a task was receiving")


class BufferedByteStream(BufferedByteReceiveStream, ByteStream):
    """Wraps a byte stream, and receives by size or by delimiter; sends go straight through.

    :param stream: the stream to wrap, of bytes or of bytes objects
    """

    __slots__ = ("_stream",)

    def __init__(self, stream: AnyByteStream) -> None:
        super().__init__(stream)
        self._stream = stream

    async def send(self, item: bytes) -> None:
        """Send all of the bytes to the wrapped stream."""
        await self._stream.send(item)

    async def send_eof(self) -> None:
        """Tell the peer that no more will be sent."""
        await self._stream.send_eof()


class BufferedConnectable(ByteStreamConnectable):
    """Wraps a connectable: what it connects to comes as a `BufferedByteStream`.

    :param connectable: what knows how to connect
    """

    __slots__ = ("__weakref__", "connectable")

    def __init__(self, connectable: AnyByteStreamConnectable) -> None:
        self.connectable = connectable

    async def connect(self) -> BufferedByteStream:
        """Connect, and return the stream with a buffer around it.

        :raises ConnectionFailed: there was no connecting; the system's error is its cause
        """
        return BufferedByteStream(await self.connectable.connect())

    def __repr__(self) -> str:
        return f"{type(self).__name__}(connectable={self.connectable!r})"
