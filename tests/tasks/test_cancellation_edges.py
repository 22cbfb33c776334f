"""Edge cases of scopes on every backend: shields, deadlines, nesting, first steps.

Groups below scopes are in ``test_cancellation_groups.py``, native asyncio cancellation in
``test_cancellation_native.py`` and ``test_cancellation_counts.py``, processor time in
``test_cancellation_cpu.py``, scopes left in the wrong place in ``test_cancellation_misuse.py``.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from creche import (
    CancelScope,
    Event,
    create_task_group,
    current_effective_deadline,
    current_time,
    fail_after,
    get_cancelled_exc_class,
    move_on_after,
    move_on_at,
    sleep,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.lowlevel import checkpoint

# Level-triggered delivery


async def test_every_checkpoint_in_a_cancelled_scope_raises_again() -> None:
    raised = 0
    with CancelScope() as scope:
        scope.cancel()
        for _ in range(17):
            try:
                await checkpoint()
            except get_cancelled_exc_class():
                raised += 1
        await sleep_forever()
    assert raised == 17
    assert scope.cancelled_caught


async def test_every_wait_of_a_task_that_was_blocked_raises_again() -> None:
    raised = 0
    scope = CancelScope()

    async def stubborn() -> None:
        nonlocal raised
        with scope:
            for _ in range(17):
                try:
                    await sleep_forever()
                except get_cancelled_exc_class():
                    raised += 1
            await Event().wait()

    async with create_task_group() as tg:
        tg.start_soon(stubborn)
        await wait_all_tasks_blocked()
        scope.cancel()
    assert raised == 17
    assert scope.cancelled_caught


async def test_a_scope_that_was_cancelled_but_met_no_checkpoint_caught_nothing() -> None:
    with CancelScope() as scope:
        scope.cancel()
    await checkpoint()
    assert scope.cancel_called
    assert not scope.cancelled_caught


async def test_a_wake_up_before_the_cancel_wins_and_leaves_nothing_behind() -> None:
    event, scope, log = Event(), CancelScope(), []

    async def waiter() -> None:
        with scope:
            await event.wait()
            log.append("woken")
        await checkpoint()
        log.append("went on")

    async with create_task_group() as tg:
        tg.start_soon(waiter)
        await wait_all_tasks_blocked()
        event.set()
        scope.cancel()
    assert log == ["woken", "went on"]
    assert not scope.cancelled_caught


async def test_a_cancel_before_enter_works() -> None:
    scope = CancelScope()
    scope.cancel()
    with scope:
        await checkpoint()
        pytest.fail("the scope was cancelled before it was entered")
    assert scope.cancelled_caught


async def test_a_task_cancelled_before_its_first_step_runs_to_its_first_checkpoint() -> None:
    log = []

    async def child(name: str) -> None:
        log.append(f"{name} began")
        try:
            await checkpoint()
        except get_cancelled_exc_class():
            log.append(f"{name} cancelled")
            raise

    async with create_task_group() as tg:
        tg.start_soon(child, "by the group")
        tg.cancel_scope.cancel()
    async with create_task_group() as tg:
        tg.start_soon(child, "by its handle").cancel()
    assert log == [
        "by the group began",
        "by the group cancelled",
        "by its handle began",
        "by its handle cancelled",
    ]


# Shields


@pytest.mark.backends("asyncio", "asyncio+eager", "uvloop")  # Trio steps in no order
@pytest.mark.parametrize("wait", [checkpoint, partial(sleep, 0), partial(asyncio.sleep, 0)])
async def test_a_task_that_gave_way_hears_of_a_cancel_before_later_tasks_step(
    wait: Callable[[], Awaitable[None]],
) -> None:
    log = []

    async def cleans_up() -> None:
        with scope:
            ready.set()
            try:
                await wait()
            finally:
                log.append("cleaned up")

    async def comes_later() -> None:
        log.append("came later")

    scope, ready = CancelScope(), Event()
    async with create_task_group() as group:
        group.start_soon(cleans_up)
        await ready.wait()
        scope.cancel()
        group.start_soon(comes_later)
    assert log == ["cleaned up", "came later"]
    assert scope.cancelled_caught


async def test_a_childs_shield_does_not_shield_its_siblings() -> None:
    log, release = [], Event()

    async def shielded() -> None:
        with CancelScope(shield=True):
            await release.wait()
            log.append("shielded child done")

    async def sibling() -> None:
        try:
            await sleep_forever()
        finally:
            log.append("sibling cancelled")
            release.set()

    with fail_after(5):
        async with create_task_group() as tg:
            tg.start_soon(shielded)
            tg.start_soon(sibling)
            await wait_all_tasks_blocked()
            tg.cancel_scope.cancel()
    assert log == ["sibling cancelled", "shielded child done"]


async def test_a_shield_raised_inside_a_cancelled_scope_protects_at_once() -> None:
    with CancelScope() as outer:
        outer.cancel()
        with CancelScope() as inner:
            inner.shield = True
            await checkpoint()
            inner.shield = False
            with pytest.raises(get_cancelled_exc_class()):
                await checkpoint()
            inner.shield = True
            await sleep(0)
    assert not outer.cancelled_caught


async def test_lowering_a_shield_wakes_the_task_that_waits_behind_it() -> None:
    shield, outer = CancelScope(shield=True), CancelScope()

    async def waiter() -> None:
        with outer, shield:
            await sleep_forever()

    with fail_after(5):
        async with create_task_group() as tg:
            tg.start_soon(waiter)
            await wait_all_tasks_blocked()
            outer.cancel()
            await wait_all_tasks_blocked()
            assert not outer.cancelled_caught
            shield.shield = False
    assert outer.cancelled_caught
    assert not shield.cancelled_caught


async def test_raising_a_shield_around_a_blocked_task_protects_it() -> None:
    log, event = [], Event()
    shield, outer = CancelScope(), CancelScope()

    async def waiter() -> None:
        with outer:
            with shield:
                await event.wait()
                log.append("protected")
            await checkpoint()
            log.append("not reached")

    async with create_task_group() as tg:
        tg.start_soon(waiter)
        await wait_all_tasks_blocked()
        shield.shield = True
        outer.cancel()
        await wait_all_tasks_blocked()
        event.set()
    assert log == ["protected"]
    assert outer.cancelled_caught


async def test_a_shield_does_not_stop_the_shields_own_cancel() -> None:
    with CancelScope(shield=True) as scope:
        scope.cancel()
        await sleep_forever()
    assert scope.cancelled_caught


# Scopes in scopes


async def test_on_leaving_an_inner_scope_the_outer_cancellation_goes_on() -> None:
    log = []
    with CancelScope() as outer:
        with CancelScope(shield=True) as inner:
            outer.cancel()
            inner.cancel()
            await checkpoint()
        log.append("left the inner scope")
        await checkpoint()
        log.append("not reached")
    assert log == ["left the inner scope"]
    assert inner.cancelled_caught
    assert outer.cancelled_caught


async def test_when_both_scopes_are_cancelled_the_outer_one_catches() -> None:
    with CancelScope() as outer:
        with CancelScope() as inner:
            inner.cancel()
            outer.cancel()
            await checkpoint()
        pytest.fail("the outer scope was cancelled as well")
    assert outer.cancelled_caught
    assert not inner.cancelled_caught


async def test_the_outer_scope_cancelled_while_the_inner_ones_exception_travels_catches_it() -> (
    None
):
    with CancelScope() as outer:
        with CancelScope() as inner:
            inner.cancel()
            try:
                await checkpoint()
            finally:
                outer.cancel()
        pytest.fail("the outer scope was cancelled as well")
    assert outer.cancelled_caught
    assert not inner.cancelled_caught


async def test_an_inner_scope_catches_only_its_own_cancellation() -> None:
    with CancelScope() as outer:
        with CancelScope() as inner:
            outer.cancel()
            await checkpoint()
    assert outer.cancelled_caught
    assert not inner.cancel_called
    assert not inner.cancelled_caught


async def test_the_task_goes_on_after_a_scope_that_caught() -> None:
    for _ in range(3):
        with move_on_after(0) as scope:
            await sleep_forever()
        assert scope.cancelled_caught
        await checkpoint()


# Deadlines


async def test_a_deadline_brought_forward_acts_at_once() -> None:
    scope = CancelScope()

    async def waiter() -> None:
        with scope:
            await sleep_forever()

    with fail_after(5):
        async with create_task_group() as tg:
            tg.start_soon(waiter)
            await wait_all_tasks_blocked()
            scope.deadline = current_time() - 1
    assert scope.cancelled_caught


async def test_a_deadline_put_off_does_not_strike_at_its_old_time() -> None:
    with move_on_after(0.1) as scope:
        scope.deadline = math.inf
        await sleep(0.15)
    assert scope.deadline == math.inf
    assert not scope.cancel_called


async def test_a_deadline_that_has_passed_shows_as_cancel_called() -> None:
    with move_on_after(0.001) as scope:
        time.sleep(0.005)
        assert scope.cancel_called
        with pytest.raises(get_cancelled_exc_class()):
            await checkpoint()
    assert not scope.cancelled_caught


async def test_the_effective_deadline_is_the_earliest_up_to_a_shield() -> None:
    now = current_time()
    assert current_effective_deadline() == math.inf
    with move_on_at(now + 50):
        with move_on_at(now + 90):
            assert current_effective_deadline() == now + 50
        with move_on_at(now + 90, shield=True):
            assert current_effective_deadline() == now + 90
        with CancelScope() as scope:
            scope.cancel()
            assert current_effective_deadline() == -math.inf
            with CancelScope(shield=True):
                assert current_effective_deadline() == math.inf
    assert current_effective_deadline() == math.inf


async def test_a_deadline_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="deadline must not be NaN"):
        CancelScope(deadline=math.nan)
    with CancelScope(deadline=math.inf) as scope:
        with pytest.raises(ValueError, match="deadline must not be NaN"):
            scope.deadline = math.nan
        assert scope.deadline == math.inf
    with pytest.raises(ValueError, match="deadline must not be NaN"):
        move_on_at(math.nan)


@pytest.mark.parametrize("delay", [-1, -0.001, -math.inf, math.nan])
async def test_a_sleep_of_less_than_nothing_is_refused(delay: float) -> None:
    with pytest.raises(ValueError, match="delay must be a non-negative number"):
        await sleep(delay)
