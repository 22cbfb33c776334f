"""The way outwards from a task: `Task.scope`, and `Task.enclosing_scope` where the chain ends before."""

from __future__ import annotations

from creche import CancelScope, create_task_group
from creche._kernel import current_task
from creche._kernel.scope import Scope, around
from creche._tasks.stop import innermost
from creche.abc import TaskStatus


def outwards() -> list[Scope]:
    """Return the scopes around the running task, the innermost first."""
    found: list[Scope] = []
    scope = innermost(current_task())
    while scope is not None:
        found.append(scope)
        scope = around(scope)
    return found


async def test_it_leads_from_a_child_to_its_group_and_to_what_is_around_that() -> None:
    seen: list[list[Scope]] = []

    async def child() -> None:
        with CancelScope() as own:
            seen.append([own])
            seen.append(outwards())

    with CancelScope() as outer:
        async with create_task_group() as first, create_task_group() as second:
            second.start_soon(child)
        assert outwards()[0] is outer
    [own], found = seen
    assert found[:4] == [own, second.cancel_scope, first.cancel_scope, outer]


async def test_a_child_of_start_is_in_its_callers_scopes_and_then_in_its_groups() -> None:
    seen: list[Scope] = []

    async def child(*, task_status: TaskStatus[None]) -> None:
        seen.append(next(scope for scope in outwards() if scope in (caller, group.cancel_scope)))
        task_status.started()
        seen.append(outwards()[0])

    async with create_task_group() as group:
        with CancelScope() as caller:
            await group.start(child)
    assert seen == [caller, group.cancel_scope]


async def test_outside_all_scopes_it_leads_nowhere() -> None:
    assert outwards() == []
