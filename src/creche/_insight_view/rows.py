"""Tasks as the rows of a terminal: as a tree or sorted, folded, found, compared with an earlier snapshot.

Owns the order of the rows and what is on each. Knows snapshots, and no terminal.

    tree order     parents before their children; as many as `FOLDED_FROM` equal siblings are one row
    other orders   all tasks, the most of it first
    compared       only what is new, has ended or has changed, and the tasks above it
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from .._insight.model import Loop, Service, Snapshot, Task
from .._insight.text import Tree, circles, place_text

FOLDED_FROM = 4
ORDERS = ("tree", "busy", "waiting", "age")
_FIGURES: dict[str, Callable[[Task], float | None]] = {
    "busy": lambda task: task.busy,
    "waiting": lambda task: task.since if task.state != "running" else 0.0,
    "age": lambda task: task.age,
}


class Row(NamedTuple):
    """One line."""

    key: str
    depth: int
    tasks: tuple[Task, ...]
    """One task, or those of a fold; none for a loop, and for a service that waits to be restarted."""
    open: bool | None = None
    """Whether what is below is shown, None if there is nothing."""
    loop: Loop | None = None
    service: Service | None = None
    change: str = ""
    """`new`, `ended` or `changed`, if the rows are compared with an earlier snapshot."""


@dataclass
class View:
    """What a person has chosen to see."""

    order: str = "tree"
    query: str = ""
    chosen: str | None = None
    choices: dict[str, bool] = field(default_factory=dict[str, bool])
    """By the keys of rows: whether they were opened or closed."""
    mark: Snapshot | None = None
    """The snapshot to compare with."""


def plain(name: str) -> str:
    """Return the name of a task without its number."""
    return re.sub(r" #\d+$", "", name)


class Rows:
    """The rows of one snapshot."""

    def __init__(self, snapshot: Snapshot, view: View) -> None:
        self.snapshot = snapshot
        self.view = view
        self.tasks = {task.id: task for task in snapshot.tasks}
        self.circles = [
            [task.id for task in found] for loop in snapshot.loops for found in circles(loop)
        ]
        self.stuck = {number for circle in self.circles for number in circle}
        self._trees = {loop.id: Tree(loop, stacks=False) for loop in snapshot.loops}
        self._tree_of = {
            task.id: self._trees[loop.id] for loop in snapshot.loops for task in loop.tasks
        }
        self._changes, self._ended = _compared(snapshot, view.mark, self.doing)
        self._wanted = self._found()
        self.list: list[Row] = []
        if view.order == "tree":
            self._add_loops()
        else:
            self._add_sorted(_FIGURES[view.order])
        self.list.extend(Row(f"e{task.id}", 0, (task,), change="ended") for task in self._ended)

    def doing(self, task: Task) -> str:
        """Say what a task does."""
        tree = self._tree_of.get(task.id)
        return "" if tree is None else tree.wait(task)

    def name(self, number: int) -> str:
        """Name a task."""
        return self.tasks[number].name if number in self.tasks else "a task that has ended"

    def place(self, key: str | None) -> int:
        """Return which row has a key, -1 if none has."""
        return next((place for place, row in enumerate(self.list) if row.key == key), -1)

    def reveal(self, number: int) -> None:
        """Open what hides a task."""
        task = self.tasks.get(number)
        while task is not None:
            parent = self.tasks.get(task.parent or 0)
            above = f"t{parent.id}" if parent else self._loop_key(task)
            self.view.choices[above] = True
            self.view.choices[f"f{above} {plain(task.name)} {task.kind}"] = True
            task = parent

    def _loop_key(self, task: Task) -> str:
        for loop in self.snapshot.loops:
            if self._trees[loop.id] is self._tree_of[task.id]:
                return f"l{loop.id}"
        return ""

    # Which tasks

    def _found(self) -> set[int] | None:
        """Return the tasks that are wanted and those above them, None if all are."""
        query = self.view.query.lower()
        if not query and self.view.mark is None:
            return None
        wanted: set[int] = set()
        for task in self.tasks.values():
            if self.view.mark is not None and task.id not in self._changes:
                continue
            if query and not any(query in part.lower() for part in self._texts(task)):
                continue
            each: Task | None = task
            while each is not None and each.id not in wanted:
                wanted.add(each.id)
                each = self.tasks.get(each.parent or 0) if self.view.order == "tree" else None
        return wanted

    def _texts(self, task: Task) -> Iterable[str]:
        yield from (task.name, task.full_name, task.state, task.kind, self.doing(task))
        if task.place is not None:
            yield place_text(task.place)

    # The order

    def _add_sorted(self, figure: Callable[[Task], float | None]) -> None:
        def most(task: Task) -> tuple[float, int]:
            found = figure(task)
            return (-1.0 if found is None else found), -task.id

        for task in sorted(self.tasks.values(), key=most, reverse=True):
            if self._wanted is None or task.id in self._wanted:
                self.list.append(
                    Row(f"t{task.id}", 0, (task,), change=self._changes.get(task.id, ""))
                )

    def _add_loops(self) -> None:
        several = len(self.snapshot.loops) > 1
        for loop in self.snapshot.loops:
            top = self._trees[loop.id].below.get(None, [])
            key = f"l{loop.id}"
            is_open = self.view.choices.get(key, True)
            if several:
                self.list.append(Row(key, 0, (), is_open, loop))
            if is_open:
                self._add(top, int(several), key)

    def _add(self, tasks: list[Task], depth: int, parent: str) -> None:
        groups: dict[str, list[Task]] = {}
        for task in tasks:
            if self._wanted is not None and task.id not in self._wanted:
                continue
            alone = (
                task.id in self.stuck or self._below(task) or task.id in self._tree_of[task.id].down
            )
            name = f"#{task.id}" if alone else f"{plain(task.name)} {task.kind}"
            groups.setdefault(name, []).append(task)
        for name, same in groups.items():
            if len(same) < FOLDED_FROM:
                for task in same:
                    self._add_task(task, depth)
                continue
            key = f"f{parent} {name}"
            is_open = self.view.choices.get(key, False)
            self.list.append(Row(key, depth, tuple(same), is_open, change=self._change_of(same)))
            if is_open:
                for task in same:
                    self._add_task(task, depth + 1)

    def _below(self, task: Task) -> list[Task]:
        return self._tree_of[task.id].below.get(task.id, [])

    def _add_task(self, task: Task, depth: int) -> None:
        below, down = self._below(task), self._tree_of[task.id].down.get(task.id, [])
        key = f"t{task.id}"
        is_open = self.view.choices.get(key, True) if below or down else None
        self.list.append(Row(key, depth, (task,), is_open, change=self._changes.get(task.id, "")))
        if is_open:
            self._add(below, depth + 1, key)
            for service in down if self._wanted is None else ():
                self.list.append(Row(f"s{key} {service.name}", depth + 1, (), service=service))

    def _change_of(self, same: list[Task]) -> str:
        changes = {self._changes.get(task.id, "") for task in same}
        return changes.pop() if len(changes) == 1 else ""


def _compared(
    snapshot: Snapshot, mark: Snapshot | None, doing: Callable[[Task], str]
) -> tuple[dict[int, str], list[Task]]:
    """Return what has changed since an earlier snapshot, and the tasks that have ended."""
    if mark is None:
        return {}, []
    before = {task.id: task for task in mark.tasks}
    changes: dict[int, str] = {}
    for task in snapshot.tasks:
        known = before.pop(task.id, None)
        if known is None:
            changes[task.id] = "new"
        elif _facts(known) != _facts(task):
            changes[task.id] = "changed"
    return changes, list(before.values())


def _facts(task: Task) -> object:
    what = None if task.wait is None else task.wait.what
    return task.state, what, task.place_key, task.steps
