"""What threads share, with the interpreter switching between them after almost every instruction.

Each test is for one place that several threads write to; the file's own docstring says why it is right.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from itertools import pairwise
from typing import Any

import pytest

from _harness import BACKENDS, Backend
from creche import (
    CapacityLimiter,
    Event,
    create_task_group,
    from_thread,
    functools,
    get_current_task,
    move_on_after,
    sleep,
    to_interpreter,
    to_thread,
)
from creche.from_thread import BlockingPortalProvider, start_blocking_portal
from creche.lowlevel import checkpoint, current_token

THREADS = 6


@pytest.fixture(autouse=True)
def switching() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def in_threads(work: Callable[[int], object], count: int = THREADS) -> None:
    """Call `work(number)` in so many threads, and raise what one of them raises."""
    failed: list[BaseException] = []
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            barrier.wait()
            work(number)
        except BaseException as exc:
            failed.append(exc)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for exc in failed:
        raise exc


async def test_every_outcome_of_many_workers_reaches_its_caller() -> None:
    limiter = CapacityLimiter(30)
    results: list[int] = []

    async def call(number: int) -> None:
        results.append(await to_thread.run_sync(int, str(number), limiter=limiter))

    async with create_task_group() as group:
        for number in range(600):
            group.start_soon(call, number)
    assert sorted(results) == list(range(600))
    assert limiter.borrowed_tokens == 0


async def test_calls_that_are_abandoned_as_they_return_leave_the_limiter_whole() -> None:
    limiter = CapacityLimiter(8)
    for number in range(100):
        with move_on_after(0.0001 * (number % 5)):
            await to_thread.run_sync(int, abandon_on_cancel=True, limiter=limiter)
    async with create_task_group() as group:
        for _ in range(8):
            group.start_soon(lambda: to_thread.run_sync(int, limiter=limiter))
    while limiter.borrowed_tokens:
        await sleep(0.001)


def test_threads_that_call_into_a_new_loop_at_once_are_all_answered_in_their_order(
    backend: Backend,
) -> None:
    """The first of them open the way into the loop, while others take it."""

    async def main() -> None:
        token = current_token()
        calls: list[tuple[int, int]] = []

        def work(thread: int) -> None:
            for number in range(60):
                from_thread.run_sync(calls.append, (thread, number), token=token)

        await to_thread.run_sync(in_threads, work)
        for thread in range(THREADS):
            mine = [number for each, number in calls if each == thread]
            assert all(first < second for first, second in pairwise(mine))
            assert len(mine) == 60

    for _ in range(5):
        backend.run(main)


def test_a_portal_that_closes_answers_every_call(backend: Backend) -> None:
    for _ in range(5):
        futures: list[Future[int]] = []
        sent = threading.Event()

        def work(_number: int, futures: list[Future[int]], sent: threading.Event) -> None:
            try:
                while len(futures) < 500:
                    futures.append(portal.start_task_soon(int, "1"))
                    sent.set()
            except RuntimeError:
                pass

        threads = []
        with start_blocking_portal(backend.kernel, dict(backend.options)) as portal:
            for number in range(THREADS):
                threads.append(threading.Thread(target=work, args=(number, futures, sent)))
                threads[-1].start()
            sent.wait()
        for thread in threads:
            thread.join()
        for future in futures:
            try:
                assert future.result(5) == 1
            except (RuntimeError, CancelledError):
                pass


def test_a_shared_portal_is_never_handed_out_closed(backend: Backend) -> None:
    provider = BlockingPortalProvider(backend.kernel, dict(backend.options))

    def work(_number: int) -> None:
        for _ in range(10):
            with provider as portal:
                assert portal.call(int, "7") == 7

    in_threads(work)


def test_tasks_of_different_loops_find_themselves(backend: Backend) -> None:
    """Every operation asks for the running task, and remembers what helps it to find that."""
    others = [each for each in BACKENDS.values() if each.installed]

    async def main() -> None:
        async def child(number: int) -> None:
            name = get_current_task().name
            for _ in range(40):
                await checkpoint()
                assert get_current_task().name == name
                with move_on_after(1):
                    event = Event()
                    event.set()
                    await event.wait()
            done.append(number)

        done: list[int] = []
        async with create_task_group() as group:
            for number in range(4):
                group.start_soon(child, number, name=f"{threading.get_ident()}: {number}")
        assert sorted(done) == [0, 1, 2, 3]

    def work(number: int) -> None:
        (backend, *others)[number % (len(others) + 1)].run(main)

    in_threads(work)


def test_no_hit_of_a_cache_goes_uncounted(backend: Backend) -> None:
    @functools.lru_cache(maxsize=2)
    async def double(number: int) -> int:
        await checkpoint()
        return number * 2

    async def main() -> None:
        for _ in range(300):
            assert await double(1) == 2

    def work(_number: int) -> None:
        backend.run(main)

    in_threads(work)
    info = double.cache_info()
    assert (info.hits, info.misses) == (THREADS * 299, THREADS)
    backend.run(_clear, double)
    assert double.cache_info()[:2] == (0, 0)
    in_threads(work)
    assert double.cache_info()[:2] == (THREADS * 299, THREADS)


async def _clear(cached: Any) -> None:
    cached.cache_clear()


@pytest.mark.skipif(sys.version_info < (3, 13), reason="Creche has subinterpreters from 3.13 on")
def test_interpreters_are_reused_and_all_of_them_end_with_their_loop(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    from creche._remote import interpreters

    lock = threading.Lock()
    count = [0, 0]
    begin, end = interpreters.Worker.__init__, interpreters.Worker.end

    def counted_begin(self: Any, maker: Any) -> None:
        begin(self, maker)
        with lock:
            count[0] += 1

    def counted_end(self: Any) -> None:
        end(self)
        with lock:
            count[1] += 1

    monkeypatch.setattr(interpreters.Worker, "__init__", counted_begin)
    monkeypatch.setattr(interpreters.Worker, "end", counted_end)

    async def main() -> None:
        async with create_task_group() as group:
            for _ in range(30):
                group.start_soon(to_interpreter.run_sync, divmod, 7, 2)

    backend.run(main)
    assert 0 < count[0] == count[1] <= 30
