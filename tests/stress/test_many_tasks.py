"""Fifty thousand tasks in one group: nothing in a group may cost more as it grows."""

from __future__ import annotations

import pytest

from creche import (
    Event,
    create_task_group,
    get_cancelled_exc_class,
    get_running_tasks,
    sleep_forever,
    wait_all_tasks_blocked,
)

MANY = 50_000

pytestmark = pytest.mark.time_limit(180)


async def test_all_tasks_wait_at_the_same_time_and_each_returns_its_own_result() -> None:
    gate = Event()

    async def double(number: int) -> int:
        await gate.wait()
        return 2 * number

    async with create_task_group() as tg:
        handles = [tg.start_soon(double, number) for number in range(MANY)]
        await wait_all_tasks_blocked()
        assert gate.statistics().tasks_waiting == MANY
        assert len(get_running_tasks()) > MANY
        gate.set()
    assert [handle.return_value for handle in handles] == [2 * number for number in range(MANY)]
    assert len(get_running_tasks()) < MANY


async def test_cancelling_the_group_cancels_every_task_once() -> None:
    cancelled = 0

    async def wait() -> None:
        nonlocal cancelled
        try:
            await sleep_forever()
        except get_cancelled_exc_class():
            cancelled += 1
            raise

    async with create_task_group() as tg:
        for _ in range(MANY):
            tg.start_soon(wait)
        await wait_all_tasks_blocked()
        tg.cancel()
    assert cancelled == MANY


async def test_all_failures_arrive_in_one_flat_exception_group() -> None:
    async def fail(number: int) -> None:
        raise ValueError(number)

    with pytest.raises(ExceptionGroup) as caught:
        async with create_task_group() as tg:
            for number in range(MANY):
                tg.start_soon(fail, number)
    numbers = [exc.args[0] for exc in caught.value.exceptions]
    assert sorted(numbers) == list(range(MANY))
