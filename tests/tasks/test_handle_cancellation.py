"""Cancelling a task through its handle: only that task, level-triggered, and once is enough.

The states of a handle are in ``test_handles.py``.
"""

from __future__ import annotations

import pytest

from creche import (
    CancelScope,
    Event,
    TaskCancelled,
    TaskHandle,
    create_task_group,
    get_cancelled_exc_class,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.lowlevel import checkpoint

Status = TaskHandle.Status


async def waits(release: Event) -> None:
    await release.wait()


async def cleans_up_when_cancelled(release: Event) -> None:
    try:
        await sleep_forever()
    finally:
        with CancelScope(shield=True):
            await release.wait()


async def test_cancel_cancels_only_that_task() -> None:
    release = Event()
    async with create_task_group() as tg:
        handles = [tg.start_soon(waits, release) for _ in range(3)]
        await wait_all_tasks_blocked()
        handles[1].cancel()
        await handles[1].wait()
        assert not tg.cancel_scope.cancel_called
        release.set()
    assert [handle.status for handle in handles] == [
        Status.FINISHED,
        Status.CANCELLED,
        Status.FINISHED,
    ]


async def test_cancel_is_level_triggered_as_a_scope_is() -> None:
    raised = 0

    async def stubborn() -> None:
        nonlocal raised
        for _ in range(5):
            try:
                await sleep_forever()
            except get_cancelled_exc_class():
                raised += 1
        await checkpoint()

    async with create_task_group() as tg:
        handle = tg.start_soon(stubborn)
        await wait_all_tasks_blocked()
        handle.cancel()
    assert raised == 5
    assert handle.status is Status.CANCELLED


async def test_cancel_reaches_the_tasks_own_children() -> None:
    log = []

    async def grandchild() -> None:
        try:
            await sleep_forever()
        finally:
            log.append("grandchild cancelled")

    async def child() -> None:
        async with create_task_group() as inner:
            inner.start_soon(grandchild)

    async with create_task_group() as tg:
        handle = tg.start_soon(child)
        await wait_all_tasks_blocked()
        handle.cancel()
    assert log == ["grandchild cancelled"]
    assert handle.status is Status.CANCELLED


async def test_cancel_after_cancel_and_after_the_end_does_nothing() -> None:
    async with create_task_group() as tg:
        handle = tg.start_soon(cleans_up_when_cancelled, release := Event())
        await wait_all_tasks_blocked()
        handle.cancel()
        handle.cancel()
        await wait_all_tasks_blocked()
        assert handle.status is Status.CANCELLING
        release.set()
        await handle.wait()
        handle.cancel()
    assert handle.status is Status.CANCELLED


async def test_a_task_cancelled_by_its_group_ends_cancelled() -> None:
    async with create_task_group() as tg:
        handle = tg.start_soon(sleep_forever)
        tg.cancel_scope.cancel()
    assert handle.status is Status.CANCELLED
    with pytest.raises(TaskCancelled, match="the task was cancelled"):
        await handle
