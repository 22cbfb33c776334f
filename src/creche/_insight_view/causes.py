"""From a task that waits to what holds it up in the end.

Owns the choice of the next one where several could be. Knows snapshots, and nothing of how they are shown.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from .._insight.model import Task


class Chain(NamedTuple):
    """The tasks on the way, the one that was asked for first."""

    tasks: Sequence[int]
    circle: bool
    """Whether the last one waits for one that is on the way already."""

    @property
    def cause(self) -> int:
        """The task to look at: the last one, or the next one round the circle."""
        return self.tasks[1] if self.circle and len(self.tasks) > 1 else self.tasks[-1]


def chain_of(number: int, tasks: Mapping[int, Task], stuck: Collection[int] = ()) -> Chain:
    """Follow who waits for whom.

    :param number: the task to begin with
    :param stuck: the tasks in circles of waits, which are followed first
    """
    found: list[int] = []
    following: int | None = number
    while following is not None and following in tasks and following not in found:
        found.append(following)
        following = _next(tasks[following], tasks, stuck)
    return Chain(found, following is not None and following in found)


def _next(task: Task, tasks: Mapping[int, Task], stuck: Collection[int]) -> int | None:
    """Return the task that one waits for. Of several, one in a circle, or one that waits for a holder."""
    wait = task.wait
    if wait is None or task.state in ("running", "ready"):
        return None
    needed = [number for number in wait.holders or wait.tasks if number in tasks]
    for number in needed:
        if number in stuck:
            return number
    for number in needed:
        other = tasks[number].wait
        if other is not None and other.holders:
            return number
    return needed[0] if needed else None
