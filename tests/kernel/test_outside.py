"""`Outside`: the way in from other threads, detached tasks and the end of the loop, on every kernel."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from math import inf
from typing import Any

import pytest
import trio
from _kernel_parts import cancel, entered, let_run

from _harness import Backend, on_every_backend
from creche import RunFinishedError
from creche._kernel import current_kernel, current_task
from creche._kernel.contract import Task
from creche._kernel.exits import Exits

pytestmark = on_every_backend

number: ContextVar[int] = ContextVar("number", default=0)


async def sleep_forever() -> None:
    await current_task().wait(current_task().make_waiter())


def run_on_asyncio(main: Any) -> Any:
    return asyncio.run(main())


def run_on_trio(main: Any) -> Any:
    return trio.run(main)


each_foreign_loop = pytest.mark.parametrize("run", [run_on_asyncio, run_on_trio])


# The way in


async def test_a_call_from_another_thread_is_made_in_the_loops_own_outside_any_task(
    backend: Backend,
) -> None:
    kernel, here = current_kernel(), threading.get_ident()
    calls: list[tuple[object, ...]] = []
    waiter = current_task().make_waiter()

    def call(*args: object) -> None:
        calls.append((threading.get_ident() == here, current_kernel() is kernel, *args))
        if backend.kernel == "trio":  # It makes such calls in a task of its own.
            assert current_task().info().id not in {each.id for each in kernel.tasks()}
        else:
            with pytest.raises(RuntimeError, match="There is no task currently running"):
                current_task()
        waiter.set_result(None)

    thread = threading.Thread(target=kernel.call_soon_threadsafe, args=(call, 1, 2))
    thread.start()
    await current_task().wait(waiter)
    thread.join()
    assert calls == [(True, True, 1, 2)]


async def test_a_call_has_a_copy_of_its_callers_context() -> None:
    kernel, seen = current_kernel(), list[int]()
    waiter = current_task().make_waiter()

    def call() -> None:
        seen.append(number.get())
        number.set(3)
        waiter.set_result(None)

    number.set(1)
    kernel.call_soon_threadsafe(call)
    number.set(2)
    await current_task().wait(waiter)
    assert (seen, number.get()) == ([1], 2)


async def test_calls_are_made_in_the_order_in_which_they_came() -> None:
    kernel, order = current_kernel(), list[int]()
    waiter = current_task().make_waiter()
    for place in range(100):
        kernel.call_soon_threadsafe(order.append, place)
    kernel.call_soon_threadsafe(waiter.set_result, None)
    await current_task().wait(waiter)
    assert order == list(range(100))


def test_a_call_into_a_loop_that_is_gone_raises(backend: Backend) -> None:
    async def main() -> Any:
        return current_kernel()

    kernel = backend.run(main)
    with pytest.raises(RunFinishedError):
        kernel.call_soon_threadsafe(print)


@pytest.mark.skipif(sys.platform == "win32", reason="no signal can be sent to a thread there")
async def test_a_loop_that_sleeps_wakes_up_for_a_signal_that_another_thread_gets() -> None:
    kernel, seen = current_kernel(), list[int]()
    waiter = current_task().make_waiter()
    over = threading.Event()
    stops = [kernel.wake_on_signals(), kernel.wake_on_signals()]

    def handle(signum: int, _: object) -> None:
        seen.append(signum)
        kernel.call_soon_threadsafe(waiter.set_result, None)

    def take_a_signal() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        over.wait()

    before = signal.signal(signal.SIGUSR1, handle)
    stops.pop()()  # One of two: the loop goes on to hear.
    thread = threading.Thread(target=take_a_signal)
    try:
        thread.start()
        await current_task().wait(waiter)
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGUSR1, before)
        stops.pop()()
    assert seen == [signal.SIGUSR1]


# Detached tasks


async def test_a_detached_task_runs_outside_all_scopes_and_has_its_name() -> None:
    seen: list[tuple[Task, str, float]] = []

    async def detached() -> None:
        task = current_task()
        seen.append((task, task.info().name, task.effective_deadline()))

    with entered() as scope:
        cancel(scope)
        current_kernel().spawn_detached(detached(), "astray")
        await let_run()
    ((task, name, deadline),) = seen
    assert task is not current_task()
    assert (name, deadline) == ("astray", inf)


async def test_a_detached_task_may_be_spawned_outside_of_any_task() -> None:
    kernel, seen = current_kernel(), list[int]()
    waiter = current_task().make_waiter()

    async def detached() -> None:
        seen.append(number.get())
        waiter.set_result(None)

    number.set(4)
    kernel.call_soon_threadsafe(lambda: kernel.spawn_detached(detached(), "astray"))
    number.set(0)
    await current_task().wait(waiter)
    assert seen == [4]


def test_the_end_of_the_loop_cancels_detached_tasks(backend: Backend) -> None:
    seen: list[type[BaseException]] = []

    async def detached() -> None:
        try:
            await sleep_forever()
        except current_kernel().cancelled_class as exc:
            seen.append(type(exc))

    async def main() -> type[BaseException]:
        current_kernel().spawn_detached(detached(), "astray")
        await let_run()
        gc.collect()
        return current_kernel().cancelled_class

    assert seen == []
    assert [backend.run(main)] == seen


# The end of the loop


def test_callbacks_run_once_at_the_end_the_last_one_first(backend: Backend) -> None:
    calls: list[str] = []

    async def main() -> None:
        kernel = current_kernel()
        kernel.at_exit(lambda: calls.append("first"))
        kernel.at_exit(lambda: calls.append("second"))
        await let_run()
        assert not kernel.ended()
        calls.append("main")

    backend.run(main)
    gc.collect()
    assert calls == ["main", "second", "first"]


def test_callbacks_run_in_the_loops_thread_when_the_main_function_has_failed(
    backend: Backend,
) -> None:
    threads: list[int] = []

    async def main() -> None:
        current_kernel().at_exit(lambda: threads.append(threading.get_ident()))
        raise LookupError

    with pytest.raises(LookupError):
        backend.run(main)
    assert threads == [threading.get_ident()]


@pytest.mark.backends("asyncio")
@each_foreign_loop
def test_callbacks_run_in_loops_that_creche_did_not_start(
    run: Callable[[Any], Any], backend: Backend
) -> None:
    calls: list[bool] = []

    async def main() -> None:
        kernel = current_kernel()
        kernel.at_exit(lambda: calls.append(kernel.ended()))

    run(main)
    assert calls == [True]


@pytest.mark.backends("asyncio")
@each_foreign_loop
def test_callbacks_run_when_the_main_function_of_such_a_loop_fails(
    run: Callable[[Any], Any], backend: Backend
) -> None:
    calls: list[bool] = []

    async def main() -> None:
        current_kernel().at_exit(lambda: calls.append(True))
        raise LookupError

    with pytest.raises(LookupError):
        run(main)
    assert calls == [True]


def test_a_callback_added_from_a_callback_of_the_loop_runs(backend: Backend) -> None:
    calls: list[bool] = []

    async def main() -> None:
        kernel = current_kernel()
        kernel.call_soon_threadsafe(lambda: kernel.at_exit(lambda: calls.append(True)))
        await let_run()

    backend.run(main)
    assert calls == [True]


def test_a_callback_added_while_the_loop_ends_is_called_at_once(backend: Backend) -> None:
    calls: list[str] = []

    async def main() -> None:
        kernel = current_kernel()

        def last() -> None:
            kernel.at_exit(lambda: calls.append("at once"))
            calls.append("last")

        kernel.at_exit(last)

    backend.run(main)
    assert calls == ["at once", "last"]


def test_a_kernel_knows_from_any_thread_that_its_loop_has_ended(backend: Backend) -> None:
    async def main() -> Any:
        assert not current_kernel().ended()
        return current_kernel()

    kernel, answers = backend.run(main), list[bool]()
    thread = threading.Thread(target=lambda: answers.append(kernel.ended()))
    thread.start()
    thread.join()
    assert answers == [True]


@pytest.mark.backends("asyncio")
def test_a_callback_that_raises_is_logged_and_the_others_run(
    caplog: pytest.LogCaptureFixture, loop_reports: object, backend: Backend
) -> None:
    calls: list[bool] = []
    exits = Exits()
    exits._callbacks += [lambda: calls.append(True), lambda: 1 / 0]
    exits.run()
    exits.run()
    assert calls == [True]
    assert "a callback raised an exception at the end of the event loop" in caplog.text


@pytest.mark.backends("asyncio")
def test_a_callback_that_comes_when_all_is_over_runs_at_once(backend: Backend) -> None:
    calls: list[bool] = []
    exits = Exits()
    exits.run()
    exits.add(partial(calls.append, True))
    assert calls == [True]
