"""A task that waited for a socket takes its step in the loop's callback: nothing else is different.

See `_kernel/asyncio/readiness.py`. The rest of this folder holds it to what is promised of every
wait; here is what could go wrong in this way of waking alone.
"""

from __future__ import annotations

import asyncio
import socket
from contextvars import ContextVar
from typing import Any

import pytest
from _ends import connected, raw

from _harness import Backend, on_asyncio
from creche import CancelScope, create_task_group, wait_all_tasks_blocked
from creche.abc import SocketStream
from creche.lowlevel import checkpoint

colour = ContextVar("colour", default="none")


async def test_a_task_goes_on_in_its_own_context() -> None:
    seen: list[str] = []

    async def receive(stream: SocketStream, own: str) -> None:
        colour.set(own)
        for _ in range(3):
            await stream.receive()
            seen.append(colour.get())
            colour.set(colour.get() + "!")

    async with connected() as (client, server), create_task_group() as group:
        group.start_soon(receive, client, "red")
        group.start_soon(receive, server, "blue")
        for _ in range(3):
            await wait_all_tasks_blocked()
            await client.send(b"x")
            await wait_all_tasks_blocked()
            await server.send(b"x")
    assert seen == ["blue", "red", "blue!", "red!", "blue!!", "red!!"]
    assert colour.get() == "none"


@on_asyncio
async def test_a_task_goes_on_as_the_current_one_and_nobody_is_after_it() -> None:
    current: list[asyncio.Task[Any] | None] = []

    async def receive(stream: SocketStream) -> None:
        await stream.receive()
        current.append(asyncio.current_task())
        asyncio.get_running_loop().call_soon(note)

    def note() -> None:
        current.append(asyncio.current_task())

    async with connected() as (client, server):
        task = asyncio.create_task(receive(server))
        await wait_all_tasks_blocked()
        await client.send(b"x")
        await task
        await checkpoint()
    assert current == [task, None]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, ZeroDivisionError])
def test_what_a_task_raises_after_a_wait_ends_the_run(
    backend: Backend, kind: type[BaseException]
) -> None:
    async def main() -> None:
        async with connected() as (client, server), create_task_group() as group:
            group.start_soon(send_when_blocked, client)
            await server.receive()
            raise kind("that is all")

    with pytest.raises(BaseException) as caught:
        backend.run(main)
    error = caught.value
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert type(error) is kind


async def send_when_blocked(stream: SocketStream) -> None:
    await wait_all_tasks_blocked()
    await stream.send(b"x")


@on_asyncio
async def test_a_readiness_that_a_task_brings_about_steps_no_other_inside_of_it() -> None:
    # As where a program runs the loop inside of a task, which some packages make possible.
    got: list[bytes] = []

    async def receive(stream: SocketStream) -> None:
        got.append(await stream.receive())

    async with connected() as (client, server), create_task_group() as group:
        group.start_soon(receive, server)
        await wait_all_tasks_blocked()
        raw(client).send(b"here")
        watch: Any = getattr(server, "_watch")  # noqa: B009  # private, and another's
        watch.ready()
        assert got == []
        await wait_all_tasks_blocked()
        assert got == [b"here"]


async def test_a_cancel_before_the_bytes_come_wins_and_the_next_task_gets_them() -> None:
    async with connected() as (client, server):
        with CancelScope() as scope:
            async with create_task_group() as group:
                group.start_soon(server.receive)
                await wait_all_tasks_blocked()
                scope.cancel()
                raw(client).send(b"for the next")
        assert scope.cancelled_caught
        assert await server.receive() == b"for the next"


async def test_a_task_may_close_what_it_waited_for_and_reuse_its_number() -> None:
    async def close_at_once(stream: SocketStream) -> None:
        number = raw(stream).fileno()
        assert await stream.receive() == b"x"
        await stream.aclose()
        near, far = socket.socketpair()  # has the lowest numbers that are free
        with near, far:
            assert number in (near.fileno(), far.fileno())
            near.setblocking(False)
            again = await SocketStream.from_socket(near)
            far.send(b"y")
            assert await again.receive() == b"y"
            await again.aclose()

    async with connected() as (client, server), create_task_group() as group:
        group.start_soon(close_at_once, server)
        await wait_all_tasks_blocked()
        await client.send(b"x")
