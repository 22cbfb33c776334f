"""Lints: what looks wrong in a program, one function each. None of them shows in a correct one.

Owns the rules and their thresholds. Those that can be told from a snapshot alone are here; those that need to look
at the program's objects are in `object_lints.py`. A lint that goes by time needs two snapshots, as those of a
viewer or a recorder: one alone does not know since when something is so.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from .model import Lint, Loop, Snapshot, Task, Worker
from .text import circles, duration, fold

log = logging.getLogger("creche.insight")

SWALLOWED = 2.0
"""Seconds after which a task that was cancelled should be gone."""
HELD = 5.0
"""Seconds that a task may wait while it holds a lock that others want."""
NO_TURN = 5.0
"""Seconds after which a task that is ready should have had its turn."""
FULL = 5.0
"""Seconds that a task may wait to send into a stream without a receiver that lives."""


def lints_of(loop: Loop, workers: tuple[Worker, ...], turns: dict[int, float]) -> Iterator[Lint]:
    """Return the lints that a snapshot of a loop shows.

    :param turns: seconds for which tasks have been ready, or cancelled, by their numbers
    """
    yield from blocked(loop)
    yield from circle(loop)
    yield from swallowed(loop, workers, turns)
    yield from held(loop)
    yield from no_turn(loop, turns)


def blocked(loop: Loop) -> Iterator[Lint]:
    """`blocked`: one step takes so long that no other task of the loop gets its turn."""
    if loop.state != "blocked":
        return
    running = next((task for task in loop.tasks if task.state == "running"), None)
    name = "something" if running is None else running.name
    since = loop.blocked_for
    lasting = "" if since is None else f" for {duration(since)}"
    yield _lint("blocked", f"{name} blocks its loop{lasting}", running, since)


def circle(loop: Loop) -> Iterator[Lint]:
    """`circle`: tasks wait for each other, and nothing but a cancel can end it."""
    for tasks in circles(loop):
        names = fold(task.name for task in tasks)
        since = min((task.since for task in tasks if task.since is not None), default=None)
        yield _lint("circle", f"{names} wait for each other", tasks[0], since)


def swallowed(loop: Loop, workers: tuple[Worker, ...], turns: dict[int, float]) -> Iterator[Lint]:
    """`swallowed`: a task was cancelled, is not shielded, and goes on all the same."""
    in_workers = {worker.task for worker in workers}
    for task in loop.tasks:
        since = turns.get(task.id, 0.0)
        if task.state != "cancelling" or since < SWALLOWED or task.id in in_workers:
            continue
        if task.wait is not None and (task.wait.tasks or task.wait.needs_all):
            continue  # It waits for its children, which is right: they are cancelled as well.
        text = f"{task.name} goes on {duration(since)} after it was cancelled: it catches the cancellation"
        yield _lint("swallowed", text, task, since)


def held(loop: Loop) -> Iterator[Lint]:
    """`held`: a task holds a lock that others wait for, and waits for long itself."""
    by_number = {task.id: task for task in loop.tasks}
    for resource in loop.resources:
        for number in resource.holders if resource.kind == "Lock" else ():
            task = by_number.get(number)
            if task is None or task.state != "waiting" or task.wait is None:
                continue
            if task.since is None or task.since < HELD or not resource.waiters:
                continue
            count = len(resource.waiters)
            others = "1 task waits" if count == 1 else f"{count} tasks wait"
            text = (
                f"{task.name} holds {resource.name}, which {others} for, and has waited for "
                f"{task.wait.what} for {duration(task.since)}"
            )
            yield _lint("held", text, task, task.since)


def no_turn(loop: Loop, turns: dict[int, float]) -> Iterator[Lint]:
    """`no-turn`: a task could run for long, and the loop, which turns, does not step it."""
    if loop.state in ("blocked", "debugger"):
        return
    for task in loop.tasks:
        since = turns.get(task.id, 0.0)
        if task.state == "ready" and since >= NO_TURN:
            yield _lint("no-turn", f"{task.name} has been ready for {duration(since)}", task, since)


def _lint(kind: str, text: str, task: Task | None, since: float | None) -> Lint:
    number = None if task is None else task.id
    return Lint(kind, text, number, None if task is None else task.place, since)


_told: set[tuple[str, int | None, str]] = set()


def log_lints(taken: Snapshot) -> None:
    """Log what looks wrong, each thing once: as WARNING, to `creche.insight`."""
    for loop in taken.loops:
        for lint in loop.lints:
            key = lint.kind, lint.task, "" if lint.task is not None else lint.text
            if key not in _told:
                if len(_told) > 10_000:
                    _told.clear()
                _told.add(key)
                place = "" if lint.place is None else f", at {lint.place.file}:{lint.place.line}"
                log.warning("%s%s (lint: %s)", lint.text, place, lint.kind)
