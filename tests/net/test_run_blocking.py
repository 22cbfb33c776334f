"""The thread for one blocking call: its outcome, and what happens when nobody wants it."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import NoReturn

import pytest

from _harness import Backend
from creche import CancelScope, create_task_group, wait_all_tasks_blocked
from creche._threads import run_blocking


async def test_the_call_is_made_in_another_thread_and_its_result_returned() -> None:
    thread = await run_blocking(threading.current_thread, name="worker")
    assert thread is not threading.current_thread()
    assert thread.name == "worker"
    assert not thread.daemon


async def test_an_error_of_the_call_is_raised() -> None:
    def fail() -> NoReturn:
        raise LookupError("in the thread")

    with pytest.raises(LookupError, match="in the thread"):
        await run_blocking(fail, name="worker")


async def test_an_error_of_the_call_leaves_no_cycle() -> None:
    class Marked(Exception):
        pass

    def fail() -> NoReturn:
        raise Marked

    kept: list[weakref.ref[BaseException]] = []
    gc.collect()
    gc.disable()
    try:
        try:
            await run_blocking(fail, name="worker")
        except Marked as exc:
            kept.append(weakref.ref(exc))
        assert [reference() for reference in kept] == [None]
    finally:
        gc.enable()


async def test_stop_iteration_does_not_hang() -> None:
    def stop() -> NoReturn:
        raise StopIteration

    with pytest.raises(RuntimeError, match="coroutine raised StopIteration"):
        await run_blocking(stop, name="worker")


async def test_a_call_is_abandoned_when_its_caller_is_cancelled() -> None:
    release = threading.Event()
    with CancelScope() as scope:
        async with create_task_group() as group:
            group.start_soon(lambda: run_blocking(release.wait, name="worker"))
            await wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    release.set()


async def test_a_cancelled_caller_starts_no_thread() -> None:
    called: list[bool] = []
    with CancelScope() as scope:
        scope.cancel()
        await run_blocking(lambda: called.append(True), name="worker")
    assert not called


def test_a_result_that_comes_after_the_loop_has_finished_goes_nowhere(backend: Backend) -> None:
    release = threading.Event()
    threads: list[threading.Thread] = []

    def wait() -> None:
        threads.append(threading.current_thread())
        release.wait()
        raise LookupError("nobody is there any more")

    async def main() -> None:
        async with create_task_group() as group:
            group.start_soon(lambda: run_blocking(wait, name="worker"))
            await wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    backend.run(main)
    release.set()
    for thread in threads:
        thread.join()
