"""Native ``Task.cancel()`` and the scopes of Creche in one task: neither swallows the other.

Only asyncio has a cancel beside the scopes. How often tasks were cancelled, and that counts come
out even, is in ``test_cancellation_counts.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from _harness import leaves, on_asyncio
from creche import (
    CancelScope,
    Event,
    TaskHandle,
    create_task_group,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.lowlevel import checkpoint

pytestmark = on_asyncio

both_orders = pytest.mark.parametrize(
    "order", [("scope", "native"), ("native", "scope")], ids="-then-".join
)


def this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def cancel_both(scope: CancelScope, task: asyncio.Task[object], order: Sequence[str]) -> None:
    """Cancel `scope` and `task` in one pass of the loop, in this order."""
    for which in order:
        if which == "scope":
            scope.cancel()
        else:
            task.cancel()


@both_orders
async def test_a_native_cancel_beside_the_scopes_own_is_not_swallowed(order: Sequence[str]) -> None:
    scope, log = CancelScope(), []

    async def host() -> None:
        with scope:
            await sleep_forever()
        log.append("went on")
        await checkpoint()

    task = asyncio.create_task(host())
    await wait_all_tasks_blocked()
    cancel_both(scope, task, order)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == []
    assert task.cancelled()
    assert not scope.cancelled_caught


@both_orders
async def test_a_native_cancel_of_a_child_beside_its_scopes_own_is_not_swallowed(
    order: Sequence[str],
) -> None:
    scope, log, tasks = CancelScope(), [], []

    async def child() -> None:
        tasks.append(this_task())
        with scope:
            await sleep_forever()
        log.append("went on")
        await checkpoint()

    async with create_task_group() as tg:
        handle = tg.start_soon(child)
        await wait_all_tasks_blocked()
        cancel_both(scope, tasks[0], order)
    assert log == []
    assert handle.status is TaskHandle.Status.CANCELLED
    assert not scope.cancelled_caught


@both_orders
async def test_a_native_cancel_of_the_host_beside_its_groups_own_is_not_swallowed(
    order: Sequence[str],
) -> None:
    log, groups = [], []

    async def host() -> None:
        async with create_task_group() as tg:
            groups.append(tg)
            tg.start_soon(sleep_forever)
            await sleep_forever()
        log.append("went on")
        await checkpoint()

    task = asyncio.create_task(host())
    await wait_all_tasks_blocked()
    cancel_both(groups[0].cancel_scope, task, order)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == []
    assert task.cancelled()


async def test_a_native_cancel_while_the_cancelled_scope_cleans_up_is_not_swallowed() -> None:
    scope, log = CancelScope(), []

    async def host() -> None:
        with scope:
            try:
                await sleep_forever()
            finally:
                log.append("cleaning up")
                with CancelScope(shield=True):
                    await sleep_forever()
        log.append("went on")

    task = asyncio.create_task(host())
    await wait_all_tasks_blocked()
    scope.cancel()
    await wait_all_tasks_blocked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["cleaning up"]
    assert not scope.cancelled_caught


async def test_a_native_cancel_goes_through_scopes_and_shields_alike() -> None:
    log = []

    async def host() -> None:
        with CancelScope() as scope, CancelScope(shield=True) as shield:
            try:
                await sleep_forever()
            finally:
                log.append((scope.cancel_called, shield.cancel_called))

    task = asyncio.create_task(host())
    await wait_all_tasks_blocked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == [(False, False)]


async def test_a_native_cancel_of_the_host_cancels_the_children_and_comes_out_bare() -> None:
    log = []

    async def child() -> None:
        try:
            await sleep_forever()
        finally:
            log.append("child cancelled")

    async def host() -> None:
        async with create_task_group() as tg:
            tg.start_soon(child)
            tg.start_soon(child)

    task = asyncio.create_task(host())
    await wait_all_tasks_blocked()
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["child cancelled", "child cancelled"]


@pytest.mark.parametrize("where", ["in the body", "leaving the group"])
async def test_a_native_cancel_that_meets_errors_leaves_only_the_errors(where: str) -> None:
    log: list[object] = []

    async def child() -> None:
        try:
            await sleep_forever()
        finally:
            raise ValueError("from the child")

    async def host() -> None:
        try:
            async with create_task_group() as tg:
                tg.start_soon(child)
                tg.start_soon(sleep_forever)
                if where == "in the body":
                    await sleep_forever()
        except BaseExceptionGroup as group:
            log.extend([type(group).__name__, *map(repr, leaves(group))])
            log.append(this_task().cancelling())

    task = asyncio.create_task(host())
    await wait_all_tasks_blocked()
    task.cancel()
    await asyncio.wait([task])
    assert log == ["ExceptionGroup", "ValueError('from the child')", 1]


async def test_a_natively_cancelled_child_ends_cancelled_and_the_group_goes_on() -> None:
    log, tasks, release = [], [], Event()

    async def cancelled() -> None:
        tasks.append(this_task())
        await sleep_forever()

    async def sibling() -> None:
        await release.wait()
        log.append("sibling done")

    async with create_task_group() as tg:
        handle = tg.start_soon(cancelled)
        tg.start_soon(sibling)
        await wait_all_tasks_blocked()
        tasks[0].cancel()
        await handle.wait()
        assert handle.status is TaskHandle.Status.CANCELLED
        assert not tg.cancel_scope.cancel_called
        await checkpoint()
        release.set()
    assert log == ["sibling done"]


@pytest.mark.parametrize("wait", [checkpoint, sleep_forever, lambda: asyncio.sleep(10)])
async def test_a_child_that_cancels_itself_natively_ends_cancelled_at_its_next_await(
    wait: Callable[[], Awaitable[None]],
) -> None:
    log = []

    async def child() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        log.append("still running")
        await wait()
        log.append("not reached")

    async with create_task_group() as tg:
        handle = tg.start_soon(child)
    assert log == ["still running"]
    assert handle.status is TaskHandle.Status.CANCELLED


async def test_a_child_that_raises_cancelled_error_by_itself_ends_cancelled() -> None:
    async def child() -> None:
        raise asyncio.CancelledError("my own idea")

    async with create_task_group() as tg:
        handle = tg.start_soon(child)
        await handle.wait()
        await checkpoint()
    assert handle.status is TaskHandle.Status.CANCELLED
    assert not tg.cancel_scope.cancel_called


async def test_a_foreign_task_made_in_a_cancelled_scope_is_outside_of_it() -> None:
    log = []

    async def foreign() -> None:
        await checkpoint()
        await asyncio.sleep(0)
        log.append("untouched")

    with CancelScope() as scope:
        task = asyncio.create_task(foreign())
        scope.cancel()
        with CancelScope(shield=True):
            await task
    assert log == ["untouched"]
