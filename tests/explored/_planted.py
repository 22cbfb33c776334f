"""Looking for a bug that was planted: that an explored test can fail.

Owns the hunt, which is `creche.testing.explore` without its shrinking, for what is wrong is known. Each
test of an invariant has a neighbour that runs the same program on something with one thing wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from creche import CancelScope
from creche._registry import simulating
from creche.lowlevel import checkpoint
from creche.testing import DeadlockError
from creche.testing._run import simulate
from creche.testing._schedules import strategy

HUNT = 400
"""Schedules after which a planted bug is not found."""
STEPS = 20_000
"""Steps of a run without time going on, after which it counts as one that never ends."""


def leaves(error: BaseException) -> list[BaseException]:
    """Return the exceptions in a tree of groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


def assert_found(program: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Assert that a program fails, in the way of a broken promise, under some schedule."""
    for backend in simulating():
        plan = strategy("auto", 0)
        for number in range(HUNT):
            schedule = plan.schedule(number)
            assert schedule is not None
            outcome = simulate(program, (), backend, schedule, limit=STEPS)
            plan.learn(outcome.choices)
            if outcome.error is not None:
                break
        else:
            pytest.fail(f"the planted bug was not found on {backend}")
        for leaf in leaves(outcome.error):
            assert isinstance(leaf, AssertionError | DeadlockError), repr(leaf)


async def cancel_one_by_one(*scopes: CancelScope) -> None:
    """Cancel scopes one after the other, each at a moment that the schedule decides."""
    for scope in scopes:
        await checkpoint()
        scope.cancel()
