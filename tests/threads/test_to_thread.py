"""Calls into worker threads: outcomes, cancellation, limiters, context, what is left behind."""

from __future__ import annotations

import contextvars
import gc
import threading
import weakref
from functools import partial
from typing import NoReturn

import pytest

from _harness import Backend, on_asyncio
from creche import (
    CancelScope,
    CapacityLimiter,
    Event,
    create_task_group,
    get_cancelled_exc_class,
    move_on_after,
    wait_all_tasks_blocked,
)
from creche._threads.calls import Call
from creche.lowlevel import checkpoint
from creche.to_thread import current_default_thread_limiter, run_sync

variable = contextvars.ContextVar("variable", default="nothing")


class Gate:
    """A function that blocks in a thread until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()
        self.finished = threading.Event()

    def __call__(self) -> str:
        self.entered.set()
        self.released.wait()
        self.finished.set()
        return "through"


# Outcomes


async def test_the_call_is_made_in_another_thread_and_its_result_returned() -> None:
    thread = await run_sync(threading.current_thread)
    assert thread is not threading.current_thread()


async def test_positional_arguments_are_passed_on() -> None:
    assert await run_sync(divmod, 17, 5) == (3, 2)


async def test_an_error_of_the_call_is_raised() -> None:
    def fail() -> NoReturn:
        raise LookupError("in the thread")

    with pytest.raises(LookupError, match="in the thread"):
        await run_sync(fail)


async def test_the_worker_survives_a_system_exit() -> None:
    def leave() -> NoReturn:
        raise SystemExit(3)

    thread = await run_sync(threading.current_thread)
    with pytest.raises(SystemExit):
        await run_sync(leave)
    assert await run_sync(threading.current_thread) is thread


async def test_stop_iteration_does_not_hang() -> None:
    def stop() -> NoReturn:
        raise StopIteration

    with pytest.raises(RuntimeError, match="coroutine raised StopIteration"):
        await run_sync(stop)


@pytest.mark.parametrize("abandon", [False, True])
async def test_an_error_of_the_call_leaves_no_cycle(abandon: bool) -> None:
    class Marked(Exception):
        pass

    def fail() -> NoReturn:
        raise Marked

    kept: list[weakref.ref[BaseException]] = []
    gc.collect()
    gc.disable()
    try:
        try:
            await run_sync(fail, abandon_on_cancel=abandon)
        except Marked as exc:
            kept.append(weakref.ref(exc))
        await run_sync(int)  # The worker is done with the call before.
        assert [reference() for reference in kept] == [None]
    finally:
        gc.enable()


async def test_a_worker_keeps_neither_arguments_nor_result() -> None:
    class Thing:
        pass

    thing = Thing()
    reference = weakref.ref(thing)
    await run_sync(lambda one: one, thing)
    del thing
    await run_sync(int)
    gc.collect()
    assert reference() is None


async def test_a_result_is_its_callers_however_late_the_worker_lets_go_of_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: list[Call] = []
    run = Call.run

    def run_and_keep(call: Call) -> None:
        kept.append(call)
        run(call)

    monkeypatch.setattr(Call, "run", run_and_keep)
    reference = weakref.ref(await run_sync(Event))
    assert kept
    gc.collect()
    assert reference() is None


# Context variables


async def test_context_variables_travel_in() -> None:
    variable.set("from the task")
    assert await run_sync(variable.get) == "from the task"


async def test_context_variables_do_not_travel_out() -> None:
    await run_sync(variable.set, "from the thread")
    assert variable.get() == "nothing"
    assert await run_sync(variable.get) == "nothing"


# Cancellation


async def test_a_cancelled_caller_starts_nothing() -> None:
    called: list[bool] = []
    with CancelScope() as scope:
        scope.cancel()
        await run_sync(lambda: called.append(True))
    assert scope.cancelled_caught
    assert not called


async def test_a_caller_waits_for_its_function_whatever_is_cancelled() -> None:
    gate = Gate()
    returned: list[str] = []

    async def call() -> None:
        returned.append(await run_sync(gate))
        await checkpoint()
        returned.append("never here")

    async with create_task_group() as group:
        group.start_soon(call)
        await run_sync(gate.entered.wait)
        group.cancel_scope.cancel()
        assert not gate.finished.is_set()
        gate.released.set()
    assert returned == ["through"]


async def test_an_error_of_the_function_is_raised_to_a_cancelled_caller() -> None:
    entered, released = threading.Event(), threading.Event()

    def fail() -> NoReturn:
        entered.set()
        released.wait()
        raise LookupError

    caught: list[BaseException] = []

    async def call() -> None:
        try:
            await run_sync(fail)
        except LookupError as exc:
            caught.append(exc)

    async with create_task_group() as group:
        group.start_soon(call)
        await run_sync(entered.wait)
        group.cancel_scope.cancel()
        released.set()
    assert len(caught) == 1


async def test_a_function_can_be_abandoned_and_its_result_goes_nowhere() -> None:
    gate = Gate()
    with CancelScope() as scope:
        async with create_task_group() as group:
            group.start_soon(lambda: run_sync(gate, abandon_on_cancel=True))
            await run_sync(gate.entered.wait)
            scope.cancel()
    assert scope.cancelled_caught
    assert not gate.finished.is_set()
    gate.released.set()
    await run_sync(gate.finished.wait)


async def test_an_abandoned_function_keeps_its_token_until_it_returns() -> None:
    gate = Gate()
    limiter = CapacityLimiter(1)
    with move_on_after(0.01):
        await run_sync(gate, abandon_on_cancel=True, limiter=limiter)
    assert gate.entered.is_set()
    assert limiter.borrowed_tokens == 1
    gate.released.set()
    async with limiter:
        assert gate.finished.is_set()


async def test_an_abandoned_error_is_not_reported() -> None:
    entered, released = threading.Event(), threading.Event()

    def fail() -> NoReturn:
        entered.set()
        released.wait()
        raise LookupError("nobody wants it")

    limiter = CapacityLimiter(1)
    async with create_task_group() as group:
        group.start_soon(lambda: run_sync(fail, abandon_on_cancel=True, limiter=limiter))
        await run_sync(entered.wait)
        group.cancel_scope.cancel()
    released.set()
    async with limiter:
        pass


def test_a_result_that_comes_after_the_loop_has_finished_goes_nowhere(backend: Backend) -> None:
    gate = Gate()
    threads: list[threading.Thread] = []

    def wait() -> None:
        threads.append(threading.current_thread())
        gate()
        raise LookupError("nobody is there any more")

    async def main() -> None:
        async with create_task_group() as group:
            group.start_soon(lambda: run_sync(wait, abandon_on_cancel=True))
            await run_sync(gate.entered.wait)
            group.cancel_scope.cancel()

    backend.run(main)
    assert threads[0].is_alive()
    gate.released.set()
    threads[0].join()


async def test_cancellable_is_the_old_name_of_abandon_on_cancel() -> None:
    gate = Gate()
    with pytest.warns(DeprecationWarning, match=r"The `cancellable=` keyword argument") as record:
        with move_on_after(0.01) as scope:
            await run_sync(gate, cancellable=True)
    assert scope.cancelled_caught
    assert record[0].filename == __file__
    gate.released.set()


# Limiters


async def test_the_default_limiter_has_40_tokens_and_belongs_to_the_loop() -> None:
    limiter = current_default_thread_limiter()
    assert limiter.total_tokens == 40
    assert limiter is current_default_thread_limiter()
    gate = Gate()
    async with create_task_group() as group:
        group.start_soon(run_sync, gate)
        await run_sync(gate.entered.wait, limiter=CapacityLimiter(1))
        assert limiter.borrowed_tokens == 1
        gate.released.set()
    assert limiter.borrowed_tokens == 0


def test_each_loop_has_a_default_limiter_of_its_own(backend: Backend) -> None:
    limiters: list[CapacityLimiter] = []

    async def main() -> None:
        limiters.append(current_default_thread_limiter())

    backend.run(main)
    backend.run(main)
    assert limiters[0] is not limiters[1]


async def test_a_limiter_bounds_the_functions_that_run_at_a_time() -> None:
    lock = threading.Lock()
    running = most = 0

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.001)
        with lock:
            running -= 1

    limiter = CapacityLimiter(3)
    async with create_task_group() as group:
        for _ in range(20):
            group.start_soon(lambda: run_sync(work, limiter=limiter))
    assert most == 3
    assert limiter.borrowed_tokens == 0


async def test_as_many_functions_block_at_a_time_as_there_are_tokens() -> None:
    barrier = threading.Barrier(40)
    async with create_task_group() as group:
        for _ in range(40):
            group.start_soon(lambda: run_sync(barrier.wait))


async def test_a_task_that_holds_a_token_may_still_call() -> None:
    limiter = CapacityLimiter(2)
    async with limiter:
        assert await run_sync(int, limiter=limiter) == 0


async def test_a_call_cancelled_while_it_waits_for_a_token_leaves_the_limiter_whole() -> None:
    gate = Gate()
    limiter = CapacityLimiter(1)
    called: list[bool] = []
    async with create_task_group() as group:
        group.start_soon(lambda: run_sync(gate, limiter=limiter))
        await run_sync(gate.entered.wait)
        with CancelScope() as scope:
            async with create_task_group() as inner:
                inner.start_soon(lambda: run_sync(called.append, True, limiter=limiter))
                await wait_all_tasks_blocked()
                assert limiter.statistics().tasks_waiting == 1
                scope.cancel()
        assert limiter.statistics().tasks_waiting == 0
        gate.released.set()
    assert not called
    assert limiter.borrowed_tokens == 0


async def test_calls_beyond_the_limit_are_made_in_the_order_they_came() -> None:
    limiter = CapacityLimiter(1)
    order: list[int] = []
    gate = Gate()
    async with create_task_group() as group:
        group.start_soon(lambda: run_sync(gate, limiter=limiter))
        await run_sync(gate.entered.wait)
        for number in range(10):
            group.start_soon(partial(run_sync, order.append, number, limiter=limiter))
            await wait_all_tasks_blocked()
        gate.released.set()
    assert order == list(range(10))


async def test_the_thread_of_a_limiter_without_tokens_is_not_waited_for_without_end() -> None:
    with move_on_after(0.01) as scope:
        await run_sync(int, limiter=CapacityLimiter(0))
    assert scope.cancelled_caught


async def test_other_tasks_run_while_a_function_blocks() -> None:
    gate, event = Gate(), Event()

    async def open_the_gate() -> None:
        await event.wait()
        gate.released.set()

    async with create_task_group() as group:
        group.start_soon(open_the_gate)
        event.set()
        assert await run_sync(gate) == "through"


@on_asyncio  # Trio lets nobody make such an exception
async def test_a_cancellation_that_a_function_made_up_is_raised_as_it_is() -> None:
    cancelled = get_cancelled_exc_class()

    def fail() -> NoReturn:
        raise cancelled("of its own")

    with pytest.raises(cancelled, match="of its own"):
        await run_sync(fail)
