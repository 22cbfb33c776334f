"""`TaskInfo` and the lists of tasks on every backend; waiting until all are blocked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from _harness import on_asyncio
from creche import (
    CancelScope,
    Event,
    NoEventLoopError,
    TaskInfo,
    create_task_group,
    get_current_task,
    get_running_tasks,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche._kernel import current_kernel
from creche.abc import TaskGroup, TaskStatus
from creche.lowlevel import checkpoint


async def test_the_current_task_is_described() -> None:
    info = get_current_task()
    assert isinstance(info, TaskInfo)
    assert info == get_current_task()
    assert hash(info) == hash(get_current_task())
    assert repr(info) == f"TaskInfo(id={info.id}, name={info.name!r})"
    assert not info.has_pending_cancellation()


def test_infos_are_equal_by_their_id() -> None:
    coro: Any = None
    assert TaskInfo(1, None, "a", coro) == TaskInfo(1, 2, "b", coro)
    assert TaskInfo(1, None, "a", coro) != TaskInfo(2, None, "a", coro)
    assert TaskInfo(1, None, "a", coro) != 1
    assert not TaskInfo(1, None, "a", coro).has_pending_cancellation()


async def child(log: list[TaskInfo]) -> None:
    log.append(get_current_task())


async def test_a_child_knows_its_name_parent_and_coroutine() -> None:
    log: list[TaskInfo] = []
    async with create_task_group() as group:
        handle = group.start_soon(child, log)
        group.start_soon(child, log, name="given")
    unnamed, named = sorted(log, key=lambda info: info.name == "given")
    assert unnamed.name == f"{__name__}.child"
    assert unnamed.coro is handle.coro
    assert unnamed.parent_id == named.parent_id == get_current_task().id
    assert unnamed != named
    assert named.name == "given"


async def test_running_tasks_are_listed_until_they_end() -> None:
    before = {*get_running_tasks()}
    assert get_current_task() in before
    async with create_task_group() as group:
        group.start_soon(sleep_forever, name="one")
        group.start_soon(sleep_forever, name="two")
        await wait_all_tasks_blocked()
        now = get_running_tasks()
        assert sorted(str(info.name) for info in now if info not in before) == ["one", "two"]
        assert len({*now}) == len(now)
        group.cancel()
    assert {*get_running_tasks()} == before


async def test_a_cancellation_that_is_on_its_way_shows() -> None:
    async with create_task_group() as group:
        handle = group.start_soon(sleep_forever, name="child")
        await wait_all_tasks_blocked()
        (info,) = (info for info in get_running_tasks() if info.name == "child")
        assert not info.has_pending_cancellation()
        handle.cancel()
        assert info.has_pending_cancellation()
    assert not info.has_pending_cancellation()


async def test_a_cancelled_scope_shows_unless_there_is_a_shield() -> None:
    with CancelScope() as scope:
        scope.cancel()
        assert get_current_task().has_pending_cancellation()
        with CancelScope(shield=True):
            assert not get_current_task().has_pending_cancellation()
    assert not get_current_task().has_pending_cancellation()


@pytest.mark.parametrize("question", [get_current_task, get_running_tasks])
def test_there_are_no_tasks_without_an_event_loop(question: Callable[[], object]) -> None:
    with pytest.raises(NoEventLoopError):
        question()


@on_asyncio
async def test_there_is_no_current_task_in_a_callback_of_the_loop() -> None:
    outcomes: list[str] = []
    called = Event()

    def callback() -> None:
        try:
            outcomes.append(f"{len(get_running_tasks())} running")
            get_current_task()
        except RuntimeError as exc:
            outcomes.append(str(exc))
        finally:
            called.set()

    current_kernel().call_soon_threadsafe(callback)
    await called.wait()
    assert outcomes[0] == f"{len(get_running_tasks())} running"
    assert outcomes[1].startswith("There is no task currently running")


# Waiting until all are blocked


async def test_waiting_ends_when_every_other_task_waits() -> None:
    log: list[str] = []
    event = Event()

    async def work() -> None:
        for number in range(20):
            log.append(f"step {number}")
            await checkpoint()
        await event.wait()

    async with create_task_group() as group:
        group.start_soon(work)
        await wait_all_tasks_blocked()
        assert log[-1] == "step 19"
        event.set()


async def test_waiting_sees_through_chains_of_wake_ups() -> None:
    events = [Event() for _ in range(10)]

    async def pass_on(number: int) -> None:
        await events[number].wait()
        events[number + 1].set()

    async with create_task_group() as group:
        for number in range(9):
            group.start_soon(pass_on, number)
        await wait_all_tasks_blocked()
        events[0].set()
        await wait_all_tasks_blocked()
        assert events[9].is_set()


async def test_waiting_can_be_cancelled() -> None:
    with CancelScope() as scope:
        scope.cancel()
        await wait_all_tasks_blocked()
    assert scope.cancelled_caught


def test_waiting_needs_an_event_loop() -> None:
    with pytest.raises(NoEventLoopError):
        wait_all_tasks_blocked().send(None)


@on_asyncio
async def test_the_loops_own_task_of_a_child_keeps_its_name_when_it_has_ended() -> None:
    natives: list[Any] = []

    async def named(native: list[Any]) -> None:
        import asyncio

        native.append(asyncio.current_task())

    async with create_task_group() as group:
        group.start_soon(named, natives)
        group.start_soon(named, natives, name="given")
        group.start_soon(named, natives, name="changed")
        await wait_all_tasks_blocked()
        natives[2].set_name("by hand")
    assert [native.get_name() for native in natives] == [
        f"{__name__}.{named.__qualname__}",
        "given",
        "by hand",
    ]


async def test_the_parent_of_a_task_in_start_is_the_caller_until_it_has_started() -> None:
    parents: list[int | None] = []

    async def ready(*, task_status: TaskStatus[None]) -> None:
        parents.append(get_current_task().parent_id)
        task_status.started()
        parents.append(get_current_task().parent_id)

    async def calls(group: TaskGroup) -> None:
        await group.start(ready)
        parents.append(get_current_task().id)

    async with create_task_group() as group:
        group.start_soon(calls, group)
    assert parents == [parents[2], get_current_task().id, parents[2]]
