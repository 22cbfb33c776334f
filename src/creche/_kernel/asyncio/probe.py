"""Watching the running task for checkpoints, on asyncio.

Owns which tasks are watched, and does not know why. While none is, the only cost is one look at an empty
dictionary where a cancellation is raised.

A checkpoint is noticed in three ways:

* The credit of a task that is watched stays 0, so a ready operation asks the task (`ready_checkpoint`). The
  first of its probes keeps the credit meanwhile.
* A task that waits lets the loop run: a callback of ours runs before its next step, because the loop
  keeps the order of callbacks. In a shielded wait that is half a checkpoint, so we look again after it.
* A cancelled operation raises: `interrupt` notes that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ..probing import CheckpointsSeen
from .reach import reached
from .state import TaskState

if TYPE_CHECKING:
    from .threadsafe_calls import ThreadsafeCalls

watched: dict[TaskState, list[Probe]] = {}
"""The tasks that are watched, each with its probes, the newest first."""


def note(task: TaskState, *, scheduled: bool = True) -> None:
    """Note in the probes of a task that it has checked for cancellation, and has let others run."""
    for probe in watched.get(task, ()):
        probe.asked = True
        probe.scheduled = probe.scheduled or scheduled


def refill(task: TaskState) -> None:
    """Fill the budget of a task that is not cancelled."""
    if task in watched:
        watched[task][0].credit = task.kernel.budget
        task.credit = 0
    else:
        task.credit = task.kernel.budget


class Probe:
    """The contract's `Probe`: `watching -> ended`, in the task that it was made in."""

    def __init__(self, task: TaskState) -> None:
        self.asked = self.scheduled = False
        self.credit = task.credit
        self._task = task
        self._waiter: asyncio.Future[Any] | None = None
        self._look_next = task.kernel.loop.call_soon(self._look)
        if task not in watched:
            watched[task] = []
            task.credit = 0
        watched[task].append(self)

    def end(self) -> CheckpointsSeen:
        task = self._task
        self._look_next.cancel()
        if self._waiter is not None:
            self._waiter.remove_done_callback(self._look)
        watched[task].remove(self)
        if not watched[task]:
            del watched[task]
            delivery = task.delivery
            cancelled = reached(task) is not None
            if not cancelled and (delivery is None or delivery.deferred is None):
                task.credit += self.credit
        return CheckpointsSeen(self.asked or self.scheduled, self.asked and self.scheduled)

    def _look(self, _: object = None) -> None:
        """Look where the task is. The loop calls this, so the task waits, or has waited."""
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


class TestProbe:
    """The contract's `TestProbe`."""

    def __init__(self, threadsafe_calls: ThreadsafeCalls) -> None:
        self._threadsafe_calls = threadsafe_calls

    # The task is of this kernel, and the contract cannot say so: `Any`.

    def watch(self, task: Any) -> Probe:
        return Probe(task)

    def use_up(self, task: Any) -> None:
        task.credit = min(task.credit, 0)
        if task in watched:
            watched[task][0].credit = 0

    def own_descriptors(self) -> Collection[int]:
        return self._threadsafe_calls.descriptors()
