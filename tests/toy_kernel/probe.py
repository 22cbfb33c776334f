"""Watching the running task for checkpoints: each of them notes what it does in the task's probes."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from creche._kernel.probing import CheckpointsSeen

if TYPE_CHECKING:
    from .loop import Loop
    from .tasks import Task


class Probe:
    """The contract's `Probe`."""

    def __init__(self, task: Task) -> None:
        self.asked = self.scheduled = False
        self._task = task
        task.probes.append(self)

    def end(self) -> CheckpointsSeen:
        self._task.probes.remove(self)
        return CheckpointsSeen(self.asked or self.scheduled, self.asked and self.scheduled)


class TestProbe:
    """The contract's `TestProbe`."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    # The task is of this kernel, and the contract cannot say so: `Any`.

    def watch(self, task: Any) -> Probe:
        return Probe(task)

    def use_up(self, task: Any) -> None:
        task.budget = min(task.budget, 0)

    def own_descriptors(self) -> Collection[int]:
        return self._loop.descriptors()
