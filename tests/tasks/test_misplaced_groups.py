"""Groups left by another task, or before a group inside them: an error, and no lasting harm.

The children are cancelled and waited for, the group's own task is left alone, and the group is closed.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext, suppress
from typing import Any

import pytest

from _harness import Backend, leaves, on_asyncio
from _harness._leaks import LoopReports
from creche import (
    CancelScope,
    Event,
    create_task_group,
    get_cancelled_exc_class,
    move_on_after,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.abc import TaskGroup
from creche.lowlevel import cancel_shielded_checkpoint, checkpoint

OTHER_TASK = "in a different task"
WRONG_ORDER = "isn't the current task's current cancel scope"


class Children:
    """Children that note when they end, after a clean-up that takes a while."""

    def __init__(self) -> None:
        self.running = 0

    async def child(self) -> None:
        self.running += 1
        try:
            await sleep_forever()
        finally:
            for _ in range(3):
                await cancel_shielded_checkpoint()
            self.running -= 1


async def still_works() -> None:
    with move_on_after(0) as scope:
        await sleep_forever()
    assert scope.cancelled_caught
    async with create_task_group() as tg:
        tg.start_soon(sleep_forever)
        await wait_all_tasks_blocked()
        tg.cancel_scope.cancel()
    await checkpoint()


async def leave(tg: TaskGroup, match: str = OTHER_TASK) -> str:
    with pytest.raises(RuntimeError, match=match) as raised:
        await tg.__aexit__(None, None, None)
    return str(raised.value)


# Left by another task


async def test_the_children_of_a_group_left_by_another_task_are_cancelled_and_waited_for() -> None:
    children, entered, done = Children(), Event(), Event()
    group = create_task_group()

    async def host() -> None:
        await group.__aenter__()
        for _ in range(3):
            group.start_soon(children.child)
        entered.set()
        await done.wait()
        await still_works()

    async with create_task_group() as tg:
        tg.start_soon(host)
        await entered.wait()
        await wait_all_tasks_blocked()
        assert children.running == 3
        await leave(group)
        assert children.running == 0
        await still_works()
        done.set()


async def test_a_child_that_was_only_just_spawned_is_waited_for_too() -> None:
    children, entered, done = Children(), Event(), Event()
    group = create_task_group()

    async def host() -> None:
        await group.__aenter__()
        entered.set()
        await done.wait()

    async with create_task_group() as tg:
        tg.start_soon(host)
        await entered.wait()
        handle = group.start_soon(children.child)
        await leave(group)
        assert handle.status in {handle.Status.CANCELLED, handle.Status.FINISHED}
        done.set()


async def test_the_task_that_entered_the_group_goes_on_and_may_leave_it_later() -> None:
    entered, left, log = Event(), Event(), list[str]()
    groups: list[TaskGroup] = []

    async def host() -> None:
        with CancelScope() as around:
            async with create_task_group() as group:
                groups.append(group)
                group.start_soon(sleep_forever)
                entered.set()
                await left.wait()
                await checkpoint()
                log.append("the block goes on")
                with pytest.raises(RuntimeError, match="not active"):
                    group.start_soon(sleep_forever)
            log.append("the block was left")
            await still_works()
            around.cancel()
            await sleep_forever()
        assert around.cancelled_caught

    async with create_task_group() as tg:
        tg.start_soon(host)
        await entered.wait()
        await leave(groups[0])
        left.set()
    assert log == ["the block goes on", "the block was left"]


async def test_scopes_around_and_inside_the_group_work_on_in_its_own_task() -> None:
    entered, left, caught = Event(), Event(), list[bool]()
    group = create_task_group()

    async def host() -> None:
        with CancelScope() as outer:
            await group.__aenter__()
            with CancelScope() as inner:
                entered.set()
                await left.wait()
                inner.cancel()
                await sleep_forever()
            caught.append(inner.cancelled_caught)
            await checkpoint()
            outer.cancel()
            await sleep_forever()
        caught.append(outer.cancelled_caught)

    async with create_task_group() as tg:
        tg.start_soon(host)
        await entered.wait()
        await leave(group)
        left.set()
    assert caught == [True, True]


async def test_a_host_that_was_cancelled_through_the_group_is_free_once_the_group_is_gone() -> None:
    entered, left, log = Event(), Event(), list[str]()
    group = create_task_group()

    async def host() -> None:
        await group.__aenter__()
        entered.set()
        with suppress(get_cancelled_exc_class()):
            await sleep_forever()
        log.append("cancelled")
        with CancelScope(shield=True):
            await left.wait()
        await still_works()
        log.append("free")

    async with create_task_group() as tg:
        tg.start_soon(host)
        await entered.wait()
        group.cancel_scope.cancel()
        await wait_all_tasks_blocked()
        await leave(group)
        left.set()
    assert log == ["cancelled", "free"]


async def test_errors_of_children_come_with_the_error_that_says_what_is_wrong() -> None:
    entered, done = Event(), Event()
    group = create_task_group()

    async def fails() -> None:
        try:
            await sleep_forever()
        finally:
            raise ValueError("in the clean-up")

    async def host() -> None:
        await group.__aenter__()
        group.start_soon(fails)
        entered.set()
        await done.wait()

    async with create_task_group() as tg:
        tg.start_soon(host)
        await entered.wait()
        await wait_all_tasks_blocked()
        with pytest.raises(ExceptionGroup) as raised:
            await group.__aexit__(None, None, None)
        done.set()
    assert sorted(type(exc).__name__ for exc in leaves(raised.value)) == [
        "RuntimeError",
        "ValueError",
    ]


@on_asyncio  # Trio's own rule is that no task ends in a nursery that it has opened.
async def test_the_error_names_a_task_that_has_ended() -> None:
    children = Children()

    async def half() -> AsyncGenerator[int]:
        async with create_task_group() as tg:
            tg.start_soon(children.child)
            yield 1

    generator = half()

    async def reads_half() -> None:
        await anext(generator)

    with CancelScope() as _:
        async with create_task_group() as tg:
            tg.start_soon(reads_half, name="the one that reads half")
            await wait_all_tasks_blocked()
            with pytest.raises((RuntimeError, BaseExceptionGroup)) as raised:
                await generator.aclose()
    texts = [str(exc) for exc in leaves(raised.value)]
    assert any("'the one that reads half'" in text for text in texts), texts
    assert children.running == 0


def test_a_half_read_generator_that_is_collected_ends_the_tasks_of_its_group(
    backend: Backend, loop_reports: LoopReports
) -> None:
    children = Children()

    async def numbers() -> AsyncGenerator[int]:
        async with create_task_group() as tg:
            tg.start_soon(children.child)
            await wait_all_tasks_blocked()
            yield 1

    async def main() -> None:
        async for _ in numbers():
            break
        gc.collect()
        for _ in range(20):
            await checkpoint()
        assert children.running == 0
        await still_works()

    with pytest.warns(ResourceWarning) if backend.kernel == "trio" else nullcontext():
        backend.run(main)
    gc.collect()
    reports = [leaf for exc in loop_reports.errors() for leaf in leaves(exc)]
    loop_reports.take()
    assert all(OTHER_TASK in str(exc) for exc in reports)


# Left before a group inside it


async def test_two_groups_left_in_the_wrong_order_leave_the_task_as_it_was() -> None:
    children = Children()
    outer, inner = create_task_group(), create_task_group()
    with CancelScope() as enclosing:
        await outer.__aenter__()
        outer.start_soon(children.child)
        await inner.__aenter__()
        inner.start_soon(children.child)
        await wait_all_tasks_blocked()
        text = await leave(outer, WRONG_ORDER)
        assert __file__ in text
        assert children.running == 1
        await checkpoint()
        inner.cancel_scope.cancel()
        assert not await inner.__aexit__(None, None, None)
        assert children.running == 0
        await checkpoint()
        await still_works()
        enclosing.cancel()
        await sleep_forever()
    assert enclosing.cancelled_caught
    await still_works()


async def test_three_groups_left_in_every_wrong_order_leave_the_task_as_it_was() -> None:
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1)):
        children = Children()
        groups: list[Any] = [create_task_group() for _ in range(3)]
        for group in groups:
            await group.__aenter__()
            group.start_soon(children.child)
        await wait_all_tasks_blocked()
        inside = list(range(3))
        for number in order:
            if number == inside[-1]:
                groups[number].cancel_scope.cancel()
                await groups[number].__aexit__(None, None, None)
            else:
                await leave(groups[number], WRONG_ORDER)
            inside.remove(number)
            assert children.running == len(inside)
            await checkpoint()
        await still_works()


async def test_a_group_left_before_a_scope_inside_it_leaves_the_task_as_it_was() -> None:
    children, group = Children(), create_task_group()
    await group.__aenter__()
    group.start_soon(children.child)
    await wait_all_tasks_blocked()
    with CancelScope() as inner:
        await leave(group, WRONG_ORDER)
        assert children.running == 0
        inner.cancel()
        await sleep_forever()
    assert inner.cancelled_caught
    await still_works()


async def test_a_group_closed_by_a_task_that_reads_a_generator_on_closes_for_good() -> None:
    children = Children()

    async def half() -> AsyncGenerator[int]:
        async with create_task_group() as tg:
            tg.start_soon(children.child)
            yield 1
            yield 2

    done = Event()
    generators: list[AsyncGenerator[int]] = []

    async def reads_one() -> None:
        generator = half()
        generators.append(generator)
        await anext(generator)
        await done.wait()

    async with create_task_group() as tg:
        tg.start_soon(reads_one)
        await wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match=OTHER_TASK):
            async with aclosing(generators[0]) as rest:
                async for _ in rest:
                    pass
        assert children.running == 0
        done.set()
