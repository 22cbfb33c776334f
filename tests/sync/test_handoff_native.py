"""The hand-off under a native ``Task.cancel()``: nothing granted is lost, no cancel is swallowed.

What was granted before the cancel succeeds; the cancel is raised at the next await and stays
counted. Run in children of a group and in tasks that asyncio made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from _harness import Resource, assert_free, each_resource, on_asyncio
from creche import (
    Condition,
    Event,
    WouldBlock,
    create_memory_object_stream,
    create_task_group,
    wait_all_tasks_blocked,
)
from creche.lowlevel import checkpoint

pytestmark = on_asyncio

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[Any]]


@asynccontextmanager
async def foreign_tasks() -> AsyncIterator[Spawn]:
    """Spawn with asyncio; wait for all at the end, however they end."""
    tasks: list[asyncio.Task[Any]] = []

    def spawn(coro: Coroutine[Any, Any, None]) -> asyncio.Task[Any]:
        tasks.append(asyncio.create_task(coro))
        return tasks[-1]

    yield spawn
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result


@asynccontextmanager
async def children() -> AsyncIterator[Spawn]:
    """Spawn in a group of Creche."""
    async with create_task_group() as tg:

        def spawn(coro: Coroutine[Any, Any, None]) -> asyncio.Task[Any]:
            before = asyncio.all_tasks()
            tg.create_task(coro)
            (task,) = asyncio.all_tasks() - before
            return task

        yield spawn


spawners = pytest.mark.parametrize("spawner", [children, foreign_tasks])


async def creche_await() -> None:
    await checkpoint()


async def asyncio_await() -> None:
    await asyncio.sleep(0)


next_awaits = pytest.mark.parametrize("next_await", [creche_await, asyncio_await])


def count() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def notice(log: list[object], next_await: Callable[[], Awaitable[None]]) -> None:
    """Record that the cancel is still to come, and that it comes at `next_await`."""
    log.append(count())
    try:
        await next_await()
        log.append("the cancel was swallowed")
    except asyncio.CancelledError:
        log.append("cancelled")
        raise


@spawners
@next_awaits
async def test_an_item_handed_over_before_a_native_cancel_is_received(
    spawner: Any, next_await: Callable[[], Awaitable[None]]
) -> None:
    log: list[object] = []

    async def receiver() -> None:
        log.append(await receive.receive())
        await notice(log, next_await)

    send, receive = create_memory_object_stream[str]()
    with send, receive:
        async with spawner() as spawn:
            task = spawn(receiver())
            await wait_all_tasks_blocked()
            send.send_nowait("item")
            task.cancel()
    assert log == ["item", 1, "cancelled"]


@spawners
async def test_an_item_sent_after_a_native_cancel_is_refused(spawner: Any) -> None:
    log: list[object] = []

    async def receiver() -> None:
        log.append(await receive.receive())

    send, receive = create_memory_object_stream[str]()
    with send, receive:
        async with spawner() as spawn:
            task = spawn(receiver())
            await wait_all_tasks_blocked()
            task.cancel()
            with pytest.raises(WouldBlock):
                send.send_nowait("item")
    assert log == []


@spawners
@next_awaits
async def test_a_send_whose_item_was_taken_before_a_native_cancel_returns(
    spawner: Any, next_await: Callable[[], Awaitable[None]]
) -> None:
    log: list[object] = []

    async def sender() -> None:
        await send.send("item")
        log.append("sent")
        await notice(log, next_await)

    send, receive = create_memory_object_stream[str]()
    with send, receive:
        async with spawner() as spawn:
            task = spawn(sender())
            await wait_all_tasks_blocked()
            assert receive.receive_nowait() == "item"
            task.cancel()
    assert log == ["sent", 1, "cancelled"]


@spawners
async def test_a_send_that_a_native_cancel_ends_has_not_delivered(spawner: Any) -> None:
    log: list[object] = []

    async def sender() -> None:
        await send.send("item")
        log.append("sent")

    send, receive = create_memory_object_stream[str]()
    with send, receive:
        async with spawner() as spawn:
            task = spawn(sender())
            await wait_all_tasks_blocked()
            task.cancel()
            with pytest.raises(WouldBlock):
                receive.receive_nowait()
    assert log == []


@spawners
@next_awaits
@each_resource
async def test_a_holder_cancelled_natively_as_it_is_granted_holds_and_hands_on(
    spawner: Any, next_await: Callable[[], Awaitable[None]], make: Callable[[], Resource]
) -> None:
    log: list[object] = []

    async def first() -> None:
        async with resource:
            log.append("first holds")
            await notice(log, next_await)

    async def second() -> None:
        async with resource:
            log.append("second holds")

    resource = make()
    resource.acquire_nowait()
    async with spawner() as spawn:
        task = spawn(first())
        await wait_all_tasks_blocked()
        spawn(second())
        await wait_all_tasks_blocked()
        resource.release()
        task.cancel()
    assert log == ["first holds", 1, "cancelled", "second holds"]
    assert_free(resource)


@spawners
@each_resource
async def test_a_waiter_cancelled_natively_before_the_release_is_passed_over(
    spawner: Any, make: Callable[[], Resource]
) -> None:
    log: list[object] = []

    async def waiter(name: str) -> None:
        async with resource:
            log.append(f"{name} holds")

    resource = make()
    resource.acquire_nowait()
    async with spawner() as spawn:
        task = spawn(waiter("first"))
        await wait_all_tasks_blocked()
        spawn(waiter("second"))
        await wait_all_tasks_blocked()
        task.cancel()
        resource.release()
    assert log == ["second holds"]
    assert_free(resource)


@spawners
@next_awaits
async def test_an_event_set_before_a_native_cancel_lets_its_waiter_through(
    spawner: Any, next_await: Callable[[], Awaitable[None]]
) -> None:
    log: list[object] = []
    event = Event()

    async def waiter() -> None:
        await event.wait()
        log.append("through")
        await notice(log, next_await)

    async with spawner() as spawn:
        task = spawn(waiter())
        await wait_all_tasks_blocked()
        event.set()
        task.cancel()
    assert log == ["through", 1, "cancelled"]


@spawners
async def test_a_notification_is_not_lost_to_a_natively_cancelled_waiter(spawner: Any) -> None:
    woken: list[str] = []
    condition = Condition()

    async def waiter(name: str) -> None:
        async with condition:
            await condition.wait()
            woken.append(name)

    async with spawner() as spawn:
        first = spawn(waiter("first"))
        await wait_all_tasks_blocked()
        second = spawn(waiter("second"))
        await wait_all_tasks_blocked()
        async with condition:
            condition.notify(1)
            first.cancel()
        await wait_all_tasks_blocked()
        assert len(woken) == 1
        second.cancel()
    assert not condition.locked()


@spawners
async def test_two_native_cancels_of_a_granted_waiter_count_as_two(spawner: Any) -> None:
    log: list[object] = []
    event = Event()

    async def waiter() -> None:
        await event.wait()
        log.append(count())
        try:
            await checkpoint()
        except asyncio.CancelledError:
            log.append(count())
            await checkpoint()
            log.append("raised once")
            raise

    async with spawner() as spawn:
        task = spawn(waiter())
        await wait_all_tasks_blocked()
        event.set()
        task.cancel()
        task.cancel()
    assert log == [2, 2, "raised once"]
