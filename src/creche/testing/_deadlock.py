"""`DeadlockError`: nothing can run in a simulated run, and nothing ever will."""

from __future__ import annotations

from .._introspection.deadlocks import WaitingTask, all_blocked, table


class DeadlockError(RuntimeError):
    """Every task is blocked, no deadline is set, and nothing outside could wake one."""

    tasks: tuple[WaitingTask, ...] = ()
    """Which task waits for what, which holds it, and where."""


def deadlock() -> DeadlockError:
    """Describe the deadlock that the running loop is in."""
    tasks = all_blocked()
    number = "1 task" if len(tasks) == 1 else f"{len(tasks)} tasks"
    error = DeadlockError(f"{number} can never proceed\n{table(tasks)}")
    error.tasks = tasks
    return error
