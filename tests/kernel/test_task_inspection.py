"""`TaskInspection`: what others ask of a task, on every kernel."""

from __future__ import annotations

from functools import partial
from typing import Any

from _kernel_parts import Group, Parked, cancel, let_run

from _harness import error_in_a_thread, on_every_backend
from creche._kernel import current_task
from creche._kernel.contract import Task

pytestmark = on_every_backend


# What it is


async def test_info_describes_the_task() -> None:
    records: list[Any] = []

    async def child() -> None:
        records.append(current_task().info())

    group = Group()
    label = group.spawn(child)
    await group.close()
    me, its = current_task().info(), records[0]
    assert its.name == "a child"
    assert its.parent_id == me.id
    assert its.id != me.id
    assert me.parent_id is None or me.parent_id != its.id
    assert current_task().kernel.record(me.native).id == me.id
    assert label.ended


# Its end


async def test_a_task_has_ended_when_it_has_done_its_last_step() -> None:
    tasks: list[Task] = []
    answers: list[bool] = []

    async def child() -> None:
        tasks.append(current_task())
        answers.append(current_task().ended())
        await current_task().checkpoint()
        answers.append(current_task().ended())

    group = Group()
    group.spawn(child)
    await group.close()
    await let_run()
    assert answers == [False, False]
    assert tasks[0].ended()
    assert not current_task().ended()


async def test_what_waits_for_the_end_of_a_task_is_called_once_soon_after_its_last_step() -> None:
    steps: list[str] = []

    async def child() -> None:
        current_task().at_end(lambda: steps.append("first"))
        current_task().at_end(lambda: steps.append("second"))
        await current_task().checkpoint()
        steps.append("last step")

    group = Group()
    group.spawn(child)
    await group.close()
    await let_run()
    assert steps[0] == "last step"
    assert sorted(steps[1:]) == ["first", "second"]


async def test_what_waits_for_the_end_of_a_task_is_called_however_it_ends() -> None:
    steps: list[str] = []

    async def child() -> None:
        current_task().at_end(lambda: steps.append("ended"))
        await current_task().wait(current_task().make_waiter())

    group = Group()
    group.spawn(child)
    await let_run()
    assert not steps
    group.cancel()
    await group.close()
    await let_run()
    assert steps == ["ended"]


# From other threads


async def test_check_parked_raises_nothing_for_a_task_that_is_not_cancelled() -> None:
    group = Group()
    parked = Parked(group, firm=True)
    await let_run()
    assert error_in_a_thread(partial(parked.task.check_parked, parked.waiter)) is None
    parked.waiter.set_result(None)
    await group.close()


async def test_check_parked_raises_the_cancellation_that_comes_after_a_firm_wait() -> None:
    group = Group()
    parked = Parked(group, firm=True)
    await let_run()
    cancel(parked.scope)
    await let_run()
    raised = error_in_a_thread(partial(parked.task.check_parked, parked.waiter))
    assert isinstance(raised, group.kernel.cancelled_class)
    parked.waiter.set_result(None)
    await group.close()


async def test_check_parked_raises_the_cancellation_that_has_ended_a_wait() -> None:
    group = Group()
    parked = Parked(group)
    await let_run()
    cancel(parked.scope)
    await let_run()
    raised = error_in_a_thread(partial(parked.task.check_parked, parked.waiter))
    assert isinstance(raised, group.kernel.cancelled_class)
    await group.close()
