"""Locks, semaphores, limiters, conditions and events: who is granted what, and in which order.

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
    Semaphore,
    WouldBlock,
    create_task_group,
    get_cancelled_exc_class,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche import CapacityLimiter as Limiter
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


# Semaphore and CapacityLimiter in numbers


async def test_a_semaphore_conserves_its_permits_through_cancels() -> None:
    semaphore = Semaphore(3)
    most = held = 0

    async def worker(scope: CancelScope) -> None:
        nonlocal most, held
        with scope:
            async with semaphore:
                held += 1
                most = max(most, held)
                try:
                    await checkpoint()
                    await checkpoint()
                finally:
                    held -= 1

    scopes = [CancelScope() for _ in range(30)]
    async with create_task_group() as tg:
        for scope in scopes:
            tg.start_soon(worker, scope)
        for scope in scopes[::3]:
            await checkpoint()
            scope.cancel()
    assert most == 3
    assert semaphore.value == 3
    assert semaphore.statistics().tasks_waiting == 0


class Holders:
    """Tasks that hold a token of `limiter` until told to let go, with the most there ever were."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter
        self.holding: list[int] = []
        self.most = 0
        self.let_go = [Event() for _ in range(10)]

    async def hold(self, number: int) -> None:
        async with self.limiter:
            self.holding.append(number)
            self.most = max(self.most, len(self.holding))
            await self.let_go[number].wait()
            self.holding.remove(number)


async def test_a_limiter_never_grants_more_than_its_total() -> None:
    holders = Holders(Limiter(2))
    async with create_task_group() as tg:
        for number in range(5):
            tg.start_soon(holders.hold, number)
            await wait_all_tasks_blocked()
        assert holders.holding == [0, 1]
        assert holders.limiter.borrowed_tokens == 2
        assert holders.limiter.available_tokens == 0
        with pytest.raises(WouldBlock):
            holders.limiter.acquire_nowait()
        for event in holders.let_go:
            event.set()
    assert holders.most == 2
    assert holders.limiter.borrowed_tokens == 0


async def test_a_limiter_that_grows_grants_the_difference_in_order() -> None:
    holders = Holders(Limiter(1))
    async with create_task_group() as tg:
        for number in range(5):
            tg.start_soon(holders.hold, number)
            await wait_all_tasks_blocked()
        holders.limiter.total_tokens = 3
        assert holders.limiter.borrowed_tokens == 3
        with pytest.raises(WouldBlock):
            holders.limiter.acquire_nowait()
        await wait_all_tasks_blocked()
        assert sorted(holders.holding) == [0, 1, 2]
        holders.limiter.total_tokens = float("inf")
        await wait_all_tasks_blocked()
        assert sorted(holders.holding) == [0, 1, 2, 3, 4]
        for event in holders.let_go:
            event.set()


async def test_a_limiter_that_shrinks_grants_nothing_until_enough_came_back() -> None:
    holders = Holders(Limiter(3))
    async with create_task_group() as tg:
        for number in range(5):
            tg.start_soon(holders.hold, number)
            await wait_all_tasks_blocked()
        holders.limiter.total_tokens = 1
        for number, expected in ((0, [1, 2]), (1, [2]), (2, [3])):
            holders.let_go[number].set()
            await wait_all_tasks_blocked()
            assert holders.holding == expected
        for event in holders.let_go:
            event.set()
    assert holders.most == 3
    assert holders.limiter.borrowed_tokens == 0


async def test_a_token_granted_before_the_limiter_shrinks_counts_as_borrowed() -> None:
    holders = Holders(Limiter(1))
    async with create_task_group() as tg:
        for number in range(3):
            tg.start_soon(holders.hold, number)
            await wait_all_tasks_blocked()
        holders.limiter.total_tokens = 2
        holders.limiter.total_tokens = 1
        assert holders.limiter.borrowed_tokens == 2
        await wait_all_tasks_blocked()
        assert holders.holding == [0, 1]
        holders.let_go[0].set()
        await wait_all_tasks_blocked()
        assert holders.holding == [1]
        for event in holders.let_go:
            event.set()
