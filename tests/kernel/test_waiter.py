"""`Waiter` and `FirmWaiter`: the wake-up of one parked task, on every kernel."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from _kernel_parts import Group, Parked, cancel, let_run

from _harness import on_asyncio, on_every_backend
from creche._kernel import current_task

pytestmark = on_every_backend


# waiting -> granted | failed | cancelled, once


async def test_a_waiter_is_not_done_until_it_is_granted() -> None:
    group = Group()
    parked = Parked(group)
    await let_run()
    assert not parked.waiter.done()
    parked.waiter.set_result("granted")
    assert parked.waiter.done()
    await group.close()
    assert parked.steps == ["granted"]


async def test_a_waiter_that_failed_is_done_and_the_wait_raises_what_it_failed_with() -> None:
    group, error = Group(), LookupError()
    parked = Parked(group)
    await let_run()
    parked.waiter.set_exception(error)
    assert parked.waiter.done()
    await group.close()
    assert parked.steps == [error]


async def test_a_cancelled_waiter_is_done_as_soon_as_its_task_is_on_its_way_out() -> None:
    group = Group()
    parked = Parked(group)
    await let_run()
    cancel(parked.scope)
    await let_run()
    assert parked.waiter.done()
    await group.close()
    assert parked.steps == ["cancelled"]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_waiter_is_done_once(fails: bool) -> None:
    group = Group()
    parked = Parked(group)
    await let_run()
    parked.waiter.set_result("first")
    with pytest.raises(Exception):  # each loop has its own
        if fails:
            parked.waiter.set_exception(LookupError())
        else:
            parked.waiter.set_result("second")
    await group.close()
    assert parked.steps == ["first"]


async def test_a_waiter_that_was_granted_has_its_result() -> None:
    waiter = current_task().make_waiter()
    waiter.set_result(3)
    assert waiter.done()
    assert waiter.result() == 3


async def test_a_waiter_that_failed_raises_for_who_asks_for_its_result() -> None:
    waiter = current_task().make_waiter()
    waiter.set_exception(LookupError())
    assert waiter.done()
    with pytest.raises(LookupError):
        waiter.result()


# Firm waits


async def test_a_firm_wait_is_not_interrupted_and_the_cancellation_comes_after_it() -> None:
    group = Group()
    parked = Parked(group, firm=True)
    await let_run()
    cancel(parked.scope)
    await let_run()
    assert parked.steps == []
    assert not parked.waiter.done()
    parked.waiter.set_result("granted")
    await group.close()
    assert parked.steps == ["granted", "cancelled at the next checkpoint"]


async def test_a_firm_waiter_that_is_granted_before_its_wait_does_not_wait() -> None:
    waiter = current_task().make_firm_waiter()
    waiter.set_result(3)
    assert await waiter.wait() == 3


async def test_a_firm_waiter_that_fails_raises() -> None:
    waiter = current_task().make_firm_waiter()
    waiter.set_exception(LookupError())
    with pytest.raises(LookupError):
        await waiter.wait()


async def test_a_firm_waiter_that_fails_while_it_is_waited_on_raises() -> None:
    group, error = Group(), LookupError()
    parked = Parked(group, firm=True)
    await let_run()
    parked.waiter.set_exception(error)
    await group.close()
    assert parked.steps == [error]


async def test_a_cancellation_of_a_scope_is_not_heard_by_a_firm_waiter() -> None:
    group = Group()
    heard: list[bool] = []
    waiters: list[Any] = []

    async def wait() -> None:
        waiter = current_task().make_firm_waiter(lambda: heard.append(True))
        waiters.append(waiter)
        await waiter.wait()

    group.spawn(wait)
    await let_run()
    group.cancel()
    await let_run()
    waiters[0].set_result(None)
    await group.close()
    assert heard == []


@on_asyncio
async def test_a_native_cancel_is_heard_by_a_firm_waiter_and_raised_after_the_wait() -> None:
    heard: list[bool] = []
    waiters: list[Any] = []
    steps: list[object] = []

    async def wait() -> None:
        task = current_task()
        waiters.append(task.make_firm_waiter(lambda: heard.append(True)))
        steps.append(await waiters[0].wait())
        await task.checkpoint()

    native = asyncio.create_task(wait())
    await let_run()
    native.cancel()
    assert heard == [True]
    await let_run()
    assert steps == []
    waiters[0].set_result("granted")
    with pytest.raises(asyncio.CancelledError):
        await native
    assert steps == ["granted"]


@on_asyncio
async def test_two_native_cancels_of_a_firm_wait_are_not_lost() -> None:
    steps: list[object] = []
    waiters: list[Any] = []

    async def wait() -> None:
        waiters.append(current_task().make_firm_waiter())
        steps.append(await waiters[0].wait())
        try:
            await current_task().checkpoint()
        except asyncio.CancelledError:
            native = asyncio.current_task()
            assert native is not None
            steps.append(native.cancelling())
            raise

    native = asyncio.create_task(wait())
    await let_run()
    native.cancel()
    await let_run()
    native.cancel()
    await let_run()
    assert steps == []
    waiters[0].set_result("granted")
    with pytest.raises(asyncio.CancelledError):
        await native
    assert steps == ["granted", 2]
