"""Snapshots as messages for the page: everything at first, then only what has changed.

Owns the format, which `static/model.js` reads. Knows no sockets and no loops.

A message is an object with the time `t` (seconds since the epoch) and any of

    full        true: tasks, scopes and resources that are not in it are gone
    tasks       those that are new or have changed, each in full
    gone        the numbers of tasks that have ended
    scopes, resources    those that are new or have changed
    figures     [task, busy seconds, steps] of tasks that have taken steps
    loops, workers, circles, lints, services, missing, program    as they are now, if they have changed
    end         why no message follows

Times that a snapshot gives as a distance from now become points in time, so that they stay equal while
nothing happens.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._insight.model import Loop, Place, Scope, Service, Snapshot, Task, Wait, Worker
from .._insight.text import circles, service_text

Message = dict[str, Any]

FRAME = ("loops", "workers", "circles", "lints", "services", "missing")
"""What is told as a whole."""
ELSEWHERE = ("blocked", "circle")
"""Lints that are shown where their loop and their tasks are."""
TOLERANCE = 0.3
"""Seconds by which a point in time may seem to move because two clocks were read."""


class Changes:
    """Compares each snapshot with the one before."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[int, Message]] = {"tasks": {}, "scopes": {}, "resources": {}}
        self._figures: dict[int, tuple[float | None, int | None]] = {}
        self._single: Message = {}

    def next(self, snapshot: Snapshot, *, full: bool) -> Message:
        """Return the message that leads from the snapshot before to this one.

        :param full: whether to tell everything, for somebody who has not seen the ones before
        """
        now = snapshot.time
        message: Message = {"t": now}
        if full:
            message["full"] = True
        tasks = {
            task.id: _task(task, loop, now, self._tables["tasks"].get(task.id))
            for loop in snapshot.loops
            for task in loop.tasks
        }
        before = self._replace(message, "tasks", tasks, full)
        gone = [number for number in before if number not in tasks]
        if gone and not full:
            message["gone"] = gone
        self._replace(message, "scopes", self._scopes(snapshot), full)
        self._replace(message, "resources", _resources(snapshot), full)
        self._add_figures(message, snapshot, full)
        for key, value in _single(snapshot).items():
            if full or self._single.get(key) != value:
                message[key] = self._single[key] = value
        return message

    def _replace(
        self, message: Message, kind: str, now: dict[int, Message], full: bool
    ) -> dict[int, Message]:
        before, self._tables[kind] = self._tables[kind], now
        changed = [each for number, each in now.items() if full or before.get(number) != each]
        if changed:
            message[kind] = changed
        return before

    def _scopes(self, snapshot: Snapshot) -> dict[int, Message]:
        known = self._tables["scopes"]
        found: dict[int, Message] = {}
        for task in snapshot.tasks:
            for scope in task.scopes:
                if scope.id not in found:
                    found[scope.id] = _scope(scope, snapshot.time, known.get(scope.id))
        return found

    def _add_figures(self, message: Message, snapshot: Snapshot, full: bool) -> None:
        figures = {task.id: (task.busy, task.steps) for task in snapshot.tasks
                   if task.busy is not None or task.steps is not None}  # fmt: skip
        changed = [
            (number, *pair)
            for number, pair in figures.items()
            if full or self._figures.get(number) != pair
        ]
        self._figures = figures
        if changed:
            message["figures"] = changed


def _task(task: Task, loop: Loop, now: float, before: Message | None) -> Message:
    made: Message = {
        "id": task.id,
        "loop": loop.id,
        "name": task.name,
        "full": task.full_name,
        "kind": task.kind,
        "parent": task.parent,
        "state": task.state,
        "place": _place(task.place),
    }
    if task.scopes:
        made["scopes"] = [scope.id for scope in task.scopes]
    if task.since is not None:
        made["since"] = _moment(now - task.since, None if before is None else before.get("since"))
    if task.wait is not None:
        made["wait"] = _wait(task.wait)
    return made


def _wait(wait: Wait) -> Message:
    made: Message = {"what": wait.what, "takes": wait.takes}
    if wait.resource is not None:
        made["resource"] = wait.resource
    if wait.holders:
        made["holders"] = list(wait.holders)
    if wait.tasks:
        made["tasks"] = list(wait.tasks)
    return made


def _moment(moment: float, before: float | None) -> float:
    """Return a point in time: the one from before, if this is the same."""
    return before if before is not None and abs(before - moment) < TOLERANCE else round(moment, 3)


def _scope(scope: Scope, now: float, before: Message | None) -> Message:
    deadline = None
    if scope.deadline_left is not None:
        moment = now + max(scope.deadline_left, -1e9)  # -inf: cancelled
        deadline = _moment(moment, None if before is None else before["deadline"])
    return {
        "id": scope.id,
        "state": scope.state,
        "shield": scope.shield,
        "deadline": deadline,
        "reason": scope.reason,
        "place": _place(scope.entered),
        "group": scope.group is not None,
    }


def _place(place: Place | None) -> tuple[str, str] | None:
    return None if place is None else (f"{place.file}:{place.line}", place.function)


def _resources(snapshot: Snapshot) -> dict[int, Message]:
    return {
        each.id: {
            "id": each.id,
            "kind": each.kind,
            "name": each.name,
            "holders": list(each.holders),
        }
        for loop in snapshot.loops
        for each in loop.resources
    }


def _single(snapshot: Snapshot) -> Message:
    return {
        "program": {
            "pid": snapshot.pid,
            "python": snapshot.python,
            "command": " ".join(snapshot.argv),
        },
        "loops": [_loop(loop, snapshot.time) for loop in snapshot.loops],
        "workers": [_worker(worker, snapshot.time) for worker in snapshot.workers],
        "circles": [
            [task.id for task in circle] for loop in snapshot.loops for circle in circles(loop)
        ],
        "lints": [
            [lint.kind, lint.text, lint.task, _place(lint.place)]
            for loop in snapshot.loops
            for lint in loop.lints
            if lint.kind not in ELSEWHERE
        ],
        "services": [_service(each) for loop in snapshot.loops for each in loop.services],
        "missing": snapshot.incomplete,
    }


def _service(service: Service) -> Message:
    return {
        "name": service.name,
        "text": service_text(service),
        "supervisor": service.supervisor,
        "task": service.task,
    }


def _loop(loop: Loop, now: float) -> Message:
    blocked = None if loop.blocked_for is None else round(now - loop.blocked_for)
    return {
        "id": loop.id,
        "backend": loop.backend,
        "thread": loop.thread,
        "simulated": loop.simulated,
        "state": loop.state,
        "blocked": blocked,
    }


def _worker(worker: Worker, now: float) -> Message:
    since = None if worker.since is None else round(now - worker.since)
    return {
        "kind": worker.kind,
        "name": worker.name,
        "call": worker.call,
        "task": worker.task,
        "since": since,
    }


def stack_of(task: int, tasks: Iterable[Task]) -> list[tuple[str, str] | None] | None:
    """Return the stack of a task, outermost first; None if it has ended."""
    for each in tasks:
        if each.id == task:
            return [_place(place) for place in each.stack]
    return None
