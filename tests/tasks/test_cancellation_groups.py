"""How groups and the cancellation around them meet, on every backend.

A child's failure cancels its group at once wherever the group is, and leaving a group raises no
cancellation of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress

import pytest

from _harness import leaves
from creche import (
    CancelScope,
    create_task_group,
    get_cancelled_exc_class,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.lowlevel import checkpoint


@contextmanager
def below_a_cancelled_scope() -> Iterator[None]:
    with CancelScope() as outer:
        outer.cancel()
        yield


@contextmanager
def inside_a_shield() -> Iterator[None]:
    with below_a_cancelled_scope(), CancelScope(shield=True):
        yield


@pytest.mark.parametrize("place", [nullcontext, below_a_cancelled_scope, inside_a_shield])
async def test_a_childs_failure_cancels_the_group_at_once(
    place: Callable[[], AbstractContextManager[None]],
) -> None:
    seen: list[bool] = []

    async def failing() -> None:
        raise ValueError("no")

    async def observer() -> None:
        with CancelScope(shield=True):
            await failing_handle.wait()
            seen.append(tg.cancel_scope.cancel_called)
        await sleep_forever()

    with pytest.raises(ExceptionGroup) as caught, place():
        async with create_task_group() as tg:
            failing_handle = tg.start_soon(failing)
            tg.start_soon(observer)
    assert seen == [True]
    assert [repr(leaf) for leaf in leaves(caught.value)] == ["ValueError('no')"]


@pytest.mark.parametrize("children", [0, 1])
async def test_leaving_a_group_injects_no_cancellation_from_outside(children: int) -> None:
    async def brief() -> None:
        pass

    log = []
    with CancelScope() as outer:
        outer.cancel()
        async with create_task_group() as tg:
            for _ in range(children):
                tg.start_soon(brief)
        log.append("left the group")
    await checkpoint()
    assert log == ["left the group"]
    assert not outer.cancelled_caught


@pytest.mark.parametrize("children", [0, 1])
async def test_leaving_a_cancelled_group_where_nothing_was_interrupted_catches_nothing(
    children: int,
) -> None:
    async def brief() -> None:
        pass

    async with create_task_group() as tg:
        for _ in range(children):
            tg.start_soon(brief)
        tg.cancel_scope.cancel()
    assert not tg.cancel_scope.cancelled_caught


async def test_a_failure_seen_while_leaving_the_group_is_not_mixed_with_a_cancellation() -> None:
    async def fails_when_cancelled() -> None:
        with suppress(get_cancelled_exc_class()):
            await sleep_forever()
        raise ValueError("no")

    outer = CancelScope()

    async def host() -> None:
        with pytest.raises(ExceptionGroup) as caught, outer:
            async with create_task_group() as tg:
                tg.start_soon(fails_when_cancelled)
        assert [repr(leaf) for leaf in leaves(caught.value)] == ["ValueError('no')"]
        assert not tg.cancel_scope.cancelled_caught

    async with create_task_group() as tg:
        tg.start_soon(host)
        await wait_all_tasks_blocked()
        outer.cancel()
    assert not outer.cancelled_caught


async def test_a_group_whose_children_were_only_cancelled_from_outside_leaves_with_a_bare_cancel() -> (
    None
):
    """So that ``except get_cancelled_exc_class()`` around a group works on every backend."""
    kinds = []
    with CancelScope() as outer:
        try:
            async with create_task_group() as tg:
                for _ in range(3):
                    tg.start_soon(sleep_forever)
                await wait_all_tasks_blocked()
                outer.cancel()
        except BaseException as exc:
            kinds.append(type(exc))
            raise
    assert kinds == [get_cancelled_exc_class()]
    assert outer.cancelled_caught
    assert not tg.cancel_scope.cancelled_caught


async def test_a_group_cancelled_by_its_own_scope_is_left_without_a_word() -> None:
    async with create_task_group() as tg:
        tg.start_soon(sleep_forever)
        await wait_all_tasks_blocked()
        tg.cancel()
        await sleep_forever()
    assert tg.cancel_scope.cancelled_caught
    await checkpoint()


async def test_a_cancelled_group_leaves_its_siblings_alone() -> None:
    log = []

    async def inner_group() -> None:
        async with create_task_group() as inner:
            inner.start_soon(sleep_forever)
            await wait_all_tasks_blocked()
            inner.cancel_scope.cancel()
        log.append("inner group left")

    async with create_task_group() as tg:
        await tg.start_soon(inner_group).wait()
        await checkpoint()
        log.append("host goes on")
    assert log == ["inner group left", "host goes on"]
    assert not tg.cancel_scope.cancel_called
