"""Watching the running task for checkpoints, on Trio.

Trio tells itself whether there was a checkpoint of its own. One of ours that did not wait is to
Trio only a look at the cancellation; it spends budget, which is a `Figure` meanwhile.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import trio.testing

from ..contract import CheckpointsSeen
from ..probing import Figure

if TYPE_CHECKING:
    from .tasks import Task


class Probe:
    """The contract's `Probe`: `watching -> ended`, in the task that it was made in."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._paid = False
        self._before = task.budget
        self._figure = task.budget = Figure.of(task.budget, self._pay)
        self._none = trio.testing.assert_no_checkpoints()
        self._some = trio.testing.assert_checkpoints()
        self._none.__enter__()
        self._some.__enter__()

    def end(self) -> CheckpointsSeen:
        if self._task.budget is self._figure:
            self._task.budget = self._before
        full = _holds(self._some)
        nothing = _holds(self._none)
        return CheckpointsSeen(self._paid or not nothing, self._paid or full)

    def _pay(self) -> None:
        self._paid = True
        if isinstance(self._before, Figure):
            self._before.paid()


def _holds(assertion: AbstractContextManager[None]) -> bool:
    try:
        assertion.__exit__(None, None, None)
    except AssertionError:
        return False
    return True
