"""Scopes and groups of Creche in tasks that others made, and native groups around and inside.

Foreign tasks of asyncio (``asyncio.create_task``) belong to no scope of the task that made them;
Trio's nurseries and scopes and those of Creche nest in each other.
"""

from __future__ import annotations

import asyncio

import pytest
import trio

from _harness import Backend, leaves, on_asyncio, on_trio
from creche import (
    CancelScope,
    Event,
    Lock,
    TaskHandle,
    create_memory_object_stream,
    create_task_group,
    current_effective_deadline,
    fail_after,
    get_cancelled_exc_class,
    get_current_task,
    move_on_after,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.abc import TaskGroup, TaskStatus
from creche.lowlevel import checkpoint

# asyncio


@on_asyncio
async def test_a_foreign_task_can_host_scopes_and_groups() -> None:
    async def host() -> list[object]:
        log: list[object] = []
        with move_on_after(0.01) as scope:
            await sleep_forever()
        log.append(scope.cancelled_caught)
        async with create_task_group() as tg:
            handle = tg.start_soon(sleep_forever)
            await wait_all_tasks_blocked()
            tg.cancel_scope.cancel()
        log.append(handle.status)
        task = asyncio.current_task()
        assert task is not None
        log.append(task.cancelling())
        return log

    tasks = [asyncio.create_task(host()) for _ in range(3)]
    for result in await asyncio.gather(*tasks):
        assert result == [True, TaskHandle.Status.CANCELLED, 0]


@on_asyncio
async def test_a_foreign_task_is_of_no_scope_of_its_maker() -> None:
    log = []

    async def foreign() -> None:
        assert current_effective_deadline() == float("inf")
        await checkpoint()
        log.append("done")

    with move_on_after(60) as scope:
        task = asyncio.create_task(foreign())
        scope.cancel()
    await task
    assert log == ["done"]


@on_asyncio
async def test_a_foreign_task_can_spawn_and_start_in_anothers_group() -> None:
    log: list[object] = []

    async def child(*, task_status: TaskStatus[str]) -> None:
        task_status.started("ready")
        log.append("child")

    async def foreign(tg: TaskGroup) -> None:
        log.append(await tg.start(child))
        log.append(await tg.start_soon(checkpoint))

    async with create_task_group() as tg:
        await asyncio.create_task(foreign(tg))
    assert sorted(map(str, log)) == ["None", "child", "ready"]


@on_asyncio
async def test_a_foreign_task_that_starts_a_child_may_be_cancelled_natively() -> None:
    log = []

    async def child(*, task_status: TaskStatus[None]) -> None:
        try:
            await sleep_forever()
        finally:
            log.append("child cancelled")

    async def foreign(tg: TaskGroup) -> None:
        await tg.start(child)

    async with create_task_group() as tg:
        task = asyncio.create_task(foreign(tg))
        await wait_all_tasks_blocked()
        task.cancel()
        await asyncio.wait([task])
        assert not tg.cancel_scope.cancel_called
    assert task.cancelled()
    assert log == ["child cancelled"]


@on_asyncio
async def test_foreign_tasks_and_children_share_primitives() -> None:
    log: list[object] = []

    async def producer() -> None:
        async with lock, send:
            for number in range(3):
                await send.send(number)

    async def consumer() -> None:
        async with receive:
            log.extend([number async for number in receive])
        done.set()

    send, receive = create_memory_object_stream[int]()
    lock, done = Lock(), Event()
    async with create_task_group() as tg:
        task = asyncio.create_task(producer())
        tg.start_soon(consumer)
        await done.wait()
        await task
    assert log == [0, 1, 2]


@on_asyncio
async def test_a_scope_cancels_the_foreign_task_it_is_entered_in() -> None:
    log = []
    scope = CancelScope()

    async def foreign() -> None:
        with scope:
            try:
                await asyncio.sleep(60)
            finally:
                log.append("cancelled")
                with pytest.raises(asyncio.CancelledError):
                    await asyncio.sleep(60)
                log.append("and again")
        log.append("went on")

    task = asyncio.create_task(foreign())
    await wait_all_tasks_blocked()
    scope.cancel()
    await task
    assert log == ["cancelled", "and again", "went on"]


@on_asyncio
async def test_the_result_of_a_foreign_task_can_be_awaited_in_a_scope() -> None:
    async def foreign() -> int:
        await checkpoint()
        return 5

    with fail_after(5):
        async with create_task_group():
            assert await asyncio.create_task(foreign()) == 5


@on_asyncio
async def test_a_foreign_task_knows_itself() -> None:
    async def foreign() -> str | None:
        await checkpoint()  # a task that starts eagerly gets its name later
        return get_current_task().name

    assert await asyncio.create_task(foreign(), name="the foreign one") == "the foreign one"


@pytest.mark.time_limit(10)
async def test_several_tasks_may_wait_until_all_are_blocked_at_once() -> None:
    log = []

    async def waits_for_all() -> None:
        await wait_all_tasks_blocked()
        log.append("all blocked")

    async def busy() -> None:
        for _ in range(5):
            await checkpoint()
        log.append("not busy any more")

    async with create_task_group() as tg:
        for _ in range(3):
            tg.start_soon(waits_for_all)
        tg.start_soon(busy)
    assert log == ["not busy any more", *["all blocked"] * 3]


# Trio


@on_trio
async def test_a_trio_scope_around_a_group_cancels_it() -> None:
    log = []

    async def child() -> None:
        try:
            await sleep_forever()
        finally:
            log.append("cancelled")

    with trio.CancelScope() as scope:
        async with create_task_group() as tg:
            tg.start_soon(child)
            await wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    assert not tg.cancel_scope.cancelled_caught
    assert log == ["cancelled"]


@on_trio
async def test_a_scope_around_a_nursery_cancels_it() -> None:
    with CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(sleep_forever)
            await wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    assert not nursery.cancel_scope.cancelled_caught


@on_trio
async def test_a_group_in_a_child_of_a_nursery_works() -> None:
    log = []

    async def child() -> None:
        async with create_task_group() as tg:
            tg.start_soon(checkpoint)
            handle = tg.start_soon(trio.sleep_forever)
            await trio.testing.wait_all_tasks_blocked()
            handle.cancel()
        log.append(handle.status)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(child)
        nursery.start_soon(child)
    assert log == [TaskHandle.Status.CANCELLED] * 2


@on_trio
async def test_a_nursery_in_a_child_of_a_group_works() -> None:
    error = ValueError("no")

    async def fails() -> None:
        raise error

    async def child() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails)
            nursery.start_soon(sleep_forever)

    with pytest.raises(ExceptionGroup) as caught:
        async with create_task_group() as tg:
            tg.start_soon(child)
            tg.start_soon(sleep_forever)
    assert leaves(caught.value) == [error]
    assert isinstance(caught.value.exceptions[0], ExceptionGroup)


@on_trio
async def test_native_checkpoints_notice_a_scope_and_ours_a_native_one() -> None:
    with CancelScope() as scope:
        scope.cancel()
        with pytest.raises(trio.Cancelled):
            await trio.lowlevel.checkpoint()
    with trio.CancelScope() as native:
        native.cancel()
        with pytest.raises(get_cancelled_exc_class()):
            await checkpoint()
        with pytest.raises(get_cancelled_exc_class()):
            await Lock().acquire()
    with move_on_after(0.01) as scope:
        await trio.sleep_forever()
    assert scope.cancelled_caught


@on_trio
async def test_native_deadlines_and_shields_count() -> None:
    with trio.CancelScope(deadline=trio.current_time() + 9) as native:
        assert current_effective_deadline() == native.deadline
        with trio.CancelScope(shield=True), CancelScope(deadline=trio.current_time() + 90) as scope:
            assert trio.current_effective_deadline() == scope.deadline
            assert current_effective_deadline() == scope.deadline
    with CancelScope() as outer:
        outer.cancel()
        with trio.CancelScope(shield=True):
            await checkpoint()


@on_trio
async def test_a_trio_task_can_spawn_and_start_in_a_group() -> None:
    log: list[object] = []

    async def child(*, task_status: TaskStatus[str]) -> None:
        task_status.started("ready")
        log.append("child")

    async def native(tg: TaskGroup) -> None:
        log.append(await tg.start(child))
        tg.start_soon(checkpoint)

    async with create_task_group() as tg:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(native, tg)
    assert sorted(map(str, log)) == ["child", "ready"]


@on_trio
async def test_trio_tasks_and_children_share_primitives() -> None:
    log: list[int] = []

    async def producer() -> None:
        async with send:
            for number in range(3):
                await send.send(number)

    async def consumer() -> None:
        async with receive:
            log.extend([number async for number in receive])

    send, receive = create_memory_object_stream[int]()
    async with trio.open_nursery() as nursery, create_task_group() as tg:
        nursery.start_soon(producer)
        tg.start_soon(consumer)
    assert log == [0, 1, 2]


@on_trio
def test_a_cancelled_nursery_splits_mixed_groups_of_ours(backend: Backend) -> None:
    async def fails_when_cancelled() -> None:
        try:
            await sleep_forever()
        except get_cancelled_exc_class():
            raise ValueError("no") from None

    async def main() -> None:
        async with trio.open_nursery() as nursery, create_task_group() as tg:
            tg.start_soon(fails_when_cancelled)
            tg.start_soon(sleep_forever)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    with pytest.raises(ExceptionGroup) as caught:
        trio.run(main)
    assert [repr(leaf) for leaf in leaves(caught.value)] == ["ValueError('no')"]
