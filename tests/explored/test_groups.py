"""Task groups and `start()` under many schedules: no task outlives its group, and no error is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import pytest
from _planted import assert_found, cancel_one_by_one, leaves

from creche import CancelScope, Event, TaskHandle, create_task_group
from creche.abc import TaskGroup, TaskStatus
from creche.lowlevel import checkpoint
from creche.testing import explore

Groups = Callable[[], Any]


class Broken(Exception):
    pass


async def left_when_over(make: Groups) -> None:
    """A group with children of children is cancelled at some moment: all have ended by its end."""
    running: set[str] = set()
    ended: set[str] = set()

    async def work(name: str, group: Any) -> None:
        running.add(name)
        try:
            await checkpoint()
            if len(name) < 3:
                group.start_soon(work, f"{name}+", group)
            await checkpoint()
        finally:
            running.discard(name)
            ended.add(name)

    async with create_task_group() as outer:
        with CancelScope() as scope:
            outer.start_soon(cancel_one_by_one, scope)
            async with make() as group:
                group.start_soon(work, "a", group)
                group.start_soon(work, "b", group)
                await checkpoint()
        assert not running, "a task has outlived its group"
        assert scope.cancel_called or len(ended) == 6, "a task was left out"


@explore()
async def test_a_group_is_over_when_all_its_tasks_are() -> None:
    await left_when_over(create_task_group)


class Nursery:
    """A group that starts its tasks in a group of its own, and does not wait for the late ones."""

    def __init__(self, home: TaskGroup) -> None:
        self.home = home
        self.handles: list[TaskHandle[None]] = []

    async def __aenter__(self) -> Self:
        return self

    def start_soon(self, func: Any, *args: Any) -> None:
        self.handles.append(self.home.start_soon(func, *args))

    async def __aexit__(self, *exc: object) -> None:
        for handle in list(self.handles):
            await handle.wait()


def test_a_group_that_does_not_wait_for_all_is_found_out() -> None:
    async def program() -> None:
        async with create_task_group() as home:
            await left_when_over(lambda: Nursery(home))

    assert_found(program)


# Errors


async def errors_kept(make: Groups) -> None:
    """Two children fail and one does not; every error that was raised leaves the group."""
    raised: list[Broken] = []
    interrupted: list[int] = []

    async def fail(steps: int) -> None:
        try:
            for _ in range(steps):
                await checkpoint()
        finally:  # also when it is cancelled, since the other has failed first
            error = Broken(steps)
            raised.append(error)
            raise error

    async def wait(number: int) -> None:
        try:
            await Event().wait()
        finally:
            interrupted.append(number)

    with pytest.raises(ExceptionGroup) as caught:
        async with make() as group:
            group.start_soon(fail, 1)
            group.start_soon(wait, 1)
            group.start_soon(fail, 2)
            await wait(2)
    kept = leaves(caught.value)
    assert sorted(map(id, kept)) == sorted(map(id, raised)), "an error was lost, or not the child's"
    assert len(raised) == 2
    assert set(interrupted) <= {1, 2}


@explore()
async def test_every_error_that_was_raised_in_a_group_leaves_it() -> None:
    await errors_kept(create_task_group)


@asynccontextmanager
async def first_error_only() -> AsyncIterator[TaskGroup]:
    try:
        async with create_task_group() as group:
            yield group
    except* Broken as errors:
        raise ExceptionGroup("the first error", leaves(errors)[:1]) from None  # type: ignore[type-var]  # all of it is Exceptions


def test_a_group_that_drops_errors_is_found_out() -> None:
    assert_found(lambda: errors_kept(first_error_only))


# `start()`


async def started_or_ended(start: Callable[[TaskGroup, Any], Any]) -> None:
    """The caller of `start()` is cancelled at some moment: the child is the group's, or is over."""
    states: list[str] = []

    async def service(*, task_status: TaskStatus[str]) -> None:
        try:
            await checkpoint()
            await checkpoint()
            states.append("ready")
            task_status.started("ready")
            await Event().wait()
        finally:
            states.append("over")

    async with create_task_group() as group:
        scope = CancelScope()
        group.start_soon(cancel_one_by_one, CancelScope(), scope)
        value = None
        with scope:
            value = await start(group, service)
        if value is None:
            assert scope.cancelled_caught
            assert not states or states[-1] == "over", "the child has outlived its start()"
        else:
            assert value == "ready"
            assert states == ["ready"], "the child was cancelled with a scope that it had left"
        await checkpoint()
        group.cancel_scope.cancel()
    assert not states or states[-1] == "over"


@explore()
async def test_start_gives_a_child_to_the_group_or_sees_it_end() -> None:
    async def start(group: TaskGroup, service: Any) -> Any:
        return await group.start(service)

    await started_or_ended(start)


class Status:
    def __init__(self) -> None:
        self.ready = Event()
        self.value: Any = None

    def started(self, value: Any) -> None:
        self.value = value
        self.ready.set()


async def fire_and_hope(group: TaskGroup, service: Any) -> Any:
    """`start()` by hand, which leaves the child alone when its caller is cancelled."""
    status = Status()

    async def run() -> None:
        await service(task_status=status)

    group.start_soon(run)
    await status.ready.wait()
    return status.value


async def hold_on(group: TaskGroup, service: Any) -> Any:
    """`start()` by hand, which takes the child along though it was ready."""
    status = Status()

    async def run() -> None:
        await service(task_status=status)

    handle = group.start_soon(run)
    try:
        await status.ready.wait()
        await checkpoint()
    finally:
        handle.cancel()
    return status.value


@pytest.mark.parametrize("start", [fire_and_hope, hold_on])
def test_a_start_that_loses_its_child_is_found_out(start: Callable[[TaskGroup, Any], Any]) -> None:
    assert_found(lambda: started_or_ended(start))


@explore()
async def test_a_child_that_fails_as_its_caller_is_cancelled_has_its_error_raised_once() -> None:
    async def service(*, task_status: TaskStatus[None]) -> None:
        await checkpoint()
        task_status.started()
        await checkpoint()
        raise Broken

    seen: list[BaseException] = []
    scope = CancelScope()
    try:
        async with create_task_group() as group:
            with scope:
                group.start_soon(cancel_one_by_one, CancelScope(), scope)
                await group.start(service)
                await Event().wait()
    except* Broken as errors:
        seen = leaves(errors)
    assert len(seen) == 1 or (not seen and scope.cancelled_caught)


async def ready_too_late(start: Callable[[TaskGroup, Any], Any]) -> None:
    """A child that will not go is ready after its caller was cancelled: it joins no group."""
    states: list[str] = []

    async def service(*, task_status: TaskStatus[str]) -> None:
        with CancelScope(shield=True):
            await checkpoint()
            await checkpoint()
        task_status.started("ready")
        states.append("ready")
        try:
            await checkpoint()
            await checkpoint()
        finally:
            states.append("over")

    async with create_task_group() as group:
        with CancelScope() as scope:
            group.start_soon(cancel_one_by_one, scope)
            await start(group, service)
            states.append("started")
        if scope.cancelled_caught and "started" not in states:
            assert states[-1:] != ["ready"], "the child goes on, and nobody has it"
    assert "over" in states or "ready" not in states


@explore()
async def test_a_child_that_is_ready_too_late_is_over_before_its_caller_goes_on() -> None:
    async def start(group: TaskGroup, service: Any) -> Any:
        return await group.start(service)

    await ready_too_late(start)


def test_a_start_that_leaves_a_late_child_behind_is_found_out() -> None:
    assert_found(lambda: ready_too_late(fire_and_hope))


# Handles


async def cancelled_or_finished(make: Groups) -> None:
    """A task is cancelled by its handle as it ends: it is one or the other, to all alike."""
    told: list[object] = []
    others: list[str] = []
    returned = False

    async def work() -> str:
        nonlocal returned
        await checkpoint()
        await checkpoint()
        returned = True
        return "done"

    async def other() -> None:
        for _ in range(4):
            await checkpoint()
        others.append("went on")

    async with make() as group:
        handle = group.start_soon(work)

        async def listen() -> None:
            await handle.wait()
            told.append((handle.status, returned))

        async def cancel() -> None:
            await checkpoint()
            handle.cancel()

        group.start_soon(listen)
        group.start_soon(cancel)
        group.start_soon(other)
        group.start_soon(listen)
    status = TaskHandle.Status.FINISHED if returned else TaskHandle.Status.CANCELLED
    assert told == [(status, returned)] * 2, "the listeners heard different things"
    assert handle.status is status
    assert others == ["went on"], "another task was cancelled along"
    assert not returned or handle.return_value == "done"


@explore()
async def test_a_task_that_is_cancelled_as_it_ends_is_finished_or_cancelled_to_all() -> None:
    await cancelled_or_finished(create_task_group)


class Careless:
    """A group whose handles cancel the whole group."""

    def __init__(self) -> None:
        self._group: Any = create_task_group()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> Any:
        return await self._group.__aexit__(*exc)

    def start_soon(self, func: Any) -> Any:
        handle = self._group.start_soon(func)
        group = self._group

        class Handle:
            wait = handle.wait

            def __getattr__(self, name: str) -> Any:
                return getattr(handle, name)

            def cancel(self) -> None:
                group.cancel_scope.cancel()

        return Handle()


def test_a_handle_that_cancels_others_too_is_found_out() -> None:
    assert_found(lambda: cancelled_or_finished(Careless))
