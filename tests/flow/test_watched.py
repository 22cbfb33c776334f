"""`Watched`: followers see the newest value, and waiters the one that they wait for."""

from __future__ import annotations

import pytest

from creche import CancelScope, create_task_group, move_on_after, wait_all_tasks_blocked
from creche.flow import Changes, Watched
from creche.lowlevel import checkpoint
from creche.testing import assert_checkpoints, assert_no_checkpoints


async def follow(changes: Changes[int], into: list[int], last: int) -> None:
    async for value in changes:
        into.append(value)
        if value == last:
            return


def test_the_value_can_be_read_set_and_updated_outside_of_any_loop() -> None:
    watched = Watched(1)
    assert watched.get() == 1
    watched.set(2)
    assert watched.get() == 2
    assert watched.update(lambda value: value * 10) == 20
    assert watched.get() == 20
    assert repr(watched) == "<Watched 20>"
    assert repr(Watched("x", name="mode")) == "<Watched 'mode' 'x'>"


async def test_a_follower_sees_the_value_and_each_change_that_it_waits_for() -> None:
    watched, seen = Watched(0), list[int]()
    async with create_task_group() as group:
        group.start_soon(follow, watched.changes(), seen, 3)
        for number in range(1, 4):
            await wait_all_tasks_blocked()
            watched.set(number)
    assert seen == [0, 1, 2, 3]


async def test_a_slow_follower_sees_the_newest_and_nothing_twice() -> None:
    watched, seen = Watched(0), list[int]()
    async with create_task_group() as group:
        group.start_soon(follow, watched.changes(), seen, 9)
        await wait_all_tasks_blocked()
        for number in range(1, 6):
            watched.set(number)
        await wait_all_tasks_blocked()
        watched.set(8)
        watched.set(9)
    assert seen == [0, 5, 9]


async def test_only_changes_can_be_asked_for() -> None:
    watched, seen = Watched(0), list[int]()
    changes = watched.changes(initial=False)
    assert not changes.receiving().is_ready()
    watched.set(1)
    assert changes.receiving().is_ready()
    async with create_task_group() as group:
        group.start_soon(follow, changes, seen, 2)
        await wait_all_tasks_blocked()
        watched.set(2)
    assert seen == [1, 2]


async def test_an_equal_value_is_a_change() -> None:
    watched = Watched(0)
    changes = watched.changes()
    assert await anext(changes) == 0
    watched.set(0)
    assert await anext(changes) == 0
    with move_on_after(0) as scope:
        await anext(changes)
    assert scope.cancelled_caught


async def test_followers_are_independent() -> None:
    watched = Watched(0)
    one, other = watched.changes(), watched.changes()
    assert await anext(one) == 0
    watched.set(1)
    assert await anext(other) == 1
    assert await anext(one) == 1


async def test_wait_for_returns_the_value_that_satisfies() -> None:
    watched = Watched(5)
    assert await watched.wait_for(lambda value: value == 5) == 5
    got: list[int] = []

    async def wait() -> None:
        got.append(await watched.wait_for(lambda value: value > 6))

    async with create_task_group() as group:
        group.start_soon(wait)
        await wait_all_tasks_blocked()
        watched.set(6)
        await wait_all_tasks_blocked()
        assert got == []
        watched.set(7)
        watched.set(0)  # too late to hide it
    assert got == [7]


async def test_an_error_of_a_predicate_is_raised_in_the_task_that_waits() -> None:
    watched = Watched(0)

    async def wait() -> None:
        with pytest.raises(ZeroDivisionError):
            await watched.wait_for(lambda value: value and 1 / (value - 1))

    async with create_task_group() as group:
        group.start_soon(wait)
        await wait_all_tasks_blocked()
        watched.set(1)


async def test_a_predicate_may_cancel_the_tasks_that_wait() -> None:
    watched = Watched(0)
    scope = CancelScope()
    got: list[int] = []

    def cancelling(value: int) -> bool:
        if value:
            scope.cancel()
        return value > 0

    async def wait() -> None:
        with scope:
            got.append(await watched.wait_for(cancelling))

    async with create_task_group() as group:
        group.start_soon(wait)
        await wait_all_tasks_blocked()
        watched.set(1)
    assert scope.cancel_called


async def test_a_cancelled_waiter_is_forgotten() -> None:
    watched = Watched(0)
    asked: list[int] = []

    def ask(value: int) -> bool:
        asked.append(value)
        return False

    with move_on_after(0):
        await watched.wait_for(ask)
    asked.clear()
    watched.set(1)
    assert asked == []


async def test_what_is_a_checkpoint() -> None:
    watched = Watched(0)
    with assert_no_checkpoints():
        watched.set(1)
        watched.update(lambda value: value)
        watched.get()
        changes = watched.changes()
    with assert_checkpoints():
        await anext(changes)
    with assert_checkpoints():
        await watched.wait_for(bool)


async def test_a_cancelled_follower_sees_the_change_later() -> None:
    watched = Watched(0)
    changes = watched.changes()
    await anext(changes)
    watched.set(1)
    with CancelScope() as scope:
        scope.cancel()
        await anext(changes)
    assert scope.cancelled_caught
    assert await anext(changes) == 1
    await checkpoint()
