"""The work of memory streams: one task sends, another receives, counted per item.

asyncio has no channel without a buffer, so both rows stand beside ``asyncio.Queue(10)``;
``Queue(1)``, which makes its tasks take turns as a buffer of 0 does, is shown for information.
"""

from __future__ import annotations

import asyncio

import trio

from .model import ANYIO, ASYNCIO, Library, Target, TimedRow, clock


async def receive_items(stream: Library, n: int) -> None:
    for _ in range(n):
        await stream.receive()


async def through_stream(lib: Library, buffer: int, n: int) -> float:
    send, receive = lib.create_memory_object_stream(buffer)
    async with send, receive:
        begin = clock()
        async with lib.create_task_group() as group:
            group.start_soon(receive_items, receive, n)
            for item in range(n):
                await send.send(item)
        return clock() - begin


async def stream_10(lib: Library, n: int) -> float:
    return await through_stream(lib, 10, n)


async def stream_0(lib: Library, n: int) -> float:
    return await through_stream(lib, 0, n)


async def get_items(queue: asyncio.Queue[int], n: int) -> None:
    for _ in range(n):
        await queue.get()


async def through_queue(buffer: int, n: int) -> float:
    queue: asyncio.Queue[int] = asyncio.Queue(buffer)
    begin = clock()
    async with asyncio.TaskGroup() as group:
        group.create_task(get_items(queue, n))
        for item in range(n):
            await queue.put(item)
    return clock() - begin


async def queue_10(n: int) -> float:
    return await through_queue(10, n)


async def queue_1(n: int) -> float:
    return await through_queue(1, n)


async def through_channel(buffer: int, n: int) -> float:
    send, receive = trio.open_memory_channel[int](buffer)
    async with send, receive:
        begin = clock()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive_items, receive, n)
            for item in range(n):
                await send.send(item)
        return clock() - begin


async def channel_10(n: int) -> float:
    return await through_channel(10, n)


async def channel_0(n: int) -> float:
    return await through_channel(0, n)


TARGETS = (Target(ASYNCIO, 1.3), Target(ANYIO, 0.35))

ROWS = (
    TimedRow(
        key="stream-10",
        title="memory stream, buffer 10, per item",
        portable=stream_10,
        asyncio=queue_10,
        trio=channel_10,
        targets=TARGETS,
        label="memory stream, per item",
        chart=("asyncio", "trio"),
    ),
    TimedRow(
        key="stream-0",
        title="memory stream, buffer 0 (asyncio: Queue(10))",
        portable=stream_0,
        asyncio=queue_10,
        trio=channel_0,
        extras={"asyncio.Queue(1)": queue_1},
        targets=TARGETS,
    ),
)
