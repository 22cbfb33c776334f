"""A snapshot as plain text: a tree that fits on a screen, whatever the number of tasks.

Owns the layout, the folding of equal tasks, and the circles of waits. Knows snapshots and nothing
else: a viewer in another process makes the same text.

    main              waiting for the end of server, client x371     app.py:20  main
    ├─ server         waiting for socket readable                    app.py:41  serve
    └─ client x371    waiting for Lock 'db', held by server          app.py:52  request

Tasks below one parent are equal, and shown as one, if they have the same function, state, wait and
place, and so do all tasks below them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TextIO

from .model import Loop, Place, Scope, Service, Snapshot, Task, Worker

LINES = 60
"""Lines that the tree of one loop may have."""


def text_of(
    snapshot: Snapshot, *, stacks: bool = False, lines: int = LINES, only: set[int] | None = None
) -> str:
    """Lay out a snapshot.

    :param stacks: whether to show the stack of each task, if the snapshot has it
    :param lines: about how many lines the tree of each loop may have
    :param only: the numbers of the tasks to show, None for all
    """
    parts = [_loop_text(loop, stacks, lines, only) for loop in snapshot.loops]
    if not parts:
        parts = ["No event loop of this process uses Creche.\n"]
    workers = [each for each in snapshot.workers if only is None or each.task in only]
    if workers:
        parts.append("".join(_workers(workers, snapshot)))
    if snapshot.stops and only is None:
        parts.append("".join(_stops(snapshot)))
    if snapshot.incomplete:
        parts.append(f"Not complete: {snapshot.incomplete}\n")
    return "\n".join(parts)


def print_snapshot(snapshot: Snapshot, file: TextIO) -> None:
    """Write the text of a snapshot, in one piece."""
    file.write(text_of(snapshot))
    file.flush()


class _Row(NamedTuple):
    left: str
    middle: str
    right: str
    below: tuple[str, ...]
    """Lines that go below it: its stack."""


def _loop_text(loop: Loop, stacks: bool, lines: int, only: set[int] | None) -> str:
    tree = Tree(loop, stacks, only)
    rows = list(tree.rows())
    left_out = len(rows) - lines
    if left_out > 0:
        rows = rows[:lines]
    first = min(max((len(row.left) for row in rows), default=0), 44)
    second = min(max((len(row.middle) for row in rows), default=0), 70)
    out = [f"{_heading(loop, only)}\n"]
    for row in rows:
        out.append(f"{row.left:<{first}}  {row.middle:<{second}}  {row.right}".rstrip() + "\n")
        out.extend(f"{line}\n" for line in row.below)
    if left_out > 0:
        out.append(f"... and {left_out} more lines\n")
    for circle in circles(loop):
        if only is not None and not any(task.id in only for task in circle):
            continue
        out.append(f"\nDeadlock: {len(circle)} tasks wait for each other\n")
        out.extend(f"  {line}\n" for line in _in_columns(circle, tree))
    out.extend(_lint_lines(loop, only))
    return "".join(out)


def _lint_lines(loop: Loop, only: set[int] | None) -> Iterator[str]:
    """Say what else looks wrong: circles and blocks are told already."""
    lints = [
        lint for lint in loop.lints
        if lint.kind not in ("circle", "blocked") and (only is None or lint.task in only)
    ]  # fmt: skip
    if lints:
        yield "\nLooks wrong\n"
    for lint in lints[:_MOST_ROWS]:
        place = "" if lint.place is None else f"  {place_text(lint.place)}"
        yield f"  {lint.kind}: {lint.text}{place}\n"
    if len(lints) > _MOST_ROWS:
        yield f"  ... and {len(lints) - _MOST_ROWS} more\n"


def _heading(loop: Loop, only: set[int] | None) -> str:
    state = loop.state
    if loop.blocked_for is not None:
        state += f" for {duration(loop.blocked_for)}"
    simulated = ", in a simulated run" if loop.simulated else ""
    count = len(loop.tasks)
    some = "" if only is None else f"{sum(task.id in only for task in loop.tasks)} of "
    return f"{loop.backend} in {loop.thread}{simulated}: {state}, {some}{count} task{'s' * (count != 1)}"


def duration(seconds: float) -> str:
    """Say how long something takes: `12 ms`, `3.2 s`, `4 min 10 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


class Tree:
    """The tasks of a loop, with equal ones folded."""

    def __init__(self, loop: Loop, stacks: bool, only: set[int] | None = None) -> None:
        self.stacks = stacks
        self.only = only
        """The tasks that have rows, None if all have."""
        self.by_id = {task.id: task for task in loop.tasks}
        self.below: dict[int | None, list[Task]] = {}
        for task in loop.tasks:
            parent = task.parent if task.parent in self.by_id else None
            self.below.setdefault(parent, []).append(task)
        self.services = {service.task: service for service in loop.services}
        self.down: dict[int | None, list[Service]] = {}
        """The services without a task, by the task of their supervisor."""
        for service in loop.services:
            if service.task not in self.by_id:
                self.down.setdefault(service.supervisor, []).append(service)
        self.shapes: dict[int, object] = {}
        shapes: dict[tuple[object, ...], int] = {}
        for task in reversed(loop.tasks):  # children first
            inner = tuple(self.shapes[child.id] for child in self.below.get(task.id, ()))
            shape = (_function(task), task.kind, self.wait(task), task.place_key, inner)
            self.shapes[task.id] = shapes.setdefault(shape, len(shapes))

    def name(self, number: int) -> str:
        """Name a task."""
        task = self.by_id.get(number)
        return "a task that has ended" if task is None else task.name

    def wait(self, task: Task) -> str:
        """Say what a task does, and how often it was restarted if it is a service."""
        service = self.services.get(task.id)
        return self._wait(task) + ("" if service is None else _service(service))

    def _wait(self, task: Task) -> str:
        wait = task.wait
        if task.state == "running":
            return "running"
        if wait is None or task.state == "ready":
            return task.state
        what = wait.what
        if wait.tasks:
            what = f"{_kept(what)} {fold(self.name(number) for number in wait.tasks)}"
        text = f"waiting for {what}"
        if wait.holders:
            text += f", held by {fold(self.name(number) for number in wait.holders)}"
        if task.state != "waiting":
            text = f"{task.state}, {text}"
        if task.scopes:
            text += _deadline(task.scopes)
        return text

    def rows(self) -> Iterator[_Row]:
        """Return the lines of the tree."""
        yield from self._rows(None, "", root=True)

    def _rows(self, parent: int | None, indent: str, *, root: bool = False) -> Iterator[_Row]:
        groups: dict[object, list[Task]] = {}
        for task in self.below.get(parent, ()):
            if self.only is None or task.id in self.only:
                groups.setdefault(self.shapes[task.id], []).append(task)
        down = [] if parent is None or self.only is not None else self.down.get(parent, [])
        for place, same in enumerate(groups.values()):
            last = place == len(groups) - 1 and not down
            joint, line = ("", "") if root else (("└─ ", "   ") if last else ("├─ ", "│  "))
            yield self._row(same, indent + joint, indent + line)
            yield from self._rows(same[0].id, indent + line)
        for service in down:
            joint = "└─ " if service is down[-1] else "├─ "
            left = f"{indent}{joint}{service.name} (service)"
            yield _Row(left, service_text(service), "", ())

    def _row(self, same: Sequence[Task], before: str, indent: str) -> _Row:
        task = same[0]
        name = task.name if len(same) == 1 else f"{_function(task)} x{len(same)}"
        kind = f" ({task.kind})" if task.kind in ("detached", "native", "starting") else ""
        below = tuple(f"{indent}     {place_text(place)}" for place in task.stack)
        right = "" if task.place is None else place_text(task.place)
        longest = max((each.since or 0.0 for each in same), default=0.0)
        wait = self.wait(task)
        if longest >= 1 and task.state not in ("running", "ready"):
            wait += f", for {duration(longest)}"
        return _Row(f"{before}{name}{kind}", wait, right, below if self.stacks else ())


_STATES = {"waiting": "waiting to be restarted"}


def service_text(service: Service) -> str:
    """Say what a service without a task does, and how often it was restarted."""
    return f"{_STATES.get(service.state, service.state)}{_service(service)}"


def _service(service: Service) -> str:
    """Say what a supervisor knows of a service, if there is anything to say."""
    state = f", {service.state}" if service.state in ("starting", "stopping") else ""
    count = service.restarts
    restarts = f", {count} restart{'s' * (count != 1)}" if count else ""
    return f"{state}{restarts}" + (f", last {service.last_error}" if service.last_error else "")


def _stops(snapshot: Snapshot) -> Iterator[str]:
    yield "Stops whose grace was too short\n"
    for stop in snapshot.stops[-_MOST_ROWS:]:
        tasks = f"{stop.tasks} task{'s' * (stop.tasks != 1)}"
        reason = f"{stop.reason}, " if stop.reason else ""
        yield f"  {reason}{duration(stop.grace)}: {tasks}\n"
        yield from (f"    {each}\n" for each in stop.overran[:_MOST_NAMES])


def _kept(what: str) -> str:
    """Return what is waited for without the names of tasks that come after it."""
    return "started() from" if what.startswith("started()") else "the end of"


def _function(task: Task) -> str:
    return re.sub(r" #\d+$", "", task.name)


def place_text(place: Place) -> str:
    """Show a place: `app.py:41  serve`."""
    return f"{place.file}:{place.line}  {place.function.rpartition('<locals>.')[2]}"


def _deadline(scopes: tuple[Scope, ...]) -> str:
    left: float | None = None
    for scope in scopes:
        if scope.state == "cancelled":
            return f" ({scope.reason})" if scope.reason else ""
        if scope.deadline_left is not None:
            left = scope.deadline_left if left is None else min(left, scope.deadline_left)
        if scope.shield:
            break
    return "" if left is None else f", {duration(max(left, 0))} left"


def fold(names: Iterable[str]) -> str:
    """List names, those that differ by their number only as one: `server, client x371`."""
    counts: dict[str, list[str]] = {}
    for name in names:
        counts.setdefault(re.sub(r" #\d+$", "", name), []).append(name)
    shown = [same[0] if len(same) == 1 else f"{plain} x{len(same)}"
             for plain, same in counts.items()]  # fmt: skip
    if len(shown) > _MOST_NAMES:
        shown = [*shown[:_MOST_NAMES], f"{len(shown) - _MOST_NAMES} more"]
    return ", ".join(shown)


_MOST_NAMES = 6


def circles(loop: Loop) -> list[list[Task]]:
    """Return the tasks that wait for each other, circle by circle, as `find_deadlocks` would."""
    stuck = {
        task.id: task
        for task in loop.tasks
        if task.state == "waiting" and task.wait is not None and task.wait.complete
        and (task.wait.holders or task.wait.tasks) and not _ends_by_itself(task.scopes)
    }  # fmt: skip
    while free := [task for task in stuck.values() if not _bound(task, stuck)]:
        for task in free:
            del stuck[task.id]
    found: list[list[Task]] = []
    for group in _apart(stuck):
        held = [task for task in group if task.wait is not None and task.wait.holders]
        if held:
            found.append(held)
    return found


def _ends_by_itself(scopes: tuple[Scope, ...]) -> bool:
    for scope in scopes:
        if scope.deadline_left is not None:
            return True
        if scope.shield:
            return False
    return False


def _needs(task: Task) -> tuple[int, ...]:
    wait = task.wait
    return () if wait is None else wait.holders or wait.tasks


def _bound(task: Task, stuck: dict[int, Task]) -> bool:
    held = [number in stuck for number in _needs(task)]
    return any(held) if task.wait is not None and task.wait.needs_all else all(held)


def _apart(stuck: dict[int, Task]) -> list[list[Task]]:
    """Divide tasks into those that have nothing to do with each other."""
    linked: dict[int, set[int]] = {number: set() for number in stuck}
    for task in stuck.values():
        for number in _needs(task):
            if number in stuck:
                linked[task.id].add(number)
                linked[number].add(task.id)
    groups: list[list[Task]] = []
    left = dict(stuck)
    while left:
        pending = [next(iter(left))]
        reached: dict[int, Task] = {}
        while pending:
            number = pending.pop()
            if number in left:
                reached[number] = left.pop(number)
                pending.extend(linked[number])
        groups.append([task for task in stuck.values() if task.id in reached])
    return groups


def _in_columns(tasks: list[Task], tree: Tree) -> list[str]:
    from .._introspection.deadlocks import WaitingTask, table

    rows = [
        WaitingTask(
            task.name,
            "" if task.wait is None else task.wait.what,
            tuple(map(tree.name, () if task.wait is None else task.wait.holders)),
            "" if task.place is None else f"{task.place.file}:{task.place.line}",
        )
        for task in tasks[:_MOST_ROWS]
    ]
    more = len(tasks) - _MOST_ROWS
    lines = [line.removeprefix("  ") for line in table(rows).splitlines()]
    return [*lines, f"... and {more} more"] if more > 0 else lines


_MOST_ROWS = 20


def _workers(workers: Sequence[Worker], snapshot: Snapshot) -> Iterator[str]:
    names = {task.id: task.name for task in snapshot.tasks}
    yield "Workers\n"
    counts: dict[tuple[str, str | None, str], list[float]] = {}
    for worker in workers:
        task = re.sub(r" #\d+$", "", names.get(worker.task or 0, "a task that has left"))
        counts.setdefault((worker.kind, worker.call, task), []).append(worker.since or 0.0)
    for (kind, call, task), since in counts.items():
        many = f" x{len(since)}" if len(since) > 1 else ""
        yield f"  {kind}{many} in {call}() for {task}, for {duration(max(since))}\n"
