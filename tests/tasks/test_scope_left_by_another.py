"""A scope that another task has tried to leave goes on for its own task, whatever it is or becomes.

Until that task leaves it, leaves one further out over it, or ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from creche import (
    CancelScope,
    Event,
    create_task_group,
    current_time,
    get_cancelled_exc_class,
    move_on_after,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.lowlevel import checkpoint

if TYPE_CHECKING:
    from _harness import Backend


def enter(scope: CancelScope) -> None:
    scope.__enter__()


def leave(scope: CancelScope) -> None:
    scope.__exit__(None, None, None)


def leave_wrongly(scope: CancelScope) -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError, match="in a different task"):
            leave(scope)


async def still_works() -> None:
    with CancelScope() as scope:
        scope.cancel()
        await sleep_forever()
    assert scope.cancelled_caught
    async with create_task_group() as tg:
        tg.start_soon(sleep_forever)
        await wait_all_tasks_blocked()
        tg.cancel_scope.cancel()
    await checkpoint()


async def is_cancelled() -> None:
    with pytest.raises(get_cancelled_exc_class()):
        await sleep_forever()
    with pytest.raises(get_cancelled_exc_class()):
        await checkpoint()


Change = Callable[[CancelScope], None]


def cancel(scope: CancelScope) -> None:
    scope.cancel()


def expire(scope: CancelScope) -> None:
    scope.deadline = current_time() - 1


def expire_soon(scope: CancelScope) -> None:
    scope.deadline = current_time() + 0.01


with_each_change = pytest.mark.parametrize("change", [cancel, expire, expire_soon])


async def leaves_it(scope: CancelScope) -> None:
    leave(scope)


async def ends(scope: CancelScope) -> None:
    pass


with_each_end = pytest.mark.parametrize("end", [leaves_it, ends])


@with_each_change
@with_each_end
@pytest.mark.parametrize("before", [True, False])
async def test_its_own_task_is_cancelled_by_it(
    change: Change, before: bool, end: Callable[[CancelScope], Awaitable[None]]
) -> None:
    scope, entered, tried = CancelScope(), Event(), Event()

    async def owner() -> None:
        enter(scope)
        with CancelScope(shield=True):
            entered.set()
            await tried.wait()
            await still_works()
        await is_cancelled()
        async with create_task_group() as tg:
            tg.start_soon(is_cancelled)
        with CancelScope(shield=True):
            await still_works()
        await end(scope)

    async with create_task_group() as tg:
        handle = tg.start_soon(owner)
        await entered.wait()
        if before:
            change(scope)
        leave_wrongly(scope)
        if not before:
            change(scope)
        await still_works()
        tried.set()
    assert handle.status is handle.Status.FINISHED
    assert scope.cancel_called
    await still_works()


@with_each_end
async def test_its_shield_goes_on(end: Callable[[CancelScope], Awaitable[None]]) -> None:
    scope, entered, tried = CancelScope(shield=True), Event(), Event()

    async def owner() -> None:
        with CancelScope() as outer:
            enter(scope)
            entered.set()
            await tried.wait()
            outer.cancel()
            await still_works()
            scope.shield = False
            await is_cancelled()
            scope.shield = True
            await still_works()
            await end(scope)
        await still_works()

    async with create_task_group() as tg:
        tg.start_soon(owner)
        await entered.wait()
        leave_wrongly(scope)
        tried.set()


@with_each_change
async def test_what_its_own_task_leaves_over_it_ends_it(change: Change) -> None:
    scope, entered, tried = CancelScope(), Event(), Event()

    async def owner() -> None:
        with move_on_after(60) as outer:
            enter(scope)
            entered.set()
            await tried.wait()
            with CancelScope():
                await still_works()
            change(scope)
        assert not outer.cancelled_caught
        await still_works()
        with pytest.raises(RuntimeError):
            leave(scope)
        await still_works()

    async with create_task_group() as tg:
        tg.start_soon(owner)
        await entered.wait()
        leave_wrongly(scope)
        tried.set()
    await still_works()


async def test_a_group_that_its_own_task_leaves_over_it_ends_it() -> None:
    scope, entered, tried = CancelScope(), Event(), Event()

    async def owner() -> None:
        async with create_task_group() as tg:
            tg.start_soon(checkpoint)
            enter(scope)
            entered.set()
            await tried.wait()
            scope.cancel()
        await still_works()

    async with create_task_group() as tg:
        tg.start_soon(owner)
        await entered.wait()
        leave_wrongly(scope)
        tried.set()


def test_the_main_task_may_end_inside_one(backend: Backend) -> None:
    async def main() -> str:
        scope = CancelScope()
        enter(scope)

        async def other() -> None:
            leave_wrongly(scope)

        async with create_task_group() as tg:
            tg.start_soon(other)
        await still_works()
        scope.cancel()
        await is_cancelled()
        return "done"

    assert backend.run(main) == "done"
