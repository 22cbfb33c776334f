"""Watching the running task for checkpoints, on Trio.

Trio itself reports its own checkpoints. To Trio, a ready checkpoint of ours only checks for cancellation,
so the kernel tells the task's probe of it.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Any

from ..probing import CheckpointsSeen


class Probe:
    """The contract's `Probe`: `watching -> ended`, in the task that it was made in."""

    # `task` is the state of a Trio task, which refers to this: `Any`.
    def __init__(self, task: Any) -> None:
        self._task = task
        self._ready = False
        self._outer: Probe | None = task.probe
        task.probe = self
        # Not before it is asked for: it loads pytest, where that is installed.
        from trio.testing import assert_checkpoints, assert_no_checkpoints

        self._none = assert_no_checkpoints()
        self._some = assert_checkpoints()
        self._none.__enter__()
        self._some.__enter__()

    def note(self) -> None:
        """Hear that the task has come to a ready checkpoint."""
        self._ready = True
        if self._outer is not None:
            self._outer.note()

    def end(self) -> CheckpointsSeen:
        self._task.probe = self._outer
        full = _holds(self._some)
        nothing = _holds(self._none)
        return CheckpointsSeen(self._ready or not nothing, self._ready or full)


class TestProbe:
    """The contract's `TestProbe`."""

    # The task is of this kernel, and the contract cannot say so: `Any`.

    def watch(self, task: Any) -> Probe:
        return Probe(task)

    def use_up(self, task: Any) -> None:
        task.budget = min(task.budget, 0)

    def own_descriptors(self) -> Collection[int]:
        return ()


def _holds(assertion: AbstractContextManager[None]) -> bool:
    try:
        assertion.__exit__(None, None, None)
    except AssertionError:
        return False
    return True
