"""`Task`: waiting, checkpoints and the budget, on every kernel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from math import inf

import pytest
from _kernel_parts import Group, Parked, cancel, entered, let_run, times_given_way

from _harness import on_every_backend
from creche._kernel import current_task
from creche._kernel.contract import BUDGET, Task

pytestmark = on_every_backend

Checkpoint = Callable[[Task], Awaitable[object]]


def ready(task: Task) -> Awaitable[object]:
    return task.ready_checkpoint()


def checkpoint(task: Task) -> Awaitable[object]:
    return task.checkpoint()


def checkpoint_if_cancelled(task: Task) -> Awaitable[object]:
    return task.checkpoint_if_cancelled()


def wait(task: Task) -> Awaitable[object]:
    return task.wait(task.make_waiter())


def sleep_until(deadline: float, task: Task) -> Awaitable[object]:
    return task.kernel.sleep_until(deadline)


raises_if_cancelled = pytest.mark.parametrize(
    "act",
    [
        ready,
        checkpoint,
        checkpoint_if_cancelled,
        wait,
        partial(sleep_until, inf),
        partial(sleep_until, -inf),
    ],
    ids=["ready", "checkpoint", "if-cancelled", "wait", "sleep", "sleep-no-longer"],
)
lets_others_run = pytest.mark.parametrize(
    "act",
    [checkpoint, lambda task: task.cancel_shielded_checkpoint(), partial(sleep_until, -inf)],
    ids=["checkpoint", "shielded", "sleep-no-longer"],
)


# What a task is


async def test_a_task_is_hashable_and_itself() -> None:
    task = current_task()
    assert current_task() is task
    assert {task: 1}[current_task()] == 1
    others: list[Task] = []

    async def child() -> None:
        others.append(current_task())

    group = Group()
    group.spawn(child)
    await group.close()
    assert others[0] != task


async def test_the_scope_of_a_task_is_its_innermost_and_none_outside_all_of_them() -> None:
    task = current_task()
    seen = [task.scope]
    with entered() as outer:
        seen.append(task.scope)
        with entered() as inner:
            seen.append(task.scope)
        seen.append(task.scope)
    seen.append(task.scope)
    assert seen == [None, outer, inner, outer, None]


async def test_the_kernel_of_a_task_is_that_of_the_loop_it_runs_in() -> None:
    kernels = [current_task().kernel]

    async def child() -> None:
        kernels.append(current_task().kernel)

    group = Group()
    group.spawn(child)
    await group.close()
    assert kernels[0] is kernels[1]


# Waiting


async def test_wait_returns_what_was_granted() -> None:
    group = Group()
    parked = Parked(group)
    await let_run()
    assert parked.steps == []
    parked.waiter.set_result("granted")
    await group.close()
    assert parked.steps == ["granted"]


async def test_wait_does_not_wait_where_the_waiter_was_granted_before() -> None:
    task = current_task()
    waiter = task.make_waiter()
    waiter.set_result(3)
    assert await task.wait(waiter) == 3


async def test_wait_raises_what_the_waiter_failed_with_before() -> None:
    task = current_task()
    waiter = task.make_waiter()
    waiter.set_exception(LookupError())
    with pytest.raises(LookupError):
        await task.wait(waiter)


async def test_a_cancelled_wait_leaves_its_waiter_done() -> None:
    task = current_task()
    waiter = task.make_waiter()
    with entered() as scope:
        cancel(scope)
        with pytest.raises(task.kernel.cancelled_class):
            await task.wait(waiter)
        assert waiter.done()


async def test_a_grant_wins_over_a_cancel_that_comes_after_it() -> None:
    group = Group()
    parked = Parked(group)
    await let_run()
    parked.waiter.set_result("granted")
    cancel(parked.scope)
    await group.close()
    assert parked.steps == ["granted", "cancelled at the next checkpoint"]


async def test_a_failure_wins_over_a_cancel_that_comes_after_it() -> None:
    group, error = Group(), LookupError()
    parked = Parked(group)
    await let_run()
    parked.waiter.set_exception(error)
    cancel(parked.scope)
    await group.close()
    assert parked.steps == [error]


async def test_a_grant_before_the_wait_wins_over_a_cancellation_before_the_wait() -> None:
    task = current_task()
    waiter = task.make_waiter()
    with entered() as scope:
        cancel(scope)
        waiter.set_result("granted")
        assert await task.wait(waiter) == "granted"
        with pytest.raises(task.kernel.cancelled_class):
            await task.checkpoint_if_cancelled()


# Cancellation is level-triggered


@raises_if_cancelled
async def test_each_wait_and_checkpoint_raises_while_a_scope_is_cancelled(act: Checkpoint) -> None:
    task = current_task()
    with entered() as scope:
        cancel(scope)
        for _ in range(3):
            with pytest.raises(task.kernel.cancelled_class):
                await act(task)
    await task.checkpoint()


@raises_if_cancelled
async def test_it_raises_for_a_scope_around_too_but_not_through_a_shield(act: Checkpoint) -> None:
    task = current_task()
    with entered() as outer:
        with entered():
            cancel(outer)
            with pytest.raises(task.kernel.cancelled_class):
                await act(task)
            with entered(shield=True):
                await task.checkpoint()
                await task.ready_checkpoint()
                await task.checkpoint_if_cancelled()
                await task.kernel.sleep_until(-inf)
            with pytest.raises(task.kernel.cancelled_class):
                await act(task)


@raises_if_cancelled
async def test_a_child_hears_of_a_cancellation_of_before_its_first_step(act: Checkpoint) -> None:
    group = Group()
    began: list[bool] = []

    async def child() -> None:
        began.append(True)
        await act(current_task())

    label = group.spawn(child)
    group.cancel()
    assert await group.close() is None
    assert began == [True]
    assert label.cancelled


async def test_a_shielded_checkpoint_raises_no_cancellation() -> None:
    task = current_task()
    with entered() as scope:
        cancel(scope)
        await task.cancel_shielded_checkpoint()
        with pytest.raises(task.kernel.cancelled_class):
            await task.checkpoint_if_cancelled()


# Letting others run


@lets_others_run
async def test_a_checkpoint_always_lets_others_run(act: Checkpoint) -> None:
    task = current_task()

    async def three_times() -> None:
        for _ in range(3):
            await act(task)

    assert await times_given_way(three_times) >= 3


async def test_a_checkpoint_if_cancelled_lets_nobody_run() -> None:
    task = current_task()

    async def many_times() -> None:
        for _ in range(3 * BUDGET):
            await task.checkpoint_if_cancelled()

    assert await times_given_way(many_times) == 0


# The budget


async def spend_on_checkpoints(number: int, cost: int = 1) -> None:
    for _ in range(number):
        await current_task().ready_checkpoint(cost)


async def test_ready_checkpoints_let_others_run_when_the_budget_is_spent() -> None:
    await current_task().checkpoint()
    assert await times_given_way(partial(spend_on_checkpoints, BUDGET)) == 0
    assert await times_given_way(partial(spend_on_checkpoints, BUDGET + 1)) == 1
    assert await times_given_way(partial(spend_on_checkpoints, 3 * (BUDGET + 1))) == 3


async def test_the_kernel_says_how_large_the_budget_is() -> None:
    kernel = current_task().kernel
    assert kernel.budget == BUDGET
    for budget in (0, 4):
        kernel.budget = budget
        try:
            await current_task().checkpoint()
            times = await times_given_way(partial(spend_on_checkpoints, 3 * (budget + 1)))
            shorter = await times_given_way(partial(spend_on_checkpoints, budget))
        finally:
            kernel.budget = BUDGET
        assert times == 3
        assert shorter == 0


async def test_a_ready_checkpoint_may_cost_more() -> None:
    assert await times_given_way(partial(spend_on_checkpoints, 4, BUDGET // 4)) == 0
    assert await times_given_way(partial(spend_on_checkpoints, 5, BUDGET // 4)) == 1


async def test_a_ready_checkpoint_may_cost_nothing() -> None:
    assert await times_given_way(partial(spend_on_checkpoints, 3 * BUDGET, 0)) == 0


@pytest.mark.parametrize("cost", [BUDGET, 10 * BUDGET])
async def test_the_next_ready_checkpoint_lets_others_run_if_all_was_spent(cost: int) -> None:
    task = current_task()

    async def act() -> None:
        await task.ready_checkpoint(0)
        task.spend(cost)
        await task.ready_checkpoint(0)
        await task.ready_checkpoint(0)  # It is full again: more than all was not owed.

    assert await times_given_way(act) == 1


async def test_spending_less_than_all_lets_nobody_run() -> None:
    task = current_task()

    async def act() -> None:
        task.spend(BUDGET - 1)
        await task.ready_checkpoint()

    assert await times_given_way(act) == 0


async def test_the_budget_is_full_after_others_could_run() -> None:
    task = current_task()
    task.spend(BUDGET)
    await task.checkpoint()
    assert await times_given_way(partial(spend_on_checkpoints, BUDGET)) == 0


async def test_the_budget_is_full_after_a_wait() -> None:
    task = current_task()
    group = Group()
    waiter = task.make_waiter()

    async def grant() -> None:
        waiter.set_result(None)

    group.spawn(grant)
    task.spend(BUDGET)
    await task.wait(waiter)
    await group.close()
    assert await times_given_way(partial(spend_on_checkpoints, BUDGET)) == 0


async def test_a_cancelled_scope_that_was_left_gives_no_more_than_the_whole_budget() -> None:
    task = current_task()
    await spend_on_checkpoints(BUDGET // 2)
    with entered() as scope:
        cancel(scope)
        await task.checkpoint_if_cancelled()
    assert await times_given_way(partial(spend_on_checkpoints, BUDGET + 1)) == 1


# Deadlines


async def test_the_effective_deadline_is_the_earliest_that_applies() -> None:
    task, now = current_task(), current_task().kernel.now()
    assert task.effective_deadline() == inf
    with entered(deadline=now + 100):
        assert task.effective_deadline() == now + 100
        with entered(deadline=now + 200):
            assert task.effective_deadline() == now + 100
        with entered(deadline=now + 50):
            assert task.effective_deadline() == now + 50
        with entered(deadline=now + 200, shield=True):
            assert task.effective_deadline() == now + 200
        with entered(shield=True):
            assert task.effective_deadline() == inf


async def test_a_task_knows_whether_a_cancelled_scope_is_around_it() -> None:
    task = current_task()
    assert not task.in_cancelled_scope()
    with entered() as outer, entered() as inner:
        assert not task.in_cancelled_scope()
        cancel(outer)
        assert task.in_cancelled_scope()
        with entered(shield=True) as shield:
            assert not task.in_cancelled_scope()
            with entered():
                assert not task.in_cancelled_scope()
                shield._shield = False
                task.kernel.update_scope(shield)
                assert task.in_cancelled_scope()
        inner._shield = True
        task.kernel.update_scope(inner)
        assert not task.in_cancelled_scope()
    assert not task.in_cancelled_scope()


async def test_the_effective_deadline_of_a_cancelled_task_is_minus_infinity() -> None:
    task = current_task()
    with entered() as outer:
        with entered(deadline=task.kernel.now() + 100):
            cancel(outer)
            assert task.effective_deadline() == -inf
            with entered(shield=True):
                assert task.effective_deadline() == inf
