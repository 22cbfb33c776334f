"""Streams and readiness on a loop without `add_reader`, as Windows' proactor loop is.

Here a thread tells what is ready; what it does by itself is in ``test_selector_thread.py``.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from _ends import connected, echo, receive_all, receive_exactly, small_buffer
from _readerless import (
    Pair,
    ReaderlessLoop,
    drain,
    ends_with_the_garbage,
    fill,
    on_readerless,
    selector_threads,
)

import creche
from _harness import cpu_time
from creche import (
    BusyResourceError,
    ClosedResourceError,
    EndOfStream,
    create_task_group,
    notify_closing,
    sleep,
    wait_all_tasks_blocked,
    wait_readable,
    wait_writable,
)
from creche.lowlevel import checkpoint

LARGE = bytes(range(256)) * 16384  # 4 MiB

WALL = 0.3
CPU_AT_MOST = 0.1


@pytest.fixture
def pair() -> Iterator[Pair]:
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


@on_readerless
async def test_bytes_are_echoed_and_one_thread_is_enough() -> None:
    async with create_task_group() as group:
        for _ in range(10):
            group.start_soon(echo_once)
        await wait_all_tasks_blocked()
        assert len(selector_threads()) == 1


async def echo_once() -> None:
    async with connected() as (client, server), create_task_group() as group:
        group.start_soon(echo, server)
        for size in (1, 64, 5000):
            await client.send(LARGE[:size])
            assert await receive_exactly(client, size) == LARGE[:size]
        await client.send_eof()
        with pytest.raises(EndOfStream):
            await client.receive()


@on_readerless
async def test_two_tasks_play_ping_pong() -> None:
    async with connected() as (client, server), create_task_group() as group:
        group.start_soon(echo, server)
        for turn in range(200):
            await client.send(b"%d" % turn)
            assert await client.receive() == b"%d" % turn
        await client.send_eof()


@on_readerless
async def test_a_large_send_waits_for_a_slow_reader() -> None:
    async with connected() as (client, server), create_task_group() as group:
        small_buffer(client)
        sending = group.create_task(client.send(LARGE))
        await wait_all_tasks_blocked()
        assert sending.status.name == "PENDING"
        assert await receive_exactly(server, len(LARGE)) == LARGE
        await sending
        await client.aclose()
        assert await receive_all(server) == b""


@on_readerless
async def test_a_cancelled_wait_takes_nothing_and_the_next_gets_all() -> None:
    async with connected() as (client, server):
        for _ in range(3):
            async with create_task_group() as group:
                group.start_soon(client.receive)
                await wait_all_tasks_blocked()
                group.cancel_scope.cancel()
            await server.send(b"for the next")
            assert await client.receive() == b"for the next"


@on_readerless
async def test_closing_wakes_whoever_waits() -> None:
    async def refused(call: Callable[..., Any], *args: Any) -> None:
        with pytest.raises(ClosedResourceError):
            await call(*args)

    async with connected() as (client, _):
        small_buffer(client)
        async with create_task_group() as group:
            group.start_soon(refused, client.receive)
            group.start_soon(refused, client.send, LARGE)
            await wait_all_tasks_blocked()
            await client.aclose()


@on_readerless
async def test_a_user_s_sockets_can_be_waited_for(pair: Pair) -> None:
    left, right = pair
    await wait_writable(left)
    fill(left)
    async with create_task_group() as group:
        group.start_soon(wait_readable, left)
        group.start_soon(wait_writable, left)
        await wait_all_tasks_blocked()
        for wait in (wait_readable, wait_writable):
            with pytest.raises(BusyResourceError):
                await wait(left)
        drain(right)
        right.send(b"x")
    await wait_readable(left)
    assert left.recv(10) == b"x"


@on_readerless
async def test_notify_closing_wakes_whoever_waits(pair: Pair) -> None:
    left, _ = pair
    fill(left)

    async def refused(wait: Callable[..., Any]) -> None:
        with pytest.raises(ClosedResourceError):
            await wait(left)

    async with create_task_group() as group:
        group.start_soon(refused, wait_readable)
        group.start_soon(refused, wait_writable)
        await wait_all_tasks_blocked()
        notify_closing(left)
        left.close()


@on_readerless
async def test_waiting_burns_no_processor_time(pair: Pair) -> None:
    left, _ = pair
    async with connected() as (client, server), create_task_group() as group:
        for wait in (client.receive, server.receive, functools.partial(wait_readable, left)):
            group.start_soon(wait)
        await server.send(b"its reader waits on after this")
        await wait_all_tasks_blocked()
        with cpu_time() as spent:
            await sleep(WALL)
        group.cancel_scope.cancel()
    assert spent.wall >= WALL * 0.9
    assert spent.cpu <= CPU_AT_MOST


def test_a_task_that_is_cancelled_by_the_end_of_the_run_can_wait_in_its_clean_up(
    pair: Pair,
) -> None:
    left, right = pair
    done: list[str] = []

    async def leave_late() -> None:
        try:
            await wait_readable(left)
        finally:
            with creche.CancelScope(shield=True):
                asyncio.get_running_loop().call_soon(right.send, b"x")
                await wait_readable(left)
                done.append("clean-up")

    @on_readerless
    async def main() -> None:
        tasks.append(asyncio.create_task(leave_late()))
        await wait_all_tasks_blocked()
        done.append("main")

    tasks: list[asyncio.Task[None]] = []
    main()
    assert done == ["main", "clean-up"]


def test_the_thread_ends_with_a_loop_that_somebody_else_ran(pair: Pair) -> None:
    left, right = pair

    async def main() -> None:
        async with create_task_group() as group:
            group.start_soon(wait_readable, left)
            await wait_all_tasks_blocked()
            right.send(b"x")

    with asyncio.Runner(loop_factory=ReaderlessLoop) as runner:
        runner.run(main())
        (thread,) = selector_threads()
    del runner
    creche.run(checkpoint)  # On Python 3.11 this thread remembers the last loop.
    assert ends_with_the_garbage(thread)


def test_the_interpreter_can_end_while_a_loop_of_another_s_is_left_with_its_thread() -> None:
    subprocess.run([sys.executable, "-c", LEFT_BEHIND], check=True, timeout=30)


LEFT_BEHIND = """
import asyncio, creche, socket, threading

class ReaderlessLoop(asyncio.SelectorEventLoop):
    add_reader = asyncio.AbstractEventLoop.add_reader

async def main():
    with creche.move_on_after(0):
        await creche.wait_readable(left)
    task = asyncio.create_task(creche.wait_readable(left))
    await creche.wait_all_tasks_blocked()
    return task

left, right = socket.socketpair()
loop = ReaderlessLoop()
task = loop.run_until_complete(main())
assert threading.active_count() == 2
"""
