"""What type checkers know of streams and of typed attributes.

Each ignored error has to be there: an ignore that nothing needs is an error itself.
"""

from __future__ import annotations

from socket import AddressFamily, socket
from typing import Any, assert_type

from creche import (
    TypedAttributeProvider,
    TypedAttributeSet,
    connect_tcp,
    create_memory_object_stream,
    create_tcp_listener,
    typed_attribute,
)
from creche.abc import (
    ByteReceiveStream,
    ByteStream,
    Listener,
    ObjectReceiveStream,
    ObjectSendStream,
    ObjectStream,
    SocketAttribute,
    SocketListener,
    SocketStream,
    UnreliableObjectReceiveStream,
)
from creche.streams.memory import (
    MemoryObjectReceiveStream,
    MemoryObjectSendStream,
    MemoryObjectStreamStatistics,
)
from creche.streams.stapled import MultiListener, StapledByteStream, StapledObjectStream


async def a_memory_stream_carries_the_type_of_its_items() -> None:
    send, receive = create_memory_object_stream[int](10)
    assert_type(send, MemoryObjectSendStream[int])
    assert_type(receive, MemoryObjectReceiveStream[int])
    assert_type(await receive.receive(), int)
    assert_type(receive.receive_nowait(), int)
    async for item in receive:
        assert_type(item, int)
    assert_type(await send.send(1), None)
    send.send_nowait(True)
    await send.send("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    send.send_nowait(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(send.statistics(), MemoryObjectStreamStatistics)


async def its_ends_keep_it_through_with_and_clone() -> None:
    send, receive = create_memory_object_stream[str]()
    with send as send_1, receive as receive_1:
        assert_type(send_1, MemoryObjectSendStream[str])
        assert_type(receive_1, MemoryObjectReceiveStream[str])
    async with send as send_2, receive as receive_2:
        assert_type(send_2, MemoryObjectSendStream[str])
        assert_type(receive_2, MemoryObjectReceiveStream[str])
    assert_type(send.clone(), MemoryObjectSendStream[str])
    assert_type(receive.clone(), MemoryObjectReceiveStream[str])


def the_ends_vary_as_they_should() -> None:
    send, receive = create_memory_object_stream[int](float("inf"))
    source: ObjectReceiveStream[float] = receive
    unreliable: UnreliableObjectReceiveStream[object] = receive
    sink: ObjectSendStream[bool] = send
    wrong_source: ObjectReceiveStream[str] = receive  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    wrong_sink: ObjectSendStream[float] = send  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    del source, unreliable, sink, wrong_source, wrong_sink


def the_type_may_come_from_the_annotation() -> None:
    ends: tuple[MemoryObjectSendStream[int], MemoryObjectReceiveStream[int]]
    ends = create_memory_object_stream(1)
    del ends
    create_memory_object_stream[int]("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def stapled_streams_carry_it_too(
    reader: ByteReceiveStream, both: ByteStream, objects: ObjectStream[bytes]
) -> None:
    send, receive = create_memory_object_stream[int](1)
    stapled = StapledObjectStream(send, receive)
    assert_type(stapled, StapledObjectStream[int])
    assert_type(await stapled.receive(), int)
    async for item in stapled:
        assert_type(item, int)
    await stapled.send("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    StapledByteStream(both, reader)
    StapledByteStream(reader, both)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(await objects.receive(), bytes)
    assert_type(await both.receive(100), bytes)
    async for chunk in reader:
        assert_type(chunk, bytes)
    await both.send("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def greet(stream: SocketStream) -> None:
    await stream.send(b"hello")


async def wrong(number: int) -> None: ...


async def sockets_and_listeners() -> None:
    listener = await create_tcp_listener(local_port=0)
    assert_type(listener, MultiListener[SocketStream])
    await listener.serve(greet)
    await listener.serve(wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    plain: Listener[SocketStream] = listener
    del plain
    async with await connect_tcp("localhost", 1) as stream:
        assert_type(await stream.receive(), bytes)
        assert_type(stream.extra(SocketAttribute.raw_socket), socket)
        assert_type(stream.extra(SocketAttribute.family), AddressFamily)
        assert_type(stream.extra(SocketAttribute.remote_port), int)
        assert_type(stream.extra(SocketAttribute.remote_address), tuple[str, int] | str)
    await connect_tcp("localhost", "1")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


async def accepted(listener: SocketListener) -> None:
    assert_type(await listener.accept(), SocketStream)
    assert_type(listener.listeners, Any)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


class CourierAttribute(TypedAttributeSet):
    parcels: int = typed_attribute()
    name: str = typed_attribute()


def an_attribute_carries_its_type(provider: TypedAttributeProvider) -> None:
    assert_type(provider.extra(CourierAttribute.parcels), int)
    assert_type(provider.extra(CourierAttribute.parcels, None), int | None)
    assert_type(provider.extra(CourierAttribute.name, b""), str | bytes)
