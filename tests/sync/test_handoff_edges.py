"""Memory streams hand each item over exactly once, whoever is cancelled or closed at that moment.

A grant wins over a cancel that comes after it: the operation succeeds and the cancel is raised at
the next checkpoint. A cancel that comes first wins: nothing is handed to the cancelled task.
"""

from __future__ import annotations

from itertools import permutations

import pytest

from creche import (
    BrokenResourceError,
    CancelScope,
    ClosedResourceError,
    EndOfStream,
    WouldBlock,
    create_memory_object_stream,
    create_task_group,
    get_cancelled_exc_class,
    move_on_after,
    wait_all_tasks_blocked,
)
from creche.lowlevel import checkpoint
from creche.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

# Receivers


@pytest.mark.parametrize("size", [0, 1, 5])
async def test_an_item_handed_over_before_the_cancel_is_received(size: int) -> None:
    log: list[object] = []
    scope = CancelScope()

    async def receiver() -> None:
        with scope:
            log.append(await receive.receive())
            await checkpoint()
            log.append("not reached")

    send, receive = create_memory_object_stream[int](size)
    with send, receive:
        async with create_task_group() as tg:
            tg.start_soon(receiver)
            await wait_all_tasks_blocked()
            send.send_nowait(1)
            scope.cancel()
        assert send.statistics().current_buffer_used == 0
        assert send.statistics().tasks_waiting_receive == 0
    assert log == [1]
    assert scope.cancelled_caught


@pytest.mark.parametrize("size", [0, 1])
async def test_an_item_sent_after_the_cancel_is_not_handed_to_the_cancelled(size: int) -> None:
    log: list[object] = []
    scope = CancelScope()

    async def receiver() -> None:
        with scope:
            log.append(await receive.receive())

    send, receive = create_memory_object_stream[int](size)
    with send, receive:
        async with create_task_group() as tg:
            tg.start_soon(receiver)
            await wait_all_tasks_blocked()
            scope.cancel()
            if size:
                send.send_nowait(1)
            else:
                with pytest.raises(WouldBlock):
                    send.send_nowait(1)
        if size:
            assert receive.receive_nowait() == 1
    assert log == []
    assert scope.cancelled_caught


async def test_the_next_receiver_gets_what_a_cancelled_one_did_not_take() -> None:
    log: list[object] = []
    scopes = [CancelScope(), CancelScope()]

    async def receiver(number: int) -> None:
        with scopes[number]:
            log.append((number, await receive.receive()))

    send, receive = create_memory_object_stream[str]()
    with send, receive:
        async with create_task_group() as tg:
            for number in range(2):
                tg.start_soon(receiver, number)
                await wait_all_tasks_blocked()
            scopes[0].cancel()
            send.send_nowait("item")
    assert log == [(1, "item")]


async def test_every_order_of_sends_and_cancels_delivers_each_item_once() -> None:
    """Two receivers wait; two items are sent and both are cancelled, in all 24 orders."""

    async def receiver(
        scope: CancelScope, receive: MemoryObjectReceiveStream[str], got: list[str]
    ) -> None:
        with scope:
            got.append(await receive.receive())

    for order in permutations(["send a", "send b", "cancel 0", "cancel 1"]):
        scopes, refused = [CancelScope(), CancelScope()], list[str]()
        got: list[str] = []
        send, receive = create_memory_object_stream[str]()
        with send, receive:
            async with create_task_group() as tg:
                for scope in scopes:
                    tg.start_soon(receiver, scope, receive, got)
                    await wait_all_tasks_blocked()
                for action in order:
                    verb, what = action.split()
                    if verb == "cancel":
                        scopes[int(what)].cancel()
                        continue
                    try:
                        send.send_nowait(what)
                    except WouldBlock:
                        refused.append(what)
        assert sorted(got + refused) == ["a", "b"], order
        late_cancels = [order.index(f"cancel {n}") for n in (0, 1)]
        if min(late_cancels) > max(order.index("send a"), order.index("send b")):
            assert refused == [], order


async def test_a_receiver_in_a_cancelled_scope_takes_nothing() -> None:
    send, receive = create_memory_object_stream[int](1)
    with send, receive:
        send.send_nowait(1)
        with CancelScope() as scope:
            scope.cancel()
            await receive.receive()
        assert scope.cancelled_caught
        assert receive.receive_nowait() == 1


# Senders


async def test_a_send_whose_item_was_taken_before_the_cancel_returns() -> None:
    log: list[str] = []
    scope = CancelScope()

    async def sender() -> None:
        with scope:
            await send.send(1)
            log.append("sent")
            await checkpoint()
            log.append("not reached")

    send, receive = create_memory_object_stream[int]()
    with send, receive:
        async with create_task_group() as tg:
            tg.start_soon(sender)
            await wait_all_tasks_blocked()
            assert receive.receive_nowait() == 1
            scope.cancel()
    assert log == ["sent"]
    assert scope.cancelled_caught


@pytest.mark.parametrize("size", [0, 1])
async def test_a_send_that_raises_has_not_delivered(size: int) -> None:
    log: list[str] = []
    scope = CancelScope()

    async def sender() -> None:
        with scope:
            await send.send(1)
            log.append("sent")

    send, receive = create_memory_object_stream[int](size)
    with send, receive:
        for _ in range(size):
            send.send_nowait(0)
        async with create_task_group() as tg:
            tg.start_soon(sender)
            await wait_all_tasks_blocked()
            scope.cancel()
            for _ in range(size):
                assert receive.receive_nowait() == 0
            with pytest.raises(WouldBlock):
                receive.receive_nowait()
        with pytest.raises(WouldBlock):
            receive.receive_nowait()
    assert log == []
    assert scope.cancelled_caught


@pytest.mark.parametrize("size", [0, 1])
async def test_a_send_in_a_cancelled_scope_delivers_nothing(size: int) -> None:
    send, receive = create_memory_object_stream[int](size)
    with send, receive:
        with CancelScope() as scope:
            scope.cancel()
            await send.send(1)
        assert scope.cancelled_caught
        with pytest.raises(WouldBlock):
            receive.receive_nowait()


async def test_every_order_of_receives_and_cancels_delivers_what_was_sent() -> None:
    """Two senders wait; two receives and two cancels happen in all 24 orders."""

    async def sender(
        scope: CancelScope, send: MemoryObjectSendStream[int], item: int, sent: list[int]
    ) -> None:
        with scope:
            await send.send(item)
            sent.append(item)

    for order in permutations(["receive 0", "receive 1", "cancel 0", "cancel 1"]):
        scopes = [CancelScope(), CancelScope()]
        got, sent = list[int](), list[int]()
        send, receive = create_memory_object_stream[int]()
        with send, receive:
            async with create_task_group() as tg:
                for item, scope in enumerate(scopes):
                    tg.start_soon(sender, scope, send, item, sent)
                    await wait_all_tasks_blocked()
                for action in order:
                    if action.startswith("cancel"):
                        scopes[int(action[-1])].cancel()
                        continue
                    try:
                        got.append(receive.receive_nowait())
                    except WouldBlock:
                        pass
        assert sorted(sent) == sorted(got), order


async def test_senders_and_receivers_are_served_in_order_also_after_a_cancel() -> None:
    scopes = [CancelScope() for _ in range(5)]

    async def sender(number: int) -> None:
        with scopes[number]:
            await send.send(number)

    send, receive = create_memory_object_stream[int]()
    with send, receive:
        async with create_task_group() as tg:
            for number in range(5):
                tg.start_soon(sender, number)
                await wait_all_tasks_blocked()
            scopes[2].cancel()
            await wait_all_tasks_blocked()
            got = [await receive.receive() for _ in range(4)]
    assert got == [0, 1, 3, 4]


# Closing


async def test_closing_a_receive_stream_wakes_those_who_wait_on_it() -> None:
    log = []

    async def receiver(stream: MemoryObjectReceiveStream[int], name: str) -> None:
        try:
            log.append(f"{name} got {await stream.receive()}")
        except ClosedResourceError:
            log.append(f"{name} closed")

    send, receive = create_memory_object_stream[int]()
    clone = receive.clone()
    with send, clone:
        async with create_task_group() as tg:
            tg.start_soon(receiver, receive, "one")
            await wait_all_tasks_blocked()
            tg.start_soon(receiver, clone, "other")
            await wait_all_tasks_blocked()
            receive.close()
            await wait_all_tasks_blocked()
            assert log == ["one closed"]
            send.send_nowait(1)
    assert log == ["one closed", "other got 1"]


async def test_closing_a_send_stream_wakes_those_who_wait_on_it() -> None:
    log = []

    async def sender(stream: MemoryObjectSendStream[str], name: str) -> None:
        try:
            await stream.send(name)
            log.append(f"{name} sent")
        except ClosedResourceError:
            log.append(f"{name} closed")

    send, receive = create_memory_object_stream[str]()
    clone = send.clone()
    with receive, clone:
        async with create_task_group() as tg:
            tg.start_soon(sender, send, "one")
            await wait_all_tasks_blocked()
            tg.start_soon(sender, clone, "other")
            await wait_all_tasks_blocked()
            send.close()
            await wait_all_tasks_blocked()
            assert log == ["one closed"]
            assert receive.receive_nowait() == "other"
    assert log == ["one closed", "other sent"]


async def test_closing_after_the_hand_over_loses_nothing() -> None:
    log: list[object] = []

    async def receiver() -> None:
        log.append(await receive.receive())

    send, receive = create_memory_object_stream[int]()
    async with create_task_group() as tg:
        tg.start_soon(receiver)
        await wait_all_tasks_blocked()
        send.send_nowait(1)
        receive.close()
        send.close()
    assert log == [1]


async def test_closing_the_last_of_the_other_side_wakes_all() -> None:
    log: list[str] = []

    async def receiver() -> None:
        try:
            await receive.receive()
        except EndOfStream:
            log.append("end of stream")

    async def sender() -> None:
        try:
            await send2.send(1)
        except BrokenResourceError:
            log.append("broken")

    send, receive = create_memory_object_stream[int]()
    send2, receive2 = create_memory_object_stream[int]()
    with receive, send2:
        async with create_task_group() as tg:
            tg.start_soon(receiver)
            tg.start_soon(sender)
            await wait_all_tasks_blocked()
            send.close()
            receive2.close()
    assert sorted(log) == ["broken", "end of stream"]


async def test_a_deadline_in_a_receive_leaves_the_stream_in_order() -> None:
    send, receive = create_memory_object_stream[int]()
    with send, receive:
        for _ in range(3):
            with move_on_after(0.005) as scope:
                await receive.receive()
            assert scope.cancelled_caught
            assert send.statistics().tasks_waiting_receive == 0
        with pytest.raises(WouldBlock):
            send.send_nowait(1)


async def test_a_receiver_that_swallows_its_cancel_can_receive_later() -> None:
    log: list[object] = []
    scope = CancelScope()

    async def receiver() -> None:
        with scope:
            try:
                await receive.receive()
            except get_cancelled_exc_class():
                with CancelScope(shield=True):
                    log.append(await receive.receive())
                raise

    send, receive = create_memory_object_stream[int]()
    with send, receive:
        async with create_task_group() as tg:
            tg.start_soon(receiver)
            await wait_all_tasks_blocked()
            scope.cancel()
            await wait_all_tasks_blocked()
            send.send_nowait(1)
    assert log == [1]
    assert scope.cancelled_caught
