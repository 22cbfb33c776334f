"""`Lock` on every backend: exclusion, order, hand-over, cancellation."""

from __future__ import annotations

import pytest

from creche import (
    CancelScope,
    Event,
    Lock,
    NoEventLoopError,
    WouldBlock,
    create_task_group,
    get_current_task,
    wait_all_tasks_blocked,
)
from creche.lowlevel import checkpoint

module_level = Lock()


async def test_a_lock_made_at_module_level_is_held_by_one_task_at_a_time() -> None:
    inside = 0

    async def work() -> None:
        nonlocal inside
        for _ in range(3):
            async with module_level:
                inside += 1
                assert inside == 1
                await checkpoint()
                inside -= 1

    async with create_task_group() as group:
        for _ in range(5):
            group.start_soon(work)
    assert not module_level.locked()


async def test_tasks_get_the_lock_in_the_order_they_asked() -> None:
    lock = Lock()
    asked: list[int] = []
    got: list[int] = []

    async def work(number: int) -> None:
        asked.append(number)
        async with lock:
            got.append(number)
            await checkpoint()

    async with lock, create_task_group() as group:
        for number in range(10):
            group.start_soon(work, number)
        await wait_all_tasks_blocked()
        assert lock.statistics().tasks_waiting == 10
        lock.release()
        await lock.acquire()
        assert got == asked
        assert sorted(asked) == list(range(10))


async def test_the_releaser_cannot_step_in_front_of_a_waiter() -> None:
    lock = Lock()
    order: list[str] = []

    async def other() -> None:
        async with lock:
            order.append("waiter")

    async with create_task_group() as group:
        await lock.acquire()
        group.start_soon(other)
        await wait_all_tasks_blocked()
        lock.release()
        with pytest.raises(WouldBlock):
            lock.acquire_nowait()
        async with lock:
            order.append("releaser")
    assert order == ["waiter", "releaser"]


async def test_lock_keeps_order_when_a_waiter_is_cancelled() -> None:
    lock = Lock()
    scopes = [CancelScope() for _ in range(6)]
    asked: list[int] = []
    got: list[int] = []

    async def work(number: int) -> None:
        with scopes[number]:
            asked.append(number)
            async with lock:
                got.append(number)

    async with create_task_group() as group:
        async with lock:
            for number in range(6):
                group.start_soon(work, number)
            await wait_all_tasks_blocked()
            for number in (asked[0], asked[3], asked[5]):
                scopes[number].cancel()
            await wait_all_tasks_blocked()
            assert lock.statistics().tasks_waiting == 3
    assert got == [asked[1], asked[2], asked[4]]


async def test_a_waiter_cancelled_before_the_release_is_passed_over() -> None:
    lock = Lock()
    got: list[str] = []

    async def work(name: str, scope: CancelScope) -> None:
        with scope:
            async with lock:
                got.append(name)

    first = CancelScope()
    async with create_task_group() as group:
        async with lock:
            group.start_soon(work, "first", first)
            await wait_all_tasks_blocked()
            group.start_soon(work, "second", CancelScope())
            await wait_all_tasks_blocked()
            first.cancel()
    assert got == ["second"]
    assert first.cancelled_caught
    assert not lock.locked()


async def test_a_waiter_cancelled_after_the_release_holds_the_lock_and_passes_it_on() -> None:
    lock = Lock()
    got: list[str] = []

    async def work(name: str, scope: CancelScope) -> None:
        with scope:
            async with lock:
                got.append(name)
                await checkpoint()
                got.append(f"{name} went on")

    first = CancelScope()
    async with create_task_group() as group:
        async with lock:
            group.start_soon(work, "first", first)
            await wait_all_tasks_blocked()
            group.start_soon(work, "second", CancelScope())
            await wait_all_tasks_blocked()
        first.cancel()
    assert got == ["first", "second", "second went on"]
    assert not lock.locked()


async def test_acquire_in_a_cancelled_scope_takes_nothing() -> None:
    for fast in (False, True):
        lock = Lock(fast_acquire=fast)
        with CancelScope() as scope:
            scope.cancel()
            await lock.acquire()
            raise AssertionError("the cancellation was not seen")
        assert scope.cancelled_caught
        assert not lock.locked()


async def test_acquire_of_a_free_lock_lets_others_run_sooner_or_later() -> None:
    lock = Lock()
    done = False

    async def other() -> None:
        nonlocal done
        done = True

    async with create_task_group() as group:
        group.start_soon(other)
        while not done:
            async with lock:
                pass


async def test_a_fast_lock_lets_nobody_run_while_it_is_free() -> None:
    lock = Lock(fast_acquire=True)
    ran = False

    async def other() -> None:
        nonlocal ran
        ran = True

    async with create_task_group() as group:
        group.start_soon(other)
        for _ in range(200):
            async with lock:
                assert not ran
    assert ran


async def test_the_holder_cannot_acquire_again() -> None:
    lock = Lock()
    async with lock:
        with pytest.raises(RuntimeError, match="Attempted to acquire an already held Lock"):
            await lock.acquire()
        with pytest.raises(RuntimeError, match="Attempted to acquire an already held Lock"):
            lock.acquire_nowait()
        assert lock.statistics().tasks_waiting == 0
    assert not lock.locked()


async def test_only_the_holder_can_release() -> None:
    lock = Lock()
    with pytest.raises(RuntimeError, match="The current task is not holding this lock"):
        lock.release()

    async def thief() -> None:
        with pytest.raises(RuntimeError, match="The current task is not holding this lock"):
            lock.release()
        with pytest.raises(WouldBlock):
            lock.acquire_nowait()

    async with lock, create_task_group() as group:
        group.start_soon(thief)
    with pytest.raises(RuntimeError, match="The current task is not holding this lock"):
        lock.release()


async def test_leaving_a_block_whose_lock_was_released_inside_is_an_error() -> None:
    lock = Lock()
    with pytest.raises(RuntimeError, match="The current task is not holding this lock"):
        async with lock:
            lock.release()


async def test_statistics_name_the_owner_and_count_the_waiters() -> None:
    lock = Lock()
    free = lock.statistics()
    assert (free.locked, free.owner, free.tasks_waiting) == (False, None, 0)
    leave = Event()

    async def hold() -> None:
        async with lock:
            await leave.wait()

    async with create_task_group() as group:
        group.start_soon(hold, name="the holder")
        await wait_all_tasks_blocked()
        group.start_soon(hold, name="the next")
        await wait_all_tasks_blocked()
        statistics = lock.statistics()
        assert statistics.locked
        assert statistics.tasks_waiting == 1
        assert statistics.owner is not None
        assert statistics.owner.name == "the holder"
        assert repr(lock) == "<Lock held by 'the holder', 1 waiting>"
        leave.set()
    async with lock:
        assert lock.statistics().owner == get_current_task()
    assert repr(lock) == "<Lock free>"


def test_a_lock_needs_a_task_to_be_acquired_but_none_to_be_asked() -> None:
    lock = Lock()
    with pytest.raises(NoEventLoopError):
        lock.acquire_nowait()
    assert not lock.locked()
    assert lock.statistics().owner is None


async def test_a_block_uses_the_methods_of_a_subclass() -> None:
    log: list[str] = []

    class Logged(Lock):
        async def acquire(self) -> None:
            log.append("acquire")
            await super().acquire()

        def release(self) -> None:
            log.append("release")
            super().release()

    class Further(Logged):
        pass

    class Noisy:
        def release(self) -> None:
            log.append("release")
            super().release()  # type: ignore[misc]  # of the lock that it is mixed into

    class Mixed(Noisy, Lock):
        pass

    async with Mixed():
        log.append("inside")
    assert log == ["inside", "release"]
    log.clear()
    for lock in (Logged(), Further()):
        async with lock:
            assert lock.locked()
        assert not lock.locked()
    assert log == ["acquire", "release"] * 2
