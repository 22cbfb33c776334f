"""`Kernel`: what it is, time and scopes, on every kernel. `test_outside.py` has the rest of it."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from math import inf

import pytest
from _kernel_parts import Group, cancel, caught, entered, let_run

from _harness import Backend, on_every_backend
from creche._kernel import current_kernel, current_task
from creche._kernel.scope import Scope

pytestmark = on_every_backend

number: ContextVar[int] = ContextVar("number", default=0)


async def sleep_forever() -> None:
    await current_task().wait(current_task().make_waiter())


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


async def test_a_sleep_ends_at_its_deadline_though_one_that_began_before_is_not_over() -> None:
    # Of sleeps whose deadlines pass at once, as they do on a busy machine, Trio wakes any first.
    kernel, group, woken = current_kernel(), Group(), list[str]()

    async def sleep(name: str, deadline: float) -> None:
        await kernel.sleep_until(deadline)
        woken.append(name)
        group.cancel()

    group.spawn(sleep, "late", kernel.now() + 1000)
    group.spawn(sleep, "early", kernel.now() + 0.01)
    await group.close()
    assert woken == ["early"]


# Scopes


async def test_a_scope_that_caught_nothing_lets_the_same_exception_through() -> None:
    task, error = current_task(), LookupError()
    with pytest.raises(LookupError) as raised, entered() as scope:
        raise error
    assert raised.value is error
    assert not caught(scope)
    assert task.scope is None


async def test_a_cancelled_scope_takes_its_cancellation() -> None:
    with entered() as scope:
        cancel(scope)
        await current_task().checkpoint()
    assert caught(scope)


async def test_a_cancelled_scope_that_nobody_heard_of_has_caught_nothing() -> None:
    with entered() as scope:
        cancel(scope)
    assert not caught(scope)


async def test_a_cancelled_scope_takes_its_cancellation_out_of_a_group() -> None:
    error = LookupError()
    with pytest.raises(BaseExceptionGroup) as raised, entered() as scope:
        cancel(scope)
        try:
            await current_task().checkpoint()
        except current_kernel().cancelled_class as exc:
            raise BaseExceptionGroup("both", [exc, error]) from None
    assert raised.value.exceptions == (error,)
    assert caught(scope)


async def test_the_cancellation_of_a_scope_around_goes_on_to_it() -> None:
    with entered() as outer:
        with entered() as inner:
            cancel(outer)
            await current_task().checkpoint()
    assert (caught(inner), caught(outer)) == (False, True)


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
    assert caught(scope)


async def test_a_deadline_that_has_passed_cancels_at_the_first_checkpoint() -> None:
    with entered(deadline=-inf) as scope:
        await current_task().checkpoint()
    assert caught(scope)


@pytest.mark.parametrize("deadline", [-inf, 0.01])
async def test_a_new_deadline_is_carried_out(deadline: float) -> None:
    kernel = current_kernel()
    with entered(deadline=kernel.now() + 1000) as scope:
        scope._deadline = deadline if deadline < 0 else kernel.now() + deadline
        kernel.update_scope(scope)
        assert scope._cancelled is (deadline < 0)  # One that has passed cancels at once.
        await sleep_forever()
    assert caught(scope)


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
    assert caught(outer)
