"""Calls from a worker into its loop, and what becomes of them when the caller is cancelled."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from _harness import Backend, on_asyncio
from creche import (
    CancelScope,
    Event,
    RunFinishedError,
    create_task_group,
    from_thread,
    get_cancelled_exc_class,
    move_on_after,
    sleep,
    sleep_forever,
)
from creche.lowlevel import checkpoint
from creche.to_thread import run_sync


async def test_what_cancels_the_caller_cancels_what_its_function_runs_in_the_loop() -> None:
    seen: list[type[BaseException]] = []
    entered = Event()

    async def wait() -> None:
        entered.set()
        await sleep_forever()

    def work() -> None:
        try:
            from_thread.run(wait)
        except BaseException as exc:
            seen.append(type(exc))
            raise

    with CancelScope() as scope:
        async with create_task_group() as group:
            group.start_soon(run_sync, work)
            await entered.wait()
            scope.cancel()
    assert scope.cancelled_caught
    assert seen == [get_cancelled_exc_class()]


async def test_a_function_may_clean_up_after_it_was_cancelled() -> None:
    def work() -> str:
        try:
            from_thread.run(sleep_forever)
        except get_class:
            return from_thread.run_sync(str, "cleaned up")
        raise AssertionError

    get_class = get_cancelled_exc_class()
    results: list[str] = []
    with move_on_after(0.01):
        results.append(await run_sync(work))
    assert results == ["cleaned up"]


async def test_check_cancelled_raises_once_the_caller_is_cancelled() -> None:
    entered, go_on = threading.Event(), threading.Event()
    seen: list[type[BaseException]] = []

    def work() -> None:
        from_thread.check_cancelled()
        entered.set()
        go_on.wait()
        try:
            from_thread.check_cancelled()
        except BaseException as exc:
            seen.append(type(exc))
            raise

    with CancelScope() as scope:
        async with create_task_group() as group:
            group.start_soon(run_sync, work)
            await run_sync(entered.wait)
            scope.cancel()
            with CancelScope(shield=True):
                await sleep(0)
            go_on.set()
    assert scope.cancelled_caught
    assert seen == [get_cancelled_exc_class()]


async def test_check_cancelled_keeps_to_shields() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def work() -> str:
        entered.set()
        go_on.wait()
        from_thread.check_cancelled()
        return "not cancelled"

    results: list[str] = []

    async def call() -> None:
        with CancelScope(shield=True):
            results.append(await run_sync(work))

    async with create_task_group() as group:
        group.start_soon(call)
        await run_sync(entered.wait)
        group.cancel_scope.cancel()
        go_on.set()
    assert results == ["not cancelled"]


async def test_check_cancelled_raises_in_an_abandoned_function() -> None:
    go_on, checked = threading.Event(), threading.Event()
    seen: list[type[BaseException]] = []

    def work() -> None:
        go_on.wait()
        try:
            from_thread.check_cancelled()
        except BaseException as exc:
            seen.append(type(exc))
        checked.set()

    with move_on_after(0.01):
        await run_sync(work, abandon_on_cancel=True)
    go_on.set()
    await run_sync(checked.wait)
    assert seen == [get_cancelled_exc_class()]


async def test_a_deadline_is_seen_by_check_cancelled() -> None:
    def work() -> None:
        while True:
            from_thread.check_cancelled()

    with move_on_after(0.01) as scope:
        await run_sync(work)
    assert scope.cancelled_caught


@on_asyncio
async def test_check_cancelled_sees_a_native_cancel_and_it_is_raised_once() -> None:
    entered = threading.Event()
    steps: list[str] = []

    def work() -> None:
        entered.set()
        while True:
            from_thread.check_cancelled()

    async def call() -> None:
        try:
            await run_sync(work)
        except asyncio.CancelledError:
            steps.append("cancelled")
            await asyncio.sleep(0)
            await checkpoint()
            steps.append("cleaned up")
            raise

    task = asyncio.create_task(call())
    await run_sync(entered.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["cancelled", "cleaned up"]


@on_asyncio
async def test_a_native_cancel_reaches_what_the_function_runs_in_the_loop() -> None:
    entered = Event()
    steps: list[str] = []

    async def wait() -> None:
        entered.set()
        await sleep_forever()

    def work() -> None:
        try:
            from_thread.run(wait)
        finally:
            steps.append("function")

    async def call() -> None:
        try:
            await run_sync(work)
        except asyncio.CancelledError:
            steps.append("cancelled")
            await asyncio.sleep(0)
            raise

    task = asyncio.create_task(call())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["function", "cancelled"]


@on_asyncio
async def test_a_native_timeout_reaches_what_the_function_runs_in_the_loop() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await run_sync(from_thread.run, sleep_forever)
    await checkpoint()


@on_asyncio
async def test_a_native_timeout_before_the_function_calls_reaches_its_call() -> None:
    passed = threading.Event()

    def work() -> None:
        passed.wait()
        from_thread.run(sleep_forever)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            asyncio.get_running_loop().call_later(0.03, passed.set)
            await run_sync(work)
    await checkpoint()


async def test_what_an_abandoned_function_runs_in_the_loop_runs_to_its_end() -> None:
    """As on Trio: whoever abandons a function has said that it may go on."""
    entered, go_on, steps = Event(), Event(), list[str]()

    async def child() -> None:
        await go_on.wait()
        steps.append("child")

    async def work_in_the_loop() -> str:
        entered.set()
        async with create_task_group() as group:
            group.start_soon(child)
        return "returned"

    def work() -> None:
        try:
            steps.append(from_thread.run(work_in_the_loop))
            from_thread.check_cancelled()
        except get_class:
            steps.append("the caller has left")
        left.set()

    get_class = get_cancelled_exc_class()
    left = threading.Event()
    async with create_task_group() as group:
        group.start_soon(lambda: run_sync(work, abandon_on_cancel=True))
        await entered.wait()
        group.cancel_scope.cancel()
    assert steps == []
    go_on.set()
    await run_sync(left.wait)
    assert steps == ["child", "returned", "the caller has left"]


def test_what_an_abandoned_function_runs_ends_with_the_loop(backend: Backend) -> None:
    seen: list[type[BaseException]] = []
    left = threading.Event()

    async def main() -> None:
        called = Event()

        async def sleeps() -> None:
            called.set()
            await sleep_forever()

        def work() -> None:
            try:
                from_thread.run(sleeps)
            except BaseException as exc:
                seen.append(type(exc))
            left.set()

        async with create_task_group() as group:
            group.start_soon(partial(run_sync, work, abandon_on_cancel=True))
            await called.wait()
            group.cancel()

    for _ in range(5):
        seen.clear()
        left.clear()
        backend.run(main)
        assert left.wait(5)
        assert seen == [RunFinishedError]


async def test_an_abandoned_function_can_still_call_into_the_loop() -> None:
    go_on, done = threading.Event(), threading.Event()
    results: list[object] = []

    async def thread_of_the_loop() -> threading.Thread:
        await checkpoint()
        return threading.current_thread()

    def work() -> None:
        go_on.wait()
        results.append(from_thread.run_sync(int, "3"))
        results.append(from_thread.run(thread_of_the_loop))
        done.set()

    with move_on_after(0.01):
        await run_sync(work, abandon_on_cancel=True)
    go_on.set()
    await run_sync(done.wait)
    assert results == [3, threading.current_thread()]
