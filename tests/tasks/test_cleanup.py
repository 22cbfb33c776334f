"""Scopes that give time for clean-ups: `cleanup=`. In virtual time, on every loop that has it.

`tests/oracle/test_cleanups.py` compares random programs on the two kernels; what happens to foreign
tasks and native waits is in `test_cleanup_native.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from _clean_up import Log, Program, run

from creche import (
    CancelScope,
    create_task_group,
    current_effective_deadline,
    current_time,
    fail_after,
    fail_at,
    get_cancelled_exc_class,
    move_on_after,
    move_on_at,
    sleep,
    sleep_forever,
)
from creche.lowlevel import checkpoint, checkpoint_if_cancelled


@pytest.fixture(params=["asyncio", "trio"])
def seen(request: pytest.FixtureRequest) -> Callable[[Program], Log]:
    """Run a program in virtual time, beginning at 0; return what its tasks did."""
    return lambda program: run(program, request.param)


# ── One scope ─────────────────────────────────────────────────────────────────────────────────────


def test_a_clean_up_that_is_short_enough_is_let_be(seen: Any) -> None:
    async def program(log: Log) -> None:
        with move_on_after(1, cleanup=2) as scope:
            await log.work("a", 1.5)
        assert scope.cancelled_caught
        assert current_time() == 2.5
        await sleep(5)  # Nothing is left of it.

    assert seen(program).done == [("a", 2.5)]


def test_a_clean_up_that_takes_longer_is_cut_off(seen: Any) -> None:
    async def program(log: Log) -> None:
        with move_on_after(1, cleanup=2) as scope:
            await log.work("a", 5)
        assert scope.cancelled_caught

    assert seen(program).cut == [("a", 3)]


def test_after_its_time_the_cancellation_is_raised_at_every_await(seen: Any) -> None:
    async def program(log: Log) -> None:
        with move_on_after(1, cleanup=2):
            try:
                await log.work("a", 5)
            finally:
                for _ in range(3):
                    with pytest.raises(get_cancelled_exc_class()):
                        await sleep(1)

    assert seen(program).cut == [("a", 3)]


def test_without_clean_up_time_it_is_raised_at_every_await(seen: Any) -> None:
    async def program(log: Log) -> None:
        with move_on_after(1, cleanup=2):
            pass  # So that the process has used it.
        with move_on_after(1) as scope:
            await log.work("a", 1)
        with move_on_after(1, cleanup=0) as other:
            await log.work("b", 1)
        assert scope.cancelled_caught
        assert other.cancelled_caught

    assert seen(program).cut == [("a", 1), ("b", 2)]


def test_time_without_end(seen: Any) -> None:
    async def program(log: Log) -> None:
        with move_on_after(1, cleanup=inf):
            await log.work("a", 10_000)

    assert seen(program).done == [("a", 10_001)]


def test_every_function_that_makes_a_scope_has_it(seen: Any) -> None:
    async def program(log: Log) -> None:
        with CancelScope(deadline=current_time() + 1, cleanup=3):
            await log.work("scope", 2)
        with CancelScope(relative_deadline=1, cleanup=3):
            await log.work("relative", 2)
        with move_on_at(current_time() + 1, cleanup=3):
            await log.work("move_on_at", 2)
        with pytest.raises(TimeoutError), fail_after(1, cleanup=3):
            await log.work("fail_after", 2)
        with pytest.raises(TimeoutError), fail_at(current_time() + 1, cleanup=3):
            await log.work("fail_at", 2)
        async with create_task_group(cleanup=3) as group:
            group.start_soon(log.work, "group", 2)
            await sleep(1)
            group.cancel_scope.cancel()

    names = ["scope", "relative", "move_on_at", "fail_after", "fail_at", "group"]
    assert seen(program).done == [(name, 3 * (place + 1)) for place, name in enumerate(names)]


def test_ready_checkpoints_raise_once_and_then_are_let_be(seen: Any) -> None:
    async def program(log: Log) -> None:
        with CancelScope(cleanup=2) as scope:
            scope.cancel()
            with pytest.raises(get_cancelled_exc_class()):
                await checkpoint()
            await checkpoint_if_cancelled()
            await log.clean("a", 1)
            await checkpoint()
            await log.clean("b", 3)
        assert scope.cancelled_caught

    log = seen(program)
    assert log.done == [("a", 1)]
    assert log.cut == [("b", 2)]


def test_the_effective_deadline_is_the_end_of_the_time(seen: Any) -> None:
    async def program(log: Log) -> None:
        with move_on_after(1, cleanup=2):
            try:
                await sleep_forever()
            finally:
                assert current_effective_deadline() == 3
                await sleep(1)
                assert current_effective_deadline() == 3
                with pytest.raises(get_cancelled_exc_class()):
                    await sleep(9)
                assert current_effective_deadline() == -inf
        assert current_effective_deadline() == inf

    seen(program)


# ── Inside a clean-up ─────────────────────────────────────────────────────────────────────────────


def test_timeouts_and_groups_in_a_clean_up_work_as_ever(seen: Any) -> None:
    async def program(log: Log) -> None:
        with move_on_after(1, cleanup=9) as scope:
            try:
                await sleep_forever()
            finally:
                with move_on_after(1) as inner:
                    await sleep_forever()
                assert inner.cancelled_caught
                assert current_time() == 2
                async with create_task_group() as group:
                    group.start_soon(log.clean, "a", 1)
                    group.start_soon(log.clean, "b", 2)
                with pytest.raises(ExceptionGroup):
                    async with create_task_group() as group:
                        group.start_soon(log.work, "c", 1)
                        await sleep(1)
                        raise ValueError
        assert scope.cancelled_caught

    assert seen(program).done == [("a", 3), ("b", 4), ("c", 6)]


def test_a_timeout_in_a_clean_up_has_no_more_time_than_that(seen: Any) -> None:
    async def program(log: Log) -> None:
        with move_on_after(1, cleanup=3):
            try:
                await sleep_forever()
            finally:
                with move_on_after(1, cleanup=9):
                    await log.work("a", 5)

    assert seen(program).cut == [("a", 4)]


def test_a_shield_in_a_clean_up_may_take_longer(seen: Any) -> None:
    async def program(log: Log) -> None:
        with move_on_after(1, cleanup=2) as scope:
            try:
                await sleep_forever()
            finally:
                with CancelScope(shield=True):
                    await log.clean("a", 4)
                await log.clean("b", 1)
        assert scope.cancelled_caught

    log = seen(program)
    assert log.done == [("a", 5)]
    assert log.cut == [("b", 5)]


def test_the_time_of_a_scope_goes_on_when_those_inside_it_are_left(seen: Any) -> None:
    async def program(log: Log) -> None:
        with move_on_after(1, cleanup=2) as scope:
            try:
                with CancelScope() as middle:
                    try:
                        with fail_after(1.5):
                            await log.work("a", 1)
                    finally:
                        await log.clean("b", 0.5)
            finally:
                await log.clean("c", 1)
        assert scope.cancelled_caught
        assert not middle.cancelled_caught

    log = seen(program)
    assert log.done == [("a", 2), ("b", 2.5)]
    assert log.cut == [("c", 3)]


def test_a_later_cancellation_has_a_time_of_its_own(seen: Any) -> None:
    async def program(log: Log) -> None:
        for name in "ab":
            with move_on_after(1, cleanup=2) as scope:
                await log.work(name, 1.5)
            assert scope.cancelled_caught

    assert seen(program).done == [("a", 2.5), ("b", 5)]


# ── Nested scopes ─────────────────────────────────────────────────────────────────────────────────


def test_a_scope_has_the_time_of_the_one_around_it_if_it_has_none(seen: Any) -> None:
    async def program(log: Log) -> None:
        with CancelScope(cleanup=5) as outer:
            with move_on_after(1) as inner:
                await log.work("a", 3)
            assert inner.cancelled_caught
            with move_on_after(1, cleanup=0):
                await log.work("b", 3)
        assert not outer.cancel_called

    log = seen(program)
    assert log.done == [("a", 4)]
    assert log.cut == [("b", 5)]


def test_an_outer_cancel_without_time_ends_a_clean_up(seen: Any) -> None:
    async def program(log: Log) -> None:
        with move_on_after(2) as outer, move_on_after(1, cleanup=5) as inner:
            await log.work("a", 5)
        assert outer.cancelled_caught
        assert not inner.cancelled_caught
        with move_on_after(1) as outer, CancelScope(cleanup=5):
            await log.work("b", 5)
        assert outer.cancelled_caught

    assert seen(program).cut == [("a", 2), ("b", 3)]


def test_an_outer_cancel_by_hand_ends_a_clean_up(seen: Any) -> None:
    async def program(log: Log) -> None:
        async with create_task_group() as outer:
            inner = create_task_group(cleanup=5)
            async with inner:
                inner.start_soon(log.work, "a", 5)
                inner.start_soon(log.work, "b", 0.5)
                await sleep(1)
                inner.cancel_scope.cancel()
                with CancelScope(shield=True):
                    await sleep(1)
                outer.cancel_scope.cancel()

    log = seen(program)
    assert log.done == [("b", 1.5)]
    assert log.cut == [("a", 2)]


@pytest.mark.parametrize(("outer", "end"), [(1, 3), (2, 4), (9, 6)])
def test_the_stricter_of_two_cancels_counts(seen: Any, outer: float, end: float) -> None:
    async def program(log: Log) -> None:
        with move_on_after(2, cleanup=outer) as around, move_on_after(1, cleanup=5):
            await log.work("a", 9)
        assert around.cancelled_caught

    assert seen(program).cut == [("a", end)]


def test_a_stricter_scope_that_was_left_counts_no_more(seen: Any) -> None:
    async def program(log: Log) -> None:
        with move_on_after(1, cleanup=5):
            try:
                with move_on_after(1, cleanup=1):
                    await log.work("a", 9)
            finally:
                await log.clean("b", 2)

    log = seen(program)
    assert log.cut == [("a", 2)]
    assert log.done == [("b", 4)]
