"""`TestProbe`: what only tests ask of a kernel. An interface of its own beside the core contract.

Knows no event loop. A probe watches one task for checkpoints. The task's `credit` is 0 meanwhile, so
each ready operation has to ask the kernel, and there is one place in it to watch. The budget is the
same again afterwards, but for what was spent.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from .contract import Task


class CheckpointsSeen(NamedTuple):
    """What a task has come to while it was watched."""

    any_part: bool
    """It let others run, or asked whether it is cancelled."""
    whole: bool
    """It did both, or came to a ready checkpoint."""


class Probe(Protocol):
    """Watches one task, which made it and ends it. Probes end in the reverse of their order."""

    def end(self) -> CheckpointsSeen:
        """Stop watching, and tell what was seen."""
        ...


class TestProbe(Protocol):
    """What a kernel tells tests."""

    def watch(self, task: Task) -> Probe:
        """Watch `task`, the running one, for checkpoints."""
        ...

    def use_up(self, task: Task) -> None:
        """Take away what is left of a task's budget: its next checkpoint lets others run."""
        ...

    def own_descriptors(self) -> Collection[int]:
        """Return the descriptors that the kernel has opened for itself, until the loop ends."""
        ...
