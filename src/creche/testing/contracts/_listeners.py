"""The contract of listeners: connections, each handled in a task of its own.

Owns the rules. Does not know how to connect: the caller of the check gives a function for that. Both
ends of a connection are byte streams.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from ..._abc.resources import aclose_forcefully
from ..._abc.streams import AnyByteStream, Listener
from ..._exceptions import ClosedResourceError, ConnectionFailed
from ..._sync import Event
from ..._tasks.group import create_task_group
from ..._tasks.scope import CancelScope
from ._rules import (
    Call,
    Made,
    Suite,
    begin,
    check_names,
    conclude,
    expect,
    must_raise,
    opened,
    start,
)


class Reception(NamedTuple):
    """A listener, and how to connect to it."""

    listener: Listener[Any]
    connect: Callable[[], Awaitable[AnyByteStream]]


LISTENER: Suite[Reception] = Suite("a listener")


async def check_listener(
    make: Callable[[], Made[tuple[Listener[Any], Callable[[], Awaitable[AnyByteStream]]]]],
    /,
    *,
    without: Collection[str] = (),
    seconds: float = 10,
) -> tuple[str, ...]:
    """Check that a listener keeps its contract.

    Each rule gets a new one. Runs in the loop that it is awaited in: to choose one,
    `creche.run(check_listener, make, backend="trio")`. A checkpoint.

    :param make: returns a listener and an async function that connects to it and returns the
        stream; or an awaitable or async context manager that gives the two. The listener is closed
        after each rule
    :param without: the names of rules that do not apply
    :param seconds: the longest that one rule may take
    :return: the names of the rules that were checked
    :raises ContractError: rules are broken; it names each, and what happened instead
    :raises ValueError: a name in `without` is not a rule
    """
    check_names(without, LISTENER)
    kinds: dict[str, None] = {}

    @asynccontextmanager
    async def bench() -> AsyncGenerator[Reception]:
        async with opened(make) as (listener, connect):
            kinds[type(listener).__name__] = None
            yield Reception(listener, connect)

    kept, broken = await LISTENER.check(bench, without, seconds)
    conclude(" and ".join(kinds), LISTENER.contract, broken)
    return kept


# What the rules are made of


async def answer(stream: AnyByteStream) -> None:
    """Handle a connection: send back the first bytes, in capitals."""
    async with stream:
        await stream.send((await stream.receive()).upper())


async def asks(reception: Reception) -> None:
    """Connect, and raise unless the handler above answers."""
    async with await reception.connect() as stream:
        await stream.send(b"question")
        got = await stream.receive()
    expect(got == b"QUESTION", f"the handler's QUESTION arrived as {got!r}")


class Guests:
    """Handles connections by waiting, until it is told to go on."""

    def __init__(self) -> None:
        self.number = 0
        self.arrived = [Event(), Event()]
        self.leave = Event()
        self.cancelled = 0

    async def handle(self, stream: AnyByteStream) -> None:
        async with stream:
            self.arrived[self.number].set()
            self.number += 1
            try:
                await self.leave.wait()
            except BaseException:
                self.cancelled += 1
                raise


# The rules


@LISTENER.rule
async def a_handler_gets_its_connection(reception: Reception) -> None:
    async with create_task_group() as group:
        group.start_soon(reception.listener.serve, answer)
        await asks(reception)
        await asks(reception)
        group.cancel_scope.cancel()


@LISTENER.rule
async def each_connection_has_a_task_of_its_own(reception: Reception) -> None:
    guests = Guests()
    async with create_task_group() as group:
        group.start_soon(reception.listener.serve, guests.handle)
        streams = [await reception.connect() for _ in guests.arrived]
        for arrived in guests.arrived:
            await arrived.wait()
        guests.leave.set()
        for stream in streams:
            await aclose_forcefully(stream)
        group.cancel_scope.cancel()


@LISTENER.rule
async def handlers_end_with_a_serve_that_has_no_group(reception: Reception) -> None:
    guests = Guests()
    async with create_task_group() as group:
        serving = start(group, reception.listener.serve, guests.handle)
        stream = await reception.connect()
        await guests.arrived[0].wait()
        await serving.cancel()
        expect(guests.cancelled == 1, "serve() ended, and its handler was still running")
        guests.leave.set()
        await aclose_forcefully(stream)


@LISTENER.rule
async def handlers_live_in_the_group_that_is_given(reception: Reception) -> None:
    guests = Guests()
    async with create_task_group() as handlers, create_task_group() as group:
        serving = start(group, reception.listener.serve, guests.handle, handlers)
        stream = await reception.connect()
        await guests.arrived[0].wait()
        await serving.cancel()
        expect(not guests.cancelled, "the handler ended with serve(), not with its group")
        await aclose_forcefully(stream)
        handlers.cancel_scope.cancel()
    expect(guests.cancelled == 1, "the handler did not end with its group")


@LISTENER.rule
async def an_error_of_a_handler_ends_serve(reception: Reception) -> None:
    async def fail(stream: AnyByteStream) -> None:
        await aclose_forcefully(stream)
        raise LookupError("in the handler")

    errors: list[BaseException] = []
    streams: list[AnyByteStream] = []
    try:
        async with create_task_group() as group:
            group.start_soon(reception.listener.serve, fail)
            streams.append(await reception.connect())
    except* LookupError as caught:
        errors.append(caught)
    finally:
        for stream in streams:
            await aclose_forcefully(stream)
    expect(errors, "serve() ended without the error that its handler raised")


@LISTENER.rule
async def serve_goes_on_after_it_was_cancelled(reception: Reception) -> None:
    async with create_task_group() as group:
        serving = await begin(group, reception.listener.serve, answer)
        await serving.cancel()
        expect(serving.error is None, f"a cancelled serve() raised {serving.error!r}")
        group.start_soon(reception.listener.serve, answer)
        await asks(reception)
        group.cancel_scope.cancel()


@LISTENER.rule
async def serve_in_a_cancelled_scope_accepts_nothing(reception: Reception) -> None:
    async with create_task_group() as group:
        asking = await begin(group, asks, reception)
        with CancelScope() as scope:
            scope.cancel()
            await reception.listener.serve(answer)
        expect(scope.cancelled_caught, "serve() did not notice that its scope is cancelled")
        group.start_soon(reception.listener.serve, answer)
        await asking.result()
        group.cancel_scope.cancel()


@LISTENER.rule
async def aclose_ends_a_waiting_serve(reception: Reception) -> None:
    async with create_task_group() as group:
        serving = await begin(group, reception.listener.serve, answer)
        await reception.listener.aclose()
        await must_raise(
            ClosedResourceError, _bare(serving), "serve() of a listener closed meanwhile"
        )


@LISTENER.rule
async def serve_after_aclose_is_an_error(reception: Reception) -> None:
    await reception.listener.aclose()
    async with create_task_group() as group:
        serving = start(group, reception.listener.serve, answer)
        await must_raise(ClosedResourceError, _bare(serving), "serve() after aclose()")


@LISTENER.rule
async def nobody_connects_after_aclose(reception: Reception) -> None:
    await reception.listener.aclose()
    await must_raise((OSError, ConnectionFailed), reception.connect(), "connect() after aclose()")


@LISTENER.rule
async def aclose_twice_does_nothing(reception: Reception) -> None:
    await reception.listener.aclose()
    await reception.listener.aclose()


@LISTENER.rule
async def aclose_under_cancellation_closes_all_the_same(reception: Reception) -> None:
    await aclose_forcefully(reception.listener)
    await must_raise((OSError, ConnectionFailed), reception.connect(), "connect() after aclose()")


async def _bare(serving: Call[None]) -> None:
    """Raise what serve() raised, taken out of the group that it may be in."""
    try:
        await serving.result()
    except ExceptionGroup as exc:
        if len(exc.exceptions) == 1:
            raise exc.exceptions[0] from exc
        raise
