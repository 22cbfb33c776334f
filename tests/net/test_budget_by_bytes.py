"""Sends pay by the byte: how much is sent before the sender gives way is the same on every loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import creche
from _harness import BACKENDS, counting

SIZE = 60_000
Send = Callable[[], Awaitable[object]]

LOOPS = [BACKENDS[name] for name in ("asyncio", "uvloop", "trio") if BACKENDS[name].installed]


async def sent_before_giving_way(send: Send, most: int) -> int:
    """Return how many sends came before one that let other tasks run."""
    gave_way = False

    def suspended() -> None:
        nonlocal gave_way
        gave_way = True

    async def call() -> None:
        await send()

    await creche.lowlevel.checkpoint()
    for sent in range(most):
        await counting(call(), suspended)
        if gave_way:
            return sent
    return most


async def datagrams() -> int:
    async with (
        await creche.create_udp_socket(local_host="127.0.0.1") as receiver,
        await creche.create_udp_socket(local_host="127.0.0.1") as sender,
    ):
        address: Any = receiver.extra(creche.abc.SocketAttribute.local_address)
        packet = bytes(SIZE), address
        return await sent_before_giving_way(lambda: sender.send(packet), 200)


async def tcp() -> int:
    async with await creche.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(creche.abc.SocketAttribute.local_port)
        done = creche.Event()

        async def hold(stream: creche.abc.SocketStream) -> None:
            async with stream:
                await done.wait()

        async with creche.create_task_group() as group:
            group.start_soon(listener.serve, hold)
            async with await creche.connect_tcp("127.0.0.1", port) as stream:
                data = bytes(SIZE)
                sent = await sent_before_giving_way(lambda: stream.send(data), 1_000)
            done.set()
            group.cancel_scope.cancel()
    return sent


async def arrived(sends: int) -> int:
    """Return how many of the datagrams that were sent in a row reached a task in the same loop."""
    async with (
        await creche.create_udp_socket(local_host="127.0.0.1") as receiver,
        await creche.create_udp_socket(local_host="127.0.0.1") as sender,
    ):
        address: Any = receiver.extra(creche.abc.SocketAttribute.local_address)
        count = 0

        async def receive() -> None:
            nonlocal count
            while True:
                await receiver.receive()
                count += 1

        async with creche.create_task_group() as group:
            group.start_soon(receive)
            await creche.wait_all_tasks_blocked()
            for _ in range(sends):
                await sender.send((bytes(SIZE), address))
            await creche.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        return count


async def test_what_the_budget_allows_is_what_is_sent() -> None:
    assert 8 <= await datagrams() <= 10
    assert 8 <= await tcp() <= 11


@pytest.mark.parametrize("measure", [datagrams, tcp])
def test_every_loop_sends_as_much_before_it_gives_way(
    measure: Callable[[], Awaitable[int]],
) -> None:
    async def main() -> int:
        return await measure()

    sent = {loop.name: loop.run(main) for loop in LOOPS}
    assert max(sent.values()) - min(sent.values()) <= 1, sent


def test_as_many_datagrams_arrive_on_every_loop() -> None:
    count: dict[str, int] = {}
    for loop in LOOPS:
        count[loop.name] = loop.run(arrived, 200)
    print(count)
    assert min(count.values()) > 20
