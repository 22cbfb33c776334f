"""The rules of byte streams, one-way and two-way, as `creche.abc` has them.

Owns the rules and nothing else. Does not know what carries the bytes: a rule sends, receives and
closes, and waits until tasks are blocked. Closing may need the peer, so it is never awaited while the
peer does nothing.
"""

from __future__ import annotations

from random import Random
from typing import Any, TypeAlias

from ..._abc.resources import aclose_forcefully
from ..._abc.streams import ByteReceiveStream, ByteSendStream, ByteStream
from ..._exceptions import (
    BrokenResourceError,
    BusyResourceError,
    ClosedResourceError,
    EndOfStream,
)
from ..._tasks.group import create_task_group
from ..._tasks.scope import CancelScope
from ._closing_rules import add_closing_rules
from ._pairs import BothWays, OneWay
from ._rules import Call, Suite, begin, checkpoint_in, close_both, expect, must_raise, short

MUCH = 64 * 2**20
"""Bytes that no stream accepts without a receiver."""
CHUNK = 2**18

Ends: TypeAlias = OneWay[ByteSendStream, ByteReceiveStream]

ONE_WAY: Suite[Ends] = Suite("a byte stream")
BOTH_WAYS: Suite[BothWays[ByteStream]] = Suite("a byte stream")


# What the rules are made of


async def receive_exactly(receiver: ByteReceiveStream, number: int) -> bytes:
    """Receive `number` bytes."""
    got = bytearray()
    while len(got) < number:
        try:
            chunk = await receiver.receive(number - len(got))
        except EndOfStream:
            raise AssertionError(f"the stream ended after {len(got)} of {number} bytes") from None
        expect(chunk, "receive() returned no bytes: it must raise EndOfStream at the end")
        got += chunk
    return bytes(got)


async def receive_all(receiver: ByteReceiveStream) -> bytes:
    """Receive until the end."""
    got = bytearray()
    while True:
        try:
            chunk = await receiver.receive()
        except EndOfStream:
            return bytes(got)
        expect(chunk, "receive() returned no bytes: it must raise EndOfStream at the end")
        got += chunk


class Pour:
    """Sends again and again, until it is told to stop."""

    def __init__(self, sender: ByteSendStream) -> None:
        self._sender = sender
        self.sent = 0
        self.stopping = False

    async def run(self) -> None:
        chunk = bytes(CHUNK)
        while not self.stopping and self.sent < MUCH:
            await self._sender.send(chunk)
            self.sent += CHUNK

    async def run_and_close(self) -> None:
        await self.run()
        await self._sender.aclose()


def same(got: bytes, sent: bytes) -> None:
    """Raise unless what was received is what was sent."""
    expect(got == sent, f"{short(sent)} was sent, and {short(got)} received")


# The rules of one direction


@ONE_WAY.rule
async def bytes_arrive_whole_and_in_order(ends: Ends) -> None:
    data = Random(1).randbytes(200_000)
    sizes = (1, 2, 3, 997, 65536, 65537)

    async def send_all() -> None:
        start = 0
        while start < len(data):
            for size in sizes:
                await ends.sender.send(data[start : start + size])
                start += size

    async with create_task_group() as group:
        group.start_soon(send_all)
        got = await receive_exactly(ends.receiver, len(data))
        expect(got == data, "the bytes that arrived are not those that were sent, in their order")


@ONE_WAY.rule
async def empty_send_sends_nothing(ends: Ends) -> None:
    await ends.sender.send(b"")
    await ends.sender.send(b"x")
    same(await ends.receiver.receive(), b"x")


@ONE_WAY.rule
async def receive_gives_at_most_max_bytes(ends: Ends) -> None:
    await ends.sender.send(b"0123456789")
    got = await ends.receiver.receive(3)
    expect(0 < len(got) <= 3, f"receive(3) returned {len(got)} bytes")
    same(got + await receive_exactly(ends.receiver, 10 - len(got)), b"0123456789")


@ONE_WAY.rule
async def max_bytes_below_1_is_an_error(ends: Ends) -> None:
    await ends.sender.send(b"x")
    for number in (0, -1):
        await must_raise(ValueError, ends.receiver.receive(number), f"receive({number})")
    same(await ends.receiver.receive(), b"x")


@ONE_WAY.rule
async def receive_waits_for_bytes(ends: Ends) -> None:
    async with create_task_group() as group:
        call = await begin(group, ends.receiver.receive)
        expect(not call.ended, "receive() did not wait, though nothing was sent")
        await ends.sender.send(b"x")
        same(await call.result(), b"x")


async def check_all_arrives(ends: Ends, pour: Pour, call: Call[Any]) -> None:
    """Let the sender finish; raise unless the receiver has got all that it sent."""
    pour.stopping = True
    got = len(await receive_all(ends.receiver))
    await ends.receiver.aclose()
    await call.result()
    expect(got == pour.sent, f"{pour.sent} bytes were sent, and {got} received")


@ONE_WAY.rule
async def send_waits_for_room(ends: Ends) -> None:
    pour = Pour(ends.sender)
    async with create_task_group() as group:
        call = await begin(group, pour.run_and_close)
        expect(not call.ended, f"it took {pour.sent:,} bytes that nobody has received")
        await check_all_arrives(ends, pour, call)


@ONE_WAY.rule
async def closing_ends_the_stream_after_its_bytes(ends: Ends) -> None:
    async with create_task_group() as group:
        await ends.sender.send(b"last words")
        await begin(group, ends.sender.aclose)
        same(await receive_all(ends.receiver), b"last words")
        await must_raise(EndOfStream, ends.receiver.receive(), "receive() after the end")
        await ends.receiver.aclose()


@ONE_WAY.rule
async def iteration_stops_at_the_end(ends: Ends) -> None:
    async with create_task_group() as group:
        await ends.sender.send(b"last words")
        await begin(group, ends.sender.aclose)
        same(b"".join([chunk async for chunk in ends.receiver]), b"last words")
        await ends.receiver.aclose()


@ONE_WAY.rule
async def use_after_aclose_is_an_error(ends: Ends) -> None:
    await ends.sender.send(b"x")
    await close_both(ends.sender, ends.receiver)
    await must_raise(ClosedResourceError, ends.receiver.receive(), "receive() after aclose()")
    await must_raise(ClosedResourceError, ends.sender.send(b"x"), "send() after aclose()")


add_closing_rules(ONE_WAY, Pour)


@ONE_WAY.rule
async def two_receiving_tasks_are_one_too_many(ends: Ends) -> None:
    async with create_task_group() as group:
        call = await begin(group, ends.receiver.receive)
        other = await begin(group, ends.receiver.receive)
        await must_raise(
            BusyResourceError, other.result_now(), "receive() while another task receives"
        )
        await ends.sender.send(b"x")
        same(await call.result(), b"x")


@ONE_WAY.rule
async def two_sending_tasks_are_one_too_many(ends: Ends) -> None:
    pour = Pour(ends.sender)
    async with create_task_group() as group:
        call = await begin(group, pour.run_and_close)
        other = await begin(group, ends.sender.send, b"x")
        await must_raise(BusyResourceError, other.result_now(), "send() while another task sends")
        await check_all_arrives(ends, pour, call)


@ONE_WAY.rule
async def a_cancelled_receive_loses_nothing(ends: Ends) -> None:
    async with create_task_group() as group:
        call = await begin(group, ends.receiver.receive)
        await call.cancel()
        got, sent = b"".join(call.results), b""
        for number in range(20):
            call = await begin(group, ends.receiver.receive)
            await ends.sender.send(bytes([number]))
            sent += bytes([number])
            await call.cancel()
            got += b"".join(call.results)
        same(got + await receive_exactly(ends.receiver, len(sent) - len(got)), sent)


@ONE_WAY.rule
async def a_cancelled_send_has_sent_the_beginning_or_nothing(ends: Ends) -> None:
    data = Random(1).randbytes(2**20 - 1) * (MUCH // 2**20)
    async with create_task_group() as group:
        call = await begin(group, ends.sender.send, data)
        await call.cancel()
        group.start_soon(aclose_forcefully, ends.sender)
        got = bytearray()
        try:
            async for chunk in ends.receiver:
                got += chunk
        except BrokenResourceError:
            pass
        expect(
            data.startswith(got),
            f"the {len(got)} bytes that arrived are not the first that were sent",
        )


@ONE_WAY.rule
async def a_call_in_a_cancelled_scope_has_no_effect(ends: Ends) -> None:
    with CancelScope() as scope:
        scope.cancel()
        await ends.sender.send(b"never")
    expect(scope.cancelled_caught, "send() did not notice that its scope is cancelled")
    await ends.sender.send(b"kept")
    with CancelScope() as scope:
        scope.cancel()
        await ends.receiver.receive()
    expect(scope.cancelled_caught, "receive() did not notice that its scope is cancelled")
    same(await receive_exactly(ends.receiver, 4), b"kept")


@ONE_WAY.rule
async def send_and_receive_are_checkpoints(ends: Ends) -> None:
    with checkpoint_in("send()"):
        await ends.sender.send(b"xy")
    with checkpoint_in("send() of nothing"):
        await ends.sender.send(b"")
    with checkpoint_in("receive()"):
        await ends.receiver.receive(1)
    with checkpoint_in("receive() of what has arrived"):
        await ends.receiver.receive(1)


@ONE_WAY.rule
async def aclose_under_cancellation_closes_all_the_same(ends: Ends) -> None:
    await aclose_forcefully(ends.sender)
    await must_raise(ClosedResourceError, ends.sender.send(b"x"), "send() after aclose()")
    await must_raise(
        (EndOfStream, BrokenResourceError), ends.receiver.receive(), "receive() of a closed stream"
    )
    await aclose_forcefully(ends.receiver)
    await must_raise(ClosedResourceError, ends.receiver.receive(), "receive() after aclose()")


# The rules of both directions together


@BOTH_WAYS.rule
async def both_directions_flow_at_once(ends: BothWays[ByteStream]) -> None:
    data = Random(2).randbytes(2**21)
    async with create_task_group() as group:
        for end in ends:
            group.start_soon(end.send, data)
        there = await begin(group, receive_exactly, ends.right, len(data))
        back = await receive_exactly(ends.left, len(data))
        expect(await there.result() == back == data, "the bytes that arrived are not those sent")


@BOTH_WAYS.rule
async def aclose_ends_both_directions(ends: BothWays[ByteStream]) -> None:
    async with create_task_group() as group:
        group.start_soon(ends.left.aclose)
        await must_raise(EndOfStream, ends.right.receive(), "receive() from a peer that has closed")
        await ends.right.aclose()
    await must_raise(ClosedResourceError, ends.left.send(b"x"), "send() after aclose()")
    await must_raise(ClosedResourceError, ends.left.receive(), "receive() after aclose()")


@BOTH_WAYS.rule
async def send_eof_ends_one_direction_only(ends: BothWays[ByteStream]) -> None:
    await ends.left.send(b"question")
    await ends.left.send_eof()
    same(await receive_all(ends.right), b"question")
    await ends.right.send(b"answer")
    same(await receive_exactly(ends.left, 6), b"answer")


@BOTH_WAYS.rule
async def send_eof_twice_does_nothing(ends: BothWays[ByteStream]) -> None:
    await ends.left.send_eof()
    await ends.left.send_eof()
    await must_raise(EndOfStream, ends.right.receive(), "receive() after the peer's send_eof()")
