"""Makes a snapshot of the loops of this process, from any thread, whatever the loops are doing.

Owns the joining of facts: the kernel's tasks, their waits (`waits.py`), the scopes and groups around
them. Calls into no loop, and takes no lock. Another thread than the loop's lets go of the interpreter
after each `BATCH` tasks, so that the loop never stands still for long.

A task may step while it is looked at. Then its record says what was true before or after, never both; if
it has ended, it is left out.
"""

# Scopes and handles keep to themselves what they know: it is asked for here and nowhere else.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from .._introspection.naming import kept_task_names, task_names
from .._kernel.inspection import loops
from .._tasks.group import TaskGroup
from .._tasks.handle import TaskHandle
from . import numbers, states
from .figures import figures
from .lints import lints_of
from .model import VERSION, Group, Lint, Loop, Place, Resource, Scope, Snapshot, Task, Wait, Worker
from .object_lints import full_streams, open_scopes, unowned
from .services import services, stops
from .states import patiently
from .waits import Found, Names, Places, read, running_frames
from .workers import workers

if TYPE_CHECKING:
    from .._kernel.contract import Kernel, TaskRecord
    from .._wait_description import WaitDescription

BATCH = 100
"""Tasks that are read before other threads get their turn."""


def snapshot(*, stacks: bool = False) -> Snapshot:
    """Tell what the tasks of this process do now. From any thread; calls into no event loop.

    :param stacks: whether to note each task's stack, not only its place
    """
    gaps: list[str] = []
    collected = [_Loop(kernel, stacks, gaps) for kernel in loops()]
    busy = workers()
    return Snapshot(
        VERSION,
        time.time(),
        os.getpid(),
        platform.python_version(),
        tuple(sys.argv),
        tuple(loop.result(busy) for loop in collected if loop.records),
        busy,
        "; ".join(gaps),
        tuple(stops()),
    )


class _Loop:
    """One loop while it is looked at."""

    def __init__(self, kernel: Kernel, stacks: bool, gaps: list[str]) -> None:
        self.kernel = kernel
        self.stacks = stacks
        self.gaps = gaps
        self.here = kernel.thread_id == threading.get_ident()
        self.records = _in_tree_order(list(patiently(kernel.tasks)))
        self.by_key: dict[int, TaskRecord] = {}
        """Each task by every object that stands for it."""
        self.seen: dict[int, numbers.Seen] = {}
        """Its number, and since when it is known; by the `id` of the loop's own object."""
        self.places = Places()
        self.scopes: dict[int, Scope] = {}
        self.groups: dict[int, Group] = {}
        self.chains: dict[tuple[int, int], tuple[tuple[Scope, ...], bool]] = {}
        """The scopes around tasks, by the innermost and the group: those of many tasks are the same."""
        self.waits: dict[object, Wait] = {}
        self.resources: dict[int, Resource] = {}
        self.waiters: dict[int, list[int]] = {}
        self.now = monotonic()
        self.turns: dict[int, float] = {}
        """Seconds for which tasks have been ready or cancelled, as far as is known."""

    def result(self, workers: tuple[Worker, ...]) -> Loop:
        kernel = self.kernel
        for record in self._in_batches(self.records):
            for key in (record.native, record.label, kernel.task_of(record.native)):
                if key is not None:
                    self.by_key[id(key)] = record
            self.seen[id(record.native)] = numbers.tasks.seen(record.native)
        native = kernel.running()
        frames = running_frames(kernel.thread_id) if native is not None else []
        founds = self._read_all(native, frames)
        self.names = Names(_objects(self._in_batches(founds)).values(), founds)
        if not self.names.complete:
            self.gaps.append("the search for the names of objects took too long")
        self.task_names = self._name_tasks()
        pairs = list(self._tasks(founds, native))
        tasks = tuple(task for _, task in pairs)
        for key, resource in self.resources.items():
            resource.waiters = tuple(self.waiters[key])
        loop = Loop(
            id(kernel),
            kernel.loop_name,
            states.thread_name(kernel.thread_id),
            kernel.simulation is not None,
            states.of_loop(kernel, frames),
            states.blocked_for(kernel),
            tasks,
            tuple(self.groups.values()),
            tuple(self.resources.values()),
            figures.watched or None,
            services=tuple(services(kernel, self._number_of)),
        )
        loop.lints = tuple(self._lints(loop, pairs, workers))
        figures.keep_only({task.id for task in tasks})
        frames.clear()  # In the loop's own thread, the frames of this very call are among them.
        return loop

    def _lints(
        self, loop: Loop, pairs: list[tuple[Found, Task]], workers: tuple[Worker, ...]
    ) -> Iterator[Lint]:
        yield from lints_of(loop, workers, self.turns)
        for rule in (
            full_streams,
            partial(open_scopes, self.kernel),
            partial(unowned, self.kernel),
        ):
            try:
                yield from rule(pairs)
            except Exception as exc:  # of the program's own objects, which may do anything
                self.gaps.append(f"a lint could not be looked for ({exc!r})")

    def _read_all(self, native: Any, frames: list[Any]) -> list[Found]:
        founds: list[Found] = []
        for record in self._in_batches(self.records):
            running = frames if record.native is native else None
            try:
                founds.append(read(record, self.kernel, running))
            except Exception as exc:  # It has ended, or stepped, while its frames were read.
                self.gaps.append(f"task {record.name!r} could not be read ({exc!r})")
        return founds

    def _tasks(self, founds: list[Found], running: Any) -> Iterator[tuple[Found, Task]]:
        for found in self._in_batches(founds):
            try:
                yield found, self._task(found, running)
            except Exception as exc:  # As above: it has ended.
                self.gaps.append(f"task {found.record.name!r} could not be described ({exc!r})")

    def _in_batches(self, items: Iterable[Any]) -> Iterable[Any]:
        for number, item in enumerate(items):
            if not self.here and number % BATCH == BATCH - 1:
                time.sleep(0)
            yield item

    def _name_tasks(self) -> dict[int, str]:
        simulation = self.kernel.simulation
        if simulation is None or simulation.names is None:
            return task_names(self.records)
        return kept_task_names(self.records, simulation.names)

    def _task(self, found: Found, running: Any) -> Task:
        record, kernel = found.record, self.kernel
        native, label = record.native, record.label
        seen = self.seen[id(native)]
        parent = record.parent_id
        if isinstance(label, TaskHandle):
            starting = label._starting
            kind = "child" if starting is None or starting._started else "starting"
        else:
            label = None
            kind = kernel.kind_of(native)
        scopes, cancelled_outside = self._scopes(kernel.task_of(native), label)
        state = states.of_task(kernel, native, native is running, cancelled_outside)
        busy = figures.busy(native)
        return Task(
            seen.number,
            self.task_names[record.id],
            record.name,
            kind,
            state,
            None if parent is None else self._number_of_id(parent),
            self._group(record, label),
            self.places.program(found),
            self._wait(found, seen.number),
            scopes,
            self.places.stack(found, library=False) if self.stacks else (),
            since=self._since(seen.number, state, record),
            busy=None if busy is None else busy.seconds,
            steps=None if busy is None else busy.steps,
            age=self.now - seen.since,
        )

    def _since(self, number: int, state: str, record: TaskRecord) -> float | None:
        """Return for how long a task has been in its wait, None if it was not seen there before."""
        waiter = self.kernel.waiter_of(record.native)
        if figures.turns or state in ("cancelling", "ready"):
            blocked = self.kernel.is_blocked(record.native)
            turn = figures.turn(number, state, record.coro, waiter, blocked=blocked)
            self.turns[number] = turn
        if state in ("running", "ready"):
            return None
        since = self.now - figures.since(number, waiter, record.coro)
        return since if since > 0 else None

    def _number_of(self, task: object) -> int | None:
        record = None if task is None else self._find(task)
        return None if record is None else self.seen[id(record.native)].number

    def _number_of_id(self, task_id: int) -> int | None:
        record = self.by_key.get(task_id)
        return None if record is None else self.seen[id(record.native)].number

    # Waits

    def _wait(self, found: Found, number: int) -> Wait | None:
        """Return what a task waits for: the same object for all that wait for the same."""
        description = found.description
        if description is None:
            return self._known(found.call, Wait, found.call) if found.call else None
        if description.tasks is not None:
            return self._new_wait(description, None)
        parts, primitive = _parts(description), found.primitive
        key = (id(primitive), *map(id, parts), description[1], description[4:],
               *map(id, description.holders))  # fmt: skip
        wait = self._known(key, self._new_wait, description, primitive)
        self.waiters[id(primitive)].append(number)
        return wait

    def _known(self, key: object, make: Callable[..., Wait], *arguments: Any) -> Wait:
        wait = self.waits.get(key)
        if wait is None:
            wait = self.waits[key] = make(*arguments)
        return wait

    def _new_wait(self, description: WaitDescription, primitive: Any) -> Wait:
        wait = Wait(self._words(description), description.takes)
        wait.needs_all, wait.complete = description.needs_all, description.complete
        if description.holders:
            wait.holders = self._numbers(description.holders)
        if description.tasks:
            wait.tasks = self._numbers(description.tasks)
        if description.tasks is None:
            wait.resource = self._resource(primitive, wait.holders)
        return wait

    def _words(self, description: WaitDescription) -> str:
        names = self.names
        text = ""
        for part in _parts(description):
            text += part if isinstance(part, str) else names.of(part)
        if description.tasks is None:
            return text
        tasks = [self._task_name(task) for task in description.tasks]
        return f"{text} {_listed(tasks)}".rstrip()

    def _task_name(self, task: object) -> str:
        record = self._find(task)
        return "a task that has ended" if record is None else self.task_names[record.id]

    def _numbers(self, tasks: Iterable[object]) -> tuple[int, ...]:
        found = [self._number_of(task) for task in tasks]
        return tuple([number for number in found if number is not None])

    def _find(self, task: Any) -> TaskRecord | None:
        found = self.by_key.get(id(task))
        if found is None:
            native = getattr(task, "_native", None)  # of a TaskInfo
            found = self.by_key.get(id(native))
        return found

    def _resource(self, thing: Any, holders: tuple[int, ...]) -> int:
        key = id(thing)
        if key not in self.resources:
            name = self.names.of(thing)
            self.resources[key] = Resource(key, type(thing).__name__, name, holders, ())
            self.waiters[key] = []
        return key

    # Scopes and groups

    def _scopes(self, state: Any, label: Any) -> tuple[tuple[Scope, ...], bool]:
        """Return the scopes around a task, and whether a shield keeps a cancel of one from it."""
        innermost = None if state is None else state.scope
        key = id(innermost), 0 if label is None else id(label._group)
        known = self.chains.get(key)
        if known is None:
            known = self.chains[key] = self._chain(innermost, label)
        return known

    def _chain(self, scope: Any, label: Any) -> tuple[tuple[Scope, ...], bool]:
        found: list[Scope] = []
        seen: set[int] = set()
        shielded = kept_out = False
        while True:
            while scope is not None and id(scope) not in seen:
                seen.add(id(scope))
                found.append(self._scope(scope))
                kept_out = kept_out or (shielded and scope._cancelled)
                shielded = shielded or scope._shield
                scope = scope._parent
            nursery = getattr(label, "_nursery", None)
            if nursery is None:
                return tuple(found), kept_out
            scope = nursery.scope
            record = self._find(nursery.host)
            label = None if record is None else record.label

    def _scope(self, scope: Any) -> Scope:
        known = self.scopes.get(id(scope))
        if known is None:
            left = None if scope._deadline == inf else scope._deadline - self.kernel.now()
            known = self.scopes[id(scope)] = Scope(
                numbers.scopes.of(scope),
                states.of_scope(scope),
                scope._shield,
                left,
                scope._reason,
                self._entered(scope),
                None,
            )
        return known

    def _entered(self, scope: Any) -> Place | None:
        code = getattr(scope, "_code", None)
        if code is None:
            return None
        line = code.co_firstlineno
        for start, end, number in code.co_lines():
            if start <= scope._instruction < end and number is not None:
                line = number
        return self.places.at(code, line)

    def _group(self, record: TaskRecord, label: Any) -> int | None:
        nursery = getattr(label, "_nursery", None)
        if nursery is None:
            return None
        key = id(nursery)
        known = self.groups.get(key)
        if known is None:
            known = self.groups[key] = self._new_group(nursery, record)
        known.alive += 1
        return known.id

    def _new_group(self, nursery: Any, record: TaskRecord) -> Group:
        scope = self._scope(nursery.scope)
        scope.group = scope.id
        host = self._find(nursery.host)
        frame = getattr(self.kernel.coroutine_of(record.native), "cr_frame", None)
        group: Any = None if frame is None else frame.f_locals.get("self")
        started = failed = cancelled = 0
        if isinstance(group, TaskGroup):
            started, failed, cancelled = group._started, group._failed, group._cancelled
        number = None if host is None else numbers.tasks.of(host.native)
        return Group(scope.id, number, 0, started, failed, cancelled, scope.entered)


def _objects(founds: Iterable[Found]) -> dict[int, object]:
    """Return the objects that the descriptions of waits name, and those waited in, by their `id`."""
    objects: dict[int, object] = {}
    for found in founds:
        description = found.description
        if description is not None:
            for part in _parts(description):
                if not isinstance(part, str):
                    objects[id(part)] = part
            if description.tasks is None:
                objects[id(found.primitive)] = found.primitive
    return objects


def _parts(description: WaitDescription) -> tuple[object, ...]:
    what = description.what
    return cast("tuple[object, ...]", what) if isinstance(what, tuple) else (what,)


def _listed(names: list[str]) -> str:
    """List names, but no more than can be read."""
    if len(names) <= _MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:_MOST_NAMES])} and {len(names) - _MOST_NAMES} more"


_MOST_NAMES = 8


def _in_tree_order(records: list[TaskRecord]) -> list[TaskRecord]:
    """Put parents before their children, and siblings in the order in which they were started."""
    below: dict[int | None, list[TaskRecord]] = {}
    known = {record.id for record in records}
    for record in records:
        parent = record.parent_id if record.parent_id in known else None
        below.setdefault(parent, []).append(record)
    births = _births(records)

    def order(record: TaskRecord) -> tuple[bool, tuple[int, int], str]:
        return record.label is None and record.parent_id is not None, births[record.id], record.name

    ordered: list[TaskRecord] = []
    pending = sorted(below.get(None, ()), key=order, reverse=True)
    while pending:
        record = pending.pop()
        ordered.append(record)
        pending.extend(sorted(below.get(record.id, ()), key=order, reverse=True))
    return ordered


def _births(records: list[TaskRecord]) -> dict[int, tuple[int, int]]:
    """Number tasks in the order of their groups, and in them; those of no group come as they are."""
    births: dict[int, tuple[int, int]] = {record.id: (-1, -1) for record in records}
    nurseries = {id(nursery): nursery for record in records
                 if (nursery := getattr(record.label, "_nursery", None)) is not None}  # fmt: skip
    for nursery in nurseries.values():
        group = numbers.scopes.of(nursery.scope)
        for place, native in enumerate(nursery.children()):
            births[id(native)] = group, place
    return births
