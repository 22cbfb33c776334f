"""Running, sleeping and asking for the time, on every backend."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

import creche
from _harness import Backend
from creche import (
    CancelScope,
    NoEventLoopError,
    create_task_group,
    current_effective_deadline,
    current_time,
    get_all_backends,
    get_available_backends,
    get_cancelled_exc_class,
    move_on_after,
    sleep,
    sleep_forever,
    sleep_until,
    wait_all_tasks_blocked,
)
from creche.lowlevel import checkpoint

# run


def test_run_returns_what_the_function_returns(backend: Backend) -> None:
    async def add(left: int, right: int) -> int:
        await checkpoint()
        return left + right

    assert backend.run(add, 1, 2) == 3


def test_run_raises_what_the_function_raises(backend: Backend) -> None:
    async def fail() -> None:
        raise ValueError("as it is")

    with pytest.raises(ValueError, match="as it is"):
        backend.run(fail)


async def test_run_inside_a_running_loop_is_an_error(backend: Backend) -> None:
    with pytest.raises(RuntimeError, match=f"Already running {backend.kernel} in this thread"):
        creche.run(checkpoint)


def test_an_unknown_backend_is_a_lookup_error() -> None:
    with pytest.raises(LookupError, match="No such backend: curio"):
        creche.run(checkpoint, backend="curio")


def test_the_backends_are_known_by_name() -> None:
    assert get_all_backends() == ("asyncio", "trio")
    assert set(get_available_backends()) <= set(get_all_backends())
    assert "asyncio" in get_available_backends()


def test_a_backend_that_runs_is_available(backend: Backend) -> None:
    assert backend.kernel in get_available_backends()


# Asking


@pytest.mark.parametrize(
    "question", [current_time, current_effective_deadline, get_cancelled_exc_class]
)
def test_outside_a_loop_there_is_no_answer(question: Callable[[], object]) -> None:
    with pytest.raises(NoEventLoopError, match="Not currently running on any asynchronous"):
        question()


async def test_the_clock_does_not_go_back() -> None:
    before = current_time()
    await checkpoint()
    assert current_time() >= before


async def test_the_cancelled_class_is_what_a_cancellation_raises() -> None:
    with CancelScope() as scope:
        scope.cancel()
        with pytest.raises(get_cancelled_exc_class()):
            await checkpoint()


async def test_the_effective_deadline_is_the_earliest_around_the_task() -> None:
    assert current_effective_deadline() == math.inf
    now = current_time()
    with CancelScope(deadline=now + 100):
        with CancelScope(deadline=now + 200):
            assert current_effective_deadline() == now + 100
            with CancelScope(deadline=now + 50):
                assert current_effective_deadline() == now + 50
            with CancelScope(shield=True):
                assert current_effective_deadline() == math.inf
    with CancelScope() as scope:
        scope.cancel()
        assert current_effective_deadline() == -math.inf


async def test_a_child_has_the_deadline_of_its_group() -> None:
    deadline = current_time() + 100
    seen: list[float] = []

    async def look() -> None:
        seen.append(current_effective_deadline())

    with CancelScope(deadline=deadline):
        async with create_task_group() as group:
            group.start_soon(look)
    assert seen == [deadline]


# Sleeping


async def sleep_zero() -> None:
    await sleep(0)


async def sleep_long() -> None:
    await sleep(9)


async def sleep_infinitely() -> None:
    await sleep(math.inf)


async def sleep_until_long_ago() -> None:
    await sleep_until(-math.inf)


@pytest.mark.parametrize("delay", [-1, -0.001, -math.inf, math.nan])
async def test_a_delay_that_is_no_delay_is_refused(delay: float) -> None:
    with pytest.raises(ValueError, match="delay must be a non-negative number"):
        await sleep(delay)


async def test_sleeping_until_no_time_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="deadline must not be NaN"):
        await sleep_until(math.nan)


async def test_sleep_takes_at_least_its_delay() -> None:
    before = current_time()
    await sleep(0.01)
    assert current_time() - before > 0.009  # uvloop's clock ticks in milliseconds


async def test_a_sleeper_wakes_at_its_deadline_though_one_that_came_before_sleeps_on() -> None:
    # Of sleepers whose deadlines pass at once, as they do on a busy machine, Trio wakes any first.
    woken: list[str] = []

    async def nap(name: str, seconds: float) -> None:
        await sleep_until(current_time() + seconds)
        woken.append(name)
        group.cancel_scope.cancel()

    async with create_task_group() as group:
        group.start_soon(nap, "late", 1000)
        group.start_soon(nap, "early", 0.01)
    assert woken == ["early"]


@pytest.mark.parametrize("operation", [sleep_zero, sleep_until_long_ago])
async def test_sleeping_for_no_time_lets_others_run(operation: Callable[[], Any]) -> None:
    ran: list[str] = []

    async def other() -> None:
        ran.append("other")

    async with create_task_group() as group:
        group.start_soon(other)
        await operation()
        await operation()  # Trio may let this task go first once
        assert ran == ["other"]


@pytest.mark.parametrize("operation", [sleep_zero, sleep_long, sleep_until_long_ago, sleep_forever])
async def test_sleeping_in_a_cancelled_scope_raises(operation: Callable[[], Any]) -> None:
    with CancelScope() as scope:
        scope.cancel()
        await operation()
    assert scope.cancelled_caught


@pytest.mark.parametrize("operation", [sleep_forever, sleep_infinitely])
async def test_sleeping_for_ever_ends_with_a_cancellation(operation: Callable[[], Any]) -> None:
    async with create_task_group() as group:
        handle = group.start_soon(operation)
        await wait_all_tasks_blocked()
        handle.cancel()
    assert handle.status.name == "CANCELLED"


async def test_a_deadline_ends_a_sleep() -> None:
    with move_on_after(0.01) as scope:
        await sleep_forever()
    assert scope.cancelled_caught


def test_sleeping_needs_an_event_loop() -> None:
    for operation in (sleep(1), sleep_until(1), sleep_forever()):
        with pytest.raises(NoEventLoopError):
            operation.send(None)
