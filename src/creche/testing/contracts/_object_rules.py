"""The rules of object streams, one-way and two-way, as `creche.abc` has them.

Owns the rules, and which items are sent: a context variable holds the function that makes them; the
check sets it. An end may hand over an item without a buffer in between, so a rule never sends and then
receives in one task. Closing may need the peer, so it is never awaited while the peer does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

from ..._abc.resources import aclose_forcefully
from ..._abc.streams import ObjectReceiveStream, ObjectSendStream, ObjectStream
from ..._exceptions import (
    BrokenResourceError,
    BusyResourceError,
    ClosedResourceError,
    EndOfStream,
)
from ..._kernel import current_task
from ..._tasks.group import create_task_group
from ..._tasks.scope import CancelScope
from ._closing_rules import add_closing_rules
from ._pairs import BothWays, OneWay
from ._rules import (
    Suite,
    begin,
    checkpoint_in,
    close_both,
    expect,
    must_raise,
    short,
    start,
)

MANY = 10_000
"""Items that no stream accepts without a receiver."""

Sender: TypeAlias = ObjectSendStream[Any]
Receiver: TypeAlias = ObjectReceiveStream[Any]
Ends: TypeAlias = OneWay[Sender, Receiver]

ONE_WAY: Suite[Ends] = Suite("an object stream")
BOTH_WAYS: Suite[BothWays[ObjectStream[Any]]] = Suite("an object stream")

_item: ContextVar[Callable[[int], Any]] = ContextVar("creche.testing.contracts.item")


@contextmanager
def items_of(item: Callable[[int], Any]) -> Generator[None]:
    """Have the rules send `item(0)`, `item(1)`, `item(2)`..."""
    token = _item.set(item)
    try:
        yield
    finally:
        _item.reset(token)


def items(number: int) -> list[Any]:
    """Make `number` items."""
    make = _item.get()
    return [make(index) for index in range(number)]


# What the rules are made of


async def send_all(sender: Sender, what: list[Any]) -> None:
    """Send some items."""
    for item in what:
        await sender.send(item)


async def send_all_and_close(sender: Sender, what: list[Any]) -> None:
    """Send some items, and no more."""
    await send_all(sender, what)
    await sender.aclose()


async def receive_all(receiver: Receiver) -> list[Any]:
    """Receive until the end."""
    got: list[Any] = []
    while True:
        try:
            got.append(await receiver.receive())
        except EndOfStream:
            return got


class Pour:
    """Sends again and again, until it is told to stop."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._make = _item.get()
        self.sent = 0
        self.stopping = False

    async def run(self) -> None:
        while not self.stopping and self.sent < MANY:
            await self._sender.send(self._make(self.sent))
            self.sent += 1

    async def run_and_close(self) -> None:
        await self.run()
        await self._sender.aclose()


def same(got: list[Any], sent: list[Any]) -> None:
    """Raise unless what was received is what was sent."""
    expect(got == sent, f"{short(sent)} were sent, and {short(got)} received")


# The rules of one direction


@ONE_WAY.rule
async def items_arrive_once_and_in_order(ends: Ends) -> None:
    sent = items(100)
    async with create_task_group() as group:
        group.start_soon(send_all, ends.sender, sent)
        same([await ends.receiver.receive() for _ in sent], sent)


@ONE_WAY.rule
async def receive_waits_for_an_item(ends: Ends) -> None:
    async with create_task_group() as group:
        call = await begin(group, ends.receiver.receive)
        expect(not call.ended, "receive() did not wait, though nothing was sent")
        await ends.sender.send(items(1)[0])
        same([await call.result()], items(1))


@ONE_WAY.rule
async def send_waits_for_room(ends: Ends) -> None:
    pour = Pour(ends.sender)
    async with create_task_group() as group:
        call = await begin(group, pour.run_and_close)
        expect(not call.ended, f"it took {pour.sent:,} items that nobody has received")
        pour.stopping = True
        got = await receive_all(ends.receiver)
        await ends.receiver.aclose()
        await call.result()
        same(got, items(pour.sent))


@ONE_WAY.rule
async def closing_ends_the_stream_after_its_items(ends: Ends) -> None:
    async with create_task_group() as group:
        group.start_soon(send_all_and_close, ends.sender, items(3))
        same(await receive_all(ends.receiver), items(3))
        await must_raise(EndOfStream, ends.receiver.receive(), "receive() after the end")
        await ends.receiver.aclose()


@ONE_WAY.rule
async def iteration_stops_at_the_end(ends: Ends) -> None:
    async with create_task_group() as group:
        group.start_soon(send_all_and_close, ends.sender, items(3))
        same([item async for item in ends.receiver], items(3))
        await ends.receiver.aclose()


@ONE_WAY.rule
async def use_after_aclose_is_an_error(ends: Ends) -> None:
    await close_both(ends.sender, ends.receiver)
    await must_raise(ClosedResourceError, ends.receiver.receive(), "receive() after aclose()")
    await must_raise(ClosedResourceError, ends.sender.send(items(1)[0]), "send() after aclose()")


add_closing_rules(ONE_WAY, Pour)


@ONE_WAY.rule
async def two_receiving_tasks_share_or_one_is_too_many(ends: Ends) -> None:
    sent = items(2)
    async with create_task_group() as group:
        calls = [await begin(group, ends.receiver.receive) for _ in range(2)]
        await ends.sender.send(sent[0])
        got = [await calls[0].result()]
        if calls[1].ended:
            await must_raise(BusyResourceError, calls[1].result(), "receive() beside another task")
            calls[1] = await begin(group, ends.receiver.receive)
        await ends.sender.send(sent[1])
        got.append(await calls[1].result())
        same(got, sent)


@ONE_WAY.rule
async def a_cancelled_receive_loses_nothing(ends: Ends) -> None:
    got: list[Any] = []
    sent = items(20)
    async with create_task_group() as group:
        await (await begin(group, ends.receiver.receive)).cancel()
        for number, item in enumerate(sent):
            receiving = await begin(group, ends.receiver.receive)
            sending = start(group, ends.sender.send, item)
            for _ in range(number % 5):
                await current_task().checkpoint()
            await receiving.cancel()
            got += receiving.results
            if not receiving.results:
                got.append(await ends.receiver.receive())
            await sending.result()
    same(got, sent)


@ONE_WAY.rule
async def a_cancelled_send_has_sent_nothing(ends: Ends) -> None:
    pour = Pour(ends.sender)
    async with create_task_group() as group:
        call = await begin(group, pour.run)
        await call.cancel()
        group.start_soon(ends.sender.aclose)
        same(await receive_all(ends.receiver), items(pour.sent))
        await ends.receiver.aclose()


@ONE_WAY.rule
async def a_call_in_a_cancelled_scope_has_no_effect(ends: Ends) -> None:
    never, kept = items(2)
    with CancelScope() as scope:
        scope.cancel()
        await ends.sender.send(never)
    expect(scope.cancelled_caught, "send() did not notice that its scope is cancelled")
    async with create_task_group() as group:
        await begin(group, ends.sender.send, kept)
        with CancelScope() as scope:
            scope.cancel()
            await ends.receiver.receive()
        expect(scope.cancelled_caught, "receive() did not notice that its scope is cancelled")
        same([await ends.receiver.receive()], [kept])


@ONE_WAY.rule
async def send_and_receive_are_checkpoints(ends: Ends) -> None:
    async with create_task_group() as group:
        receiving = await begin(group, ends.receiver.receive)
        with checkpoint_in("send() to a task that waits"):
            await ends.sender.send(items(1)[0])
        await receiving.result()
        await begin(group, ends.sender.send, items(1)[0])
        with checkpoint_in("receive() of what has arrived"):
            await ends.receiver.receive()


@ONE_WAY.rule
async def aclose_under_cancellation_closes_all_the_same(ends: Ends) -> None:
    await aclose_forcefully(ends.sender)
    await must_raise(ClosedResourceError, ends.sender.send(items(1)[0]), "send() after aclose()")
    await must_raise(
        (EndOfStream, BrokenResourceError), ends.receiver.receive(), "receive() of a closed stream"
    )
    await aclose_forcefully(ends.receiver)
    await must_raise(ClosedResourceError, ends.receiver.receive(), "receive() after aclose()")


# The rules of both directions together


@BOTH_WAYS.rule
async def both_directions_flow_at_once(ends: BothWays[ObjectStream[Any]]) -> None:
    there, back = items(2)
    async with create_task_group() as group:
        receiving = [await begin(group, end.receive) for end in ends]
        await ends.left.send(there)
        await ends.right.send(back)
        same([await call.result() for call in receiving], [back, there])


@BOTH_WAYS.rule
async def aclose_ends_both_directions(ends: BothWays[ObjectStream[Any]]) -> None:
    async with create_task_group() as group:
        group.start_soon(ends.left.aclose)
        await must_raise(EndOfStream, ends.right.receive(), "receive() from a peer that has closed")
        await ends.right.aclose()
    await must_raise(ClosedResourceError, ends.left.send(items(1)[0]), "send() after aclose()")
    await must_raise(ClosedResourceError, ends.left.receive(), "receive() after aclose()")


@BOTH_WAYS.rule
async def send_eof_ends_one_direction_only(ends: BothWays[ObjectStream[Any]]) -> None:
    async with create_task_group() as group:
        await begin(group, _send_and_end, ends.left)
        same(await receive_all(ends.right), items(1))
        group.start_soon(send_all, ends.right, items(1))
        same([await ends.left.receive()], items(1))


async def _send_and_end(end: ObjectStream[Any]) -> None:
    await end.send(items(1)[0])
    await end.send_eof()


@BOTH_WAYS.rule
async def send_eof_twice_does_nothing(ends: BothWays[ObjectStream[Any]]) -> None:
    await ends.left.send_eof()
    await ends.left.send_eof()
    await must_raise(EndOfStream, ends.right.receive(), "receive() after the peer's send_eof()")
