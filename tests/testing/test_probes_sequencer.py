"""`Sequencer`: blocks in order, whoever they are in."""

from __future__ import annotations

import pytest

import creche
from _harness import on_each_simulated_loop
from creche import testing
from creche.testing import Sequencer, assert_checkpoints, assert_no_checkpoints


async def test_blocks_run_in_the_order_of_their_positions() -> None:
    turn = Sequencer()
    order: list[int] = []

    async def work(*positions: int) -> None:
        for position in positions:
            async with turn(position):
                order.append(position)
                await creche.lowlevel.checkpoint()
                order.append(position)

    async with creche.create_task_group() as group:
        group.start_soon(work, 2, 5)
        group.start_soon(work, 1, 3)
        group.start_soon(work, 0, 4)
    assert order == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


@on_each_simulated_loop
def test_no_schedule_changes_the_order(loop: str) -> None:
    @testing.explore(runs=30, backends=(loop,))
    async def main() -> None:
        await test_blocks_run_in_the_order_of_their_positions()

    main()


async def test_position_0_begins_at_once_and_the_others_are_checkpoints() -> None:
    turn = Sequencer()
    with assert_no_checkpoints():
        async with turn(0):
            pass
    with assert_checkpoints():
        async with turn(1):
            pass


async def test_a_block_that_raises_is_through() -> None:
    turn = Sequencer()
    with pytest.raises(KeyError):
        async with turn(0):
            raise KeyError
    async with turn(1):
        pass


async def test_a_position_is_for_one_block() -> None:
    turn = Sequencer()
    async with turn(0):
        pass
    with pytest.raises(RuntimeError, match="Attempted to reuse sequence point 0"):
        async with turn(0):
            raise AssertionError("never")
    async with turn(1):
        pass


async def test_a_negative_position_is_an_error_that_breaks_nothing() -> None:
    turn = Sequencer()
    with pytest.raises(ValueError, match="no block ever is at position -1"):
        async with turn(-1):
            raise AssertionError("never")
    async with turn(0):
        pass


async def test_a_cancelled_wait_breaks_the_sequence_for_all() -> None:
    turn = Sequencer()
    errors: list[str] = []

    async def wait(position: int) -> None:
        with pytest.raises(RuntimeError, match="sequence broken") as caught:
            async with turn(position):
                raise AssertionError("never")
        errors.append(f"{position} {str(caught.value).partition('!')[0].partition(' --')[0]}")

    async with creche.create_task_group() as group:
        for position in (2, 3):
            group.start_soon(wait, position)
        await creche.wait_all_tasks_blocked()
        with creche.CancelScope() as scope:
            scope.cancel()
            await wait(1)
        assert not scope.cancelled_caught
    await wait(0)
    await wait(4)
    assert errors[0] == "1 Sequencer wait cancelled"
    assert sorted(errors[1:]) == [f"{position} sequence broken" for position in (0, 2, 3, 4)]


async def test_a_cancelled_block_is_through() -> None:
    turn = Sequencer()
    with creche.CancelScope() as scope:
        async with turn(0):
            scope.cancel()
            await creche.sleep_forever()
    async with turn(1):
        pass


async def test_a_cancel_that_meets_the_turn_does_not_break_the_sequence() -> None:
    turn = Sequencer()
    seen: list[str] = []

    async def second(scope: creche.CancelScope) -> None:
        with scope:
            async with turn(1):
                seen.append("in")
                await creche.lowlevel.checkpoint()
                seen.append("not cancelled")

    async with creche.create_task_group() as group:
        scope = creche.CancelScope()
        group.start_soon(second, scope)
        await creche.wait_all_tasks_blocked()
        async with turn(0):
            pass
        scope.cancel()
        async with turn(2):
            seen.append("after")
    assert seen == ["in", "after"]
