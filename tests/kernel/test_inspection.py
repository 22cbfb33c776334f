"""`Inspection`: looking at the tasks of a loop, on every kernel."""

from __future__ import annotations

import asyncio
from math import inf

import pytest
from _kernel_parts import Group, Parked, cancel, entered, let_run

from _harness import on_asyncio, on_every_backend
from creche._kernel import current_kernel, current_task

pytestmark = on_every_backend


async def sleep_forever() -> None:
    await current_task().wait(current_task().make_waiter())


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
