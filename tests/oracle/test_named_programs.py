"""Programs on which a kernel once did otherwise than Trio, each as short as it could be made.

Each runs on plain Trio, and through Creche on Trio and on asyncio; `agreed` is what all three saw.
"""

from __future__ import annotations

from _comparison import outcome
from _interpreter import Seen
from _programs import (
    AtOnce,
    Block,
    Cancel,
    CancelChild,
    Convert,
    Finally,
    Group,
    Look,
    Raise,
    Scope,
    SetShield,
    Sleep,
    Start,
    Swallow,
    Try,
)


def agreed(program: Block) -> Seen:
    """Return what a program saw, which is the same everywhere."""
    seen = outcome("oracle", program)
    assert outcome("trio", program) == seen
    assert outcome("asyncio", program) == seen
    return seen


# The caller of `start()` is cancelled before its child is ready


def test_a_child_that_cancels_the_callers_group_and_is_ready_gives_its_value() -> None:
    """`start()` raised the cancellation, and what came after it was never begun."""
    seen = agreed([Group([], [Start(0, [Cancel(0)], True, []), Sleep(1)])])
    assert len(seen.log[0, "Group", "body", 0, "Start"]) == 1
    assert seen.log[0, "Group", "body", 1, "Sleep"][0][:2] == ("slept", "cancelled")
    assert seen.scopes == {(0, "Group"): (True, True)}


def test_a_child_that_waits_in_a_shield_after_it_was_ready_too_late_gives_its_value() -> None:
    """The same, for a child that goes on and ends well a good while later."""
    shielded = Scope(None, True, [Sleep(3)])
    seen = agreed([Group([], [Start(0, [Cancel(0)], True, [shielded]), Sleep(1)])])
    ((_, ready),) = seen.log[0, "Group", "body", 0, "Start"]
    assert ready > 3


def test_a_child_that_cancels_a_group_around_its_callers_gives_its_value() -> None:
    """The same, where the cancelled group is not the one that the child was to be in."""
    inner = Group([], [Start(0, [Cancel(1)], True, [])])
    seen = agreed([Group([[inner]], [])])
    where = (0, "Group", "child", 0, 0, "Group")
    assert len(seen.log[*where, "body", 0, "Start"]) == 1
    assert seen.scopes == {where: (False, False), (0, "Group"): (True, False)}


def test_a_child_that_returns_without_being_ready_is_an_error_also_when_cancelled() -> None:
    """`start()` raised the cancellation instead, though nobody had been interrupted."""
    seen = agreed([Group([], [Cancel(0), Start(0, [], False, [])])])
    assert seen.result == ("group", "RuntimeError")


def test_a_cancellation_that_the_caller_of_start_swallows_is_not_the_groups() -> None:
    """The asyncio kernel counted the child of `start()` among those that the group interrupted."""
    starting = Start(0, [Cancel(0), Sleep(1)], True, [])
    seen = agreed([Group([[Swallow([starting])]], [])])
    assert seen.scopes == {(0, "Group"): (True, False)}


# One task of a group is cancelled, and then the group


def test_a_task_cancelled_for_itself_and_then_with_its_group_was_the_groups_to_catch() -> None:
    """The group said that it had caught nothing: the task's own cancellation was held to be all."""
    stubborn: Block = [Scope(None, True, [Sleep(8)]), Sleep(1)]
    seen = agreed([Try([Group([stubborn], [Sleep(1), CancelChild(0), Raise("A")])], "A")])
    assert seen.scopes[0, "Try", 0, "Group"] == (True, True)
    assert set(seen.tasks.values()) == {"CANCELLED"}


# A task that ends with a group of nothing but cancellations, since `except*` has taken the errors out


ERROR_TAKEN_OUT: Block = [Try([Group([[Sleep(8)]], [Convert([Sleep(8)], "A")])], "A")]


def test_a_task_left_by_a_group_of_cancellations_was_cancelled() -> None:
    """It was held to have failed."""
    seen = agreed([Group([ERROR_TAKEN_OUT], [Sleep(1), Cancel(0)])])
    assert seen.tasks[0, "Group", "child", 0] == "CANCELLED"
    assert seen.result == "ok"


def test_a_task_cancelled_for_itself_and_left_by_a_group_of_cancellations_was_cancelled() -> None:
    """On Trio this was a TypeError, since no program can make a `Cancelled`."""
    seen = agreed([Group([ERROR_TAKEN_OUT], [Sleep(1), CancelChild(0), Sleep(1)])])
    assert seen.tasks[0, "Group", "child", 0] == "CANCELLED"
    assert seen.scopes[0, "Group"] == (False, False)


# Shields of groups in cancelled scopes


def test_a_shielded_group_in_a_cancelled_scope_catches_what_was_its_own() -> None:
    """Its own shield was not looked at, and the cancellations of its tasks left it with the errors."""
    failing: Block = [Sleep(1), Cancel(1), Sleep(1), Raise("A")]
    nested = Group([[Sleep(8)]], [Finally([Sleep(8)], [AtOnce(Raise("B"))])])
    seen = agreed([Scope(None, False, [Group([failing], [AtOnce(SetShield(0, True)), nested])])])
    group = (0, "Scope", 0, "Group")
    assert "cancelled" not in str(seen.result)
    assert "A: " in str(seen.result)
    assert "B: " in str(seen.result)
    assert seen.scopes[group] == (True, True)


def test_a_task_that_shields_its_group_after_it_was_cancelled_ends_the_group() -> None:
    """Its cancellation vanished, and its siblings lived on."""
    shielding: Block = [Finally([Sleep(8)], [AtOnce(SetShield(0, True))])]
    seen = agreed([Scope(None, False, [Group([shielding, [Sleep(8)]], [Sleep(1), Cancel(1)])])])
    assert seen.scopes[0, "Scope", 0, "Group"][0]
    assert set(seen.tasks.values()) == {"CANCELLED"}


def test_a_group_that_is_shielded_between_the_interruption_and_its_end_catches_that() -> None:
    """On asyncio it was held to be a native cancel, and went on outwards."""
    group = Group([[AtOnce(SetShield(0, True))]], [Look()])
    seen = agreed([Scope(None, False, [Cancel(0), group, Sleep(1)])])
    assert seen.scopes[0, "Scope", 1, "Group"] == (True, True)
    assert seen.log[0, "Scope", 2, "Sleep"][0][:2] == ("slept", "cancelled")


# `started()`


def test_a_task_that_helps_the_child_may_say_that_it_is_ready() -> None:
    """On Trio the child was held not to have moved, and `start()` said that it had not called."""
    seen = agreed([Group([], [Start(0, [Sleep(1)], True, [Sleep(5)], by_helper=True)])])
    assert seen.result == "ok"
    assert len(seen.log[0, "Group", "body", 0, "Start"]) == 1


def test_started_is_called_once_also_when_the_caller_was_cancelled() -> None:
    """The second call went unnoticed."""
    seen = agreed([Group([], [Start(0, [Cancel(0)], True, [], twice=True)])])
    assert seen.log[0, "Group", "body", 0, "Start"][0][:1] == ("only once",)
