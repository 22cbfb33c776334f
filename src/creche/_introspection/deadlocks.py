"""Deadlocks: the table of who waits for what, and the search for circles in it.

    worker-a  waits for Lock 'db'     held by worker-b  app.py:41
    worker-b  waits for Lock 'cache'  held by worker-a  app.py:52

The search never guesses. It begins with the tasks that wait for something of which it is known who
could end the wait: a lock, a limiter whose tokens are all lent to tasks, tasks that are to end. Then
it strikes out whoever may yet go on, until nothing changes. Who is left waits for others that
are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from .._exceptions import NoEventLoopError
from .._kernel import current_kernel
from .waits import Wait, Waits

if TYPE_CHECKING:
    from typing import Any


class WaitingTask(NamedTuple):
    """One task of a deadlock."""

    task: str
    """Its name, made unique among the tasks of the loop."""
    waits_for: str
    held_by: tuple[str, ...]
    """Who holds what it waits for, as far as that is known."""
    place: str
    """Where it waits: file and line of the program's own code."""
    takes: str = ""
    """What would end the wait, such as `release()`, as far as that is known."""


class Deadlock(NamedTuple):
    """Tasks of which none can go on before another of them does."""

    tasks: tuple[WaitingTask, ...]

    def __str__(self) -> str:
        return table(self.tasks)


def rows(waits: Waits, chosen: Sequence[Wait]) -> tuple[WaitingTask, ...]:
    """Put waits into words."""
    return tuple(
        WaitingTask(
            waits.name(wait.record.native),
            wait.what,
            tuple(map(waits.name, wait.holders)) if wait.kind != "tasks" else (),
            wait.place,
            wait.takes,
        )
        for wait in chosen
    )


def table(tasks: Sequence[WaitingTask]) -> str:
    """Lay out the rows in columns."""
    cells = [
        (
            row.task,
            f"waits for {row.waits_for}",
            f"held by {', '.join(row.held_by)}" if row.held_by else "",
            row.place,
        )
        for row in tasks
    ]
    widths = [max((len(line[column]) for line in cells), default=0) for column in range(3)]
    lines: list[str] = []
    for line in cells:
        padded = [text.ljust(width) for text, width in zip(line, widths, strict=False) if width]
        lines.append("  " + "  ".join([*padded, line[3]]).rstrip())
    return "\n".join(lines)


def find_deadlocks() -> list[Deadlock]:
    """Look for tasks of the running loop that wait for each other in a circle of locks.

    Looks at locks, limiters, and tasks that wait for other tasks; a task that a deadline will free
    does not count. A look at one moment: cancelling one of the tasks would still undo the circle. Not
    a checkpoint; costs nothing until it is called.

    :return: the circles, an empty list if there are none, or no event loop runs in this thread
    """
    try:
        kernel = current_kernel()
    except NoEventLoopError:
        return []
    waits = Waits(kernel)
    stuck = {
        id(wait.record.native): wait
        for wait in waits.all()
        if wait.kind and wait.holders and not wait.granted and wait.deadline == inf
        and not kernel.has_pending_cancellation(wait.record.native)
    }  # fmt: skip
    while free := [key for key, wait in stuck.items() if not _bound(wait, stuck)]:
        for key in free:
            del stuck[key]
    return [
        Deadlock(rows(waits, circle))
        for circle in _apart(stuck)
        if any(wait.kind == "lock" for wait in circle)
    ]


def _bound(wait: Wait, stuck: dict[int, Wait]) -> bool:
    held = [id(holder) in stuck for holder in wait.holders]
    return any(held) if wait.needs_all else all(held)


def _apart(stuck: dict[int, Wait]) -> list[list[Wait]]:
    """Divide waits into those that have nothing to do with each other."""
    groups: list[dict[int, Wait]] = []
    for key, wait in stuck.items():
        linked = {key, *(id(holder) for holder in wait.holders)}
        together = {key: wait}
        for group in [group for group in groups if not linked.isdisjoint(_reach(group))]:
            groups.remove(group)
            together = {**group, **together}
        groups.append(together)
    return [list(group.values()) for group in groups]


def _reach(group: dict[int, Wait]) -> set[int]:
    return {key for wait in group.values() for key in map(id, [wait.record.native, *wait.holders])}


def all_blocked() -> tuple[WaitingTask, ...]:
    """Describe the tasks of a loop in which nothing can run any more.

    A task that only waits for others to end is left out, unless it holds what one of them needs.
    """
    waits = Waits(current_kernel())
    blocked = waits.all()
    needed: set[Any] = {
        id(holder) for wait in blocked if wait.kind != "tasks" for holder in wait.holders
    }
    shown = [wait for wait in blocked if wait.kind != "tasks" or id(wait.record.native) in needed]
    return rows(waits, shown or blocked)
