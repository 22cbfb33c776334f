"""Scopes keep asyncio's books straight: ``Task.cancelling()``, ``asyncio.timeout`` and its like.

One ``uncancel()`` for each ``cancel()`` that a scope delivered to its host, and none for cancels
that were not its own; a host that has left all its scopes counts as it did before it entered them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from _harness import leaves, on_asyncio
from creche import (
    CancelScope,
    Event,
    create_task_group,
    move_on_after,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.lowlevel import checkpoint

pytestmark = on_asyncio


def cancels() -> int:
    """How many cancels the running task has been asked for and has not settled."""
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def test_a_scope_that_caught_leaves_no_count_behind() -> None:
    with CancelScope() as scope:
        scope.cancel()
        await sleep_forever()
    assert scope.cancelled_caught
    assert cancels() == 0


async def test_a_scope_that_delivered_many_times_leaves_no_count_behind() -> None:
    with CancelScope() as scope:
        scope.cancel()
        for _ in range(5):
            with suppress(asyncio.CancelledError):
                await checkpoint()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(10)
    assert not scope.cancelled_caught
    assert cancels() == 0
    await asyncio.sleep(0)


async def test_nested_scopes_cancelled_together_leave_no_count_behind() -> None:
    log = []
    with CancelScope() as outer:
        with CancelScope(shield=True) as middle:
            with CancelScope(shield=True) as inner:
                for scope in (outer, middle, inner):
                    scope.cancel()
                await sleep_forever()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(10)
                log.append("the middle scope was forgotten")
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(10)
            log.append("the outer scope was forgotten")
    assert log == []
    assert cancels() == 0
    await asyncio.sleep(0)


async def test_a_cancelled_scope_left_before_its_delivery_leaves_nothing_behind() -> None:
    event, scope, log = Event(), CancelScope(), list[object]()

    async def host() -> None:
        with scope:
            await event.wait()
        log.append(cancels())
        await asyncio.sleep(0)
        log.append("went on")

    task = asyncio.create_task(host())
    await wait_all_tasks_blocked()
    event.set()
    scope.cancel()
    await task
    assert log == [0, "went on"]


async def test_a_failed_group_leaves_no_count_at_its_host() -> None:
    async def failing() -> None:
        raise ValueError

    with pytest.raises(ExceptionGroup):
        async with create_task_group() as tg:
            tg.start_soon(failing)
            await sleep_forever()
    assert cancels() == 0
    await asyncio.sleep(0)


async def test_a_native_cancel_that_was_handled_before_entry_does_not_confuse_a_scope() -> None:
    log = []

    async def host() -> None:
        with suppress(asyncio.CancelledError):
            await sleep_forever()
        log.append(cancels())
        with CancelScope() as scope:
            scope.cancel()
            await sleep_forever()
        log.append(scope.cancelled_caught)
        log.append(cancels())

    task = asyncio.create_task(host())
    await wait_all_tasks_blocked()
    task.cancel()
    await task
    assert log == [1, True, 1]


async def test_a_native_cancel_taken_back_inside_a_scope_does_not_confuse_it() -> None:
    log = []

    async def host() -> None:
        with CancelScope() as scope:
            try:
                await sleep_forever()
            except asyncio.CancelledError:
                log.append(task.uncancel())
            scope.cancel()
            await sleep_forever()
        log.append(scope.cancelled_caught)
        log.append(cancels())

    task = asyncio.create_task(host())
    await wait_all_tasks_blocked()
    task.cancel()
    await task
    assert log == [0, True, 0]


# Libraries that raise CancelledError anew


async def raise_class() -> None:
    try:
        await sleep_forever()
    except asyncio.CancelledError:
        raise asyncio.CancelledError  # noqa: B904  # as libraries do


async def raise_without_context() -> None:
    try:
        await sleep_forever()
    except asyncio.CancelledError:
        raise asyncio.CancelledError from None


async def gather_two() -> None:
    await asyncio.gather(asyncio.sleep(10), asyncio.sleep(10))


async def wait_for_one() -> None:
    await asyncio.wait_for(asyncio.sleep(10), 10)


async def wait_for_task() -> None:
    await asyncio.create_task(asyncio.sleep(10))


async def asyncio_queue() -> None:
    await asyncio.Queue[int]().get()


@pytest.mark.parametrize(
    "wait",
    [raise_class, raise_without_context, gather_two, wait_for_one, wait_for_task, asyncio_queue],
)
async def test_a_scope_knows_its_cancellation_whatever_its_message(
    wait: Callable[[], Awaitable[None]],
) -> None:
    scope = CancelScope()

    async def canceller() -> None:
        await wait_all_tasks_blocked()
        scope.cancel()

    async with create_task_group() as tg:
        tg.start_soon(canceller)
        with scope:
            await wait()
            pytest.fail("not cancelled")
        assert scope.cancelled_caught
        assert cancels() == 0


# asyncio.timeout and asyncio.TaskGroup inside scopes, and scopes inside them


async def test_a_scope_cancelled_around_asyncio_timeout_is_no_timeout() -> None:
    with CancelScope() as scope:
        async with asyncio.timeout(10) as timeout:
            scope.cancel()
            await sleep_forever()
    assert scope.cancelled_caught
    assert not timeout.expired()
    assert cancels() == 0


async def test_asyncio_timeout_expires_inside_a_scope() -> None:
    with CancelScope() as scope:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await sleep_forever()
        assert cancels() == 0
        await checkpoint()
    assert not scope.cancel_called


async def test_asyncio_timeout_expires_around_a_scope() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            with CancelScope() as scope:
                await sleep_forever()
    assert not scope.cancel_called
    assert not scope.cancelled_caught
    assert cancels() == 0


async def test_asyncio_timeout_expires_around_a_group() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            async with create_task_group() as tg:
                handle = tg.start_soon(sleep_forever)
    assert handle.status.name == "CANCELLED"
    assert cancels() == 0


async def test_a_scope_that_catches_inside_asyncio_timeout_is_no_timeout() -> None:
    async with asyncio.timeout(10) as timeout:
        with move_on_after(0.01) as scope:
            await sleep_forever()
        await asyncio.sleep(0)
    assert scope.cancelled_caught
    assert not timeout.expired()
    assert cancels() == 0


async def test_asyncio_timeout_works_after_a_scope_that_caught() -> None:
    with move_on_after(0):
        await sleep_forever()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await sleep_forever()
    assert cancels() == 0


async def test_a_scope_cancelled_around_an_asyncio_group_cancels_its_tasks() -> None:
    log = []

    async def native_child() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            log.append("native child cancelled")

    scope = CancelScope()

    async def canceller() -> None:
        await wait_all_tasks_blocked()
        scope.cancel()

    async with create_task_group() as tg:
        tg.start_soon(canceller)
        with scope:
            async with asyncio.TaskGroup() as native:
                native.create_task(native_child())
    assert log == ["native child cancelled"]
    assert scope.cancelled_caught
    assert cancels() == 0


@pytest.mark.parametrize("scope_too", [False, True], ids=["alone", "with-the-scope"])
async def test_an_asyncio_group_that_fails_around_a_scope_gets_its_cancel_through(
    scope_too: bool,
) -> None:
    scope = CancelScope()

    async def failing() -> None:
        await wait_all_tasks_blocked()
        if scope_too:
            scope.cancel()
        raise ValueError("no")

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as native:
            native.create_task(failing())
            with scope:
                await sleep_forever()
            await sleep_forever()
    assert [repr(leaf) for leaf in leaves(caught.value)] == ["ValueError('no')"]
    assert cancels() == 0
    await asyncio.sleep(0)


async def test_an_asyncio_group_that_fails_inside_a_scope_is_only_an_error() -> None:
    async def failing() -> None:
        raise ValueError("no")

    with pytest.raises(ExceptionGroup), CancelScope() as scope:
        async with asyncio.TaskGroup() as native:
            native.create_task(failing())
            await sleep_forever()
    assert not scope.cancel_called
    assert cancels() == 0


async def test_a_creche_group_inside_a_task_of_an_asyncio_group_works() -> None:
    log = []

    async def native_child() -> None:
        async with create_task_group() as tg:
            tg.start_soon(checkpoint)
            tg.start_soon(sleep_forever)
            await wait_all_tasks_blocked()
            tg.cancel_scope.cancel()
        log.append(cancels())

    async with asyncio.TaskGroup() as native:
        native.create_task(native_child())
        native.create_task(native_child())
    assert log == [0, 0]
