"""`CancelScope(relative_deadline=...)` as Trio has it, and the clock of `move_on_after`."""

from __future__ import annotations

import inspect
import time
import warnings
from math import inf, nan
from typing import Any

import pytest

from creche import CancelScope, current_time, move_on_after, sleep, sleep_forever


async def test_the_clock_of_a_relative_deadline_starts_when_the_scope_is_entered() -> None:
    scope = CancelScope(relative_deadline=0.02)
    await sleep(0.03)
    before = current_time()
    with scope:
        assert scope.deadline == pytest.approx(current_time() + 0.02, abs=0.02)
        await sleep_forever()
    assert current_time() - before >= 0.015
    assert scope.cancelled_caught


async def test_a_relative_scope_is_a_plain_one_once_it_was_entered() -> None:
    scope = CancelScope(relative_deadline=60, shield=True)
    assert (scope.is_relative, scope.relative_deadline) == (True, 60)
    assert "relative_deadline=60" in repr(scope)
    with scope:
        assert scope.is_relative is None
        assert type(scope).__name__ == CancelScope.__name__
        assert 59 < scope.relative_deadline <= 60
        assert scope.deadline - current_time() == pytest.approx(60, abs=1)
        scope.relative_deadline = 0
        await sleep_forever()
    assert scope.cancelled_caught
    assert scope.is_relative is None
    with pytest.raises(RuntimeError, match="already been entered"):
        with scope:
            pass


async def test_a_relative_scope_can_be_cancelled_before_it_is_entered() -> None:
    scope = CancelScope(relative_deadline=60)
    scope.cancel("early")
    with scope:
        await sleep_forever()
    assert scope.cancelled_caught


def test_what_may_be_asked_of_a_scope_that_was_not_entered() -> None:
    relative, absolute, neither = (
        CancelScope(relative_deadline=3),
        CancelScope(deadline=3),
        CancelScope(),
    )
    with pytest.raises(RuntimeError, match="counts from when it is entered"):
        _ = relative.deadline
    with pytest.raises(RuntimeError, match="counts from when it is entered"):
        relative.deadline = 4
    relative.relative_deadline = 5
    assert (relative.is_relative, relative.relative_deadline) == (True, 5)
    with pytest.raises(RuntimeError, match="does not count from then"):
        _ = absolute.relative_deadline
    with pytest.raises(RuntimeError, match="does not count from then"):
        absolute.relative_deadline = 4
    assert absolute.is_relative is False
    assert (neither.is_relative, neither.relative_deadline, neither.deadline) == (False, inf, inf)
    neither.relative_deadline = 4
    assert (neither.is_relative, neither.relative_deadline) == (True, 4)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"relative_deadline": 1, "deadline": 2}, "one deadline"),
        ({"relative_deadline": nan}, "NaN"),
        ({"relative_deadline": -1}, "0 or more seconds, not -1"),
    ],
)
def test_bad_deadlines_are_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        CancelScope(**arguments)


# The clock of `move_on_after` runs from when it is made, as in AnyIO


async def test_a_timeout_that_is_over_when_it_is_entered_says_why() -> None:
    scope = move_on_after(0.01)
    await sleep(0.2)
    with pytest.warns(RuntimeWarning, match="its clock starts when it is made") as caught:  # noqa: PT031  # the block is what is tested
        line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
        with scope:
            await sleep_forever()
    assert scope.cancelled_caught
    assert (caught[0].filename, caught[0].lineno) == (__file__, line)


async def test_a_timeout_that_a_busy_machine_enters_late_says_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scope = move_on_after(0.01)
        time.sleep(0.02)  # as if another process had the processor
        with scope:
            await sleep_forever()
        assert scope.cancelled_caught


async def test_a_timeout_that_still_has_time_or_never_had_any_says_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scope = move_on_after(60)
        await sleep(0.01)
        with scope:
            pass
        for delay in (0, -1, 0.000001, None):
            with move_on_after(delay) as short:
                await sleep(0.001)
            assert short.cancel_called is (delay is not None)
        with CancelScope(deadline=current_time() - 1) as past:
            await sleep_forever()
        assert past.cancelled_caught
