"""`Semaphore` on every backend: counts, order, hand-over, cancellation."""

from __future__ import annotations

from typing import Any

import pytest

from creche import (
    CancelScope,
    Semaphore,
    WouldBlock,
    create_task_group,
    wait_all_tasks_blocked,
)
from creche.lowlevel import checkpoint

module_level = Semaphore(2)


async def test_no_more_tasks_are_inside_than_the_initial_value() -> None:
    inside = 0
    most = 0

    async def work() -> None:
        nonlocal inside, most
        async with module_level as entered:
            assert entered is module_level
            inside += 1
            most = max(most, inside)
            await checkpoint()
            inside -= 1

    async with create_task_group() as group:
        for _ in range(9):
            group.start_soon(work)
    assert most == 2
    assert module_level.value == 2


async def test_tasks_get_in_in_the_order_they_asked_even_after_a_cancel() -> None:
    semaphore = Semaphore(0)
    scopes = [CancelScope() for _ in range(8)]
    asked: list[int] = []
    got: list[int] = []

    async def work(number: int) -> None:
        with scopes[number]:
            asked.append(number)
            await semaphore.acquire()
            got.append(number)

    async with create_task_group() as group:
        for number in range(8):
            group.start_soon(work, number)
        await wait_all_tasks_blocked()
        for place in (0, 4, 7):
            scopes[asked[place]].cancel()
        await wait_all_tasks_blocked()
        assert semaphore.statistics().tasks_waiting == 5
        for _ in range(5):
            semaphore.release()
            await wait_all_tasks_blocked()
    assert got == [asked[place] for place in (1, 2, 3, 5, 6)]
    assert semaphore.value == 0


async def test_a_released_place_goes_to_the_waiter_and_not_to_who_comes_next() -> None:
    semaphore = Semaphore(0)
    order: list[str] = []

    async def wait() -> None:
        await semaphore.acquire()
        order.append("waiter")
        semaphore.release()

    async with create_task_group() as group:
        group.start_soon(wait)
        await wait_all_tasks_blocked()
        semaphore.release()
        assert semaphore.value == 0
        with pytest.raises(WouldBlock):
            semaphore.acquire_nowait()
        await semaphore.acquire()
        order.append("latecomer")
    assert order == ["waiter", "latecomer"]


async def test_a_waiter_cancelled_before_the_release_is_passed_over() -> None:
    semaphore = Semaphore(0)
    async with create_task_group() as group:
        group.start_soon(semaphore.acquire)
        await wait_all_tasks_blocked()
        group.cancel_scope.cancel()
        semaphore.release()
        assert semaphore.value == 1
    assert semaphore.value == 1


async def test_a_waiter_cancelled_after_the_release_has_its_place_and_passes_it_on() -> None:
    semaphore = Semaphore(0)
    got: list[str] = []

    async def work(name: str, scope: CancelScope) -> None:
        with scope:
            async with semaphore:
                got.append(name)
                await checkpoint()
                got.append(f"{name} went on")

    first = CancelScope()
    async with create_task_group() as group:
        group.start_soon(work, "first", first)
        await wait_all_tasks_blocked()
        group.start_soon(work, "second", CancelScope())
        await wait_all_tasks_blocked()
        semaphore.release()
        first.cancel()
    assert got == ["first", "second", "second went on"]
    assert semaphore.value == 1


async def test_acquire_in_a_cancelled_scope_takes_nothing() -> None:
    for fast in (False, True):
        semaphore = Semaphore(1, fast_acquire=fast)
        with CancelScope() as scope:
            scope.cancel()
            async with semaphore:
                raise AssertionError("the cancellation was not seen")
        assert scope.cancelled_caught
        assert semaphore.value == 1


@pytest.mark.parametrize("fast", [False, True])
async def test_only_a_fast_semaphore_lets_nobody_run_while_it_is_above_zero(fast: bool) -> None:
    semaphore = Semaphore(1, fast_acquire=fast)
    ran = False

    async def other() -> None:
        nonlocal ran
        ran = True

    async with create_task_group() as group:
        group.start_soon(other)
        for _ in range(1000):
            await semaphore.acquire()
            semaphore.release()
            async with semaphore:
                pass
        assert ran is not fast


async def test_acquire_nowait_takes_what_is_there_and_no_more() -> None:
    semaphore = Semaphore(2)
    semaphore.acquire_nowait()
    semaphore.acquire_nowait()
    with pytest.raises(WouldBlock):
        semaphore.acquire_nowait()
    semaphore.release()
    assert semaphore.value == 1
    assert repr(semaphore) == "<Semaphore value=1, 0 waiting>"


def test_releasing_above_the_maximum_is_an_error_and_changes_nothing() -> None:
    semaphore = Semaphore(1, max_value=2)
    assert semaphore.max_value == 2
    semaphore.release()
    with pytest.raises(ValueError, match="semaphore released too many times"):
        semaphore.release()
    assert semaphore.value == 2
    unlimited = Semaphore(0)
    for _ in range(10):
        unlimited.release()
    assert unlimited.value == 10
    assert unlimited.max_value is None


@pytest.mark.parametrize(
    ("initial", "maximum", "error", "words"),
    [
        (-1, None, ValueError, "initial_value must be >= 0"),
        (1.0, None, TypeError, "initial_value must be an integer"),
        ("1", None, TypeError, "initial_value must be an integer"),
        (2, 1, ValueError, "max_value must be equal to or higher than initial_value"),
        (1, 1.5, TypeError, "max_value must be an integer or None"),
    ],
)
def test_values_are_checked(initial: Any, maximum: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Semaphore(initial, max_value=maximum)
