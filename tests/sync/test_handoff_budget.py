"""The checkpoint budget: operations that need not wait yield now and then, not every time.

Every operation checks for cancellation. One that did not have to wait gives way to others only
once the task has used up its budget of 128 operations, so an endless loop of ready operations lets
others run and sees its deadline.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from creche import (
    CancelScope,
    CapacityLimiter,
    Condition,
    Event,
    Lock,
    Semaphore,
    create_memory_object_stream,
    create_task_group,
    fail_after,
    move_on_after,
    sleep,
)
from creche.lowlevel import checkpoint

BUDGET = 128
Operation = Callable[[], Awaitable[None]]
Prepare = Callable[[], AbstractAsyncContextManager[Operation]]


@asynccontextmanager
async def lock() -> AsyncIterator[Operation]:
    lock = Lock()

    async def operation() -> None:
        await lock.acquire()
        lock.release()

    yield operation


@asynccontextmanager
async def semaphore() -> AsyncIterator[Operation]:
    semaphore = Semaphore(1)

    async def operation() -> None:
        await semaphore.acquire()
        semaphore.release()

    yield operation


@asynccontextmanager
async def limiter() -> AsyncIterator[Operation]:
    limiter = CapacityLimiter(1)

    async def operation() -> None:
        await limiter.acquire()
        limiter.release()

    yield operation


@asynccontextmanager
async def condition() -> AsyncIterator[Operation]:
    condition = Condition()

    async def operation() -> None:
        await condition.acquire()
        condition.release()

    yield operation


@asynccontextmanager
async def event() -> AsyncIterator[Operation]:
    event = Event()
    event.set()
    yield event.wait


@asynccontextmanager
async def send() -> AsyncIterator[Operation]:
    send, receive = create_memory_object_stream[int](float("inf"))

    async def operation() -> None:
        await send.send(1)

    with send, receive:
        yield operation


@asynccontextmanager
async def receive() -> AsyncIterator[Operation]:
    send, receive = create_memory_object_stream[int](float("inf"))

    async def operation() -> None:
        send.send_nowait(1)
        await receive.receive()

    with send, receive:
        yield operation


operations = pytest.mark.parametrize(
    "prepare", [lock, semaphore, limiter, condition, event, send, receive]
)


@asynccontextmanager
async def counted_turns() -> AsyncIterator[Callable[[], int]]:
    """Yields a function that tells how often another task has had its turn."""
    turns = 0

    async def ticks() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    async with create_task_group() as tg:
        tg.start_soon(ticks)
        while not turns:
            await checkpoint()
        yield lambda: turns
        tg.cancel_scope.cancel()


@operations
async def test_operations_within_the_budget_do_not_yield(
    prepare: Prepare,
) -> None:
    async with prepare() as operation, counted_turns() as turns:
        await checkpoint()
        before = turns()
        for _ in range(BUDGET - 1):
            await operation()
        assert turns() == before


@operations
async def test_operations_yield_once_per_budget(
    prepare: Prepare,
) -> None:
    async with prepare() as operation, counted_turns() as turns:
        await checkpoint()
        before = turns()
        for _ in range(20 * BUDGET):
            await operation()
        assert 15 <= turns() - before <= 25


@operations
async def test_an_endless_loop_of_ready_operations_lets_others_run(
    prepare: Prepare,
) -> None:
    log = []

    async def other() -> None:
        log.append("began")
        await checkpoint()
        log.append("done")
        stop.set()

    stop = Event()
    with fail_after(10):
        async with prepare() as operation, create_task_group() as tg:
            tg.start_soon(other)
            while not stop.is_set():
                await operation()
    assert log == ["began", "done"]


@operations
async def test_an_endless_loop_of_ready_operations_sees_its_deadline(
    prepare: Prepare,
) -> None:
    async with prepare() as operation:
        with move_on_after(0.02) as scope:
            while True:
                await operation()
    assert scope.cancelled_caught


@operations
async def test_an_operation_that_need_not_wait_checks_for_cancellation_each_time(
    prepare: Prepare,
) -> None:
    log = []
    async with prepare() as operation:
        await checkpoint()
        with CancelScope() as scope:
            await operation()
            scope.cancel()
            log.append("cancelled")
            await operation()
            log.append("not reached")
    assert log == ["cancelled"]
    assert scope.cancelled_caught


async def yields_by_sleeping() -> None:
    await sleep(0)


@pytest.mark.parametrize("wait", [checkpoint, yields_by_sleeping])
async def test_a_checkpoint_and_a_sleep_of_nothing_always_yield(wait: Operation) -> None:
    async with counted_turns() as turns:
        for _ in range(3):
            before = turns()
            await wait()
            await wait()
            assert turns() > before
