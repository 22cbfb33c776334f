"""Locks, semaphores, limiters, conditions and events: who is granted what, and in which order.

How many are granted at once is in ``test_handoff_limits.py``.
A waiter is granted at wake time. If it is cancelled after that it still holds what it was granted,
and hands it on when it leaves; if it is cancelled before, it is passed over.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from _harness import Resource, assert_free, each_resource
from creche import (
    CancelScope,
    Condition,
    Event,
    WouldBlock,
    create_task_group,
    get_cancelled_exc_class,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.lowlevel import checkpoint


def waiting(resource: Resource) -> int:
    statistics = resource.statistics()
    return int(getattr(statistics, "lock_statistics", statistics).tasks_waiting)


@each_resource
async def test_a_waiter_cancelled_after_its_grant_holds_and_hands_on(
    make: Callable[[], Resource],
) -> None:
    log = []
    resource, scope = make(), CancelScope()

    async def first() -> None:
        with scope:
            async with resource:
                log.append("first holds")
                await checkpoint()
                log.append("not reached")

    async def second() -> None:
        async with resource:
            log.append("second holds")

    resource.acquire_nowait()
    async with create_task_group() as tg:
        tg.start_soon(first)
        await wait_all_tasks_blocked()
        tg.start_soon(second)
        await wait_all_tasks_blocked()
        resource.release()
        scope.cancel()
    assert log == ["first holds", "second holds"]
    assert scope.cancelled_caught
    assert_free(resource)


@each_resource
async def test_a_waiter_cancelled_before_the_release_is_passed_over(
    make: Callable[[], Resource],
) -> None:
    log = []
    resource, scope = make(), CancelScope()

    async def first() -> None:
        with scope:
            async with resource:
                log.append("first holds")

    async def second() -> None:
        async with resource:
            log.append("second holds")

    resource.acquire_nowait()
    async with create_task_group() as tg:
        tg.start_soon(first)
        await wait_all_tasks_blocked()
        tg.start_soon(second)
        await wait_all_tasks_blocked()
        scope.cancel()
        resource.release()
    assert log == ["second holds"]
    assert scope.cancelled_caught
    assert_free(resource)


@each_resource
async def test_the_group_that_is_cancelled_as_a_waiter_is_granted_loses_no_grant(
    make: Callable[[], Resource],
) -> None:
    resource = make()

    async def waiter() -> None:
        async with resource:
            await sleep_forever()

    async with create_task_group() as tg:
        resource.acquire_nowait()
        for _ in range(3):
            tg.start_soon(waiter)
        await wait_all_tasks_blocked()
        resource.release()
        tg.cancel_scope.cancel()
    assert waiting(resource) == 0
    assert_free(resource)


@each_resource
async def test_waiters_are_served_in_order_also_after_a_cancel(
    make: Callable[[], Resource],
) -> None:
    log = []
    resource = make()
    scopes = [CancelScope() for _ in range(5)]

    async def waiter(number: int) -> None:
        with scopes[number]:
            async with resource:
                log.append(number)

    resource.acquire_nowait()
    async with create_task_group() as tg:
        for number in range(5):
            tg.start_soon(waiter, number)
            await wait_all_tasks_blocked()
        assert waiting(resource) == 5
        scopes[2].cancel()
        await wait_all_tasks_blocked()
        assert waiting(resource) == 4
        resource.release()
    assert log == [0, 1, 3, 4]
    assert_free(resource)


@each_resource
async def test_what_was_granted_cannot_be_snatched_before_the_waiter_steps(
    make: Callable[[], Resource],
) -> None:
    log = []
    resource = make()

    async def waiter() -> None:
        async with resource:
            log.append("waiter holds")

    resource.acquire_nowait()
    async with create_task_group() as tg:
        tg.start_soon(waiter)
        await wait_all_tasks_blocked()
        resource.release()
        with pytest.raises(WouldBlock):
            resource.acquire_nowait()
        async with resource:
            log.append("late comer holds")
    assert log == ["waiter holds", "late comer holds"]


@each_resource
async def test_acquiring_in_a_cancelled_scope_takes_nothing(make: Callable[[], Resource]) -> None:
    resource = make()
    with CancelScope() as scope:
        scope.cancel()
        await resource.acquire()
    assert scope.cancelled_caught
    assert_free(resource)


# Event


async def test_an_event_set_before_the_cancel_lets_its_waiter_through() -> None:
    log = []
    event, scope = Event(), CancelScope()

    async def waiter() -> None:
        with scope:
            await event.wait()
            log.append("through")
            await checkpoint()
            log.append("not reached")

    async with create_task_group() as tg:
        tg.start_soon(waiter)
        await wait_all_tasks_blocked()
        event.set()
        scope.cancel()
    assert log == ["through"]
    assert scope.cancelled_caught


async def test_an_event_set_after_the_cancel_is_too_late_for_its_waiter() -> None:
    log = []
    event, scope = Event(), CancelScope()

    async def waiter() -> None:
        with scope:
            await event.wait()
            log.append("not reached")

    async with create_task_group() as tg:
        tg.start_soon(waiter)
        await wait_all_tasks_blocked()
        scope.cancel()
        event.set()
    assert log == []
    assert scope.cancelled_caught
    assert event.statistics().tasks_waiting == 0


# Condition


async def test_a_notification_after_the_cancel_goes_to_the_next_waiter() -> None:
    log = []
    condition, scopes = Condition(), [CancelScope(), CancelScope()]

    async def waiter(number: int) -> None:
        with scopes[number]:
            async with condition:
                await condition.wait()
                log.append(number)

    async with create_task_group() as tg:
        for number in range(2):
            tg.start_soon(waiter, number)
            await wait_all_tasks_blocked()
        async with condition:
            scopes[0].cancel()
            condition.notify(1)
    assert log == [1]
    assert_free(condition)


async def test_a_notification_is_not_lost_to_a_waiter_cancelled_after_it() -> None:
    """Either the cancelled waiter makes use of it, or it passes it on."""
    log = []
    condition, scopes = Condition(), [CancelScope(), CancelScope()]

    async def waiter(number: int) -> None:
        with scopes[number]:
            async with condition:
                await condition.wait()
                log.append(number)

    async with create_task_group() as tg:
        for number in range(2):
            tg.start_soon(waiter, number)
            await wait_all_tasks_blocked()
        async with condition:
            condition.notify(1)
            scopes[0].cancel()
        await wait_all_tasks_blocked()
        assert len(log) == 1
        tg.cancel_scope.cancel()
    assert_free(condition)


async def test_a_cancelled_waiter_holds_the_lock_again_when_wait_raises() -> None:
    log = []
    condition, scope = Condition(), CancelScope()

    async def waiter() -> None:
        with scope:
            async with condition:
                try:
                    await condition.wait()
                except get_cancelled_exc_class():
                    log.append(condition.locked())
                    condition.notify_all()
                    raise

    async with create_task_group() as tg:
        tg.start_soon(waiter)
        await wait_all_tasks_blocked()
        await condition.acquire()
        scope.cancel()
        await wait_all_tasks_blocked()
        assert log == []
        condition.release()
    assert log == [True]
    assert scope.cancelled_caught
    assert_free(condition)


async def test_waiters_of_a_condition_are_notified_in_order_also_after_a_cancel() -> None:
    log = []
    condition = Condition()
    scopes = [CancelScope() for _ in range(5)]

    async def waiter(number: int) -> None:
        with scopes[number]:
            async with condition:
                await condition.wait()
                log.append(number)

    async with create_task_group() as tg:
        for number in range(5):
            tg.start_soon(waiter, number)
            await wait_all_tasks_blocked()
        scopes[1].cancel()
        await wait_all_tasks_blocked()
        for expected in ([0], [0, 2], [0, 2, 3, 4]):
            async with condition:
                condition.notify(len(expected) - len(log))
            await wait_all_tasks_blocked()
            assert log == expected
        assert condition.statistics().tasks_waiting == 0
