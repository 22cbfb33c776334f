"""`assert_checkpoints` and `assert_no_checkpoints`: the same answers everywhere, and Trio's."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

import pytest
import trio
import trio.testing

import creche
from _harness import Backend, on_asyncio, on_each_simulated_loop, on_trio
from creche import lowlevel, testing
from creche.testing import assert_checkpoints, assert_no_checkpoints

Block = Callable[[], Awaitable[object]]


async def nothing() -> None:
    pass


async def no_wait() -> None:
    send, receive = creche.create_memory_object_stream[int](1)
    with send, receive:
        send.send_nowait(1)
        receive.receive_nowait()


async def look() -> None:
    await lowlevel.checkpoint_if_cancelled()


async def others() -> None:
    await lowlevel.cancel_shielded_checkpoint()


async def both_halves() -> None:
    await look()
    await others()


async def free_lock() -> None:
    async with creche.Lock():
        pass


async def items() -> None:
    send, receive = creche.create_memory_object_stream[int](1)
    with send, receive:
        await send.send(1)
        async for _ in receive:
            break


async def set_event() -> None:
    event = creche.Event()
    event.set()
    await event.wait()


async def a_wait() -> None:
    async with creche.create_task_group() as group:
        event = creche.Event()
        group.start_soon(set_soon, event)
        await event.wait()


async def set_soon(event: creche.Event) -> None:
    event.set()


async def thread() -> None:
    await creche.to_thread.run_sync(time.sleep, 0)


async def raises_and_catches() -> None:
    with creche.CancelScope() as scope:
        scope.cancel()
        await creche.sleep(0)


async def raises_at_a_look() -> None:
    with creche.CancelScope() as scope:
        scope.cancel()
        await look()


async def cancels_only() -> None:
    with creche.CancelScope() as scope:
        scope.cancel()


async def cancels_and_then_takes_a_lock() -> None:
    await cancels_only()
    await free_lock()


async def takes_a_lock_and_then_cancels() -> None:
    await free_lock()
    await cancels_only()


async def shielded() -> None:
    with creche.CancelScope(shield=True):
        await creche.sleep(0)


async def starts() -> None:
    async with creche.create_task_group() as group:
        await group.start(ready)


async def ready(*, task_status: Any) -> None:
    task_status.started()


NONE = [nothing, no_wait, cancels_only]
HALF = [look, others]
WHOLE = [
    both_halves, lowlevel.checkpoint, free_lock, items, set_event, a_wait, thread, shielded, starts,
    raises_and_catches, raises_at_a_look, cancels_and_then_takes_a_lock,
    takes_a_lock_and_then_cancels,
]  # fmt: skip


@pytest.mark.parametrize("block", NONE + HALF)
async def test_what_is_not_a_whole_checkpoint_fails_assert_checkpoints(block: Block) -> None:
    with pytest.raises(AssertionError, match="the block came to no checkpoint") as caught:
        with assert_checkpoints():
            await block()
    assert ("only half of one" in str(caught.value)) is (block in HALF)


@pytest.mark.parametrize("block", WHOLE)
async def test_a_checkpoint_passes_assert_checkpoints(block: Block) -> None:
    with assert_checkpoints():
        await block()


@pytest.mark.parametrize("block", NONE)
async def test_no_checkpoint_passes_assert_no_checkpoints(block: Block) -> None:
    with assert_no_checkpoints():
        await block()


@pytest.mark.parametrize("block", HALF + WHOLE)
async def test_a_part_of_a_checkpoint_fails_assert_no_checkpoints(block: Block) -> None:
    with pytest.raises(AssertionError, match="the block came to a checkpoint"):
        with assert_no_checkpoints():
            await block()


@on_trio
@pytest.mark.parametrize("block", NONE + HALF + WHOLE)
async def test_trio_says_the_same_where_it_sees_the_checkpoint(block: Block) -> None:
    # Of a checkpoint that does not wait Trio sees only the look; so each waits in here.
    task = creche._kernel.current_task()
    for ours, trios in (
        (assert_checkpoints, trio.testing.assert_checkpoints),
        (assert_no_checkpoints, trio.testing.assert_no_checkpoints),
    ):
        outcomes: list[bool] = []
        for assertion in (ours, trios):
            task.kernel.test_probe.use_up(task)
            try:
                with assertion():
                    await block()
            except AssertionError:
                outcomes.append(False)
            else:
                outcomes.append(True)
        assert outcomes[0] == outcomes[1]


@on_asyncio
async def test_waits_of_asyncios_own_count() -> None:
    with assert_checkpoints():
        await asyncio.sleep(0)
    with pytest.raises(AssertionError), assert_no_checkpoints():
        await asyncio.sleep(0)
    with assert_no_checkpoints():
        await asyncio.Queue[int]().put(1)


@on_trio
async def test_waits_of_trios_own_count() -> None:
    with assert_checkpoints():
        await trio.sleep(0)
    with pytest.raises(AssertionError), assert_no_checkpoints():
        await trio.sleep(0)


@on_asyncio
async def test_tasks_of_asyncios_own_can_be_probed() -> None:
    async def foreign() -> None:
        with assert_checkpoints():
            await free_lock()
        with assert_no_checkpoints():
            await no_wait()

    await asyncio.create_task(foreign())


async def test_a_used_up_budget_changes_nothing() -> None:
    task = creche._kernel.current_task()
    for block in (free_lock, set_event):
        task.kernel.test_probe.use_up(task)
        with assert_checkpoints():
            await block()
    task.kernel.test_probe.use_up(task)
    with assert_no_checkpoints():
        await no_wait()


async def test_the_budget_is_what_it_was_and_others_get_their_turn() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await lowlevel.checkpoint()
            turns += 1

    async with creche.create_task_group() as group:
        group.start_soon(count)
        for _ in range(1000):
            with assert_checkpoints():
                await free_lock()
        assert 5 <= turns <= 10
        with assert_checkpoints():
            for _ in range(1000):
                await free_lock()
        assert 10 <= turns <= 20
        group.cancel_scope.cancel()


async def test_only_the_task_of_the_block_counts() -> None:
    async with creche.create_task_group() as group:
        with assert_no_checkpoints():
            group.start_soon(free_lock)
        with pytest.raises(AssertionError, match="only half of one"), assert_checkpoints():
            group.start_soon(free_lock)
            await others()


async def test_probes_can_be_nested() -> None:
    with assert_checkpoints():
        with assert_no_checkpoints():
            await no_wait()
        with assert_checkpoints():
            await free_lock()
        with assert_no_checkpoints():
            pass
    with pytest.raises(AssertionError), assert_checkpoints(), assert_no_checkpoints():
        pass
    with pytest.raises(AssertionError), assert_no_checkpoints(), assert_checkpoints():
        await free_lock()


async def test_a_block_that_raises_passes_assert_checkpoints() -> None:
    with pytest.raises(KeyError), assert_checkpoints():
        raise KeyError
    with creche.CancelScope() as scope, assert_checkpoints():
        scope.cancel()
        await creche.sleep(1)
    assert scope.cancelled_caught


async def test_a_block_that_raises_after_a_checkpoint_fails_assert_no_checkpoints() -> None:
    with pytest.raises(AssertionError) as caught, assert_no_checkpoints():
        await free_lock()
        raise KeyError
    assert isinstance(caught.value.__context__, KeyError)
    with pytest.raises(KeyError), assert_no_checkpoints():
        raise KeyError


async def test_a_task_that_others_cancel_meanwhile_is_seen() -> None:
    async with creche.create_task_group() as group:
        inner = creche.CancelScope()
        group.start_soon(_cancel, inner)
        with assert_checkpoints(), inner:
            await creche.sleep_forever()
        assert inner.cancelled_caught


async def _cancel(scope: creche.CancelScope) -> None:
    scope.cancel()


@on_each_simulated_loop
def test_probes_work_in_simulated_runs(loop: str) -> None:
    async def main() -> None:
        for block in WHOLE:
            with assert_checkpoints():
                await block()
        for block in NONE:
            with assert_no_checkpoints():
                await block()

    for seed in (None, 1, 2):
        testing.run(main, backend=loop, seed=seed)


async def test_nothing_is_left_of_a_probe() -> None:
    task = creche._kernel.current_task()
    for cm in (assert_checkpoints, assert_no_checkpoints, nullcontext):
        with pytest.raises(KeyError), cm():
            raise KeyError
        assert 0 <= task.credit <= 128
    gc.collect()
    probes = [thing for thing in gc.get_objects() if type(thing).__name__ == "Probe"]
    assert probes == []


def test_a_probe_needs_a_task(backend: Backend) -> None:
    for assertion in (assert_checkpoints, assert_no_checkpoints):
        with pytest.raises(creche.NoEventLoopError), assertion():
            pass
