"""Calls on executors of others: outcomes, and what a cancel does to a call in each state."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context, resource_tracker
from typing import Any

import pytest

from creche import (
    CapacityLimiter,
    create_task_group,
    fail_after,
    get_cancelled_exc_class,
    move_on_after,
    sleep,
    wait_all_tasks_blocked,
)
from creche.testing import assert_checkpoints
from creche.to_executor import run_sync


@pytest.fixture(scope="module", autouse=True)
def tracker() -> None:
    """Start what `multiprocessing` keeps for the life of the process."""
    resource_tracker.ensure_running()


class Blocking:
    """A function that is held until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()
        self.ended = False

    def __call__(self) -> str:
        self.begun.set()
        assert self.go.wait(20)
        self.ended = True
        return "done"

    async def has_begun(self) -> None:
        with fail_after(20):
            while not self.begun.is_set():
                await sleep(0.001)


class Immediate(Executor):
    """Resolves its futures before it returns them: they call back in the caller's own thread."""

    def submit(self, func: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(func(*args, **options))
        except BaseException as exc:
            future.set_exception(exc)
        return future


async def test_results_and_errors_come_back() -> None:
    with ThreadPoolExecutor(1) as executor:
        assert await run_sync(executor, divmod, 17, 5) == (3, 2)
        with pytest.raises(ZeroDivisionError):
            await run_sync(executor, divmod, 1, 0)


async def test_a_process_pool() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        assert await run_sync(executor, pow, 2, 10) == 1024


async def test_a_future_that_is_resolved_at_once() -> None:
    with assert_checkpoints():
        assert await run_sync(Immediate(), abs, -1) == 1
    with pytest.raises(ZeroDivisionError):
        await run_sync(Immediate(), divmod, 1, 0)


async def test_a_call_in_the_queue_is_withdrawn() -> None:
    first, second = Blocking(), Blocking()
    with ThreadPoolExecutor(1) as executor:
        async with create_task_group() as group:
            group.start_soon(run_sync, executor, first)
            await first.has_begun()
            with move_on_after(0.02) as scope:
                await run_sync(executor, second)
            assert scope.cancelled_caught
            first.go.set()
    assert not second.begun.is_set()


async def test_a_running_call_is_waited_for_and_what_it_returns_is_returned() -> None:
    func = Blocking()
    results: list[str] = []
    with ThreadPoolExecutor(1) as executor:
        async with create_task_group() as group:

            async def call() -> None:
                results.append(await run_sync(executor, func))

            group.start_soon(call)
            await func.has_begun()
            group.cancel_scope.cancel()
            threading.Timer(0.02, func.go.set).start()
    assert results == ["done"] and func.ended


async def test_a_running_call_can_be_abandoned_and_keeps_its_token() -> None:
    func, limiter = Blocking(), CapacityLimiter(1)
    with ThreadPoolExecutor(1) as executor:
        async with create_task_group() as group:
            group.start_soon(
                lambda: run_sync(executor, func, abandon_on_cancel=True, limiter=limiter)
            )
            await func.has_begun()
            group.cancel_scope.cancel()
        assert not func.ended and limiter.borrowed_tokens == 1
        func.go.set()
        with fail_after(20):
            while limiter.borrowed_tokens:
                await sleep(0.001)


async def test_calls_beyond_the_limiter_are_not_submitted() -> None:
    limiter = CapacityLimiter(1)
    first, second = Blocking(), Blocking()
    with ThreadPoolExecutor(2) as executor:
        async with create_task_group() as group:
            group.start_soon(lambda: run_sync(executor, first, limiter=limiter))
            await first.has_begun()
            group.start_soon(lambda: run_sync(executor, second, limiter=limiter))
            await wait_all_tasks_blocked()
            assert not second.begun.is_set()
            second.go.set()
            first.go.set()
    assert second.ended and limiter.borrowed_tokens == 0


async def test_nothing_is_submitted_by_a_cancelled_caller() -> None:
    func = Blocking()
    with ThreadPoolExecutor(1) as executor:
        with move_on_after(0):
            await run_sync(executor, func)
    assert not func.begun.is_set()


async def test_an_executor_that_takes_no_calls_is_an_error_and_the_token_goes_back() -> None:
    limiter = CapacityLimiter(1)
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule"):
        await run_sync(executor, abs, 1, limiter=limiter)
    await sleep(0)
    assert limiter.borrowed_tokens == 0
    with pytest.raises(TypeError, match="has no submit"):
        await run_sync(abs, 1)  # type: ignore[arg-type]


async def test_a_future_that_somebody_else_cancels_is_an_error_of_the_call() -> None:
    first = Blocking()
    executor = ThreadPoolExecutor(1)
    async with create_task_group() as group:
        group.start_soon(run_sync, executor, first)
        await first.has_begun()

        async def call() -> None:
            with pytest.raises(concurrent.futures.CancelledError):
                await run_sync(executor, abs, 1)

        group.start_soon(call)
        await wait_all_tasks_blocked()
        executor.shutdown(wait=False, cancel_futures=True)
        first.go.set()
    executor.shutdown()


async def test_a_cancellation_that_the_function_makes_up_is_raised_as_it_is() -> None:
    cancelled = get_cancelled_exc_class()
    if cancelled.__module__.startswith("trio"):
        return  # Trio's own cannot be made by others.

    def raise_it() -> None:
        raise cancelled

    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(cancelled):
            await run_sync(executor, raise_it)
