"""Watching the running task for checkpoints, on asyncio.

Owns who is watched. Does not know why. Costs nothing while nobody is, but for one look at an
empty dictionary where a cancellation is raised.

What is a checkpoint is seen in three ways:

* An operation that need not wait pays with credit: the task's is a `Figure` meanwhile.
* A task that waits lets the loop run: a callback of ours comes before its next step, for the loop
  keeps the order of callbacks. In a shielded wait that is half a checkpoint, so we look again after it.
* A cancelled operation raises: `cancellation.py` makes a note of that.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..contract import BUDGET, CheckpointsSeen
from ..probing import Figure

if TYPE_CHECKING:
    from .tasks import Verbs as AnyTask

watched: dict[AnyTask, list[Probe]] = {}
"""The tasks that are watched, each by the probes that were made last first."""


def note(task: AnyTask, *, scheduled: bool = True) -> None:
    """Tell the probes of a task that it has asked whether it is cancelled, and let others run."""
    for probe in watched.get(task, ()):
        probe.asked = True
        probe.scheduled = probe.scheduled or scheduled


class Probe:
    """The contract's `Probe`: `watching -> ended`, in the task that it was made in."""

    def __init__(self, task: AnyTask) -> None:
        self.asked = self.scheduled = False
        self._task = task
        self._before = task.credit
        self._figure = task.credit = Figure.of(task.credit, lambda: note(task))
        self._waiter: asyncio.Future[Any] | None = None
        self._look_next = task.kernel.loop.call_soon(self._look)
        watched.setdefault(task, []).append(self)

    def end(self) -> CheckpointsSeen:
        task = self._task
        self._look_next.cancel()
        if self._waiter is not None:
            self._waiter.remove_done_callback(self._look)
        watched[task].remove(self)
        if not watched[task]:
            del watched[task]
        if task.credit is self._figure:
            task.credit = self._before
        elif task.credit not in (0, BUDGET):
            # A cancelled scope was entered and left, which fills the credit up, and then an
            # operation spent of it.
            self.asked = self.scheduled = True
        return CheckpointsSeen(self.asked or self.scheduled, self.asked and self.scheduled)

    def _look(self, _: object = None) -> None:
        """See where the task is. Called by the loop, so it waits, or has waited."""
        self.scheduled = True
        if not self._task.shield_depth:
            self.asked = True
            return
        waiter = getattr(self._task.native, "_fut_waiter", None)
        if waiter is None:
            self._look_next = self._task.kernel.loop.call_soon(self._look)
        else:
            self._waiter = waiter
            waiter.add_done_callback(self._look)
