"""Cancelling one side of ``TaskGroup.start()`` does not leak to the other, on every backend.

Until `started()` the child lives in the caller's scope; from then on in the group's.
"""

from __future__ import annotations

from typing import Any

import pytest

from creche import (
    CancelScope,
    Event,
    create_task_group,
    fail_after,
    get_cancelled_exc_class,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.abc import TaskGroup, TaskStatus
from creche.lowlevel import checkpoint


async def test_a_started_value_survives_a_cancel_that_comes_later() -> None:
    log: list[object] = []
    scope = CancelScope()

    async def child(*, task_status: TaskStatus[int]) -> None:
        task_status.started(5)
        scope.cancel()
        try:
            await sleep_forever()
        except get_cancelled_exc_class():
            log.append("child cancelled")
            raise

    async with create_task_group() as tg:
        with scope:
            log.append(await tg.start(child))
            await checkpoint()
            log.append("not reached")
        await checkpoint()
        log.append("child is not the caller's any more")
        tg.cancel_scope.cancel()
    assert log == [5, "child is not the caller's any more", "child cancelled"]
    assert scope.cancelled_caught


async def test_calling_started_after_the_caller_was_cancelled_is_no_error() -> None:
    log: list[object] = []

    async def child(*, task_status: TaskStatus[int]) -> None:
        try:
            await sleep_forever()
        finally:
            task_status.started(3)
            log.append("no error")

    async with create_task_group() as tg:
        with CancelScope() as scope:
            scope.cancel()
            log.append(await tg.start(child))
        await checkpoint()
    assert log == ["no error"]
    assert scope.cancelled_caught
    assert not tg.cancel_scope.cancel_called


async def test_calling_started_twice_is_an_error_also_after_the_caller_was_cancelled() -> None:
    log: list[object] = []

    async def child(*, task_status: TaskStatus[int]) -> None:
        try:
            await sleep_forever()
        finally:
            task_status.started(3)
            with pytest.raises(RuntimeError, match="twice"):
                task_status.started(4)
            log.append("an error")

    async with create_task_group() as tg:
        with CancelScope() as scope:
            scope.cancel()
            log.append(await tg.start(child))
    assert log == ["an error"]
    assert scope.cancelled_caught


async def test_cancelling_the_caller_cancels_the_child_that_has_not_started() -> None:
    log = []
    scope = CancelScope()

    async def child(*, task_status: TaskStatus[None]) -> None:
        try:
            await sleep_forever()
        finally:
            log.append("child cancelled")

    async def sibling() -> None:
        await event.wait()
        log.append("sibling done")

    async def caller(tg: TaskGroup) -> None:
        with scope:
            await tg.start(child)
        log.append("caller goes on")
        await checkpoint()

    event = Event()
    async with create_task_group() as tg:
        tg.start_soon(sibling)
        tg.start_soon(caller, tg)
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        assert not tg.cancel_scope.cancel_called
        event.set()
    assert log == ["child cancelled", "caller goes on", "sibling done"]
    assert scope.cancelled_caught


async def test_cancelling_the_caller_waits_until_the_child_has_cleaned_up() -> None:
    log = []
    scope, release = CancelScope(), Event()

    async def child(*, task_status: TaskStatus[None]) -> None:
        try:
            await sleep_forever()
        finally:
            with CancelScope(shield=True):
                await release.wait()
            log.append("child cleaned up")

    async def caller(tg: TaskGroup) -> None:
        with scope:
            await tg.start(child)
        log.append("caller goes on")

    async with create_task_group() as tg:
        tg.start_soon(caller, tg)
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        assert log == []
        release.set()
    assert log == ["child cleaned up", "caller goes on"]


async def test_cancelling_the_caller_after_started_leaves_the_child_alone() -> None:
    log = []
    release = Event()

    async def child(*, task_status: TaskStatus[None]) -> None:
        task_status.started()
        await release.wait()
        log.append("child done")

    async with create_task_group() as tg:
        with CancelScope() as scope:
            await tg.start(child)
            scope.cancel()
            await sleep_forever()
        release.set()
    assert scope.cancelled_caught
    assert log == ["child done"]


async def test_an_error_of_the_child_while_the_caller_is_cancelled_reaches_the_caller() -> None:
    async def child(*, task_status: TaskStatus[None]) -> None:
        try:
            await sleep_forever()
        except get_cancelled_exc_class():
            raise ValueError("in the clean-up") from None

    async with create_task_group() as tg:
        with pytest.raises(ValueError, match="in the clean-up"), CancelScope() as scope:
            scope.cancel()
            await tg.start(child)
        await checkpoint()
    assert not tg.cancel_scope.cancel_called


async def test_cancelling_the_group_does_not_reach_a_child_that_has_not_started() -> None:
    """The caller is elsewhere, and so is the child until it has started."""
    log: list[object] = []
    go_on = Event()

    async def child(*, task_status: TaskStatus[int]) -> None:
        await go_on.wait()
        task_status.started(7)
        log.append("started")
        try:
            await checkpoint()
        except get_cancelled_exc_class():
            log.append("cancelled in the group")
            raise

    async def caller(tg: TaskGroup) -> None:
        log.append(await tg.start(child))

    with fail_after(5):
        async with create_task_group() as outer:
            async with create_task_group() as tg:
                outer.start_soon(caller, tg)
                await wait_all_tasks_blocked()
                tg.cancel_scope.cancel()
                with CancelScope(shield=True):
                    await wait_all_tasks_blocked()
                    assert log == []
                    go_on.set()
    assert log[0] == "started"
    assert sorted(map(str, log[1:])) == ["7", "cancelled in the group"]


async def test_leaving_a_group_waits_for_a_child_that_has_not_started() -> None:
    log = []
    go_on = Event()

    async def child(*, task_status: TaskStatus[None]) -> None:
        await go_on.wait()
        task_status.started()
        await checkpoint()
        log.append("child done")

    async def caller(tg: TaskGroup) -> None:
        await tg.start(child)

    async def releases() -> None:
        await wait_all_tasks_blocked()
        go_on.set()

    async with create_task_group() as outer:
        async with create_task_group() as tg:
            outer.start_soon(caller, tg)
            await wait_all_tasks_blocked()
            outer.start_soon(releases)
        log.append("group left")
    assert log == ["child done", "group left"]


async def test_start_in_a_cancelled_group_runs_the_child_to_its_first_checkpoint() -> None:
    log: list[Any] = []

    async def child(*, task_status: TaskStatus[None]) -> None:
        log.append("began")
        await checkpoint()
        log.append("not reached")

    async with create_task_group() as tg:
        tg.cancel_scope.cancel()
        await tg.start(child)
        log.append("not reached either")
    assert log == ["began"]
    assert tg.cancel_scope.cancelled_caught


async def test_a_child_that_is_ready_when_the_caller_is_cancelled_and_ends_well_gives_its_value() -> (
    None
):
    """As in Trio: nobody was interrupted, so the cancellation waits for the next checkpoint."""
    log: list[object] = []

    async def child(*, task_status: TaskStatus[int]) -> None:
        scope.cancel()
        task_status.started(3)

    async with create_task_group() as tg:
        with CancelScope() as scope:
            handle = await tg.start(child, return_handle=True)
            log.append(handle.start_value)
            await checkpoint()
            log.append("not reached")
    assert log == [3]
    assert scope.cancelled_caught
