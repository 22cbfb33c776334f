"""What `repr` says of task groups and cancel scopes: their state, deadline and tasks."""

from __future__ import annotations

import pytest

from creche import (
    CancelScope,
    create_task_group,
    current_time,
    fail_after,
    move_on_after,
    sleep_forever,
)


async def test_a_group_tells_its_state_and_how_many_tasks_it_has() -> None:
    group = create_task_group()
    assert repr(group) == "<TaskGroup not entered>"
    async with group:
        assert repr(group) == "<TaskGroup active, 0 tasks>"
        group.start_soon(sleep_forever)
        assert repr(group) == "<TaskGroup active, 1 task>"
        group.start_soon(sleep_forever)
        group.cancel_scope.shield = True
        assert repr(group) == "<TaskGroup active, 2 tasks, shielded>"
        group.cancel("enough")
        assert repr(group) == "<TaskGroup active, 2 tasks, shielded, cancelled: enough>"
    assert repr(group) == "<TaskGroup closed, shielded, cancelled: enough>"


async def test_a_group_tells_its_deadline() -> None:
    async with create_task_group() as group:
        group.cancel_scope.deadline = current_time() + 100
        assert repr(group).startswith("<TaskGroup active, 0 tasks, deadline=")
        assert repr(group).endswith(" s from now)>")


async def test_a_scope_tells_its_state_task_and_deadline() -> None:
    scope = CancelScope()
    assert repr(scope) == "<CancelScope not entered>"
    with scope:
        assert repr(scope).startswith("<CancelScope active in task '")
        scope.cancel()
        assert repr(scope).endswith("', cancelled>")
    assert repr(scope) == "<CancelScope left, cancelled>"
    assert repr(CancelScope(deadline=5)) == "<CancelScope not entered, deadline=5>"
    with move_on_after(100, shield=True) as scope:
        assert " s from now), shielded>" in repr(scope)
    with fail_after(100) as scope:
        assert repr(scope).startswith("<CancelScope active in task '")


@pytest.mark.parametrize("make", [CancelScope, create_task_group])
def test_what_is_public_is_public_on_purpose(make: type) -> None:
    public = {
        CancelScope: {
            "cancel",
            "cancel_called",
            "cancelled_caught",
            "cleanup",
            "deadline",
            "is_relative",
            "relative_deadline",
            "shield",
            "stop",
        },
        create_task_group: {"cancel", "cancel_scope", "create_task", "start", "start_soon", "stop"},
    }
    assert {name for name in dir(make()) if not name.startswith("_")} == public[make]
