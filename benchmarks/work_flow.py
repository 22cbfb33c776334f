"""The work of `creche.flow`: bounded maps, safe streams, races, selects and broadcasts.

Nobody else has these under the same names, so each row says what stands in the other columns:

* maps: aiometer in AnyIO's column, a semaphore and a task group in asyncio's;
* all others: what one writes by hand with the same library.

A column such as "receive" is Creche as well, doing without `creche.flow`: what the row is a multiple of.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from itertools import count
from typing import Any

import creche
from creche.flow import as_mapped, as_safe_stream, create_broadcast, race, select

from .model import ANYIO, Backend, Library, Native, Target, TimedRow, clock

AT_MOST = 20
SUBSCRIBERS = 1000


def by_hand(lib: Library) -> bool:
    """Tell whether the library has no `flow`."""
    return not hasattr(lib, "flow")


# A bounded map


async def mapped(lib: Library, n: int) -> float:
    sleep = lib.lowlevel.checkpoint

    async def call(item: int) -> int:
        await sleep()
        return item

    begin = clock()
    if by_hand(lib):
        import aiometer

        async with aiometer.amap(call, list(range(n)), max_at_once=AT_MOST) as others:
            async for _ in others:
                pass
    else:
        async with as_mapped(call, range(n), at_most=AT_MOST) as results:
            async for _ in results:
                pass
    return clock() - begin


async def mapped_asyncio(n: int) -> float:
    async def call(item: int) -> int:
        await asyncio.sleep(0)
        return item

    places = asyncio.Semaphore(AT_MOST)
    results: list[int] = []

    async def one(item: int) -> None:
        try:
            results.append(await call(item))
        finally:
            places.release()

    begin = clock()
    async with asyncio.TaskGroup() as group:
        for item in range(n):
            await places.acquire()
            group.create_task(one(item))
    return clock() - begin


# A safe stream


async def numbers(n: int) -> AsyncGenerator[int, None]:
    for number in range(n):
        yield number


safe_numbers = as_safe_stream()(numbers)
safe_numbers_ahead = as_safe_stream(buffer=16)(numbers)


async def through_a_channel(lib: Library, n: int, buffer: int = 0) -> float:
    send, receive = lib.create_memory_object_stream(buffer)

    async def drive() -> None:
        async with send:
            async for number in numbers(n):
                await send.send(number)

    begin = clock()
    async with receive, lib.create_task_group() as group:
        group.start_soon(drive)
        async for _ in receive:
            pass
    return clock() - begin


async def safe_stream(lib: Library, n: int) -> float:
    if by_hand(lib):
        return await through_a_channel(lib, n)
    begin = clock()
    async with safe_numbers(n) as stream:
        async for _ in stream:
            pass
    return clock() - begin


async def channel_by_hand(n: int) -> float:
    return await through_a_channel(creche, n)


async def two_tasks_by_hand(n: int) -> float:
    """Hand over in lock-step with nothing but asyncio: what two turns of the loop cost for each item."""
    loop = asyncio.get_running_loop()
    wanted, given = loop.create_future(), loop.create_future()

    async def drive() -> None:
        nonlocal wanted
        async for _ in numbers(n):
            await wanted
            wanted = loop.create_future()
            given.set_result(None)

    begin = clock()
    driver = asyncio.create_task(drive())
    for _ in range(n):
        given = loop.create_future()
        wanted.set_result(None)
        await given
    await driver
    return clock() - begin


async def safe_stream_ahead(lib: Library, n: int) -> float:
    if by_hand(lib):
        return await through_a_channel(lib, n, 16)
    begin = clock()
    async with safe_numbers_ahead(n) as stream:
        async for _ in stream:
            pass
    return clock() - begin


async def buffered_channel_by_hand(n: int) -> float:
    return await through_a_channel(creche, n, 16)


# A race


async def nothing() -> int:
    return 1


async def raced(lib: Library, n: int) -> float:
    if by_hand(lib):
        return await raced_by_hand(lib, n)
    begin = clock()
    for _ in range(n):
        await race(nothing, nothing)
    return clock() - begin


async def spawned_many(n: int) -> float:
    begin = clock()
    async with creche.create_task_group() as group:
        for _ in range(n):
            group.start_soon(nothing)
    return clock() - begin


async def raced_by_hand(lib: Library, n: int) -> float:
    async def run(group: Any, results: list[int]) -> None:
        results.append(await nothing())
        group.cancel_scope.cancel()

    begin = clock()
    for _ in range(n):
        results: list[int] = []
        async with lib.create_task_group() as group:
            group.start_soon(run, group, results)
            group.start_soon(run, group, results)
    return clock() - begin


async def spawned(n: int) -> float:
    begin = clock()
    for _ in range(n):
        async with creche.create_task_group() as group:
            group.start_soon(nothing)
    return clock() - begin


# Selects


def selecting(operations: int, fresh: bool) -> Callable[[Library, int], Any]:
    """Return work that receives ready items by `select`, from so many streams."""

    async def work(lib: Library, n: int) -> float:
        streams = [lib.create_memory_object_stream(n) for _ in range(operations)]
        for send, _ in streams:
            for item in range(n):
                send.send_nowait(item)
        receivers = [receive for _, receive in streams]
        if by_hand(lib):
            seconds = await received(receivers[0], n)
        elif fresh:
            seconds = await selected_afresh(receivers, n)
        else:
            seconds = await selected(receivers, n)
        for send, receive in streams:
            send.close()
            receive.close()
        return seconds

    return work


async def received(receive: Any, n: int) -> float:
    begin = clock()
    for _ in range(n):
        await receive.receive()
    return clock() - begin


async def selected(receivers: list[Any], n: int) -> float:
    offers = [receive.receiving() for receive in receivers]
    begin = clock()
    for _ in range(n):
        await select(*offers)
    return clock() - begin


async def selected_afresh(receivers: list[Any], n: int) -> float:
    if len(receivers) == 1:
        (only,) = receivers
        begin = clock()
        for _ in range(n):
            await select(only.receiving())
        return clock() - begin
    one, other = receivers
    begin = clock()
    for _ in range(n):
        await select(one.receiving(), other.receiving())
    return clock() - begin


async def received_by_hand(n: int) -> float:
    send, receive = creche.create_memory_object_stream[int](n)
    with send, receive:
        for item in range(n):
            send.send_nowait(item)
        return await received(receive, n)


def passing(use_select: bool) -> Native:
    """Return work that passes items through a stream whose receiver waits for each of them."""

    async def take(receive: Any, stop: creche.Event, n: int) -> None:
        offers = receive.receiving(), stop.waiting()
        for _ in range(n):
            if use_select:
                await select(*offers)
            else:
                await receive.receive()

    async def work(n: int) -> float:
        send, receive = creche.create_memory_object_stream[int](0)
        with send, receive:
            begin = clock()
            async with creche.create_task_group() as group:
                group.start_soon(take, receive, creche.Event(), n)
                for item in range(n):
                    await send.send(item)
            return clock() - begin

    return work


async def passed(lib: Library, n: int) -> float:
    return await passing(not by_hand(lib))(n)


# Broadcasts


async def take_items(stream: Any, n: int) -> None:
    for _ in range(n):
        await stream.receive()


async def published(lib: Library, n: int) -> float:
    """Send `n` items, each when all subscribers wait for it."""
    if by_hand(lib):
        return await sent_to_each(lib, n)
    with create_broadcast[int](16) as send:
        streams = [send.subscribe() for _ in range(SUBSCRIBERS)]
        async with creche.create_task_group() as group:
            for stream in streams:
                group.start_soon(take_items, stream, n)
            await creche.lowlevel.checkpoint()
            begin = clock()
            for item in range(n):
                await send.send(item)
                await creche.lowlevel.checkpoint()
        seconds = clock() - begin
        for stream in streams:
            stream.close()
    return seconds


async def sent_to_each(lib: Library, n: int) -> float:
    streams = [lib.create_memory_object_stream(16) for _ in range(SUBSCRIBERS)]
    async with lib.create_task_group() as group:
        for _, receive in streams:
            group.start_soon(take_items, receive, n)
        await lib.lowlevel.checkpoint()
        begin = clock()
        for item in range(n):
            for send, _ in streams:
                await send.send(item)
            await lib.lowlevel.checkpoint()
    seconds = clock() - begin
    for send, receive in streams:
        send.close()
        receive.close()
    return seconds


async def sent_by_hand(n: int) -> float:
    return await sent_to_each(creche, n)


async def woken_by_hand(n: int) -> float:
    """Wake as many bare asyncio tasks, each with a future of its own: what the loop alone costs."""
    loop = asyncio.get_running_loop()
    futures: list[asyncio.Future[None]] = []

    async def wait() -> None:
        for _ in range(n):
            future: asyncio.Future[None] = loop.create_future()
            futures.append(future)
            await future

    tasks = [asyncio.create_task(wait()) for _ in range(SUBSCRIBERS)]
    await asyncio.sleep(0)
    begin = clock()
    for _ in range(n):
        waiting, futures = futures, []
        for future in waiting:
            future.set_result(None)
        await asyncio.sleep(0)
    seconds = clock() - begin
    for task in tasks:
        await task
    return seconds


async def published_ahead(lib: Library, n: int) -> float:
    """Send `n` items that nobody waits for, and have all of them read then."""
    if by_hand(lib):
        return await sent_ahead(lib, n)
    with create_broadcast[int](n) as send:
        streams = [send.subscribe() for _ in range(SUBSCRIBERS)]
        begin = clock()
        for item in range(n):
            await send.send(item)
        for stream in streams:
            await take_items(stream, n)
        seconds = clock() - begin
        for stream in streams:
            stream.close()
    return seconds


async def sent_ahead(lib: Library, n: int) -> float:
    streams = [lib.create_memory_object_stream(n) for _ in range(SUBSCRIBERS)]
    begin = clock()
    for item in range(n):
        for send, _ in streams:
            await send.send(item)
    for _, receive in streams:
        await take_items(receive, n)
    seconds = clock() - begin
    for send, receive in streams:
        send.close()
        receive.close()
    return seconds


async def sent_ahead_by_hand(n: int) -> float:
    return await sent_ahead(creche, n)


async def published_to_nobody_waiting(lib: Library, n: int) -> float:
    """Send items to 10,000 who do not wait."""
    if by_hand(lib):
        return await published_to_one(n)
    return await published_to(10_000, n)


async def published_to_one(n: int) -> float:
    return await published_to(1, n)


async def published_to(subscribers: int, n: int) -> float:
    with create_broadcast[int](16) as send:
        streams = [send.subscribe() for _ in range(subscribers)]
        begin = clock()
        for item in range(n):
            await send.send(item)
        seconds = clock() - begin
        for stream in streams:
            stream.close()
    return seconds


# A rate limit


async def rate_limited(lib: Library, n: int) -> float:
    limiter: Any = lib.Lock() if by_hand(lib) else lib.flow.RateLimiter(1e9, burst=n + 1)
    counter = count()
    begin = clock()
    for _ in range(n):
        async with limiter:
            next(counter)
    return clock() - begin


ASYNCIO_LOOPS: tuple[Backend, ...] = ("asyncio", "uvloop")

ROWS = (
    TimedRow(
        key="map",
        title="bounded map, 20 at a time, per item (AnyIO: aiometer)",
        portable=mapped,
        asyncio=mapped_asyncio,
        targets=(Target(ANYIO, 0.6),),
        label="bounded map, per item",
    ),
    TimedRow(
        key="safe-stream",
        title="async generator as a safe stream, per item (tasks: two bare asyncio tasks in lock-step)",
        portable=safe_stream,
        extras={"by hand": channel_by_hand, "tasks": two_tasks_by_hand},
        targets=(Target("by hand", 2.5), Target("tasks", 1.5)),
        backends=ASYNCIO_LOOPS,
        label="safe stream, per item",
    ),
    TimedRow(
        key="safe-stream-16",
        title="async generator as a safe stream, buffer 16, per item",
        portable=safe_stream_ahead,
        extras={"by hand": buffered_channel_by_hand},
        targets=(Target("by hand", 2.5), Target(None, 3.0)),
    ),
    TimedRow(
        key="race",
        title="race of two that are ready (one spawn: a group with one task; amortised: of many in a group)",
        portable=raced,
        extras={"one spawn": spawned, "amortised": spawned_many},
        targets=(Target("one spawn", 3.0), Target("amortised", 3.0)),
    ),
    TimedRow(
        key="select-1",
        title="select over one ready stream (receive: without it)",
        portable=selecting(1, fresh=False),
        extras={"receive": received_by_hand},
        targets=(Target("receive", 1.5),),
    ),
    TimedRow(
        key="select-2",
        title="select over two ready streams (receive: from one)",
        portable=selecting(2, fresh=False),
        extras={"receive": received_by_hand},
        targets=(Target("receive", 2.0),),
    ),
    TimedRow(
        key="select-new-1",
        title="select over one, with receiving() called each time",
        portable=selecting(1, fresh=True),
        extras={"receive": received_by_hand},
        targets=(Target("receive", 1.5),),
        backends=ASYNCIO_LOOPS,
    ),
    TimedRow(
        key="select-new",
        title="select over two, with receiving() called each time",
        portable=selecting(2, fresh=True),
        extras={"receive": received_by_hand},
        targets=(Target("receive", 2.0),),
        backends=ASYNCIO_LOOPS,
    ),
    TimedRow(
        key="select-waiting",
        title="select over a stream and an event, waiting for each item",
        portable=passed,
        extras={"receive": passing(use_select=False)},
        targets=(Target("receive", 2.0),),
        backends=ASYNCIO_LOOPS,
    ),
    TimedRow(
        key="broadcast-waiting",
        title="broadcast to 1,000 who wait, per item (by hand: 1,000 streams; wakes: 1,000 bare asyncio tasks)",
        portable=published,
        extras={"by hand": sent_by_hand, "wakes": woken_by_hand},
        backends=ASYNCIO_LOOPS,
        max_rounds=5,
    ),
    TimedRow(
        key="broadcast",
        title="broadcast to 1,000, sent and then read, per item (by hand: 1,000 streams)",
        portable=published_ahead,
        extras={"by hand": sent_ahead_by_hand},
        targets=(Target("by hand", 0.5),),
        backends=ASYNCIO_LOOPS,
        batch=10,
        max_rounds=5,
    ),
    TimedRow(
        key="broadcast-idle",
        title="publish to 10,000 who do not wait (one: to one of them)",
        portable=published_to_nobody_waiting,
        extras={"one": published_to_one},
        targets=(Target("one", 1.3),),
        backends=ASYNCIO_LOOPS,
    ),
    TimedRow(
        key="rate-limiter",
        title="rate limiter with tokens to spare (AnyIO: a lock)",
        portable=rate_limited,
    ),
)
