"""The ends of memory streams on every backend: closing, cloning, forgetting to close."""

from __future__ import annotations

import gc
import warnings
from typing import Any

import pytest

from creche import (
    BrokenResourceError,
    ClosedResourceError,
    EndOfStream,
    create_memory_object_stream,
    create_task_group,
    wait_all_tasks_blocked,
)
from creche.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream


async def items_of(stream: MemoryObjectReceiveStream[Any]) -> list[Any]:
    return [item async for item in stream]


# Closing


async def test_a_closed_stream_refuses_everything_but_closing_and_statistics() -> None:
    send, receive = create_memory_object_stream[int](1)
    await send.aclose()
    await receive.aclose()
    for refused in (send.clone, receive.clone, receive.receive_nowait):
        with pytest.raises(ClosedResourceError):
            refused()
    with pytest.raises(ClosedResourceError):
        send.send_nowait(1)
    with pytest.raises(ClosedResourceError):
        await send.send(1)
    with pytest.raises(ClosedResourceError):
        await receive.receive()
    with pytest.raises(ClosedResourceError):
        await items_of(receive)
    await send.aclose()
    await receive.aclose()
    assert send.statistics() == receive.statistics() == (0, 1, 0, 0, 0, 0)


async def test_receivers_get_what_is_buffered_and_then_the_end() -> None:
    send, receive = create_memory_object_stream[int](2)
    with receive:
        with send:
            send.send_nowait(1)
            send.send_nowait(2)
        assert await receive.receive() == 1
        assert await items_of(receive) == [2]
        with pytest.raises(EndOfStream):
            await receive.receive()
        with pytest.raises(EndOfStream):
            receive.receive_nowait()


async def test_sending_to_nobody_is_a_broken_resource() -> None:
    send, receive = create_memory_object_stream[int](2)
    with send:
        receive.close()
        with pytest.raises(BrokenResourceError):
            send.send_nowait(1)
        with pytest.raises(BrokenResourceError):
            await send.send(1)


async def test_closing_the_last_send_stream_wakes_receivers_with_the_end() -> None:
    send, receive = create_memory_object_stream[int]()
    with receive:
        async with create_task_group() as group:
            handles = [group.start_soon(items_of, receive) for _ in range(3)]
            await wait_all_tasks_blocked()
            send.close()
        assert [handle.return_value for handle in handles] == [[], [], []]


async def test_closing_the_last_receive_stream_wakes_senders_with_a_broken_resource() -> None:
    send, receive = create_memory_object_stream[int]()
    errors: list[type[BaseException]] = []

    async def produce(number: int) -> None:
        try:
            await send.send(number)
        except BrokenResourceError as exc:
            errors.append(type(exc))

    with send:
        async with create_task_group() as group:
            for number in range(3):
                group.start_soon(produce, number)
            await wait_all_tasks_blocked()
            receive.close()
        assert errors == [BrokenResourceError] * 3
        assert send.statistics().tasks_waiting_send == 0


async def test_closing_a_stream_wakes_receivers_waiting_on_it_but_not_on_its_clones() -> None:
    send, receive = create_memory_object_stream[str]()
    errors: list[type[BaseException]] = []

    async def wait_on(stream: MemoryObjectReceiveStream[str]) -> str | None:
        try:
            return await stream.receive()
        except ClosedResourceError as exc:
            errors.append(type(exc))
            return None

    with send, receive.clone() as clone:
        async with create_task_group() as group:
            closed = [group.start_soon(wait_on, receive) for _ in range(2)]
            open_ = group.start_soon(wait_on, clone)
            await wait_all_tasks_blocked()
            receive.close()
            assert send.statistics() == (0, 0, 1, 1, 0, 1)
            send.send_nowait("a")
        assert [handle.return_value for handle in closed] == [None, None]
        assert errors == [ClosedResourceError] * 2
        assert open_.return_value == "a"


async def test_closing_a_stream_wakes_senders_waiting_on_it_and_their_items_are_not_sent() -> None:
    send, receive = create_memory_object_stream[str]()
    errors: list[type[BaseException]] = []

    async def send_on(stream: MemoryObjectSendStream[str], item: str) -> None:
        try:
            await stream.send(item)
        except ClosedResourceError as exc:
            errors.append(type(exc))

    with receive, send.clone() as clone:
        async with create_task_group() as group:
            group.start_soon(send_on, send, "lost")
            await wait_all_tasks_blocked()
            group.start_soon(send_on, clone, "kept")
            await wait_all_tasks_blocked()
            send.close()
            assert receive.statistics() == (0, 0, 1, 1, 1, 0)
            assert receive.receive_nowait() == "kept"
        assert errors == [ClosedResourceError]


# Clones


async def test_the_stream_ends_when_the_last_clone_of_the_sender_is_closed() -> None:
    send, receive = create_memory_object_stream[int](5)
    clone = send.clone()
    with receive:
        with send:
            send.send_nowait(1)
        assert receive.statistics().open_send_streams == 1
        with clone:
            clone.send_nowait(2)
        assert await items_of(receive) == [1, 2]


async def test_clones_of_the_receiver_share_the_items() -> None:
    send, receive = create_memory_object_stream[int]()
    received: list[tuple[str, int]] = []

    async def consume(name: str, stream: MemoryObjectReceiveStream[int]) -> None:
        with stream:
            received.extend([(name, item) async for item in stream])

    async with create_task_group() as group:
        group.start_soon(consume, "a", receive.clone())
        group.start_soon(consume, "b", receive)
        with send:
            for number in range(20):
                await send.send(number)
    shares = {name: [item for owner, item in received if owner == name] for name in "ab"}
    assert all(share == sorted(share) for share in shares.values()) and all(shares.values())
    assert sorted(shares["a"] + shares["b"]) == [*range(20)]


def test_streams_are_compared_by_identity() -> None:
    send, receive = create_memory_object_stream[int]()
    clone = send.clone()
    with send, receive, clone:
        assert send == send and send != clone
        assert len({send, clone, receive}) == 3


# Forgotten streams


@pytest.mark.parametrize("end", [0, 1])
def test_a_stream_that_is_left_open_is_reported(end: int) -> None:
    streams: list[Any] = [*create_memory_object_stream[int]()]
    streams[1 - end].close()
    forgotten = streams.pop(end)
    expected = f"Unclosed <{type(forgotten).__name__} at {id(forgotten):x}>"
    with pytest.warns(ResourceWarning, match=expected):
        del forgotten


def test_a_stream_that_was_closed_is_not_reported() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        send, receive = create_memory_object_stream[int]()
        with send, receive:
            pass
        del send, receive
        gc.collect()
    assert caught == []
