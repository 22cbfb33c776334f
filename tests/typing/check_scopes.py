"""What type checkers know of cancel scopes, and that code after one can be reached.

Each ignored error has to be there: an ignore that nothing needs is an error itself.
"""

from __future__ import annotations

from typing import assert_type

from creche import (
    CancelScope,
    current_effective_deadline,
    current_time,
    fail_after,
    fail_at,
    get_cancelled_exc_class,
    move_on_after,
    move_on_at,
    sleep,
)


async def a_scope_is_what_with_gives() -> None:
    with CancelScope(deadline=1, shield=True) as scope:
        assert_type(scope, CancelScope)
        assert_type(scope.deadline, float)
        assert_type(scope.shield, bool)
        assert_type(scope.cancel_called, bool)
        assert_type(scope.cancelled_caught, bool)
        assert_type(scope.cancel(), None)
        scope.cancel("reason")
        scope.deadline = 2
        scope.shield = False
        scope.cancelled_caught = True  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
        scope.deadline = None  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    CancelScope(1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def the_functions_make_scopes() -> None:
    with move_on_after(None, shield=True) as scope:
        assert_type(scope, CancelScope)
    with move_on_at(1.5) as scope:
        assert_type(scope, CancelScope)
    with fail_after(1, reason="too slow") as scope:
        assert_type(scope, CancelScope)
    with fail_at(None, True) as scope:
        assert_type(scope, CancelScope)
    move_on_after("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fail_after()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


class Connection(CancelScope):
    pass


async def a_scope_of_ones_own_keeps_its_type() -> None:
    with Connection() as scope:
        assert_type(scope, Connection)


async def what_follows_a_scope_can_be_reached() -> int:
    with move_on_after(1):
        return await answer()
    return 0  # the scope swallows its own cancellation


async def nothing_has_to_follow_a_scope_that_fails() -> int:
    with fail_after(1):
        found = await answer()
    assert_type(found, int)
    with fail_at(1):
        return await answer()


async def answer() -> int:
    await sleep(1)
    return 42


async def times_are_floats() -> None:
    assert_type(current_time(), float)
    assert_type(current_effective_deadline(), float)
    assert_type(get_cancelled_exc_class(), type[BaseException])
    try:
        await sleep(0)
    except get_cancelled_exc_class() as exc:
        assert_type(exc, BaseException)
        raise
