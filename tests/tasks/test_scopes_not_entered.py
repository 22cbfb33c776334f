"""Scopes before they are entered and after they were left: everything that may be asked of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from _harness import on_every_backend
from creche import (
    CancelScope,
    create_task_group,
    current_time,
    fail_after,
    fail_at,
    move_on_after,
    move_on_at,
)
from creche.lowlevel import checkpoint
from creche.services import until_stop

pytestmark = on_every_backend

Scope = Any  # some of them are of private classes

MAKERS: dict[str, Callable[[], Scope]] = {
    "plain": CancelScope,
    "relative": lambda: CancelScope(relative_deadline=3, cleanup=1),
    "of-a-group": lambda: create_task_group().cancel_scope,
    "after": lambda: move_on_after(5, shield=True),
    "after-soon": lambda: move_on_after(0.001),
    "after-none": lambda: move_on_after(None),
    "after-cleanup": lambda: move_on_after(5, cleanup=1),
    "at": lambda: move_on_at(1e9),
    "fail-after": lambda: fail_after(4),
    "fail-after-cleanup": lambda: fail_after(4, cleanup=1),
    "fail-at": lambda: fail_at(None),
    "until-stop": until_stop,
}
each_scope = pytest.mark.parametrize(
    "make",
    MAKERS.values(),
    ids=MAKERS,
)


def set_relative(scope: Scope) -> None:
    with suppress(RuntimeError):  # of one with a deadline that does not count from its entry
        scope.relative_deadline = 4


def set_deadline(scope: Scope) -> None:
    with suppress(RuntimeError):  # of one whose deadline counts from its entry
        scope.deadline = current_time() + 9


def set_shield(scope: Scope) -> None:
    scope.shield = not scope.shield


def look(scope: Scope) -> None:
    assert "CancelScope" in repr(scope) or "Scope" in type(scope).__name__
    assert scope.cleanup in (None, 1)
    with suppress(RuntimeError):
        assert scope.deadline is not None
    with suppress(RuntimeError):
        assert scope.relative_deadline is not None
    assert scope.is_relative in (None, False, True)
    assert not scope.cancelled_caught


each_use = pytest.mark.parametrize(
    "use",
    [
        look,
        set_relative,
        set_deadline,
        set_shield,
        lambda scope: scope.cancel("a reason"),
        lambda scope: scope.stop("a reason", grace=1),
        lambda scope: scope.stop(grace=0),
    ],
    ids=["look", "relative", "deadline", "shield", "cancel", "stop", "stop-now"],
)


@each_scope
@each_use
async def test_a_scope_that_was_not_entered_can_be_used(
    make: Callable[[], Scope], use: Callable[[Scope], object]
) -> None:
    scope = make()
    use(scope)
    assert "not entered" in repr(scope)


@each_scope
@each_use
async def test_a_scope_that_was_left_can_be_used(
    make: Callable[[], Scope], use: Callable[[Scope], object]
) -> None:
    with make() as scope:
        pass
    use(scope)
    assert "left" in repr(scope)
    with pytest.raises(RuntimeError, match="already been entered"):
        scope.__enter__()
    with pytest.raises(RuntimeError, match="left already"):
        scope.__exit__(None, None, None)


@each_scope
async def test_a_scope_that_was_not_entered_cannot_be_left(make: Callable[[], Scope]) -> None:
    with pytest.raises(RuntimeError, match="never entered"):
        make().__exit__(None, None, None)


async def test_what_was_set_last_before_the_entry_is_the_deadline_of_fail_after() -> None:
    timeout: Scope = fail_after(4, reason="too slow")
    assert timeout.is_relative
    assert timeout.relative_deadline == 4
    timeout.relative_deadline = 9
    before = current_time()
    with timeout:
        assert 9 <= timeout.deadline - before < 10
        assert timeout.is_relative is None
    timeout = fail_after(4)
    timeout.deadline = current_time() + 20
    assert not timeout.is_relative
    with timeout:
        assert 19 < timeout.deadline - before < 30
    timeout = fail_at(None, reason="too slow")
    timeout.relative_deadline = 0
    with pytest.raises(TimeoutError, match="too slow"), timeout:
        await checkpoint()


async def test_until_stop_says_where_a_relative_deadline_can_be_set() -> None:
    scope: Scope = until_stop()
    with pytest.raises(RuntimeError, match="set it when the block has begun"):
        scope.relative_deadline = 4
    with scope:
        scope.relative_deadline = 4
        assert 3 < scope.relative_deadline <= 4
