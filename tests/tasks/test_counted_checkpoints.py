"""Operations that promise a checkpoint, counted: however often they are ready, others get their turn.

Each is done many times in a row by one task, while another one counts its turns; then once in a cancelled
scope.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from _turns import LEAST, TIMES, Operation, turns_of_another

import creche
from creche import (
    CancelScope,
    CapacityLimiter,
    Condition,
    Event,
    Future,
    Lock,
    Semaphore,
    create_memory_object_stream,
    create_task_group,
    current_time,
    gather,
    move_on_after,
    sleep,
    sleep_until,
    to_thread,
)
from creche._kernel.contract import BUDGET
from creche.abc import TaskStatus
from creche.lowlevel import cancel_shielded_checkpoint, checkpoint
from creche.streams.stapled import StapledObjectStream

Maker = Callable[[], Awaitable[Operation]]


opened: list[Any] = []


@pytest.fixture(autouse=True)
def closed_streams() -> Iterator[None]:
    yield
    while opened:
        opened.pop().close()


def stream(size: int) -> Any:
    ends = create_memory_object_stream[int](size)
    opened.extend(ends)
    return ends


async def returns() -> int:
    return 1


async def an_empty_group() -> Operation:
    async def operate() -> None:
        async with create_task_group():
            pass

    return operate


async def a_start() -> Operation:
    async def child(*, task_status: TaskStatus[None]) -> None:
        task_status.started()

    async def operate() -> None:
        async with create_task_group() as tg:
            await tg.start(child)

    return operate


async def a_group_with_a_task() -> Operation:
    async def operate() -> None:
        async with create_task_group() as tg:
            tg.start_soon(returns)

    return operate


async def ended_handle() -> creche.TaskHandle[int]:
    async with create_task_group() as tg:
        handle = tg.start_soon(returns)
    return handle  # noqa: RET504  # type checkers do not know that a group without errors goes on here


async def the_wait_of_an_ended_handle() -> Operation:
    return (await ended_handle()).wait


async def an_ended_handle() -> Operation:
    handle = await ended_handle()

    async def operate() -> None:
        assert await handle == 1

    return operate


async def a_sleep_of_nothing() -> Operation:
    return lambda: sleep(0)


async def a_sleep_until_now() -> Operation:
    return lambda: sleep_until(current_time() - 1)


async def a_checkpoint() -> Operation:
    return checkpoint


async def a_shielded_checkpoint() -> Operation:
    return cancel_shielded_checkpoint


async def a_set_event() -> Operation:
    event = Event()
    event.set()
    return event.wait


async def a_future_that_is_done() -> Operation:
    future = Future[int]()
    future.return_value = 1

    async def operate() -> None:
        assert await future == 1

    return operate


async def a_free_lock() -> Operation:
    lock = Lock()

    async def operate() -> None:
        async with lock:
            pass

    return operate


async def the_acquire_of_a_lock() -> Operation:
    lock = Lock()

    async def operate() -> None:
        await lock.acquire()
        lock.release()

    return operate


async def a_free_condition() -> Operation:
    condition = Condition()

    async def operate() -> None:
        async with condition:
            condition.notify_all()

    return operate


async def a_free_semaphore() -> Operation:
    semaphore = Semaphore(1)

    async def operate() -> None:
        async with semaphore:
            pass

    return operate


async def a_free_limiter() -> Operation:
    limiter = CapacityLimiter(1)

    async def operate() -> None:
        async with limiter:
            pass

    return operate


async def the_acquire_on_behalf_of_a_borrower() -> Operation:
    limiter, borrower = CapacityLimiter(1), object()

    async def operate() -> None:
        await limiter.acquire_on_behalf_of(borrower)
        limiter.release_on_behalf_of(borrower)

    return operate


async def a_send_and_a_receive() -> Operation:
    send, receive = stream(1)

    async def operate() -> None:
        await send.send(1)
        assert await receive.receive() == 1

    return operate


async def receives_alone() -> Operation:
    send, receive = stream(TIMES + BUDGET)
    for number in range(TIMES + BUDGET):
        send.send_nowait(number)
    operation: Operation = receive.receive
    return operation


async def the_iteration_of_a_stream() -> Operation:
    send, receive = stream(1)

    async def operate() -> None:
        send.send_nowait(1)
        assert await anext(receive) == 1

    return operate


async def stapled_streams() -> Operation:
    stapled = StapledObjectStream(*stream(1))

    async def operate() -> None:
        await stapled.send(1)
        assert await stapled.receive() == 1

    return operate


async def a_gather() -> Operation:
    return lambda: gather(returns(), returns())


async def a_thread() -> Operation:
    return lambda: to_thread.run_sync(int)


# Those that let others run each time, by what they promise.
ALWAYS = (
    an_empty_group, a_start, a_group_with_a_task, a_sleep_of_nothing, a_sleep_until_now, a_checkpoint,
    a_shielded_checkpoint, a_gather, a_thread,
)  # fmt: skip
# Those that let others run as soon as the budget is spent.
IN_THEIR_TURN = (
    the_wait_of_an_ended_handle, an_ended_handle, a_set_event, a_future_that_is_done, a_free_lock,
    the_acquire_of_a_lock, a_free_condition, a_free_semaphore, a_free_limiter,
    the_acquire_on_behalf_of_a_borrower, a_send_and_a_receive, receives_alone, the_iteration_of_a_stream,
    stapled_streams,
)  # fmt: skip
# As in Trio these end in a cancelled scope as they do elsewhere: nobody is interrupted in them.
UNCANCELLED = (a_shielded_checkpoint, an_empty_group, a_start, a_group_with_a_task, a_gather)


@pytest.mark.parametrize("make", ALWAYS, ids=lambda make: make.__name__)
async def test_an_operation_that_waits_lets_others_run_each_time(make: Maker) -> None:
    assert await turns_of_another(await make()) >= TIMES - 1


@pytest.mark.parametrize("make", IN_THEIR_TURN, ids=lambda make: make.__name__)
async def test_an_operation_that_is_ready_lets_others_run_when_its_budget_is_spent(
    make: Maker,
) -> None:
    assert await turns_of_another(await make()) >= LEAST


@pytest.mark.parametrize(
    "make",
    [make for make in (*ALWAYS, *IN_THEIR_TURN) if make not in UNCANCELLED],
    ids=lambda make: make.__name__,
)
async def test_an_operation_that_is_ready_is_cancelled_in_a_cancelled_scope(make: Maker) -> None:
    operation = await make()
    with CancelScope() as scope:
        scope.cancel()
        await operation()
    assert scope.cancelled_caught


async def test_20000_empty_groups_starve_nobody() -> None:
    turns, over = 0, False

    async def other() -> None:
        nonlocal turns
        while not over:
            turns += 1
            await checkpoint()

    with move_on_after(60) as scope:
        async with create_task_group() as tg:
            tg.start_soon(other)
            for _ in range(20_000):
                async with create_task_group():
                    pass
            over = True
    assert turns >= 20_000 - 1
    assert not scope.cancel_called
