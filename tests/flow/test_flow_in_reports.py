"""What reports say of tasks that wait in `creche.flow`: deadlocks, and circles of locks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest

import creche
from creche import (
    CapacityLimiter,
    Condition,
    Event,
    Lock,
    create_memory_object_stream,
    debug,
    testing,
)
from creche.flow import (
    RateLimiter,
    Watched,
    as_mapped,
    as_safe_stream,
    create_broadcast,
    deadline_after,
    safe_contextmanager,
    select,
)

both = pytest.mark.parametrize("loop", ["asyncio", "trio"])


def waits_of(main: Callable[[], Awaitable[Any]], loop: str) -> list[str]:
    """Return what the tasks of a program wait for when it cannot go on."""
    with pytest.raises(testing.DeadlockError) as caught:
        testing.run(main, backend=loop)
    return [row.waits_for for row in caught.value.tasks]


@both
def test_a_select_waits_for_the_first_of_all(loop: str) -> None:
    async def main() -> None:
        send, receive = create_memory_object_stream[int](name="inbox")
        stop, lock = Event(name="stop"), Lock(name="db")
        condition = Condition(name="news")
        await lock.acquire()

        async def other() -> None:
            async with condition:
                await select(
                    receive.receiving(),
                    stop.waiting(),
                    lock.acquiring(),
                    condition.waiting(),
                    Watched(0, name="mode").waiting_for(bool),
                )

        with send, receive:
            async with creche.create_task_group() as group:
                group.start_soon(other)

    wait = next(wait for wait in waits_of(main, loop) if "inbox" in wait)
    assert wait == (
        "an item from MemoryObjectReceiveStream 'inbox', which is empty and has 1 open senders or "
        "Event 'stop' or Lock 'db' or a notify of Condition 'news' or a value of Watched 'mode'"
    )


@both
def test_broadcasts_and_watched_values_are_named(loop: str) -> None:
    async def follow(changes: Any) -> None:
        await anext(changes)

    async def main() -> None:
        news = create_broadcast[int](1, "wait", name="news")
        mode = Watched(0, name="mode")
        with news, news.subscribe(), news.subscribe() as other:
            news.send_nowait(1)
            other.receive_nowait()
            async with creche.create_task_group() as group:
                group.start_soon(news.send, 2)
                group.start_soon(other.receive)
                group.start_soon(mode.wait_for, bool)
                group.start_soon(follow, mode.changes(initial=False))

    assert sorted(waits_of(main, loop)) == [
        "a change of Watched 'mode'",
        "a value of Watched 'mode'",
        "an item from BroadcastReceiveStream 'news', which has 1 open senders",
        "room in BroadcastSendStream 'news', which has 1 items that somebody has not received",
    ]


@both
def test_readers_and_generators_say_what_they_wait_for(loop: str) -> None:
    @as_safe_stream()
    async def rows() -> AsyncGenerator[int]:
        yield 1
        await Event(name="more").wait()

    async def forever(number: int) -> None:
        await Event(name="never").wait()

    async def read(results: Any) -> None:
        async for _ in results:
            pass

    async def main() -> None:
        async with as_mapped(forever, range(5), at_most=1) as results, rows() as stream:
            async with creche.create_task_group() as group:
                group.start_soon(read, results)
                group.start_soon(read, stream)

    waits = waits_of(main, loop)
    name = "test_readers_and_generators_say_what_they_wait_for.<locals>"
    assert sorted(waits) == sorted(
        [
            f"a result of as_mapped({name}.forever)",
            f"room for a call of as_mapped({name}.forever)",
            "Event 'never'",
            f"an item of {name}.rows",
            "Event 'more'",
        ]
    )


@both
def test_a_generator_that_waits_for_its_reader_says_so(loop: str) -> None:
    @as_safe_stream()
    async def rows() -> AsyncGenerator[int]:
        yield 1

    @safe_contextmanager
    async def resource() -> AsyncGenerator[None]:
        yield

    async def main() -> None:
        async with rows() as stream, resource():
            await anext(stream)
            await Event(name="never").wait()

    waits = waits_of(main, loop)
    name = "test_a_generator_that_waits_for_its_reader_says_so.<locals>"
    assert set(waits) == {
        "Event 'never'",
        f"a reader of {name}.rows",
        f"the end of the block of {name}.resource",
    }


async def test_a_circle_through_a_select_is_found() -> None:
    """Each task holds one lock and would take either of the two that another holds."""
    one, two = Lock(name="one"), Lock(name="two")
    limiter = CapacityLimiter(1, name="three")

    async def first() -> None:
        async with one:
            await creche.wait_all_tasks_blocked()
            await select(two.acquiring(), limiter.acquiring())

    async def second() -> None:
        async with two, limiter:
            await creche.wait_all_tasks_blocked()
            await one.acquire()

    async with creche.create_task_group() as group:
        group.start_soon(first)
        group.start_soon(second)
        await creche.wait_all_tasks_blocked()
        await creche.wait_all_tasks_blocked()
        (deadlock,) = debug.find_deadlocks()
        assert len(deadlock.tasks) == 2
        assert "Lock 'two' or CapacityLimiter 'three'" in str(deadlock)
        group.cancel()


@pytest.mark.parametrize("way_out", ["event", "deadline"])
async def test_a_select_with_a_way_out_is_no_deadlock(way_out: str) -> None:
    one, two = Lock(name="one"), Lock(name="two")
    out = Event().waiting() if way_out == "event" else deadline_after(60)

    async def first() -> None:
        async with one:
            await creche.wait_all_tasks_blocked()
            await select(two.acquiring(), out)

    async def second() -> None:
        async with two:
            await creche.wait_all_tasks_blocked()
            await one.acquire()

    async with creche.create_task_group() as group:
        group.start_soon(first)
        group.start_soon(second)
        await creche.wait_all_tasks_blocked()
        await creche.wait_all_tasks_blocked()
        assert debug.find_deadlocks() == []
        group.cancel()


async def test_a_rate_limiter_is_named_and_is_no_deadlock() -> None:
    limiter = RateLimiter(0.001, name="api")
    await limiter.acquire()
    async with creche.create_task_group() as group:
        for _ in range(3):
            group.start_soon(limiter.acquire)
        await creche.wait_all_tasks_blocked()
        assert debug.find_deadlocks() == []
        group.cancel()
