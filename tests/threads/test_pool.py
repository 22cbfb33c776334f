"""The worker threads of a loop: reuse, pruning, joining, and what happens at the edges of the system."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from textwrap import dedent

import pytest
import trio

from _harness import Backend, on_asyncio
from creche import CapacityLimiter, create_task_group, move_on_after, sleep
from creche._registry import names
from creche._threads import pool
from creche.to_thread import current_default_thread_limiter, run_sync


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == pool.NAME]


def wait_until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < give_up, "it did not come true"
        time.sleep(0.001)


@pytest.fixture
def short_of_threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let so many threads be started, and then no more."""
    left = [0]
    start = threading.Thread.start

    def start_or_not(thread: threading.Thread) -> None:
        if thread.name == pool.NAME:
            if left[0] == 0:
                raise RuntimeError("can't start new thread")
            left[0] -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_not)
    return left


async def test_one_worker_is_enough_for_calls_one_after_the_other() -> None:
    threads = {await run_sync(threading.current_thread) for _ in range(200)}
    assert len(threads) == 1
    assert len(workers()) == 1


async def test_workers_are_shared_by_all_limiters_of_the_loop() -> None:
    first = await run_sync(threading.current_thread)
    assert await run_sync(threading.current_thread, limiter=CapacityLimiter(1)) is first


async def test_the_worker_that_was_busy_last_is_used_first() -> None:
    barrier = threading.Barrier(3)
    order: list[threading.Thread] = []
    turns = [threading.Event() for _ in range(3)]

    def work(number: int) -> None:
        barrier.wait()
        turns[number].wait()
        order.append(threading.current_thread())

    async with create_task_group() as group:
        handles = [group.start_soon(run_sync, work, number) for number in range(3)]
        for turn, handle in zip(turns, handles, strict=True):
            turn.set()
            await handle
    assert len(set(order)) == 3
    assert await run_sync(threading.current_thread) is order[-1]


async def test_idle_workers_end_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "IDLE", 0.02)
    barrier = threading.Barrier(5)
    async with create_task_group() as group:
        for _ in range(5):
            group.start_soon(lambda: run_sync(barrier.wait))
    wait_until(lambda: not workers())
    assert await run_sync(int) == 0


async def test_a_worker_that_is_woken_as_it_gives_up_makes_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "IDLE", 0.0)
    for number in range(500):
        assert await run_sync(int, str(number)) == number


async def test_calls_in_a_bunch_are_all_made() -> None:
    done: list[int] = []
    async with create_task_group() as group:
        for number in range(500):
            group.start_soon(run_sync, done.append, number)
    assert sorted(done) == list(range(500))
    assert len(workers()) <= 40


async def test_a_call_is_made_while_all_workers_before_it_block() -> None:
    release = threading.Event()
    limiter = CapacityLimiter(100)
    async with create_task_group() as group:
        for _ in range(60):
            group.start_soon(lambda: run_sync(release.wait, limiter=limiter))
        await run_sync(release.set, limiter=limiter)


def test_idle_workers_are_joined_at_the_end_of_the_loop(backend: Backend) -> None:
    async def main() -> None:
        barrier = threading.Barrier(7)
        async with create_task_group() as group:
            for _ in range(7):
                group.start_soon(lambda: run_sync(barrier.wait))
        assert len(workers()) == 7

    backend.run(main)
    assert not workers()


@pytest.mark.parametrize("backend_name", names())
def test_idle_workers_are_joined_in_loops_that_creche_did_not_start(backend_name: str) -> None:
    async def main() -> None:
        await run_sync(int)
        assert len(workers()) == 1

    if backend_name == "asyncio":
        asyncio.run(main())
    else:
        trio.run(main)
    assert not workers()


@on_asyncio
async def test_a_native_cancel_waits_for_the_function_and_is_not_lost() -> None:
    entered, release = threading.Event(), threading.Event()
    steps: list[str] = []

    def work() -> None:
        entered.set()
        release.wait()
        steps.append("function")

    async def call() -> None:
        try:
            await run_sync(work)
            steps.append("returned")
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            steps.append("cancelled")
            raise

    task = asyncio.create_task(call())
    await run_sync(entered.wait)
    task.cancel()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["function", "returned", "cancelled"]


@on_asyncio
async def test_a_native_timeout_around_a_call_comes_when_the_function_has_returned() -> None:
    release = threading.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            asyncio.get_running_loop().call_later(0.03, release.set)
            assert await run_sync(release.wait)
            await asyncio.sleep(10)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@on_asyncio
def test_idle_workers_end_with_a_loop_that_is_closed_and_nothing_else(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "IDLE", 0.05)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(run_sync(int))
    loop.close()
    wait_until(lambda: not workers())


def test_the_interpreter_does_not_wait_for_the_idle_workers_of_such_a_loop() -> None:
    program = """
        import asyncio
        from creche.to_thread import run_sync
        loop = asyncio.new_event_loop()
        loop.run_until_complete(run_sync(int))
        loop.close()
    """
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", dedent(program)], check=True, timeout=30)
    assert time.monotonic() - began < pool.IDLE * 0.8


async def test_a_call_that_gets_no_thread_says_so(short_of_threads: list[int]) -> None:
    with pytest.raises(RuntimeError, match="can't start new thread"):
        await run_sync(int)
    assert current_default_thread_limiter().borrowed_tokens == 0
    short_of_threads[0] = 1
    assert await run_sync(int) == 0


async def test_when_threads_run_out_the_last_call_says_so_and_the_others_are_made(
    short_of_threads: list[int],
) -> None:
    short_of_threads[0] = 1
    results: list[object] = []
    told = threading.Event()

    async def call() -> None:
        try:
            results.append(await run_sync(told.wait))
        except RuntimeError as exc:
            results.append(str(exc))
            told.set()

    async with create_task_group() as group:
        for _ in range(3):
            group.start_soon(call)
    assert "can't start new thread" in results
    assert len(results) == 3
    assert current_default_thread_limiter().borrowed_tokens == 0


async def test_a_call_taken_back_before_a_worker_took_it_is_never_made(
    short_of_threads: list[int],
) -> None:
    """With one thread that is busy, a second call waits for a worker; its caller leaves."""
    short_of_threads[0] = 1
    entered, release = threading.Event(), threading.Event()
    called: list[bool] = []

    def block() -> None:
        entered.set()
        release.wait()

    limiter = CapacityLimiter(5)
    async with create_task_group() as group:
        group.start_soon(lambda: run_sync(block, limiter=limiter))
        while not entered.is_set():
            await sleep(0.001)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pool.Pool, "_summon", lambda self: None)
            with move_on_after(0.01) as scope:
                await run_sync(called.append, True, abandon_on_cancel=True, limiter=limiter)
        assert scope.cancelled_caught
        assert limiter.borrowed_tokens == 1
        release.set()
    assert await run_sync(int) == 0
    assert not called


async def test_5000_calls_leave_nothing_behind() -> None:
    await many_calls(5_000)


@pytest.mark.soak
@pytest.mark.time_limit(300)
async def test_100000_calls_leave_nothing_behind() -> None:
    await many_calls(100_000)


async def many_calls(count: int) -> None:
    lock = threading.Lock()
    total = 0

    def add(number: int) -> int:
        nonlocal total
        with lock:
            total += number
        return number

    async def caller(share: range) -> None:
        for number in share:
            assert await run_sync(add, number) == number

    async with create_task_group() as group:
        for start in range(50):
            group.start_soon(caller, range(start, count, 50))
    assert total == sum(range(count))
    assert current_default_thread_limiter().borrowed_tokens == 0
    assert len(workers()) <= 40
