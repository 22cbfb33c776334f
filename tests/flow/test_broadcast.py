"""Broadcasts: everybody gets everything, the slow are told or waited for, and closing ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from creche import (
    CancelScope,
    ClosedResourceError,
    EndOfStream,
    WouldBlock,
    create_task_group,
    move_on_after,
    wait_all_tasks_blocked,
)
from creche.flow import (
    BroadcastReceiveStream,
    BroadcastSendStream,
    BroadcastStatistics,
    Lagged,
    create_broadcast,
)
from creche.lowlevel import checkpoint
from creche.testing import assert_checkpoints, assert_no_checkpoints
from creche.testing.contracts import check_one_way_object_stream

MODES = ("raise", "wait", "drop_oldest")
modes = pytest.mark.parametrize("on_lag", MODES)


async def read_all(stream: BroadcastReceiveStream[int], into: list[int]) -> None:
    with stream:
        async for item in stream:
            into += [item]


# Everybody gets everything


@modes
async def test_everybody_gets_everything_in_order(on_lag: Any) -> None:
    read: list[list[int]] = [[] for _ in range(5)]
    async with create_task_group() as group:
        with create_broadcast[int](10, on_lag) as send:
            for into in read:
                group.start_soon(read_all, send.subscribe(), into)
            for number in range(30):
                await send.send(number)
                if number % 7 == 0:
                    await wait_all_tasks_blocked()
    if on_lag == "wait":
        assert read == [list(range(30))] * 5
    for into in read:
        assert into == sorted(set(into))
        assert into[-10:] == list(range(20, 30))


async def test_a_subscription_sees_what_is_sent_from_then_on() -> None:
    with create_broadcast[int](10) as send:
        await send.send(1)
        with send.subscribe() as stream:
            await send.send(2)
            assert await stream.receive() == 2
            with pytest.raises(WouldBlock):
                stream.receive_nowait()


@modes
async def test_a_subscription_can_ask_for_the_last_items(on_lag: Any) -> None:
    with create_broadcast[int](3, on_lag) as send:
        for number in range(5):
            send.send_nowait(number)
        for replay in range(4):
            with send.subscribe(replay) as stream:
                assert stream.statistics().current_buffer_used == replay
                assert [stream.receive_nowait() for _ in range(replay)] == [2, 3, 4][3 - replay :]
                with pytest.raises(WouldBlock):
                    stream.receive_nowait()


async def test_of_fewer_items_than_were_asked_for_there_are_those_that_are_there() -> None:
    with create_broadcast[int](5) as send:
        send.send_nowait(1)
        with send.subscribe(5) as stream:
            assert stream.receive_nowait() == 1


async def test_one_that_waits_gets_the_next_item() -> None:
    read: list[int] = []

    async def receive(stream: BroadcastReceiveStream[int]) -> None:
        read.append(await stream.receive())

    with create_broadcast[int](1) as send, send.subscribe() as one, send.subscribe() as other:
        async with create_task_group() as group:
            for stream in (one, other):
                group.start_soon(receive, stream)
            await wait_all_tasks_blocked()
            assert send.statistics() == BroadcastStatistics(0, 1, 1, 2, 0, 2)
            send.send_nowait(7)
    assert read == [7, 7]


async def test_tasks_that_share_a_stream_share_its_items() -> None:
    read: list[int] = []

    async def receive(stream: BroadcastReceiveStream[int]) -> None:
        read.append(await stream.receive())

    with create_broadcast[int](5) as send, send.subscribe() as stream:
        async with create_task_group() as group:
            for _ in range(3):
                group.start_soon(receive, stream)
            await wait_all_tasks_blocked()
            for number in range(3):
                await send.send(number)
        assert sorted(read) == [0, 1, 2]


async def test_a_clone_begins_where_the_stream_is() -> None:
    with create_broadcast[int](5) as send, send.subscribe() as stream:
        for number in range(4):
            send.send_nowait(number)
        assert stream.receive_nowait() == 0
        with stream.clone() as clone:
            assert clone.receive_nowait() == 1
            assert stream.receive_nowait() == 1


# The slow


async def test_a_lagging_reader_is_told_once_and_goes_on_with_the_oldest() -> None:
    with create_broadcast[int](3) as send, send.subscribe() as stream:
        for number in range(8):
            send.send_nowait(number)
        with pytest.raises(Lagged, match="5 items of the broadcast were overwritten") as caught:
            await stream.receive()
        assert caught.value.missed == 5
        assert [await stream.receive() for _ in range(3)] == [5, 6, 7]


async def test_with_drop_oldest_nobody_is_told() -> None:
    with create_broadcast[int](3, "drop_oldest") as send, send.subscribe() as stream:
        for number in range(8):
            await send.send(number)
        assert [await stream.receive() for _ in range(3)] == [5, 6, 7]


async def test_with_wait_the_slowest_sets_the_pace() -> None:
    sent: list[int] = []

    async def publish(send: BroadcastSendStream[int]) -> None:
        for number in range(5):
            await send.send(number)
            sent.append(number)

    with create_broadcast[int](2, "wait") as send:
        slow, fast = send.subscribe(), send.subscribe()
        with slow, fast:
            async with create_task_group() as group:
                group.start_soon(publish, send)
                await wait_all_tasks_blocked()
                assert sent == [0, 1]
                assert [fast.receive_nowait(), fast.receive_nowait()] == [0, 1]
                await wait_all_tasks_blocked()
                assert sent == [0, 1]
                with pytest.raises(WouldBlock):
                    send.send_nowait(9)
                assert slow.receive_nowait() == 0
                await wait_all_tasks_blocked()
                assert sent == [0, 1, 2]
                assert send.statistics().tasks_waiting_send == 1
                slow.close()  # nobody has to wait for it any more
                await wait_all_tasks_blocked()
                assert sent == [0, 1, 2, 3]
                assert [await fast.receive() for _ in range(3)] == [2, 3, 4]


async def test_with_wait_a_replayed_item_is_waited_for_too() -> None:
    with create_broadcast[int](2, "wait") as send:
        send.send_nowait(1)
        send.send_nowait(2)
        with send.subscribe(2) as stream:
            with pytest.raises(WouldBlock):
                send.send_nowait(3)
            assert stream.receive_nowait() == 1
            send.send_nowait(3)
            assert [stream.receive_nowait() for _ in range(2)] == [2, 3]


async def test_without_subscriptions_nothing_is_waited_for() -> None:
    with create_broadcast[int](1, "wait") as send:
        for number in range(10):
            await send.send(number)
        assert send.statistics().current_buffer_used == 1


async def test_waiting_senders_are_served_in_turn_and_the_cancelled_send_nothing() -> None:
    scopes = [CancelScope() for _ in range(3)]

    async def publish(send: BroadcastSendStream[int], number: int) -> None:
        with scopes[number]:
            await send.send(number)

    with create_broadcast[int](1, "wait") as send, send.subscribe() as stream:
        send.send_nowait(9)
        async with create_task_group() as group:
            for number in range(3):
                group.start_soon(publish, send, number)
                await wait_all_tasks_blocked()
            scopes[1].cancel()
            await wait_all_tasks_blocked()
            assert [await stream.receive() for _ in range(3)] == [9, 0, 2]


async def test_a_reader_that_was_forgotten_does_not_hold_senders_up() -> None:
    with create_broadcast[int](1, "wait") as send:
        stream = send.subscribe()
        send.send_nowait(1)
        with pytest.warns(ResourceWarning, match="Unclosed <BroadcastReceiveStream"):
            del stream
        send.send_nowait(2)


def test_a_forgotten_send_stream_is_a_resource_warning() -> None:
    with pytest.warns(ResourceWarning, match="Unclosed <BroadcastSendStream"):
        create_broadcast[int](1)


# Closing


async def test_the_end_comes_after_the_last_item_when_all_senders_are_closed() -> None:
    send = create_broadcast[int](5)
    clone = send.clone()
    with send.subscribe() as stream:
        await send.send(1)
        send.close()
        send.close()
        await clone.send(2)
        await clone.aclose()
        assert [item async for item in stream] == [1, 2]
        with pytest.raises(EndOfStream):
            await stream.receive()


async def test_closing_the_last_sender_wakes_those_who_wait() -> None:
    read: list[int] = []
    with create_broadcast[int](5) as send:
        async with create_task_group() as group:
            for _ in range(3):
                group.start_soon(read_all, send.subscribe(), read)
            await wait_all_tasks_blocked()
            send.close()
    assert read == []


async def test_closing_a_stream_wakes_those_who_wait_on_it() -> None:
    async def receive(stream: BroadcastReceiveStream[int]) -> None:
        with pytest.raises(ClosedResourceError, match="while this task waited"):
            await stream.receive()

    async def publish(send: BroadcastSendStream[int]) -> None:
        with pytest.raises(ClosedResourceError, match="while this task waited"):
            await send.send(2)

    with create_broadcast[int](1, "wait") as send, send.subscribe() as stream:
        async with create_task_group() as group:
            group.start_soon(receive, stream)
            await wait_all_tasks_blocked()
            stream.close()
        with send.subscribe() as other, send.clone() as clone:
            send.send_nowait(1)
            async with create_task_group() as group:
                group.start_soon(publish, clone)
                await wait_all_tasks_blocked()
                clone.close()
            assert other.receive_nowait() == 1


async def test_a_closed_stream_refuses_everything() -> None:
    with create_broadcast[int](1) as send:
        stream = send.subscribe()
        await stream.aclose()
        stream.close()
        for call in (stream.receive_nowait, stream.clone):
            with pytest.raises(ClosedResourceError, match="this stream was closed"):
                call()
        with pytest.raises(ClosedResourceError):
            await stream.receive()
    for refused in (lambda: send.send_nowait(1), send.clone, send.subscribe):
        with pytest.raises(ClosedResourceError, match="this stream was closed"):
            refused()
    with pytest.raises(ClosedResourceError):
        await send.send(1)


async def test_async_with_closes_as_well() -> None:
    async with create_broadcast[int](1) as send:
        async with send.subscribe():
            assert send.statistics().open_receive_streams == 1
        assert send.statistics().open_receive_streams == 0
    assert send.statistics().open_send_streams == 0


# Cancellation and checkpoints


@modes
async def test_a_reader_that_gives_up_misses_nothing(on_lag: Any) -> None:
    with create_broadcast[int](5, on_lag) as send, send.subscribe() as stream:
        with move_on_after(0):
            await stream.receive()
        assert send.statistics().tasks_waiting_receive == 0
        await send.send(1)
        assert await stream.receive() == 1


@modes
async def test_a_cancel_at_the_hand_over_loses_nothing(on_lag: Any) -> None:
    read: list[int] = []
    with create_broadcast[int](5, on_lag) as send, send.subscribe() as stream:
        with CancelScope() as scope:
            async with create_task_group() as group:

                async def receive() -> None:
                    read.append(await stream.receive())

                group.start_soon(receive)
                await wait_all_tasks_blocked()
                send.send_nowait(1)
                scope.cancel()
        assert read == [1]


async def test_what_is_a_checkpoint() -> None:
    with create_broadcast[int](5) as send, send.subscribe() as stream:
        with assert_checkpoints():
            await send.send(1)
        with assert_checkpoints():
            await stream.receive()
        with assert_no_checkpoints():
            send.send_nowait(1)
            stream.receive_nowait()
            send.statistics()


async def test_in_a_cancelled_scope_nothing_is_sent_or_received() -> None:
    with create_broadcast[int](5) as send, send.subscribe() as stream:
        with CancelScope() as scope:
            scope.cancel()
            await send.send(1)
        assert scope.cancelled_caught
        send.send_nowait(2)
        with CancelScope() as scope:
            scope.cancel()
            await stream.receive()
        assert scope.cancelled_caught
        assert stream.receive_nowait() == 2


# One sender and one subscription are an object stream


@modes
async def test_it_keeps_the_contract_of_object_streams(on_lag: Any) -> None:
    @asynccontextmanager
    async def ends() -> AsyncIterator[tuple[Any, Any]]:
        with create_broadcast[int](100, on_lag) as send, send.subscribe() as receive:
            yield send, receive

    # Without a reader nothing is broken: others may come.
    without = [
        "a_closed_receiver_breaks_the_sender",
        "a_receiver_that_closes_breaks_a_waiting_send",
    ]
    if on_lag != "wait":
        without += [
            "send_waits_for_room",
            "aclose_ends_a_waiting_send",
            "a_cancelled_send_has_sent_nothing",
        ]
    kept = await check_one_way_object_stream(ends, without=without)
    assert len(kept) > 8


# Misuse


async def test_bad_arguments_are_refused() -> None:
    wrong: Any = "1"
    with pytest.raises(TypeError, match="capacity must be an int, not '1'"):
        create_broadcast[int](wrong)
    with pytest.raises(ValueError, match="capacity must be 1 or more, not 0"):
        create_broadcast[int](0)
    with pytest.raises(
        ValueError, match="on_lag must be 'raise', 'wait' or 'drop_oldest', not '1'"
    ):
        create_broadcast[int](1, wrong)
    with create_broadcast[int](2) as send:
        with pytest.raises(TypeError, match="replay must be an int, not '1'"):
            send.subscribe(wrong)
        for replay in (-1, 3):
            with pytest.raises(ValueError, match="replay must be between 0 and the capacity, 2"):
                send.subscribe(replay)


async def test_a_reader_in_a_loop_over_lags_goes_on() -> None:
    read: list[int] = []
    with create_broadcast[int](2) as send:
        stream = send.subscribe()
        with stream:
            for number in range(5):
                send.send_nowait(number)
            send.close()
            while True:
                try:
                    async for item in stream:
                        read += [item]
                    break
                except Lagged as exc:
                    read.append(-exc.missed)
    assert read == [-3, 3, 4]
    await checkpoint()
