"""Memory streams under many schedules: each item comes out once, or its `send` raised.

Senders and receivers are cancelled and ends are closed at whatever moment the schedule decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from _planted import assert_found, cancel_one_by_one

from creche import (
    BrokenResourceError,
    CancelScope,
    ClosedResourceError,
    EndOfStream,
    TaskHandle,
    WouldBlock,
    create_memory_object_stream,
    create_task_group,
)
from creche.lowlevel import checkpoint
from creche.testing import explore, settle

sizes = pytest.mark.parametrize("size", [0, 1, 3])
ENDED = (BrokenResourceError, ClosedResourceError, EndOfStream)


class Ledger:
    """What was sent, what was refused and what was received."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.refused: list[Any] = []
        self.received: list[Any] = []

    async def send(self, stream: Any, items: list[Any], scope: CancelScope) -> None:
        """Send items one after the other, and note before any checkpoint what came of each."""
        with scope, stream:
            for item in items:
                try:
                    await stream.send(item)
                except ENDED:
                    self.refused.append(item)
                    return
                except BaseException:
                    self.refused.append(item)
                    raise
                self.sent.append(item)

    async def receive(self, stream: Any, scope: CancelScope) -> None:
        """Receive until the stream ends."""
        with scope, stream:
            try:
                while True:
                    self.received.append(await stream.receive())
            except ENDED:
                pass

    def check(self, left: int) -> None:
        """Each item that was sent was received once, but for those `left`; and no other was."""
        assert len({*self.received}) == len(self.received), "an item came twice"
        assert not {*self.received} & {*self.refused}, "an item came whose send had raised"
        assert len(self.sent) == len(self.received) + left, "an item was lost"


def stream_of(size: int) -> tuple[Any, Any]:
    return create_memory_object_stream[Any](size)


async def passed_on(make: Callable[[int], tuple[Any, Any]], size: int) -> None:
    """Two senders and two receivers, each with an end of its own; of each one is cancelled."""
    send, receive = make(size)
    ledger, scopes = Ledger(), [CancelScope(), CancelScope()]
    async with create_task_group() as group:
        group.start_soon(ledger.send, send.clone(), ["a", "b", "c"], scopes[0])
        group.start_soon(ledger.send, send, ["d", "e", "f"], CancelScope())
        group.start_soon(ledger.receive, receive.clone(), scopes[1])
        group.start_soon(ledger.receive, receive, CancelScope())
        group.start_soon(cancel_one_by_one, *scopes)
    ledger.check(left=0)
    assert receive.statistics()[2:] == (0, 0, 0, 0)


@sizes
@explore()
async def test_each_item_is_received_once_or_its_send_raised(size: int) -> None:
    await passed_on(stream_of, size)


class Losing:
    """A receive end that may be cancelled when it has the item already."""

    def __init__(self, end: Any) -> None:
        self._end = end
        self.statistics = end.statistics

    def clone(self) -> Losing:
        return type(self)(self._end.clone())

    async def receive(self) -> Any:
        item = await self._end.receive()
        await checkpoint()
        return item

    def __enter__(self) -> None:
        self._end.__enter__()

    def __exit__(self, *exc: object) -> None:
        self._end.__exit__(*exc)


class Doubling(Losing):
    """A send end that is not sure whether an item has gone, and may be cancelled then."""

    async def send(self, item: Any) -> None:
        await self._end.send(item)
        await checkpoint()


def broken_streams(broken: type[Losing]) -> Callable[[int], tuple[Any, Any]]:
    def make(size: int) -> tuple[Any, Any]:
        send, receive = stream_of(size)
        return (broken(send), receive) if broken is Doubling else (send, broken(receive))

    return make


@pytest.mark.parametrize("broken", [Losing, Doubling])
def test_a_stream_that_loses_items_or_sends_what_it_refused_is_found_out(
    broken: type[Losing],
) -> None:
    assert_found(lambda: passed_on(broken_streams(broken), 1))


# Order


async def in_order(make: Callable[[int], tuple[Any, Any]], size: int) -> None:
    """One receiver has the items of each sender in their order, and the senders in turn."""
    send, receive = make(size)
    ledger, scope = Ledger(), CancelScope()
    async with create_task_group() as group:
        group.start_soon(ledger.send, send.clone(), [("one", n) for n in range(3)], scope)
        group.start_soon(ledger.send, send, [("other", n) for n in range(3)], CancelScope())
        group.start_soon(ledger.receive, receive, CancelScope())
        group.start_soon(cancel_one_by_one, scope)
    for sender in ("one", "other"):
        mine = [item for item in ledger.received if item[0] == sender]
        assert mine == [(sender, n) for n in range(len(mine))], "out of order"
    ledger.check(left=0)


@sizes
@explore()
async def test_the_items_of_each_sender_keep_their_order(size: int) -> None:
    await in_order(stream_of, size)


class Overtaking(Losing):
    """A receive end that takes a second item, if there is one, before the first."""

    held: Any = None

    async def receive(self) -> Any:
        if self.held is not None:
            item, self.held = self.held, None
            return item
        item = await self._end.receive()
        try:
            second = self._end.receive_nowait()
        except (WouldBlock, EndOfStream):
            return item
        self.held = item
        return second


def test_a_stream_whose_items_overtake_each_other_is_found_out() -> None:
    assert_found(lambda: in_order(broken_streams(Overtaking), 1))


# Closing under those who wait


async def closed(make: Callable[[int], tuple[Any, Any]], size: int, side: str) -> None:
    """One end is closed under a task that waits on it; who waits on a clone goes on."""
    send, receive = make(size)
    ledger = Ledger()
    other_send, other_receive = send.clone(), receive.clone()

    async def close(end: Any, waiting: TaskHandle[None]) -> None:
        await checkpoint()
        end.__exit__(None, None, None)
        await settle()
        assert waiting.status is TaskHandle.Status.FINISHED, "one still waits on a closed end"
        spare.close()

    with send.clone() as spare:  # As long as it is open the stream itself goes on.
        async with create_task_group() as group:
            sending = group.start_soon(ledger.send, send, ["a", "b"], CancelScope())
            group.start_soon(ledger.send, other_send, ["c", "d"], CancelScope())
            receiving = group.start_soon(ledger.receive, receive, CancelScope())
            group.start_soon(ledger.receive, other_receive, CancelScope())
            end, waiting = (send, sending) if side == "send" else (receive, receiving)
            group.start_soon(close, end, waiting)
    ledger.check(left=0)
    if side == "send":
        assert {"c", "d"} <= {*ledger.received}, "a clone was closed along"
    else:
        assert ledger.refused == [], "a sender was refused while a clone could receive"


@pytest.mark.parametrize("side", ["send", "receive"])
@sizes
@explore(runs=100)
async def test_closing_an_end_ends_the_waits_on_it_and_on_no_clone(size: int, side: str) -> None:
    await closed(stream_of, size, side)


class Deaf(Losing):
    """An end that, when it is closed, leaves those who wait on it where they are."""

    async def receive(self) -> Any:
        return await self._end.receive()

    def __exit__(self, *exc: object) -> None:
        self._end._waiting = 0
        self._end.__exit__(*exc)


def test_a_stream_that_does_not_wake_its_waiters_when_closed_is_found_out() -> None:
    assert_found(lambda: closed(broken_streams(Deaf), 1, "receive"))


@sizes
@explore(runs=100)
async def test_when_the_last_receiver_goes_every_waiting_sender_hears_of_it(size: int) -> None:
    send, receive = stream_of(size)
    ledger, scope = Ledger(), CancelScope()
    async with create_task_group() as group:
        group.start_soon(ledger.send, send.clone(), ["a", "b", "c"], CancelScope())
        group.start_soon(ledger.send, send, ["d", "e", "f"], CancelScope())
        group.start_soon(ledger.receive, receive, scope)
        group.start_soon(cancel_one_by_one, scope)
    ledger.check(left=receive.statistics().current_buffer_used)
    assert send.statistics().tasks_waiting_send == 0
