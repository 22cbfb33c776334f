"""Streams of two halves and listeners of several, on every backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from creche import (
    EndOfStream,
    TypedAttributeSet,
    create_memory_object_stream,
    create_task_group,
    typed_attribute,
    wait_all_tasks_blocked,
)
from creche.abc import (
    ByteReceiveStream,
    ByteSendStream,
    Listener,
    ObjectSendStream,
    TaskGroup,
)
from creche.streams.stapled import MultiListener, StapledByteStream, StapledObjectStream


class Attribute(TypedAttributeSet):
    shared: str = typed_attribute()
    of_sender: str = typed_attribute()
    of_receiver: str = typed_attribute()


class Sender(ByteSendStream):
    def __init__(self, error: Exception | None = None) -> None:
        self.sent: list[bytes] = []
        self.closed = False
        self.error = error

    async def send(self, item: bytes) -> None:
        self.sent.append(item)

    async def aclose(self) -> None:
        self.closed = True
        if self.error is not None:
            raise self.error

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {Attribute.shared: lambda: "sender", Attribute.of_sender: lambda: "mine"}


class Receiver(ByteReceiveStream):
    def __init__(self, *chunks: bytes) -> None:
        self.chunks = [*chunks]
        self.closed = False
        self.asked: list[int] = []

    async def receive(self, max_bytes: int = 65536) -> bytes:
        self.asked.append(max_bytes)
        if not self.chunks:
            raise EndOfStream
        return self.chunks.pop(0)

    async def aclose(self) -> None:
        self.closed = True

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {Attribute.shared: lambda: "receiver", Attribute.of_receiver: lambda: "mine"}


# Byte streams


async def test_each_direction_of_a_byte_stream_goes_to_its_half() -> None:
    sender, receiver = Sender(), Receiver(b"one", b"two")
    stream = StapledByteStream(sender, receiver)
    await stream.send(b"out")
    assert await stream.receive(3) == b"one"
    assert [chunk async for chunk in stream] == [b"two"]
    assert sender.sent == [b"out"]
    assert receiver.asked == [3, 65536, 65536]


@pytest.mark.parametrize("max_bytes", [0, -1])
async def test_a_size_below_1_is_refused_whatever_the_half_makes_of_it(max_bytes: int) -> None:
    receiver = Receiver(b"one")
    stream = StapledByteStream(Sender(), receiver)
    with pytest.raises(ValueError, match="max_bytes must be a positive integer"):
        await stream.receive(max_bytes)
    assert receiver.asked == []


async def test_the_end_of_file_closes_the_sending_half_alone() -> None:
    sender, receiver = Sender(), Receiver()
    await StapledByteStream(sender, receiver).send_eof()
    assert (sender.closed, receiver.closed) == (True, False)


async def test_closing_a_byte_stream_closes_both_halves_even_if_one_fails() -> None:
    sender, receiver = Sender(OSError("no")), Receiver()
    with pytest.raises(OSError, match="no"):
        async with StapledByteStream(sender, receiver):
            pass
    assert (sender.closed, receiver.closed) == (True, True)


async def test_a_byte_stream_has_the_attributes_of_both_halves() -> None:
    stream = StapledByteStream(Sender(), Receiver())
    assert stream.extra(Attribute.of_sender) == stream.extra(Attribute.of_receiver) == "mine"
    assert stream.extra(Attribute.shared) == "receiver"


async def test_a_stapled_stream_shows_its_halves() -> None:
    sender, receiver = Sender(), Receiver()
    stream = StapledByteStream(sender, receiver)
    assert (stream.send_stream, stream.receive_stream) == (sender, receiver)
    assert repr(stream) == (
        f"StapledByteStream(send_stream={sender!r}, receive_stream={receiver!r})"
    )


# Object streams


async def test_an_object_stream_sends_and_receives_through_its_halves() -> None:
    stream = StapledObjectStream(*create_memory_object_stream[int](3))
    async with stream:
        await stream.send(1)
        stream.send_nowait(2)
        assert await stream.receive() == 1
        await stream.send_eof()
        assert [item async for item in stream] == [2]


class Sink(ObjectSendStream[int]):
    async def send(self, item: int) -> None: ...

    async def aclose(self) -> None: ...


async def test_sending_without_waiting_needs_a_send_stream_that_can() -> None:
    send, receive = create_memory_object_stream[int](1)
    send.close()
    async with StapledObjectStream(Sink(), receive) as stream:
        with pytest.raises(NotImplementedError, match="'send_nowait' method not implemented in"):
            stream.send_nowait(1)


# Listeners


class Line(Listener[str]):
    """A listener whose connections are the items of a memory stream."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name = name
        self.error = error
        self.closed = False
        self.calls, self.incoming = create_memory_object_stream[str](5)

    async def serve(
        self, handler: Callable[[str], Any], task_group: TaskGroup | None = None
    ) -> None:
        assert task_group is not None
        async for call in self.incoming:
            task_group.start_soon(handler, f"{self.name}: {call}")

    async def aclose(self) -> None:
        self.closed = True
        self.calls.close()
        self.incoming.close()
        if self.error is not None:
            raise self.error

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {Attribute.shared: lambda: self.name}


async def test_serving_hands_the_connections_of_all_listeners_to_the_handler() -> None:
    lines = [Line("a"), Line("b")]
    handled: list[str] = []

    async def handle(call: str) -> None:
        handled.append(call)

    async with MultiListener(lines) as listener, create_task_group() as group:
        group.start_soon(listener.serve, handle)
        lines[0].calls.send_nowait("one")
        lines[1].calls.send_nowait("two")
        await wait_all_tasks_blocked()
        group.cancel()
    assert sorted(handled) == ["a: one", "b: two"]
    assert all(line.closed for line in lines)


async def test_serving_in_a_given_group_starts_the_handlers_there() -> None:
    line = Line("a")
    ended: list[str] = []

    async def handle(call: str) -> None:
        await wait_all_tasks_blocked()
        ended.append(call)

    async with MultiListener([line]) as listener:
        line.calls.send_nowait("one")
        line.calls.close()
        async with create_task_group() as group:
            await listener.serve(handle, group)
            assert ended == []  # serve() has ended, the handler is the group's
        assert ended == ["a: one"]


async def test_listeners_in_a_multi_listener_are_taken_out_of_it() -> None:
    one, two, three = Line("1"), Line("2"), Line("3")
    listener = MultiListener([MultiListener([one, two]), three])
    assert [*listener.listeners] == [one, two, three]
    await listener.aclose()


async def test_closing_closes_every_listener_even_if_one_fails() -> None:
    lines = [Line("a", OSError("no")), Line("b")]
    with pytest.raises(OSError, match="no"):
        await MultiListener(lines).aclose()
    assert all(line.closed for line in lines)


async def test_the_last_listener_answers_for_an_attribute_that_several_have() -> None:
    async with MultiListener([Line("a"), Line("b")]) as listener:
        assert listener.extra(Attribute.shared) == "b"


async def test_serving_nothing_ends_at_once() -> None:
    async with MultiListener[str]([]) as listener:
        await listener.serve(print)
        assert listener.extra_attributes == {}
