"""`CapacityLimiter` on every backend: tokens, borrowers, a total that changes, cancellation."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from creche import (
    CancelScope,
    CapacityLimiter,
    Event,
    NoEventLoopError,
    WouldBlock,
    create_task_group,
    wait_all_tasks_blocked,
)
from creche._kernel import current_task
from creche.lowlevel import checkpoint

HOLDS = "this borrower is already holding one of this CapacityLimiter's tokens"
HOLDS_NONE = "this borrower isn't holding any of this CapacityLimiter's tokens"

module_level = CapacityLimiter(2)


async def test_no_more_tokens_are_lent_than_there_are() -> None:
    most = 0

    async def work() -> None:
        nonlocal most
        async with module_level:
            most = max(most, module_level.borrowed_tokens)
            await checkpoint()

    async with create_task_group() as group:
        for _ in range(9):
            group.start_soon(work)
    assert most == 2
    assert module_level.available_tokens == 2


async def test_tokens_are_lent_in_the_order_of_asking_even_after_a_cancel() -> None:
    limiter = CapacityLimiter(1)
    scopes = {name: CancelScope() for name in "abcdef"}
    asked: list[str] = []

    async def work(name: str) -> None:
        with scopes[name]:
            asked.append(name)
            await limiter.acquire_on_behalf_of(name)

    async with create_task_group() as group:
        await limiter.acquire_on_behalf_of("main")
        for name in scopes:
            group.start_soon(work, name)
        await wait_all_tasks_blocked()
        for place in (0, 3, 5):
            scopes[asked[place]].cancel()
        await wait_all_tasks_blocked()
        assert limiter.statistics().tasks_waiting == 3
        holder = "main"
        for place in (1, 2, 4):
            limiter.release_on_behalf_of(holder)
            holder = asked[place]
            assert limiter.statistics().borrowers == (holder,)
    limiter.release_on_behalf_of(holder)
    assert limiter.borrowed_tokens == 0


async def test_the_releaser_cannot_step_in_front_of_a_waiter() -> None:
    limiter = CapacityLimiter(1)
    async with create_task_group() as group:
        await limiter.acquire()
        group.start_soon(limiter.acquire_on_behalf_of, "waiter")
        await wait_all_tasks_blocked()
        limiter.release()
        with pytest.raises(WouldBlock):
            limiter.acquire_nowait()
    assert limiter.statistics().borrowers == ("waiter",)


async def test_a_waiter_cancelled_before_the_release_is_passed_over() -> None:
    limiter = CapacityLimiter(1)
    scope = CancelScope()

    async def first() -> None:
        with scope:
            await limiter.acquire_on_behalf_of("first")

    async with create_task_group() as group:
        await limiter.acquire()
        group.start_soon(first)
        await wait_all_tasks_blocked()
        group.start_soon(limiter.acquire_on_behalf_of, "second")
        await wait_all_tasks_blocked()
        scope.cancel()
        limiter.release()
        assert limiter.statistics().borrowers == ("second",)
    assert scope.cancelled_caught


async def test_a_waiter_cancelled_after_the_release_has_a_token_and_passes_it_on() -> None:
    limiter = CapacityLimiter(1)
    got: list[str] = []

    async def work(name: str, scope: CancelScope) -> None:
        with scope:
            async with limiter:
                got.append(name)
                await checkpoint()
                got.append(f"{name} went on")

    first = CancelScope()
    async with create_task_group() as group:
        async with limiter:
            group.start_soon(work, "first", first)
            await wait_all_tasks_blocked()
            group.start_soon(work, "second", CancelScope())
            await wait_all_tasks_blocked()
        first.cancel()
    assert got == ["first", "second", "second went on"]
    assert limiter.borrowed_tokens == 0


async def test_raising_the_total_lends_to_those_who_wait_at_once() -> None:
    limiter = CapacityLimiter(1)
    async with create_task_group() as group:
        for number in range(5):
            group.start_soon(limiter.acquire_on_behalf_of, number)
        await wait_all_tasks_blocked()
        assert limiter.borrowed_tokens == 1
        limiter.total_tokens = 3
        assert limiter.borrowed_tokens == 3
        assert limiter.statistics().tasks_waiting == 2
        limiter.total_tokens = inf
        assert limiter.borrowed_tokens == 5
        assert limiter.available_tokens == inf
    assert sorted(limiter.statistics().borrowers, key=str) == [0, 1, 2, 3, 4]


async def test_a_total_below_what_is_lent_lends_nothing_until_enough_is_back() -> None:
    limiter = CapacityLimiter(3)
    for borrower in "abc":
        limiter.acquire_on_behalf_of_nowait(borrower)
    limiter.total_tokens = 1
    assert limiter.available_tokens == -2
    async with create_task_group() as group:
        group.start_soon(limiter.acquire_on_behalf_of, "next")
        await wait_all_tasks_blocked()
        for borrower in "ab":
            limiter.release_on_behalf_of(borrower)
            assert limiter.statistics().tasks_waiting == 1
            with pytest.raises(WouldBlock):
                limiter.acquire_nowait()
        limiter.release_on_behalf_of("c")
        assert limiter.statistics().borrowers == ("next",)


async def test_a_limiter_without_tokens_lends_none_until_its_total_is_raised() -> None:
    limiter = CapacityLimiter(0)
    with pytest.raises(WouldBlock):
        limiter.acquire_nowait()
    async with create_task_group() as group:
        group.start_soon(limiter.acquire_on_behalf_of, "x")
        await wait_all_tasks_blocked()
        limiter.total_tokens = 1
    assert limiter.borrowed_tokens == 1


async def test_a_borrower_holds_one_token_at_a_time() -> None:
    limiter = CapacityLimiter(3)
    await limiter.acquire()
    with pytest.raises(RuntimeError, match=HOLDS):
        await limiter.acquire()
    with pytest.raises(RuntimeError, match=HOLDS):
        limiter.acquire_nowait()
    await limiter.acquire_on_behalf_of("x")
    with pytest.raises(RuntimeError, match=HOLDS):
        await limiter.acquire_on_behalf_of("x")
    with pytest.raises(RuntimeError, match=HOLDS):
        limiter.acquire_on_behalf_of_nowait("x")
    assert limiter.borrowed_tokens == 2


async def test_two_waiters_for_one_borrower_get_one_token_between_them() -> None:
    limiter = CapacityLimiter(1)
    outcomes: list[str] = []

    async def ask() -> None:
        try:
            await limiter.acquire_on_behalf_of("x")
        except RuntimeError as exc:
            outcomes.append(str(exc))
        else:
            outcomes.append("granted")

    await limiter.acquire()
    async with create_task_group() as group:
        group.start_soon(ask)
        group.start_soon(ask)
        await wait_all_tasks_blocked()
        limiter.total_tokens = 3
    assert len(outcomes) == 2
    assert "granted" in outcomes
    assert any(HOLDS in outcome for outcome in outcomes)
    assert limiter.borrowed_tokens == 2


async def test_releasing_without_a_token_is_an_error() -> None:
    limiter = CapacityLimiter(1)
    with pytest.raises(RuntimeError, match=HOLDS_NONE):
        limiter.release()
    with pytest.raises(RuntimeError, match=HOLDS_NONE):
        limiter.release_on_behalf_of("x")
    with pytest.raises(RuntimeError, match=HOLDS_NONE):
        async with limiter:
            limiter.release()
    assert limiter.available_tokens == 1


async def test_acquire_in_a_cancelled_scope_takes_nothing() -> None:
    limiter = CapacityLimiter(1)
    with CancelScope() as scope:
        scope.cancel()
        async with limiter:
            raise AssertionError("the cancellation was not seen")
    assert scope.cancelled_caught
    with CancelScope() as scope:
        scope.cancel()
        await limiter.acquire_on_behalf_of("x")
    assert scope.cancelled_caught
    assert limiter.borrowed_tokens == 0


async def test_acquire_of_a_free_token_lets_others_run_sooner_or_later() -> None:
    limiter = CapacityLimiter(1)
    done = Event()

    async def other() -> None:
        done.set()

    async with create_task_group() as group:
        group.start_soon(other)
        while not done.is_set():
            async with limiter:
                pass


async def test_statistics_show_a_task_as_the_loops_own_object() -> None:
    limiter = CapacityLimiter(5)
    async with limiter:
        await limiter.acquire_on_behalf_of("x")
        native = current_task().info().native
        assert limiter.statistics() == (2, 5, (native, "x"), 0)
        assert repr(limiter) == "<CapacityLimiter 2 of 5 lent, 0 waiting>"


def test_a_limiter_serves_other_borrowers_outside_any_loop() -> None:
    limiter = CapacityLimiter(1)
    limiter.acquire_on_behalf_of_nowait("x")
    assert limiter.statistics().borrowers == ("x",)
    limiter.release_on_behalf_of("x")
    with pytest.raises(NoEventLoopError):
        limiter.acquire_nowait()


@pytest.mark.parametrize(
    ("total", "error", "words"),
    [
        (-1, ValueError, "total_tokens must be >= 0"),
        (-inf, ValueError, "total_tokens must be >= 0"),
        (1.0, TypeError, "total_tokens must be an int or math.inf"),
        (nan, TypeError, "total_tokens must be an int or math.inf"),
        ("1", TypeError, "total_tokens must be an int or math.inf"),
        (None, TypeError, "total_tokens must be an int or math.inf"),
    ],
)
def test_the_total_is_checked_when_made_and_when_changed(
    total: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        CapacityLimiter(total)
    limiter = CapacityLimiter(1)
    with pytest.raises(error, match=words):
        limiter.total_tokens = total
    assert limiter.total_tokens == 1
