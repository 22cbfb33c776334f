"""`Condition` on every backend: notifications, the lock around them, cancellation."""

from __future__ import annotations

import pytest

from creche import (
    CancelScope,
    Condition,
    Event,
    Lock,
    WouldBlock,
    create_task_group,
    wait_all_tasks_blocked,
)
from creche.lowlevel import checkpoint

NOT_HELD = "The current task is not holding the underlying lock"


class Waiters:
    """Tasks that wait on one condition, and what became of them."""

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self.asked: list[str] = []
        self.woken: list[str] = []

    async def wait(self, name: str, scope: CancelScope | None = None) -> None:
        with scope or CancelScope():
            async with self.condition:
                self.asked.append(name)
                await self.condition.wait()
                self.woken.append(name)


async def test_notify_wakes_in_the_order_of_waiting_and_as_many_as_asked() -> None:
    condition = Condition()
    waiters = Waiters(condition)
    async with create_task_group() as group:
        for name in "abcde":
            group.start_soon(waiters.wait, name)
        await wait_all_tasks_blocked()
        assert condition.statistics().tasks_waiting == 5
        for count, woken in ((1, 1), (2, 3), (0, 3), (-1, 3), (10, 5)):
            async with condition:
                condition.notify(count)
                assert len(waiters.woken) < woken or count < 1  # nobody runs before the release
            await wait_all_tasks_blocked()
            assert len(waiters.woken) == woken
            assert condition.statistics().tasks_waiting == 5 - woken
    assert sorted(waiters.woken) == list("abcde")
    assert waiters.woken[0] == waiters.asked[0]
    assert sorted(waiters.woken[1:3]) == sorted(waiters.asked[1:3])


async def test_notify_all_wakes_everyone_one_at_a_time() -> None:
    condition = Condition()
    inside = 0
    woken = 0

    async def wait() -> None:
        nonlocal inside, woken
        async with condition:
            await condition.wait()
            inside += 1
            assert inside == 1
            await checkpoint()
            inside -= 1
            woken += 1

    async with create_task_group() as group:
        for _ in range(5):
            group.start_soon(wait)
        await wait_all_tasks_blocked()
        async with condition:
            condition.notify_all()
            assert condition.statistics().tasks_waiting == 0
    assert woken == 5
    assert not condition.locked()


async def test_wait_releases_the_lock_and_has_it_again_when_it_returns() -> None:
    lock = Lock()
    condition = Condition(lock)
    waiters = Waiters(condition)
    async with create_task_group() as group:
        group.start_soon(waiters.wait, "a")
        await wait_all_tasks_blocked()
        assert not lock.locked()
        async with lock:
            condition.notify()
            await wait_all_tasks_blocked()
            assert waiters.woken == []
            assert condition.statistics().lock_statistics.tasks_waiting == 1
    assert waiters.woken == ["a"]


async def test_a_cancelled_wait_takes_the_lock_again_before_it_raises() -> None:
    condition = Condition()
    scope = CancelScope()
    events: list[str] = []

    async def wait() -> None:
        with scope:
            async with condition:
                try:
                    await condition.wait()
                finally:
                    events.append("raised")
                    assert condition.locked()
                    assert holder == []

    holder: list[str] = []
    async with create_task_group() as group:
        group.start_soon(wait)
        await wait_all_tasks_blocked()
        async with condition:
            holder.append("main")
            scope.cancel()
            await wait_all_tasks_blocked()
            assert events == []
            holder.clear()
    assert events == ["raised"]
    assert scope.cancelled_caught
    assert not condition.locked()
    assert condition.statistics().tasks_waiting == 0


async def test_notify_is_not_lost_to_a_waiter_that_was_cancelled_before() -> None:
    condition = Condition()
    waiters = Waiters(condition)
    first = CancelScope()
    async with create_task_group() as group:
        group.start_soon(waiters.wait, "first", first)
        await wait_all_tasks_blocked()
        group.start_soon(waiters.wait, "second")
        await wait_all_tasks_blocked()
        async with condition:
            first.cancel()
            condition.notify()
    assert waiters.woken == ["second"]
    assert first.cancelled_caught


async def test_a_waiter_cancelled_after_the_notify_returns_and_uses_it() -> None:
    condition = Condition()
    waiters = Waiters(condition)
    first = CancelScope()
    async with create_task_group() as group:
        group.start_soon(waiters.wait, "first", first)
        await wait_all_tasks_blocked()
        group.start_soon(waiters.wait, "second")
        await wait_all_tasks_blocked()
        async with condition:
            condition.notify()
            await wait_all_tasks_blocked()  # the first waits for the lock now
            first.cancel()
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        assert waiters.woken == ["first"]
        async with condition:
            condition.notify()
    assert waiters.woken == ["first", "second"]
    assert not condition.locked()


async def test_wait_in_a_cancelled_scope_does_not_let_go_of_the_lock() -> None:
    condition = Condition()
    other_got_it = False

    async def other() -> None:
        nonlocal other_got_it
        async with condition:
            other_got_it = True

    async with create_task_group() as group:
        async with condition:
            group.start_soon(other)
            await wait_all_tasks_blocked()
            with CancelScope() as scope:
                scope.cancel()
                await condition.wait()
            assert scope.cancelled_caught
            assert condition.locked()
            assert not other_got_it
    assert other_got_it


async def test_wait_for_asks_after_each_notification_and_returns_what_is_true() -> None:
    condition = Condition()
    items: list[int] = []
    asked = 0

    def enough() -> list[int] | None:
        nonlocal asked
        asked += 1
        return items if len(items) == 2 else None

    async def feed() -> None:
        for item in (1, 2):
            await wait_all_tasks_blocked()
            async with condition:
                items.append(item)
                condition.notify()

    async with create_task_group() as group:
        group.start_soon(feed)
        async with condition:
            assert await condition.wait_for(enough) is items
    assert asked == 3


async def test_wait_and_notify_need_the_lock() -> None:
    condition = Condition()
    with pytest.raises(RuntimeError, match=NOT_HELD):
        await condition.wait()
    with pytest.raises(RuntimeError, match=NOT_HELD):
        condition.notify()
    with pytest.raises(RuntimeError, match=NOT_HELD):
        condition.notify_all()
    with pytest.raises(RuntimeError, match="The current task is not holding this lock"):
        condition.release()


async def test_acquire_and_release_are_those_of_the_lock() -> None:
    condition = Condition()
    leave = Event()

    async def hold() -> None:
        condition.acquire_nowait()
        await leave.wait()
        condition.release()

    async with create_task_group() as group:
        group.start_soon(hold, name="the holder")
        await wait_all_tasks_blocked()
        with pytest.raises(WouldBlock):
            condition.acquire_nowait()
        owner = condition.statistics().lock_statistics.owner
        assert owner is not None
        assert owner.name == "the holder"
        leave.set()
        await condition.acquire()
        assert repr(condition).startswith("<Condition 0 waiting, with <Lock held by")
        condition.release()


def test_a_condition_can_be_made_and_asked_outside_any_loop() -> None:
    condition = Condition()
    assert not condition.locked()
    assert condition.statistics().tasks_waiting == 0
    assert not condition.statistics().lock_statistics.locked
