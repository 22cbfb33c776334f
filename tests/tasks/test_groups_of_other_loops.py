"""Groups that are used from another event loop than their own: the child runs where it was started."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import creche
from _harness import Backend, leaves, on_asyncio
from creche import (
    CancelScope,
    TaskHandle,
    create_task_group,
    sleep,
    sleep_forever,
    to_thread,
)
from creche.abc import TaskGroup, TaskStatus
from creche.lowlevel import current_token

Visit = Callable[[TaskGroup], Awaitable[Any]]

VISITORS = ("asyncio", "trio")
visitors = pytest.mark.parametrize("visitor", VISITORS)


async def visited(group: TaskGroup, visit: Visit, visitor: str) -> Any:
    """Run `visit(group)` in a loop of its own, in a thread of its own."""

    async def main() -> Any:
        return await visit(group)

    return await to_thread.run_sync(lambda: creche.run(main, backend=visitor))


@visitors
async def test_a_child_runs_in_the_loop_that_it_was_started_from(visitor: str) -> None:
    seen: list[Any] = []

    async def child(number: int) -> int:
        seen.append((current_token(), threading.get_ident()))
        await sleep(0.01)
        return number

    async def visit(group: TaskGroup) -> None:
        first = group.start_soon(child, 1)
        second = group.create_task(child(2))
        assert (await first, await second) == (1, 2)
        seen.append((current_token(), threading.get_ident()))

    async with create_task_group() as group:
        await visited(group, visit, visitor)
    assert len(set(seen)) == 1
    assert seen[0][1] != threading.get_ident()


@visitors
async def test_the_group_waits_for_a_child_in_another_loop(visitor: str) -> None:
    log: list[str] = []
    go = threading.Event()

    async def child() -> None:
        await to_thread.run_sync(go.wait)
        log.append("child")

    async def visit(group: TaskGroup) -> None:
        handle = group.start_soon(child)
        await sleep(0.01)
        tell.set()
        await handle.wait()

    tell = threading.Event()
    async with create_task_group() as outer:
        async with create_task_group() as group:
            outer.start_soon(visited, group, visit, visitor)
            await to_thread.run_sync(tell.wait)
            outer.start_soon(to_thread.run_sync, go.set)
        log.append("group left")
    assert log == ["child", "group left"]


@visitors
async def test_the_errors_of_a_child_in_another_loop_are_the_groups(visitor: str) -> None:
    async def fails() -> None:
        raise ValueError("over there")

    async def visit(group: TaskGroup) -> None:
        await group.start_soon(fails).wait()

    with pytest.raises(ExceptionGroup) as raised:
        async with create_task_group() as group:
            await visited(group, visit, visitor)
            await sleep_forever()
    assert [str(exc) for exc in leaves(raised.value)] == ["over there"]


@visitors
async def test_the_groups_cancellation_reaches_a_child_in_another_loop(visitor: str) -> None:
    started = threading.Event()
    handles: list[TaskHandle[Any]] = []

    async def child() -> None:
        started.set()
        await sleep_forever()

    async def visit(group: TaskGroup) -> None:
        handles.append(group.start_soon(child))
        await handles[0].wait()

    async with create_task_group() as outer:
        async with create_task_group() as group:
            outer.start_soon(visited, group, visit, visitor)
            await to_thread.run_sync(started.wait)
            group.cancel_scope.cancel()
        assert handles[0].status is TaskHandle.Status.CANCELLED


@visitors
async def test_a_handle_cancels_its_child_in_the_other_loop_alone(visitor: str) -> None:
    async def visit(group: TaskGroup) -> None:
        handle = group.start_soon(sleep_forever)
        await sleep(0.01)
        handle.cancel()
        await handle.wait()
        assert handle.status is TaskHandle.Status.CANCELLED

    async with create_task_group() as group:
        await visited(group, visit, visitor)
    assert not group.cancel_scope.cancel_called


@visitors
async def test_start_from_another_loop_returns_what_started_was_given(visitor: str) -> None:
    async def ready(*, task_status: TaskStatus[int]) -> str:
        task_status.started(4)
        await sleep(0.01)
        return "ended"

    async def fails(*, task_status: TaskStatus[int]) -> None:
        raise ValueError("before it was ready")

    async def silent(*, task_status: TaskStatus[int]) -> None:
        pass

    async def never(*, task_status: TaskStatus[int]) -> None:
        await sleep_forever()

    async def visit(group: TaskGroup) -> None:
        handle = await group.start(ready, return_handle=True)
        assert handle.start_value == 4
        assert await handle == "ended"
        with pytest.raises(ValueError, match="before it was ready"):
            await group.start(fails)
        with pytest.raises(RuntimeError, match="without calling"):
            await group.start(silent)
        with CancelScope(deadline=creche.current_time() + 0.01) as scope:
            await group.start(never)
        assert scope.cancelled_caught

    async with create_task_group() as group:
        await visited(group, visit, visitor)


@visitors
async def test_a_group_that_is_closed_takes_no_child_from_another_loop(visitor: str) -> None:
    async with create_task_group() as group:
        pass

    async def visit(group: TaskGroup) -> None:
        with pytest.raises(RuntimeError, match="not active"):
            group.start_soon(sleep_forever)
        coro = sleep_forever()
        with pytest.raises(RuntimeError, match="not active"):
            group.create_task(coro)

    await visited(group, visit, visitor)


async def test_a_thread_without_a_loop_is_refused_before_anything_is_made() -> None:
    def in_thread() -> None:
        with pytest.raises(RuntimeError, match="no other one does"):
            group.start_soon(sleep_forever)
        with pytest.raises(RuntimeError, match="no other one does"):
            group.create_task(sleep_forever())

    async with create_task_group() as group:
        await to_thread.run_sync(in_thread)


@on_asyncio  # Trio's own rule is that no task ends in a nursery that it has opened.
def test_a_group_whose_loop_has_ended_takes_no_child(backend: Backend) -> None:
    groups: list[TaskGroup] = []

    async def leaves_open() -> None:
        groups.append(create_task_group())
        await groups[0].__aenter__()

    async def later() -> None:
        with pytest.raises(RuntimeError, match="not active"):
            groups[0].start_soon(sleep_forever)

    backend.run(leaves_open)
    asyncio.run(later())


@visitors
async def test_a_task_of_another_loop_that_leaves_the_group_is_refused(visitor: str) -> None:
    async def visit(group: TaskGroup) -> None:
        with pytest.raises(RuntimeError, match="was entered in another event loop") as raised:
            await group.__aexit__(None, None, None)
        assert repr(current_token().native_token) in str(raised.value)

    async with create_task_group() as group:
        handle = group.start_soon(sleep_forever)
        await visited(group, visit, visitor)
        assert handle.status is TaskHandle.Status.PENDING
        group.cancel_scope.cancel()


@visitors
async def test_a_child_that_said_started_in_another_loop_is_the_groups(visitor: str) -> None:
    async def ready(*, task_status: TaskStatus[int]) -> None:
        task_status.started(1)
        await sleep_forever()

    handles: list[TaskHandle[Any]] = []
    tell = threading.Event()

    async def visit(group: TaskGroup) -> None:
        handles.append(await group.start(ready, return_handle=True))
        tell.set()
        await handles[0].wait()

    async with create_task_group() as outer:
        async with create_task_group() as group:
            outer.start_soon(visited, group, visit, visitor)
            await to_thread.run_sync(tell.wait)
            group.cancel_scope.cancel()
        assert handles[0].status is TaskHandle.Status.CANCELLED


@visitors
async def test_an_error_of_a_child_in_another_loop_wins_over_a_cancelled_start(
    visitor: str,
) -> None:
    async def fails_late(*, task_status: TaskStatus[int]) -> None:
        try:
            await sleep_forever()
        finally:
            raise ValueError("in its clean-up")

    async def visit(group: TaskGroup) -> None:
        with CancelScope(deadline=creche.current_time() + 0.01) as scope:
            with pytest.raises(ValueError, match="in its clean-up"):
                await group.start(fails_late)
        assert scope.cancel_called

    async with create_task_group() as group:
        await visited(group, visit, visitor)
