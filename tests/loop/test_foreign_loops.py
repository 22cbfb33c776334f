"""Creche inside loops that it did not start: asyncio.run, asyncio.Runner, uvloop.run, trio.run.

Here no ``creche.run`` is on the stack. What is particular to foreign tasks, native groups and
native nurseries is in ``test_foreign_tasks.py``.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from _harness import Backend, on_asyncio
from _harness._leaks import LoopReports
from creche import (
    CancelScope,
    CapacityLimiter,
    Condition,
    Event,
    Lock,
    Semaphore,
    create_memory_object_stream,
    create_task_group,
    current_effective_deadline,
    current_time,
    fail_after,
    get_cancelled_exc_class,
    get_current_task,
    get_running_tasks,
    move_on_after,
    sleep,
    sleep_forever,
    sleep_until,
    wait_all_tasks_blocked,
)
from creche.abc import TaskStatus
from creche.lowlevel import RunVar, checkpoint, current_token

T = TypeVar("T")
Main = Callable[[], Coroutine[Any, Any, T]]


def native_run(backend: Backend, main: Main[T]) -> T:
    """Run `main` as someone would who has never heard of ``creche.run``."""
    if backend.name == "uvloop":
        import uvloop

        result: T = uvloop.run(main())
        return result
    if backend.name == "trio":
        import trio

        return trio.run(main)
    with asyncio.Runner(loop_factory=backend.options.get("loop_factory")) as runner:
        return runner.run(main())


def test_groups_and_handles_work(backend: Backend) -> None:
    async def child(number: int) -> int:
        await checkpoint()
        return number * number

    async def main() -> list[int]:
        async with create_task_group() as tg:
            handles = [tg.start_soon(child, number) for number in range(5)]
            assert await handles[3] == 9
        return [handle.return_value for handle in handles]

    assert native_run(backend, main) == [0, 1, 4, 9, 16]


def test_start_works(backend: Backend) -> None:
    async def service(*, task_status: TaskStatus[str]) -> None:
        task_status.started("ready")
        await sleep_forever()

    async def main() -> str:
        async with create_task_group() as tg:
            value: str = await tg.start(service)
            tg.cancel_scope.cancel()
        return value

    assert native_run(backend, main) == "ready"


def test_errors_come_out_as_they_are(backend: Backend) -> None:
    error = ValueError("no")

    async def fails() -> None:
        raise error

    async def main() -> None:
        async with create_task_group() as tg:
            tg.start_soon(fails)

    with pytest.raises(ExceptionGroup) as caught:
        native_run(backend, main)
    assert caught.value.exceptions == (error,)


def test_scopes_and_deadlines_work(backend: Backend) -> None:
    async def main() -> None:
        with CancelScope() as scope:
            scope.cancel()
            await sleep_forever()
        assert scope.cancelled_caught
        with move_on_after(0.01) as scope:
            await sleep_forever()
        assert scope.cancelled_caught
        with pytest.raises(TimeoutError), fail_after(0.01):
            await Event().wait()
        with CancelScope() as outer:
            outer.cancel()
            with CancelScope(shield=True):
                await sleep(0)
            with pytest.raises(get_cancelled_exc_class()):
                await checkpoint()
        with move_on_after(10) as scope:
            assert current_effective_deadline() == scope.deadline

    native_run(backend, main)


def test_the_clock_works(backend: Backend) -> None:
    async def main() -> None:
        start = current_time()
        await sleep(0.01)
        await sleep_until(start + 0.02)
        assert 0.02 <= current_time() - start + 0.001 < 5

    native_run(backend, main)


def test_primitives_work(backend: Backend) -> None:
    async def main() -> list[str]:
        log: list[str] = []

        async def waiter() -> None:
            async with lock, semaphore, limiter:
                log.append("acquired")
            async with condition:
                await condition.wait()
            log.append("notified")
            event.set()

        lock, semaphore, limiter = Lock(), Semaphore(1), CapacityLimiter(1)
        condition, event = Condition(), Event()
        async with lock:
            async with create_task_group() as tg:
                tg.start_soon(waiter)
                await wait_all_tasks_blocked()
                lock.release()
                await wait_all_tasks_blocked()
                async with condition:
                    condition.notify()
                await event.wait()
            await lock.acquire()
        return log

    assert native_run(backend, main) == ["acquired", "notified"]


def test_streams_work(backend: Backend) -> None:
    async def main() -> list[int]:
        got: list[int] = []

        async def producer() -> None:
            async with send:
                for number in range(5):
                    await send.send(number)

        send, receive = create_memory_object_stream[int]()
        async with create_task_group() as tg, receive:
            tg.start_soon(producer)
            got.extend([number async for number in receive])
        return got

    assert native_run(backend, main) == [0, 1, 2, 3, 4]


def test_tasks_can_be_listed(backend: Backend) -> None:
    async def main() -> None:
        me = get_current_task()
        async with create_task_group() as tg:
            tg.start_soon(sleep_forever, name="the child")
            await wait_all_tasks_blocked()
            tasks = {task.name: task for task in get_running_tasks()}
            assert me in tasks.values()
            assert tasks["the child"].parent_id == me.id
            tg.cancel_scope.cancel()

    native_run(backend, main)


def test_run_variables_are_of_one_run(backend: Backend) -> None:
    variable: RunVar[int] = RunVar("variable", default=0)

    async def main() -> int:
        before = variable.get()
        variable.set(before + 1)
        return before

    assert [native_run(backend, main) for _ in range(3)] == [0, 0, 0]


def test_primitives_made_outside_work_in_one_loop_after_the_other(backend: Backend) -> None:
    lock, semaphore, limiter, condition = Lock(), Semaphore(1), CapacityLimiter(1), Condition()

    async def main() -> list[str]:
        log = []

        async def holder(name: str) -> None:
            async with lock, semaphore, limiter, condition:
                await checkpoint()
                log.append(name)

        async with create_task_group() as tg:
            tg.start_soon(holder, "one")
            tg.start_soon(holder, "other")
        return log

    for _ in range(2):
        assert sorted(native_run(backend, main)) == ["one", "other"]


def test_loops_in_two_threads_do_not_meet(backend: Backend) -> None:
    both_run = threading.Barrier(2, timeout=10)
    results: dict[str, tuple[bool, object]] = {}

    def in_a_thread(name: str) -> None:
        async def main() -> tuple[bool, object]:
            with move_on_after(0.01) as scope:
                await checkpoint()
                both_run.wait()
                await sleep_forever()
            both_run.wait()
            return scope.cancelled_caught, current_token()

        results[name] = native_run(backend, main)

    threads = [threading.Thread(target=in_a_thread, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [results[name][0] for name in "ab"] == [True, True]
    assert results["a"][1] != results["b"][1]


def test_contexts_are_those_of_the_callers(backend: Backend) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def child() -> str:
        await checkpoint()
        return variable.get()

    async def main() -> str:
        async with create_task_group() as tg:
            variable.set("caller")
            handle = tg.start_soon(child)
            variable.set("later")
        return handle.return_value

    assert native_run(backend, main) == "caller"


@on_asyncio
def test_the_loop_is_left_as_it_was_found(backend: Backend, loop_reports: LoopReports) -> None:
    async def child() -> None:
        with move_on_after(0.001):
            await sleep_forever()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        factory, handler = loop.get_task_factory(), loop.get_exception_handler()
        async with create_task_group() as tg:
            tg.start_soon(child)
            tg.start_soon(sleep_forever)
            await wait_all_tasks_blocked()
            tg.cancel_scope.cancel()
        assert loop.get_task_factory() is factory
        assert loop.get_exception_handler() is handler
        assert asyncio.all_tasks() == {asyncio.current_task()}

    native_run(backend, main)
    assert loop_reports.take() == []


@pytest.mark.backends("asyncio", "asyncio+eager")
def test_one_runner_can_run_many_mains(backend: Backend) -> None:
    async def main(number: int) -> int:
        async with create_task_group() as tg:
            tg.start_soon(sleep, 0)
            with move_on_after(0):
                await sleep_forever()
        return number

    with asyncio.Runner(loop_factory=backend.options.get("loop_factory")) as runner:
        assert [runner.run(main(number)) for number in range(3)] == [0, 1, 2]


@pytest.mark.backends("asyncio")
def test_asyncio_run_in_debug_mode_works(backend: Backend, loop_reports: LoopReports) -> None:
    async def main() -> bool:
        async with create_task_group() as tg:
            tg.start_soon(sleep_forever)
            await checkpoint()
            tg.cancel_scope.cancel()
        return tg.cancel_scope.cancelled_caught

    assert asyncio.run(main(), debug=True)
    assert loop_reports.take() == []


@on_asyncio
def test_leaving_a_native_loop_cancels_what_still_runs(backend: Backend) -> None:
    log = []

    async def service() -> None:
        try:
            async with create_task_group() as tg:
                tg.start_soon(sleep_forever)
        finally:
            log.append("service cancelled")

    async def main() -> None:
        main_task.append(asyncio.create_task(service()))
        await wait_all_tasks_blocked()

    main_task: list[asyncio.Task[None]] = []
    native_run(backend, main)
    assert log == ["service cancelled"]
    assert main_task[0].cancelled()
