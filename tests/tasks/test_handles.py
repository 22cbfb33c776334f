"""Task handles: their states as a table, and what each state answers.

    pending -> finished | failed | cancelled
    pending -> cancelling -> finished | failed | cancelled

`cancelling` is a task that has been asked to go through its handle and has not ended yet.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from creche import (
    CancelScope,
    Event,
    TaskCancelled,
    TaskFailed,
    TaskHandle,
    TaskNotFinished,
    create_task_group,
    get_cancelled_exc_class,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.abc import TaskStatus

Status = TaskHandle.Status


# Tasks to bring a handle into each state; `release` lets those go that wait.


async def returns(release: Event) -> int:
    return 5


async def fails(release: Event) -> int:
    raise ValueError("no")


async def waits(release: Event) -> int:
    await release.wait()
    return 5


async def returns_when_cancelled(release: Event) -> int:
    try:
        await sleep_forever()
    except get_cancelled_exc_class():
        pass
    return 5


async def fails_when_cancelled(release: Event) -> int:
    try:
        await sleep_forever()
    except get_cancelled_exc_class():
        raise ValueError("no") from None
    raise AssertionError


async def cleans_up_when_cancelled(release: Event) -> int:
    try:
        await sleep_forever()
    finally:
        with CancelScope(shield=True):
            await release.wait()
    raise AssertionError


Task = Callable[[Event], Coroutine[Any, Any, int]]
Step = Callable[[TaskHandle[int]], None]


def nothing(handle: TaskHandle[int]) -> None:
    pass


def cancel(handle: TaskHandle[int]) -> None:
    handle.cancel()


# The task, what is done to its handle once it is blocked or has ended, the state after that.
TABLE = [
    (waits, nothing, Status.PENDING),
    (returns, nothing, Status.FINISHED),
    (fails, nothing, Status.FAILED),
    (waits, cancel, Status.CANCELLED),
    (cleans_up_when_cancelled, cancel, Status.CANCELLING),
    (returns_when_cancelled, cancel, Status.FINISHED),
    (fails_when_cancelled, cancel, Status.FAILED),
    (returns, cancel, Status.FINISHED),
    (fails, cancel, Status.FAILED),
]


async def brought_to(task: Task, step: Step, check: Callable[[TaskHandle[int]], Any]) -> None:
    """Spawn `task`, take `step` and see to it that `check` holds, then let everything end."""
    release, checked = Event(), False
    try:
        async with create_task_group() as tg:
            handle = tg.start_soon(task, release)
            with CancelScope(shield=True):
                await wait_all_tasks_blocked()
                step(handle)
                await wait_all_tasks_blocked()
                try:
                    result = check(handle)
                    if isinstance(result, Awaitable):
                        await result
                finally:
                    release.set()
                checked = True
    except* ValueError:
        assert task in (fails, fails_when_cancelled)
    assert checked


table = pytest.mark.parametrize(
    ("task", "step", "status"),
    TABLE,
    ids=[f"{task.__name__}-{step.__name__}" for task, step, _ in TABLE],
)


@table
async def test_a_handle_comes_to_the_state_of_the_table(
    task: Task, step: Step, status: TaskHandle.Status
) -> None:
    def check(handle: TaskHandle[int]) -> None:
        assert handle.status is status

    await brought_to(task, step, check)


@table
async def test_a_handle_answers_for_its_return_value(
    task: Task, step: Step, status: TaskHandle.Status
) -> None:
    def check(handle: TaskHandle[int]) -> None:
        if status is Status.FINISHED:
            assert handle.return_value == 5
        elif status is Status.FAILED:
            with pytest.raises(TaskFailed, match="the task raised an exception") as caught:
                _ = handle.return_value
            assert repr(caught.value.__cause__) == "ValueError('no')"
        elif status in (Status.CANCELLED, Status.CANCELLING):
            with pytest.raises(TaskCancelled, match="the task was cancelled"):
                _ = handle.return_value
        else:
            with pytest.raises(TaskNotFinished, match="the task has not finished yet"):
                _ = handle.return_value

    await brought_to(task, step, check)


@table
async def test_a_handle_answers_for_its_exception(
    task: Task, step: Step, status: TaskHandle.Status
) -> None:
    def check(handle: TaskHandle[int]) -> None:
        if status is Status.FINISHED:
            assert handle.exception is None
        elif status is Status.FAILED:
            assert repr(handle.exception) == "ValueError('no')"
        elif status in (Status.CANCELLED, Status.CANCELLING):
            with pytest.raises(TaskCancelled, match="the task was cancelled"):
                _ = handle.exception
        else:
            with pytest.raises(TaskNotFinished, match="the task has not finished yet"):
                _ = handle.exception

    await brought_to(task, step, check)


@table
async def test_a_handle_that_has_ended_can_be_awaited_and_waited_for(
    task: Task, step: Step, status: TaskHandle.Status
) -> None:
    async def check(handle: TaskHandle[int]) -> None:
        if status in (Status.PENDING, Status.CANCELLING):
            with CancelScope() as scope:
                scope.cancel()
                await handle.wait()
            assert scope.cancelled_caught
            return
        await handle.wait()
        if status is Status.FINISHED:
            assert await handle == 5
            return
        with pytest.raises(TaskFailed) as caught:
            await handle
        assert isinstance(caught.value, TaskCancelled) == (status is Status.CANCELLED)
        if status is Status.FAILED:
            assert caught.value.__cause__ is handle.exception

    await brought_to(task, step, check)


@table
async def test_a_handle_shows_its_state(task: Task, step: Step, status: TaskHandle.Status) -> None:
    def check(handle: TaskHandle[int]) -> None:
        name = f"{__name__}.{task.__name__}"
        assert handle.name == name
        assert re.fullmatch(
            rf"<TaskHandle {status.name.lower()} name='{re.escape(name)}' "
            rf"coro=<coroutine object {task.__name__} at 0x[0-9a-f]+>>",
            repr(handle),
        ), repr(handle)

    await brought_to(task, step, check)


@table
async def test_a_handle_without_start_has_no_start_value(
    task: Task, step: Step, status: TaskHandle.Status
) -> None:
    def check(handle: TaskHandle[int]) -> None:
        with pytest.raises(RuntimeError):
            _ = handle.start_value

    await brought_to(task, step, check)


# Waiting


async def test_several_tasks_can_wait_for_one_handle() -> None:
    log = []
    release = Event()

    async def observer(how: str) -> None:
        if how == "await":
            log.append(await handle)
        else:
            await handle.wait()
            log.append(handle.return_value)

    async with create_task_group() as tg:
        handle = tg.start_soon(waits, release)
        for how in ("await", "wait", "await"):
            tg.start_soon(observer, how)
        await wait_all_tasks_blocked()
        assert log == []
        release.set()
    assert log == [5, 5, 5]


async def test_cancelling_one_who_awaits_a_handle_does_not_cancel_the_task() -> None:
    release, scope = Event(), CancelScope()

    async def observer() -> None:
        with scope:
            await handle

    async with create_task_group() as tg:
        handle = tg.start_soon(waits, release)
        tg.start_soon(observer)
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        assert handle.status is Status.PENDING
        release.set()
    assert scope.cancelled_caught
    assert handle.return_value == 5


async def test_a_handle_can_be_awaited_after_its_group_and_more_than_once() -> None:
    async with create_task_group() as tg:
        handle = tg.start_soon(returns, Event())
    assert [await handle, await handle] == [5, 5]


async def test_awaiting_a_failed_handle_raises_anew_each_time() -> None:
    with pytest.raises(ExceptionGroup):
        async with create_task_group() as tg:
            handle = tg.start_soon(fails, Event())
    raised = []
    for _ in range(2):
        with pytest.raises(TaskFailed, match="the task raised an exception") as caught:
            await handle
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert raised[0].__cause__ is raised[1].__cause__ is handle.exception


# Names, coroutines, started values


async def test_a_handle_knows_its_name_and_its_coroutine() -> None:
    coro = returns(Event())
    async with create_task_group() as tg:
        given = tg.create_task(coro, name="given")
        assert given.coro is coro
        assert given.name == "given"
        spawned = tg.start_soon(returns, Event(), name=12)
        assert spawned.name == "12"
        assert "returns" in repr(spawned.coro)


async def test_a_started_handle_has_its_value_in_every_state() -> None:
    async def service(*, task_status: TaskStatus[str]) -> int:
        task_status.started("ready")
        await release.wait()
        return 8

    release = Event()
    async with create_task_group() as tg:
        handle = await tg.start(service, return_handle=True)
        assert handle.start_value == "ready"
        assert handle.status is Status.PENDING
        release.set()
    assert handle.start_value == "ready"
    assert handle.return_value == 8
