"""`ResourceGuard`: one task at a time, or an error that says what the other does."""

from __future__ import annotations

import pytest

from creche import (
    BusyResourceError,
    Event,
    ResourceGuard,
    create_task_group,
    wait_all_tasks_blocked,
)


def test_a_guard_can_be_entered_again_after_it_was_left() -> None:
    guard = ResourceGuard()
    for _ in range(2):
        with guard:
            assert repr(guard) == "<ResourceGuard 'using' busy>"
    assert repr(guard) == "<ResourceGuard 'using' free>"


def test_a_guard_is_left_when_its_body_raises() -> None:
    guard = ResourceGuard()
    with pytest.raises(ZeroDivisionError), guard:
        raise ZeroDivisionError
    with guard:
        pass


def test_entering_a_busy_guard_names_the_action_and_leaves_it_busy() -> None:
    guard = ResourceGuard("reading from")
    with guard:
        for _ in range(2):
            with pytest.raises(
                BusyResourceError, match="Another task is already reading from this resource"
            ):
                guard.__enter__()


async def test_a_second_task_is_refused_while_the_first_is_inside() -> None:
    guard = ResourceGuard("writing to")
    leave = Event()

    async def first() -> None:
        with guard:
            await leave.wait()

    async with create_task_group() as group:
        group.start_soon(first)
        await wait_all_tasks_blocked()
        with pytest.raises(BusyResourceError, match="already writing to"):
            with guard:
                pass
        leave.set()
    with guard:
        pass
