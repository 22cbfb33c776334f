"""`cleanup=` around `start()`: its time begins where a cancellation is raised, and not before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from _clean_up import Log, Program, run

from creche import CancelScope, create_task_group, current_time, move_on_after, sleep
from creche.abc import TaskStatus


@pytest.fixture(params=["asyncio", "trio"])
def seen(request: pytest.FixtureRequest) -> Callable[[Program], Log]:
    """Run a program in virtual time, beginning at 0; return what its tasks did."""
    return lambda program: run(program, request.param)


async def late(*, task_status: TaskStatus[str]) -> None:
    """It is ready, and returns, when its caller has been cancelled for a while."""
    with CancelScope(shield=True):
        await sleep(3)
    task_status.started("the value")


def test_a_start_that_gives_its_value_has_interrupted_nobody(seen: Any) -> None:
    """The time began at the cancel, and what came next was let be rather than interrupted."""

    async def program(log: Log) -> None:
        async with create_task_group() as group:
            with move_on_after(1, cleanup=4):
                assert await group.start(late) == "the value"
                assert current_time() == 3
                try:
                    await sleep(1)
                finally:
                    assert current_time() == 3
                    await log.clean("host", 5)

    assert seen(program).cut == [("host", 7)]


def test_an_error_out_of_start_has_interrupted_nobody(seen: Any) -> None:
    async def failing(*, task_status: TaskStatus[None]) -> None:
        with CancelScope(shield=True):
            await sleep(3)
        raise ValueError

    async def program(log: Log) -> None:
        async with create_task_group() as group:
            with move_on_after(1, cleanup=4):
                with pytest.raises(ValueError):
                    await group.start(failing)
                try:
                    await sleep(1)
                finally:
                    assert current_time() == 3
                    await log.clean("host", 5)

    assert seen(program).cut == [("host", 7)]


def test_the_time_begins_when_start_raises(seen: Any) -> None:
    async def slow(*, task_status: TaskStatus[None]) -> None:
        with CancelScope(shield=True):
            await sleep(3)
        await sleep(1)

    async def program(log: Log) -> None:
        async with create_task_group() as group:
            with move_on_after(1, cleanup=4):
                try:
                    await group.start(slow)
                finally:
                    assert current_time() == 3
                    await log.clean("host", 5)

    assert seen(program).cut == [("host", 7)]


def test_the_time_of_a_scope_that_is_cancelled_meanwhile_counts_from_then(seen: Any) -> None:
    """On Trio it counted from the first interruption, where a task had been interrupted in there before."""

    async def program(log: Log) -> None:
        with move_on_after(2, cleanup=4):
            try:
                with CancelScope() as inner:
                    async with create_task_group() as group:
                        group.start_soon(log.work, "other", 1)
                        await sleep(1)
                        inner.cancel()
                        try:
                            await sleep(1)
                        finally:
                            await log.clean("host", 1.5)
            finally:
                await log.clean("outside", 9)

    log = seen(program)
    assert log.done == [("other", 2), ("host", 2.5)]
    assert log.cut == [("outside", 6)]
