"""The abstract streams, listeners and connectables, and the aliases for "either kind of stream".

Owns what a stream promises to its users; knows no socket, no buffer and no event loop.

    objects   UnreliableObjectSendStream     <- ObjectSendStream      may lose or reorder -> may not
              UnreliableObjectReceiveStream  <- ObjectReceiveStream
    bytes     ByteSendStream, ByteReceiveStream, ByteStream           chunks, no boundaries

Iterating a receive stream yields what `receive` returns until the other side is done.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

from .._exceptions import EndOfStream
from .._tasks.group import TaskGroup
from .resources import AsyncResource
from .typed_attributes import TypedAttributeProvider

T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)
T_Item = TypeVar("T_Item")


class UnreliableObjectReceiveStream(AsyncResource, TypedAttributeProvider, Generic[T_co]):
    """Receives objects that may come out of order, twice or not at all."""

    __slots__ = ()

    def __aiter__(self) -> UnreliableObjectReceiveStream[T_co]:
        return self

    async def __anext__(self) -> T_co:
        try:
            return await self.receive()
        except EndOfStream:
            raise StopAsyncIteration from None

    @abstractmethod
    async def receive(self) -> T_co:
        """Wait for the next item and return it.

        :raises ClosedResourceError: this stream was closed on this side
        :raises EndOfStream: the other side has closed its end, and nothing is left
        :raises BrokenResourceError: the stream has become unusable
        """


class UnreliableObjectSendStream(AsyncResource, TypedAttributeProvider, Generic[T_contra]):
    """Sends objects that may arrive out of order, twice or not at all."""

    __slots__ = ()

    @abstractmethod
    async def send(self, item: T_contra) -> None:
        """Send an item to the other end, waiting while the stream is full.

        :raises ClosedResourceError: this stream was closed on this side
        :raises BrokenResourceError: the stream has become unusable, or nobody is left to receive
        """


class UnreliableObjectStream(
    UnreliableObjectReceiveStream[T_Item], UnreliableObjectSendStream[T_Item]
):
    """Sends and receives objects without a promise of delivery or order."""

    __slots__ = ()


class ObjectReceiveStream(UnreliableObjectReceiveStream[T_co]):
    """Receives every object that was sent, once, in the order of sending."""

    __slots__ = ()


class ObjectSendStream(UnreliableObjectSendStream[T_contra]):
    """Sends objects that arrive once, in the order of sending."""

    __slots__ = ()


class ObjectStream(
    ObjectReceiveStream[T_Item], ObjectSendStream[T_Item], UnreliableObjectStream[T_Item]
):
    """Sends and receives objects reliably and in order, in both directions."""

    __slots__ = ()

    @abstractmethod
    async def send_eof(self) -> None:
        """Tell the peer that no more will be sent. A second call does nothing."""


class ByteReceiveStream(AsyncResource, TypedAttributeProvider):
    """Receives bytes from one peer, in chunks whose boundaries mean nothing."""

    __slots__ = ()

    def __aiter__(self) -> ByteReceiveStream:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.receive()
        except EndOfStream:
            raise StopAsyncIteration from None

    @abstractmethod
    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Wait for bytes and return at least one of them.

        :param max_bytes: the most to return, in bytes; at least 1
        :raises ValueError: `max_bytes` is less than 1
        :raises ClosedResourceError: this stream was closed on this side
        :raises EndOfStream: the peer has closed its end, and nothing is left
        :raises BrokenResourceError: the stream has become unusable
        """


class ByteSendStream(AsyncResource, TypedAttributeProvider):
    """Sends bytes to one peer."""

    __slots__ = ()

    @abstractmethod
    async def send(self, item: bytes) -> None:
        """Send all of the bytes, waiting whenever the peer is slower.

        :raises ClosedResourceError: this stream was closed on this side
        :raises BrokenResourceError: the stream has become unusable, or the peer is gone
        """


class ByteStream(ByteReceiveStream, ByteSendStream):
    """Sends and receives bytes."""

    __slots__ = ()

    @abstractmethod
    async def send_eof(self) -> None:
        """Tell the peer that no more will be sent. A second call does nothing."""


class Listener(AsyncResource, TypedAttributeProvider, Generic[T_co]):
    """Accepts connections and hands each to a task of its own."""

    __slots__ = ()

    @abstractmethod
    async def serve(
        self, handler: Callable[[T_co], Any], task_group: TaskGroup | None = None
    ) -> None:
        """Accept connections for as long as nobody stops it, each handled in a new task.

        :param handler: a coroutine function that is called with each accepted connection
        :param task_group: where the tasks are started; a group of the listener's own if omitted
        """


class ObjectStreamConnectable(Generic[T_co], metaclass=ABCMeta):
    """Knows how to open an object stream to one place."""

    __slots__ = ()

    @abstractmethod
    async def connect(self) -> ObjectStream[T_co]:
        """Connect, and return the stream.

        :raises ConnectionFailed: there was no connecting; the system's error is its cause
        """


class ByteStreamConnectable(metaclass=ABCMeta):
    """Knows how to open a byte stream to one place."""

    __slots__ = ()

    @abstractmethod
    async def connect(self) -> ByteStream:
        """Connect, and return the stream.

        :raises ConnectionFailed: there was no connecting; the system's error is its cause
        """


AnyUnreliableByteReceiveStream: TypeAlias = UnreliableObjectReceiveStream[bytes] | ByteReceiveStream
"""Any stream that bytes come out of, delivered reliably or not."""
AnyUnreliableByteSendStream: TypeAlias = UnreliableObjectSendStream[bytes] | ByteSendStream
"""Any stream that bytes go into, delivered reliably or not."""
AnyUnreliableByteStream: TypeAlias = UnreliableObjectStream[bytes] | ByteStream
"""Any stream of bytes in both directions, delivered reliably or not."""
AnyByteReceiveStream: TypeAlias = ObjectReceiveStream[bytes] | ByteReceiveStream
"""Any stream that bytes come out of, in order and without loss."""
AnyByteSendStream: TypeAlias = ObjectSendStream[bytes] | ByteSendStream
"""Any stream that bytes go into, in order and without loss."""
AnyByteStream: TypeAlias = ObjectStream[bytes] | ByteStream
"""Any stream of bytes in both directions, in order and without loss."""
AnyByteStreamConnectable: TypeAlias = ObjectStreamConnectable[bytes] | ByteStreamConnectable
"""Anything that can open a stream of bytes."""
