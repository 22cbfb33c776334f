"""`Kernel` and `Inspection`: time, scopes, looking at tasks, the way in, and the end of the loop."""

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
from _kernel_parts import Group, Parked, cancel, entered, let_run

from _harness import Backend, on_asyncio, on_every_backend
from creche import RunFinishedError
from creche._kernel import current_kernel, current_task
from creche._kernel.contract import Task
from creche._kernel.exits import Exits
from creche._kernel.scope import Scope

pytestmark = on_every_backend

number: ContextVar[int] = ContextVar("number", default=0)


async def sleep_forever() -> None:
    await current_task().wait(current_task().make_waiter())


def run_on_asyncio(main: Any) -> Any:
    return asyncio.run(main())


def run_on_trio(main: Any) -> Any:
    return trio.run(main)


each_foreign_loop = pytest.mark.parametrize("run", [run_on_asyncio, run_on_trio])


# What a kernel is


async def test_the_name_of_a_kernel_is_that_of_its_record(backend: Backend) -> None:
    assert current_kernel().name == backend.kernel


async def test_a_cancellation_is_no_exception_that_a_program_catches_by_chance() -> None:
    assert not issubclass(current_kernel().cancelled_class, Exception)


async def test_a_loop_has_one_kernel_and_one_token() -> None:
    kernel = current_kernel()
    tokens = [kernel.token]

    async def child() -> None:
        tokens.append(current_kernel().token)
        assert current_kernel() is kernel

    group = Group()
    group.spawn(child)
    await group.close()
    assert {tokens[0]: 1}[tokens[1]] == 1


def test_each_loop_has_a_token_and_variables_of_its_own(backend: Backend) -> None:
    tokens = list[object]()

    async def main() -> None:
        kernel = current_kernel()
        assert kernel.run_vars == {}
        kernel.run_vars["name"] = len(tokens)
        tokens.append(kernel.token)

    backend.run(main)
    backend.run(main)
    assert tokens[0] != tokens[1]


async def test_an_ordinary_run_is_no_simulation() -> None:
    assert current_kernel().simulation is None


# Time


async def test_the_clock_does_not_go_back() -> None:
    kernel = current_kernel()
    times = [kernel.now() for _ in range(100)]
    assert times == sorted(times)


async def test_sleep_until_returns_at_its_deadline_and_not_before() -> None:
    kernel = current_kernel()
    deadline = kernel.now() + 0.01
    await kernel.sleep_until(deadline)
    # The loop's own clock may be coarser than the one that it sleeps by.
    assert kernel.now() >= deadline - 0.002


async def test_sleeps_end_in_the_order_of_their_deadlines() -> None:
    kernel, group, order = current_kernel(), Group(), list[int]()
    now = kernel.now()

    async def sleep(place: int) -> None:
        await kernel.sleep_until(now + 0.01 * place)
        order.append(place)

    for place in (3, 1, 2):
        group.spawn(sleep, place)
    await group.close()
    assert order == [1, 2, 3]


# Scopes


async def test_a_scope_that_caught_nothing_lets_the_same_exception_through() -> None:
    task, error = current_task(), LookupError()
    with pytest.raises(LookupError) as raised, entered() as scope:
        raise error
    assert raised.value is error
    assert not scope._caught
    assert task.scope is None


async def test_a_cancelled_scope_takes_its_cancellation() -> None:
    with entered() as scope:
        cancel(scope)
        await current_task().checkpoint()
    assert scope._caught


async def test_a_cancelled_scope_that_nobody_heard_of_has_caught_nothing() -> None:
    with entered() as scope:
        cancel(scope)
    assert not scope._caught


async def test_a_cancelled_scope_takes_its_cancellation_out_of_a_group() -> None:
    error = LookupError()
    with pytest.raises(BaseExceptionGroup) as raised, entered() as scope:
        cancel(scope)
        try:
            await current_task().checkpoint()
        except current_kernel().cancelled_class as exc:
            raise BaseExceptionGroup("both", [exc, error]) from None
    assert raised.value.exceptions == (error,)
    assert scope._caught


async def test_the_cancellation_of_a_scope_around_goes_on_to_it() -> None:
    with entered() as outer:
        with entered() as inner:
            cancel(outer)
            await current_task().checkpoint()
    assert (inner._caught, outer._caught) == (False, True)


async def test_a_scope_that_was_cancelled_before_it_is_entered_cancels_its_block() -> None:
    task, scope, steps = current_task(), Scope(), list[str]()
    scope._cancelled = True
    from creche._kernel.scope import link, unlink

    link(scope, task, sys._getframe())
    task.kernel.enter_scope(scope, task)
    raised: BaseException | None = None
    try:
        await task.checkpoint()
    except task.kernel.cancelled_class as exc:
        raised = exc
        steps.append("cancelled")
    unlink(scope, task)
    assert task.kernel.leave_scope(scope, task, raised) is None
    assert steps == ["cancelled"]


async def test_a_deadline_cancels_its_scope() -> None:
    with entered(deadline=current_kernel().now() + 0.01) as scope:
        await sleep_forever()
    assert scope._caught


async def test_a_deadline_that_has_passed_cancels_at_the_first_checkpoint() -> None:
    with entered(deadline=-inf) as scope:
        await current_task().checkpoint()
    assert scope._caught


@pytest.mark.parametrize("deadline", [-inf, 0.01])
async def test_a_new_deadline_is_carried_out(deadline: float) -> None:
    kernel = current_kernel()
    with entered(deadline=kernel.now() + 1000) as scope:
        scope._deadline = deadline if deadline < 0 else kernel.now() + deadline
        kernel.update_scope(scope)
        assert scope._cancelled is (deadline < 0)  # One that has passed cancels at once.
        await sleep_forever()
    assert scope._caught


async def test_a_later_deadline_is_carried_out() -> None:
    kernel = current_kernel()
    with entered(deadline=kernel.now() + 0.01) as scope:
        scope._deadline = inf
        kernel.update_scope(scope)
        await kernel.sleep_until(kernel.now() + 0.03)
    assert not scope._cancelled


async def test_a_shield_that_is_taken_away_lets_the_cancellation_in() -> None:
    group, steps, scopes = Group(), list[str](), list[Scope]()

    async def child() -> None:
        with entered(shield=True) as scope:
            scopes.append(scope)
            try:
                await sleep_forever()
            finally:
                steps.append("cancelled")

    group.spawn(child)
    await let_run()
    group.cancel()
    await let_run()
    assert steps == []
    scopes[0]._shield = False
    group.kernel.update_scope(scopes[0])
    await group.close()
    assert steps == ["cancelled"]


async def test_a_shield_that_is_put_up_keeps_the_cancellation_out() -> None:
    kernel = current_kernel()
    with entered() as outer:
        cancel(outer)
        with entered() as inner:
            inner._shield = True
            kernel.update_scope(inner)
            await current_task().checkpoint()
        with pytest.raises(kernel.cancelled_class):
            await current_task().checkpoint()


async def test_a_cancel_reaches_every_task_inside_the_scope() -> None:
    with entered() as outer:
        group = Group()
        inner: list[Group] = []

        async def host() -> None:
            inner.append(Group())
            labels.append(inner[0].spawn(sleep_forever))
            rest = await inner[0].close()
            assert rest is not None
            raise rest

        labels = [group.spawn(host), group.spawn(sleep_forever)]
        await let_run()
        cancel(outer)
        rest = await group.close()
        assert rest is not None
        assert all(label.cancelled for label in labels)
        raise rest
    assert outer._caught


# Looking at tasks


async def test_each_task_that_has_not_ended_is_described() -> None:
    kernel, group = current_kernel(), Group()
    me = current_task().info()
    before = {record.id for record in kernel.tasks()}
    assert me.id in before
    group.spawn(sleep_forever)
    await let_run()
    after = {record.id: record for record in kernel.tasks()}
    (new,) = after.keys() - before
    assert (after[new].name, after[new].parent_id) == ("a child", me.id)
    assert kernel.record(after[new].native) == after[new]
    group.cancel()
    await group.close()
    assert {record.id for record in kernel.tasks()} == before


async def test_a_cancellation_that_is_on_its_way_is_pending() -> None:
    kernel, group = current_kernel(), Group()
    parked = Parked(group, firm=True)
    await let_run()
    native = parked.task.info().native
    assert not kernel.has_pending_cancellation(native)
    cancel(parked.scope)
    assert kernel.has_pending_cancellation(native)
    parked.waiter.set_result(None)
    await group.close()


async def test_a_task_is_found_by_the_loops_own_object_for_it() -> None:
    group = Group()
    parked = Parked(group)
    await let_run()
    (native,) = group.nursery.children()
    assert current_kernel().task_of(native) is parked.task
    group.cancel()
    await group.close()


async def test_a_task_is_blocked_while_it_waits_for_what_has_not_come() -> None:
    kernel = current_kernel()
    group = Group()
    parked = Parked(group)
    await let_run()
    (native,) = group.nursery.children()
    assert kernel.is_blocked(native)
    parked.waiter.set_result(None)
    assert not kernel.is_blocked(native)
    await group.close()


async def test_the_deadline_of_a_task_is_the_earliest_that_applies_to_it() -> None:
    kernel = current_kernel()
    with entered(deadline=kernel.now() + 1000) as scope:
        group = Group()
        parked = Parked(group)
        await let_run()
        (native,) = group.nursery.children()
        assert kernel.deadline_of(native) == scope._deadline
        cancel(parked.scope)
        assert kernel.deadline_of(native) == -inf
        await group.close()


async def test_wait_all_tasks_blocked_returns_when_every_other_task_waits() -> None:
    group, steps = Group(), list[int]()

    async def busy() -> None:
        for step in range(20):
            await current_task().checkpoint()
            steps.append(step)
        await sleep_forever()

    group.spawn(busy)
    await group.kernel.wait_all_tasks_blocked()
    assert len(steps) == 20
    group.cancel()
    await group.close()


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
    assert "a callback for the end of the event loop raised" in caplog.text


@pytest.mark.backends("asyncio")
def test_a_callback_that_comes_when_all_is_over_runs_at_once(backend: Backend) -> None:
    calls: list[bool] = []
    exits = Exits()
    exits.run()
    exits.add(partial(calls.append, True))
    assert calls == [True]


@on_asyncio
async def test_a_native_cancel_that_is_on_its_way_is_pending() -> None:
    kernel = current_kernel()
    native = asyncio.create_task(sleep_forever())
    await let_run()
    assert not kernel.has_pending_cancellation(native)
    native.cancel()
    assert kernel.has_pending_cancellation(native)
    with pytest.raises(asyncio.CancelledError):
        await native
