"""Streams made of two halves, and a listener made of several.

Owns nothing but the parts it was given: each call goes to the part that it concerns. Closing
closes every part, also when one of them fails at it. Knows no event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Generic, TypeVar

from .._abc.resources import AsyncResource
from .._abc.streams import (
    ByteReceiveStream,
    ByteSendStream,
    ByteStream,
    Listener,
    ObjectReceiveStream,
    ObjectSendStream,
    ObjectStream,
)
from .._abc.typed_attributes import TypedAttributeProvider
from .._misuse import check_handler
from .._tasks.group import TaskGroup, create_task_group

T_Item = TypeVar("T_Item")
T_Stream = TypeVar("T_Stream")


class _Stapled(AsyncResource, TypedAttributeProvider):
    """What has nothing to do with what is sent."""

    __slots__ = ()

    send_stream: Any
    receive_stream: Any

    async def send_eof(self) -> None:
        """Close the send stream, and leave the other one open."""
        await self.send_stream.aclose()

    async def aclose(self) -> None:
        """Close both streams, the send stream first."""
        await _close_all((self.send_stream, self.receive_stream))

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The attributes of both streams; those of the receive stream win."""
        return {**self.send_stream.extra_attributes, **self.receive_stream.extra_attributes}

    def __repr__(self) -> str:
        return _show(self, send_stream=self.send_stream, receive_stream=self.receive_stream)


class StapledByteStream(_Stapled, ByteStream):
    """Two byte streams, one for each direction, used as one.

    :param send_stream: where `send` goes; `send_eof` closes it
    :param receive_stream: where `receive` comes from, and the attributes that both have
    """

    __slots__ = ("__weakref__", "receive_stream", "send_stream")

    send_stream: ByteSendStream
    receive_stream: ByteReceiveStream

    def __init__(self, send_stream: ByteSendStream, receive_stream: ByteReceiveStream) -> None:
        self.send_stream = send_stream
        self.receive_stream = receive_stream

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Receive from the receive stream.

        :raises ValueError: `max_bytes` is less than 1
        """
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be a positive integer, not {max_bytes}")
        return await self.receive_stream.receive(max_bytes)

    async def send(self, item: bytes) -> None:
        """Send to the send stream."""
        await self.send_stream.send(item)


class StapledObjectStream(_Stapled, ObjectStream[T_Item], Generic[T_Item]):
    """Two object streams, one for each direction, used as one.

    :param send_stream: where `send` goes; `send_eof` closes it
    :param receive_stream: where `receive` comes from, and the attributes that both have
    """

    __slots__ = ("__weakref__", "receive_stream", "send_stream")

    send_stream: ObjectSendStream[T_Item]
    receive_stream: ObjectReceiveStream[T_Item]

    def __init__(
        self,
        send_stream: ObjectSendStream[T_Item],
        receive_stream: ObjectReceiveStream[T_Item],
    ) -> None:
        self.send_stream = send_stream
        self.receive_stream = receive_stream

    async def receive(self) -> T_Item:
        """Receive from the receive stream."""
        return await self.receive_stream.receive()

    async def send(self, item: T_Item) -> None:
        """Send to the send stream."""
        await self.send_stream.send(item)

    def send_nowait(self, item: T_Item) -> None:
        """Send an item without waiting, if the send stream can do that.

        :raises NotImplementedError: it cannot: it has no `send_nowait` method
        :raises WouldBlock: it would have to wait
        """
        send_nowait: Callable[[T_Item], None] | None
        send_nowait = getattr(self.send_stream, "send_nowait", None)
        if send_nowait is None:
            raise NotImplementedError(
                f"'send_nowait' method not implemented in {type(self.send_stream)}: "
                "await send() instead"
            )
        send_nowait(item)


class MultiListener(Listener[T_Stream], Generic[T_Stream]):
    """Several listeners used as one.

    Where more than one has an attribute, the last one answers.

    :param listeners: the listeners; those in another MultiListener are taken out of it
    """

    __slots__ = ("__weakref__", "listeners")

    listeners: Sequence[Listener[T_Stream]]
    """The listeners, none of which is a MultiListener."""

    def __init__(self, listeners: Sequence[Listener[T_Stream]]) -> None:
        flat: list[Listener[T_Stream]] = []
        for listener in listeners:
            if isinstance(listener, MultiListener):
                flat.extend(listener.listeners)
            else:
                flat.append(listener)
        self.listeners = flat

    async def serve(
        self, handler: Callable[[T_Stream], Any], task_group: TaskGroup | None = None
    ) -> None:
        """Serve on all the listeners at once.

        :param handler: a coroutine function that is called with each accepted connection
        :param task_group: where the handlers' tasks are started; a group of this call's if omitted
        """
        check_handler("serve", handler)
        async with create_task_group() as group:
            for listener in self.listeners:
                group.start_soon(listener.serve, handler, task_group or group)

    async def aclose(self) -> None:
        """Close all the listeners, the first one first."""
        await _close_all(self.listeners)

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The attributes of all the listeners; those of the later ones win."""
        attributes: dict[Any, Callable[[], Any]] = {}
        for listener in self.listeners:
            attributes.update(listener.extra_attributes)
        return attributes

    def __repr__(self) -> str:
        return _show(self, listeners=self.listeners)


async def _close_all(parts: Iterable[AsyncResource]) -> None:
    """Close every part, first to last, then raise what the last one to fail raised."""
    async with AsyncExitStack() as stack:
        for part in reversed([*parts]):
            stack.push_async_callback(part.aclose)


def _show(made: object, **parts: object) -> str:
    shown = ", ".join(f"{name}={part!r}" for name, part in parts.items())
    return f"{type(made).__name__}({shown})"
