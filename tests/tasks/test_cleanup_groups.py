"""`cleanup=` on task groups and runs, and what is no time."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Any

import pytest
from _clean_up import Log, Program, run

import creche
from creche import (
    CancelScope,
    create_task_group,
    current_time,
    fail_after,
    fail_at,
    move_on_after,
    move_on_at,
    sleep,
    sleep_forever,
)


@pytest.fixture(params=["asyncio", "trio"])
def seen(request: pytest.FixtureRequest) -> Callable[[Program], Log]:
    """Run a program in virtual time, beginning at 0; return what its tasks did."""
    return lambda program: run(program, request.param)


# ── Groups ────────────────────────────────────────────────────────────────────────────────────────


def test_each_task_has_its_own_time(seen: Any) -> None:
    async def late(log: Log) -> None:
        with CancelScope(shield=True):
            await sleep(2)
        await log.work("late", 2)

    async def program(log: Log) -> None:
        with pytest.raises(ExceptionGroup) as caught:
            async with create_task_group(cleanup=3) as group:
                for name, seconds in ("a", 1), ("b", 2), ("c", 5):
                    group.start_soon(log.work, name, seconds)
                group.start_soon(late, log)
                await sleep(1)
                raise ValueError
        assert [type(exc) for exc in caught.value.exceptions] == [ValueError]

    log = seen(program)
    assert sorted(log.done) == [("a", 2), ("b", 3), ("late", 4)]
    assert log.cut == [("c", 4)]


def test_a_group_inside_a_cancelled_one_cuts_nobody_off(seen: Any) -> None:
    async def nested(log: Log) -> None:
        async with create_task_group() as group:
            group.start_soon(log.work, "a", 1)
            group.start_soon(log.work, "b", 2)
            await log.work("body", 1)

    async def program(log: Log) -> None:
        async with create_task_group(cleanup=3) as group:
            group.start_soon(nested, log)
            await sleep(1)
            group.cancel_scope.cancel()
        assert group.cancel_scope.cancelled_caught

    assert sorted(seen(program).done) == [("a", 2), ("b", 3), ("body", 2)]


def test_an_error_of_a_clean_up_leaves_the_group(seen: Any) -> None:
    async def failing(log: Log) -> None:
        try:
            await log.work("a", 1)
        finally:
            raise ValueError

    async def program(log: Log) -> None:
        with pytest.raises(ExceptionGroup) as caught:
            async with create_task_group(cleanup=5) as group:
                group.start_soon(failing, log)
                group.start_soon(log.work, "b", 2)
                await sleep(1)
                group.cancel_scope.cancel()
        assert [type(exc) for exc in caught.value.exceptions] == [ValueError]

    assert seen(program).done == [("a", 2), ("b", 3)]


def test_a_handle_that_is_cancelled_has_the_time_of_its_group(seen: Any) -> None:
    async def program(log: Log) -> None:
        async with create_task_group(cleanup=3) as group:
            short = group.start_soon(log.work, "a", 1)
            long = group.start_soon(log.work, "b", 9)
            await sleep(1)
            short.cancel()
            long.cancel()
            await long.wait()
            assert current_time() == 4
        assert not group.cancel_scope.cancel_called

    log = seen(program)
    assert log.done == [("a", 2)]
    assert log.cut == [("b", 4)]


def test_a_child_that_is_not_started_yet_has_the_time_of_its_caller(seen: Any) -> None:
    async def service(log: Log, *, task_status: Any) -> None:
        await log.work("a", 1)

    async def program(log: Log) -> None:
        async with create_task_group() as group:
            with move_on_after(1, cleanup=2) as scope:
                await group.start(service, log)
            assert scope.cancelled_caught

    assert seen(program).done == [("a", 2)]


@pytest.mark.parametrize("name", creche.get_available_backends())
def test_a_run_gives_time_to_all_that_is_in_it(name: str) -> None:
    cleaned: list[str] = []

    async def child() -> None:
        try:
            await sleep_forever()
        finally:
            await sleep(0.01)
            cleaned.append("child")

    async def main() -> str:
        with pytest.raises(ExceptionGroup):
            async with create_task_group() as group:
                group.start_soon(child)
                await sleep(0.01)
                raise ValueError
        return "done"

    assert creche.run(main, backend=name, cleanup=5) == "done"
    assert cleaned == ["child"]
    creche.run(main, backend=name)
    assert cleaned == ["child"]


# ── Misuse ────────────────────────────────────────────────────────────────────────────────────────

BAD = [(-1, ValueError), (nan, ValueError), ("5", TypeError), (True, TypeError), ([], TypeError)]


@pytest.mark.parametrize(("value", "error"), BAD)
def test_a_time_that_is_none_is_refused_at_once(value: Any, error: type[Exception]) -> None:
    async def main() -> None:
        for make in (
            lambda: CancelScope(cleanup=value),
            lambda: move_on_after(1, cleanup=value),
            lambda: move_on_after(None, cleanup=value),
            lambda: move_on_at(1, cleanup=value),
            lambda: fail_after(1, cleanup=value),
            lambda: fail_at(1, cleanup=value),
            lambda: create_task_group(cleanup=value),
            lambda: create_task_group(stop_order="reverse", cleanup=value),
        ):
            with pytest.raises(error, match="cleanup must be"):
                make()

    creche.run(main)
    with pytest.raises(error, match="cleanup must be"):
        creche.run(main, cleanup=value)


def test_a_scope_shows_the_time_that_it_was_given() -> None:
    assert CancelScope(cleanup=5).cleanup == 5
    assert CancelScope().cleanup is None
    assert create_task_group(cleanup=2.5).cancel_scope.cleanup == 2.5
    assert repr(CancelScope(cleanup=5)) == "<CancelScope not entered, cleanup=5>"
