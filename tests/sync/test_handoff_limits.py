"""Semaphores and limiters in numbers: never more holders than there are permits or tokens."""

from __future__ import annotations

import pytest

from creche import (
    CancelScope,
    Event,
    Semaphore,
    WouldBlock,
    create_task_group,
    wait_all_tasks_blocked,
)
from creche import CapacityLimiter as Limiter
from creche.lowlevel import checkpoint


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
