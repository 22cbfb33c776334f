"""Memory object streams on every backend: making, sending, receiving, waiting."""

from __future__ import annotations

import math
from typing import Any

import pytest

from creche import (
    CancelScope,
    NoEventLoopError,
    WouldBlock,
    create_memory_object_stream,
    create_task_group,
    wait_all_tasks_blocked,
)
from creche.abc import ObjectReceiveStream, ObjectSendStream
from creche.streams.memory import (
    MemoryObjectReceiveStream,
    MemoryObjectSendStream,
    MemoryObjectStreamStatistics,
)


async def items_of(stream: MemoryObjectReceiveStream[Any]) -> list[Any]:
    return [item async for item in stream]


# Making one


def test_both_ends_are_made_at_once_outside_any_loop() -> None:
    send, receive = create_memory_object_stream[int](3)
    with send, receive:
        assert type(send) is MemoryObjectSendStream
        assert type(receive) is MemoryObjectReceiveStream
        assert issubclass(MemoryObjectSendStream, ObjectSendStream)
        assert issubclass(MemoryObjectReceiveStream, ObjectReceiveStream)
        assert send.statistics() == receive.statistics() == (0, 3, 1, 1, 0, 0)


@pytest.mark.parametrize("size", [1.5, 2.0, math.nan, "3", None])
def test_a_size_that_counts_no_items_is_refused(size: Any) -> None:
    with pytest.raises(ValueError, match=r"must be either an integer or math\.inf"):
        create_memory_object_stream[int](size)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="max_buffer_size cannot be negative"):
        create_memory_object_stream[int](-1)


def test_the_item_type_argument_is_deprecated_and_still_works() -> None:
    with pytest.warns(DeprecationWarning, match="item_type argument has been deprecated"):
        send, receive = create_memory_object_stream[int](1, int)
    with send, receive:
        send.send_nowait(1)
        assert receive.receive_nowait() == 1


def test_statistics_have_names() -> None:
    assert MemoryObjectStreamStatistics._fields == (
        "current_buffer_used",
        "max_buffer_size",
        "open_send_streams",
        "open_receive_streams",
        "tasks_waiting_send",
        "tasks_waiting_receive",
    )


# Sending and receiving without waiting


def test_nowait_variants_work_outside_any_loop() -> None:
    send, receive = create_memory_object_stream[str](2)
    with send, receive:
        send.send_nowait("a")
        send.send_nowait("b")
        with pytest.raises(WouldBlock):
            send.send_nowait("c")
        assert [receive.receive_nowait(), receive.receive_nowait()] == ["a", "b"]
        with pytest.raises(WouldBlock):
            receive.receive_nowait()


def test_waiting_variants_need_an_event_loop() -> None:
    send, receive = create_memory_object_stream[str](2)
    with send, receive:
        with pytest.raises(NoEventLoopError):
            send.send("a").send(None)
        with pytest.raises(NoEventLoopError):
            receive.receive().send(None)


def test_an_infinite_buffer_never_refuses() -> None:
    send, receive = create_memory_object_stream[int](math.inf)
    with send, receive:
        for number in range(10_000):
            send.send_nowait(number)
        assert send.statistics().current_buffer_used == 10_000
        assert [receive.receive_nowait() for _ in range(10_000)] == [*range(10_000)]


async def test_an_item_sent_to_a_waiting_receiver_does_not_go_through_the_buffer() -> None:
    send, receive = create_memory_object_stream[str](0)
    with send, receive:
        async with create_task_group() as group:
            handle = group.start_soon(receive.receive)
            await wait_all_tasks_blocked()
            assert send.statistics().tasks_waiting_receive == 1
            send.send_nowait("a")
            assert send.statistics() == (0, 0, 1, 1, 0, 0)
            with pytest.raises(WouldBlock):
                send.send_nowait("b")
        assert handle.return_value == "a"


# Waiting


@pytest.mark.parametrize("size", [0, 1, 3, math.inf])
async def test_items_arrive_once_and_in_order(size: float) -> None:
    send, receive = create_memory_object_stream[int](size)
    with receive:
        async with create_task_group() as group:
            handle = group.start_soon(items_of, receive)
            with send:
                for number in range(100):
                    await send.send(number)
    assert handle.return_value == [*range(100)]


async def test_without_a_buffer_send_returns_only_when_the_item_is_received() -> None:
    send, receive = create_memory_object_stream[str](0)
    log: list[str] = []

    async def produce() -> None:
        for item in "ab":
            log.append(f"sending {item}")
            await send.send(item)
            log.append(f"sent {item}")

    with send, receive:
        async with create_task_group() as group:
            group.start_soon(produce)
            await wait_all_tasks_blocked()
            assert log == ["sending a"]
            assert receive.statistics().tasks_waiting_send == 1
            assert await receive.receive() == "a"
            await wait_all_tasks_blocked()
            assert log == ["sending a", "sent a", "sending b"]
            assert receive.receive_nowait() == "b"
    assert log[-1] == "sent b"


async def test_waiting_senders_are_served_in_the_order_they_came() -> None:
    send, receive = create_memory_object_stream[int](1)
    asked: list[int] = []

    async def produce(number: int) -> None:
        asked.append(number)
        await send.send(number)

    with send, receive:
        async with create_task_group() as group:
            for number in range(6):
                group.start_soon(produce, number)
            await wait_all_tasks_blocked()
            assert send.statistics() == (1, 1, 1, 1, 5, 0)
            assert [await receive.receive() for _ in range(6)] == asked


async def test_waiting_receivers_are_served_in_the_order_they_came() -> None:
    send, receive = create_memory_object_stream[int](10)
    asked: list[int] = []
    got: dict[int, int] = {}

    async def consume(number: int) -> None:
        asked.append(number)
        got[number] = await receive.receive()

    with send, receive:
        async with create_task_group() as group:
            for number in range(5):
                group.start_soon(consume, number)
            await wait_all_tasks_blocked()
            for item in range(5):
                send.send_nowait(item)
    assert [got[number] for number in asked] == [*range(5)]


# Checkpoints


async def test_a_cancelled_send_sends_nothing_even_if_there_is_room() -> None:
    send, receive = create_memory_object_stream[str](1)
    with send, receive:
        with CancelScope() as scope:
            scope.cancel()
            await send.send("a")
        assert scope.cancelled_caught
        assert send.statistics().current_buffer_used == 0


async def test_a_cancelled_receive_takes_nothing_even_if_there_is_an_item() -> None:
    send, receive = create_memory_object_stream[str](1)
    with send, receive:
        send.send_nowait("a")
        with CancelScope() as scope:
            scope.cancel()
            await receive.receive()
        assert scope.cancelled_caught
        assert receive.receive_nowait() == "a"


async def test_a_cancelled_iteration_takes_nothing_even_if_there_is_an_item() -> None:
    send, receive = create_memory_object_stream[str](1)
    with send, receive:
        send.send_nowait("a")
        with CancelScope() as scope:
            scope.cancel()
            async for _ in receive:
                raise AssertionError("the scope was cancelled")
        assert scope.cancelled_caught
        assert receive.receive_nowait() == "a"


async def test_an_endless_loop_of_ready_operations_lets_others_run() -> None:
    send, receive = create_memory_object_stream[int](1)
    rounds = 0

    async def stop(scope: CancelScope) -> None:
        scope.cancel()

    with send, receive:
        async with create_task_group() as group:
            with CancelScope() as scope:
                group.start_soon(stop, scope)
                while True:
                    await send.send(rounds)
                    rounds += 1
                    await receive.__anext__()
    assert 0 < rounds < 1000


async def test_closing_is_not_a_checkpoint_and_works_when_cancelled() -> None:
    send, receive = create_memory_object_stream[int](1)
    with CancelScope() as scope:
        scope.cancel()
        await send.aclose()
        await receive.aclose()
        reached = True
    assert reached
    assert send.statistics() == (0, 1, 0, 0, 0, 0)
