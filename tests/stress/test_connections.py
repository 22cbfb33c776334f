"""Many connections: thousands that are idle beside some that are busy, and a great many short ones.

The tests of the suite take a second or two on each backend. The one marked `soak` makes 200,000
short connections, and is run by `make soak`.
"""

from __future__ import annotations

import gc
import itertools
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack

import psutil
import pytest

from _harness import open_descriptors
from creche import (
    CapacityLimiter,
    EndOfStream,
    connect_tcp,
    connect_unix,
    create_task_group,
    create_tcp_listener,
    create_unix_listener,
    get_running_tasks,
)
from creche.abc import SocketAttribute, SocketStream

IDLE, ACTIVE, MESSAGES = 5000, 200, 10
SHORT_ONES, MANY_SHORT_ONES = 5000, 200_000
AT_ONCE = 50
BLOCKS = 5000
BYTES = 16 * 2**20


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Let the process have 20,000 descriptors, or as many as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 20_000 if hard == resource.RLIM_INFINITY else min(20_000, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def echo(stream: SocketStream) -> None:
    async with stream:
        try:
            while True:
                await stream.send(await stream.receive())
        except EndOfStream:
            pass


async def talk(stream: SocketStream, number: int) -> int:
    async with stream:
        for turn in range(MESSAGES):
            message = b"%d/%d" % (number, turn)
            await stream.send(message)
            assert await stream.receive() == message
    return MESSAGES


@pytest.mark.usefixtures("many_descriptors")
async def test_200_busy_connections_are_served_beside_5000_idle_ones() -> None:
    before = open_descriptors()
    tasks = len(get_running_tasks())
    async with await create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)
        async with create_task_group() as servers:
            servers.start_soon(listener.serve, echo)
            async with AsyncExitStack() as stack:
                idle = [
                    await stack.enter_async_context(await connect_tcp("127.0.0.1", port))
                    for _ in range(IDLE)
                ]
                busy = [await connect_tcp("127.0.0.1", port) for _ in range(ACTIVE)]
                async with create_task_group() as clients:
                    handles = [
                        clients.start_soon(talk, stream, number)
                        for number, stream in enumerate(busy)
                    ]
                assert sum(handle.return_value for handle in handles) == ACTIVE * MESSAGES
                for stream in idle[:: IDLE // 10]:  # they were only waiting
                    await stream.send(b"awake")
                    assert await stream.receive() == b"awake"
            servers.cancel_scope.cancel()
    assert open_descriptors() == before
    assert len(get_running_tasks()) == tasks


class Short:
    """Connects, sends a byte, gets it back and closes, again and again, from many tasks."""

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, "socket")
        self.numbers = itertools.count()

    async def many(self, n: int) -> None:
        limiter = CapacityLimiter(AT_ONCE)
        # Each address has ports of its own: one alone would run out of them for a minute.
        hosts = [f"127.0.0.{number}" for number in range(1, 9 if sys.platform == "linux" else 2)]
        async with AsyncExitStack() as stack, create_task_group() as servers:
            ports: list[tuple[str, int]] = []
            for host in hosts:
                listener = await create_tcp_listener(local_host=host)
                await stack.enter_async_context(listener)
                ports.append((host, listener.extra(SocketAttribute.local_port)))
                servers.start_soon(listener.serve, echo)
            unix = await stack.enter_async_context(await create_unix_listener(self.path))
            servers.start_soon(unix.serve, echo)
            async with create_task_group() as clients:
                for number in range(n):
                    await limiter.acquire_on_behalf_of(number)
                    clients.start_soon(self.one, ports[number % len(ports)], limiter, number)
            servers.cancel_scope.cancel()

    async def one(self, address: tuple[str, int], limiter: CapacityLimiter, number: int) -> None:
        stream: SocketStream
        if number % 10 == 0:
            stream = await connect_unix(self.path)
        else:
            stream = await connect_tcp(*address)
        async with stream:
            await stream.send(b"x")
            assert await stream.receive() == b"x"
        limiter.release_on_behalf_of(number)


def memory() -> tuple[int, int]:
    """Return what is allocated now: blocks of the interpreter, and bytes of the process."""
    gc.collect()
    return sys.getallocatedblocks(), psutil.Process().memory_info().rss


async def soak(folder: str, n: int) -> None:
    short = Short(folder)
    before = open_descriptors()
    await short.many(n // 4)  # until every cache and pool has what it will have
    blocks, size = memory()
    await short.many(n - n // 4)
    blocks_after, size_after = memory()
    assert blocks_after - blocks < BLOCKS
    assert size_after - size < BYTES
    assert open_descriptors() == before


async def test_short_connections_leave_neither_memory_nor_descriptors(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    await soak(str(tmp_path_factory.mktemp("short")), SHORT_ONES)


@pytest.mark.soak
@pytest.mark.time_limit(600)
async def test_200_000_short_connections_leave_neither_memory_nor_descriptors(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    await soak(str(tmp_path_factory.mktemp("short")), MANY_SHORT_ONES)
