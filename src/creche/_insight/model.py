"""The snapshot as data: what a program does at one moment, in dataclasses that become JSON.

Owns the fields and their meaning. Knows nothing of loops, or of how the facts are found.

`VERSION` goes up when a field changes its meaning or goes away; new fields may come at any time.
Tasks are named by small numbers, which are given once in a process and never again. Other objects
(scopes, groups, resources) are named by numbers that are theirs for as long as they live.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from .writing import Writer

VERSION = 1


@dataclass(slots=True)
class Place:
    """A line of the program."""

    file: str
    line: int
    function: str


@dataclass(slots=True)
class Wait:
    """What a task waits for."""

    what: str
    """In words, as in the text of a `DeadlockError`: `Lock 'db'`."""
    takes: str = ""
    """What would end the wait, as far as that is known: `release()`."""
    resource: int | None = None
    """The object that is waited for, by its number among the loop's resources."""
    holders: tuple[int, ...] = ()
    """The tasks that hold it."""
    tasks: tuple[int, ...] = ()
    """The tasks whose end is waited for."""
    needs_all: bool = False
    """Whether all of these have to act, rather than one of them."""
    complete: bool = False
    """Whether nobody else could end the wait."""


@dataclass(slots=True)
class Scope:
    """A cancel scope around a task, or the scope of a group."""

    id: int
    state: str
    """`open`, `stopped` (asked to stop, and not cancelled so far), or `cancelled`."""
    shield: bool
    deadline_left: float | None
    """Seconds until its deadline, None if it has none."""
    reason: str | None
    """The reason that was given when it was cancelled."""
    entered: Place | None
    group: int | None
    """The group that it belongs to, None for a scope by itself."""


@dataclass(slots=True)
class Group:
    """A task group with tasks in it."""

    id: int
    host: int | None
    """The task that opened it."""
    alive: int
    started: int
    failed: int
    cancelled: int
    place: Place | None
    """Where it was entered."""

    @property
    def finished(self) -> int:
        """How many of its tasks have returned."""
        return self.started - self.alive - self.failed - self.cancelled


@dataclass(slots=True)
class Task:
    """One task."""

    id: int
    name: str
    """Its own name, shortened to the function: no two tasks of a loop have the same one."""
    full_name: str
    kind: str
    """`main`, `child` of a group, `starting` until it has called `started()`, `detached`, or `native`:
    one that the loop or another library has made."""
    state: str
    """`running` in a step; `ready` to take one; `waiting`; `cancelling` if a cancellation is on its way
    to it; `shielded` if a shield keeps one from it."""
    parent: int | None
    """The task that its group belongs to."""
    group: int | None
    place: Place | None
    """Where in the program it is."""
    wait: Wait | None = None
    scopes: tuple[Scope, ...] = ()
    """The scopes around it, innermost first."""
    stack: tuple[Place, ...] = ()
    """Outermost first; empty unless stacks were asked for."""
    since: float | None = None
    """Seconds that it has been in its wait, at least: since a snapshot first found it there. None if it
    does not wait, or this snapshot is the first to see it."""
    busy: float | None = None
    """Seconds of `Loop.watched` that it was in steps, None if its steps were not watched."""
    steps: int | None = None
    """How many steps that were."""
    age: float | None = None
    """Seconds since a snapshot first had it."""

    @property
    def place_key(self) -> tuple[str, int] | None:
        """Its place as something to compare."""
        return None if self.place is None else (self.place.file, self.place.line)


@dataclass(slots=True)
class Resource:
    """Something that tasks wait for."""

    id: int
    kind: str
    name: str
    holders: tuple[int, ...]
    waiters: tuple[int, ...]


@dataclass(slots=True)
class Worker:
    """A worker thread, process or interpreter."""

    kind: str
    """`thread`, `process` or `interpreter`."""
    name: str
    call: str | None
    """The function that it runs, None if it runs none."""
    since: float | None
    """Seconds since the call began."""
    task: int | None
    """The task that waits for it."""


@dataclass(slots=True)
class Lint:
    """Something that looks wrong."""

    kind: str
    """Which lint it is: see "What the lints mean" in the documentation."""
    text: str
    task: int | None
    """The task that it is about."""
    place: Place | None
    since: float | None
    """Seconds that it has lasted, as far as is known."""


@dataclass(slots=True)
class Service:
    """A service of a supervisor that has not ended for good."""

    name: str
    state: str
    """As `ServiceHandle.state`: `running`, or `waiting` for its backoff, ..."""
    restarts: int
    last_error: str | None
    """What it last raised, in one line; None if it never did."""
    supervisor: int | None
    """The task of the supervisor's block."""
    task: int | None
    """The task of its present life, None if it has none."""


@dataclass(slots=True)
class Stop:
    """A graceful stop whose grace was too short."""

    reason: str | None
    grace: float
    """Seconds that were given."""
    tasks: int
    """How many tasks overran it."""
    overran: tuple[str, ...]
    """The first of them, each with the place where it was."""


@dataclass(slots=True)
class Loop:
    """One event loop."""

    id: int
    backend: str
    """`asyncio`, `uvloop` or `trio`."""
    thread: str
    simulated: bool
    state: str
    """`running` if a task is in a step, `idle` if none is, `blocked` if its watcher says so,
    `debugger` if a debugger has stopped it."""
    blocked_for: float | None
    tasks: tuple[Task, ...]
    """Parents before their children."""
    groups: tuple[Group, ...]
    resources: tuple[Resource, ...]
    watched: float | None = None
    """Seconds for which steps were watched: while viewers ask, a small part of the time."""
    lints: tuple[Lint, ...] = ()
    services: tuple[Service, ...] = ()
    """Those of all supervisors, in the order in which each has started them."""


@dataclass(slots=True)
class Snapshot:
    """What a program did at one moment."""

    version: int
    time: float
    """Seconds since the epoch."""
    pid: int
    python: str
    argv: tuple[str, ...]
    loops: tuple[Loop, ...]
    workers: tuple[Worker, ...] = ()
    incomplete: str = ""
    """What could not be found out, and why; empty if nothing is missing."""
    stops: tuple[Stop, ...] = ()
    """The last graceful stops of the process whose grace was too short, oldest first."""

    @property
    def tasks(self) -> Iterator[Task]:
        """All tasks of all loops."""
        for loop in self.loops:
            yield from loop.tasks

    def to_json(self, *, indent: int | None = None) -> str:
        """Return the snapshot as JSON, each field by its name.

        :param indent: how far each level is set in; None for one line
        """
        text = Writer().write(self)
        if indent is not None:
            text = json.dumps(json.loads(text), indent=indent, ensure_ascii=False)
        return text

    @classmethod
    def from_json(cls, text: str | bytes) -> Snapshot:
        """Make a snapshot from what `to_json` has returned. Fields it does not know are left out.

        :raises ValueError: the text is not a snapshot, or of another version
        """
        return from_dict(json.loads(text))


def from_dict(data: Any) -> Snapshot:
    """Make a snapshot of decoded JSON."""
    found = data.get("version") if hasattr(data, "get") else None
    if found != VERSION:
        raise ValueError(
            f"this is no snapshot of version {VERSION}, but of {found!r}: view it with the Creche "
            f"that made it"
        )
    snapshot: Snapshot = _made(Snapshot, data)
    snapshot.argv = tuple(snapshot.argv)
    snapshot.loops = tuple(_loop(loop) for loop in data["loops"])
    snapshot.workers = tuple(_made(Worker, worker) for worker in data["workers"])
    snapshot.stops = tuple(_stop(stop) for stop in data.get("stops", ()))
    return snapshot


def _made(kind: Any, data: Any) -> Any:
    return kind(**{each.name: data[each.name] for each in fields(kind) if each.name in data})


def _place(data: Any) -> Place | None:
    place: Place | None = None if data is None else _made(Place, data)
    return place


def _loop(data: Any) -> Loop:
    loop: Loop = _made(Loop, data)
    loop.tasks = tuple(_task(task) for task in data["tasks"])
    loop.groups = tuple(_group(group) for group in data["groups"])
    loop.resources = tuple(_resource(resource) for resource in data["resources"])
    loop.lints = tuple(_lint(lint) for lint in data.get("lints", ()))
    loop.services = tuple(_made(Service, service) for service in data.get("services", ()))
    return loop


def _task(data: Any) -> Task:
    task: Task = _made(Task, data)
    task.place = _place(data["place"])
    task.stack = tuple(_made(Place, place) for place in data["stack"])
    task.scopes = tuple(_scope(scope) for scope in data["scopes"])
    if data["wait"] is not None:
        wait: Wait = _made(Wait, data["wait"])
        wait.holders, wait.tasks = tuple(wait.holders), tuple(wait.tasks)
        task.wait = wait
    return task


def _scope(data: Any) -> Scope:
    scope: Scope = _made(Scope, data)
    scope.entered = _place(data["entered"])
    return scope


def _group(data: Any) -> Group:
    group: Group = _made(Group, data)
    group.place = _place(data["place"])
    return group


def _lint(data: Any) -> Lint:
    lint: Lint = _made(Lint, data)
    lint.place = _place(data["place"])
    return lint


def _resource(data: Any) -> Resource:
    resource: Resource = _made(Resource, data)
    resource.holders, resource.waiters = tuple(resource.holders), tuple(resource.waiters)
    return resource


def _stop(data: Any) -> Stop:
    stop: Stop = _made(Stop, data)
    stop.overran = tuple(stop.overran)
    return stop


def schema() -> dict[str, Any]:
    """Return the JSON schema of a snapshot, made from the fields of the dataclasses."""
    kinds = (
        Place, Wait, Scope, Group, Task, Resource, Lint, Service, Loop, Worker, Stop, Snapshot,
    )  # fmt: skip
    definitions = {kind.__name__: _schema_of(kind) for kind in kinds}
    whole = definitions.pop("Snapshot")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A snapshot of a running program",
        **whole,
        "$defs": definitions,
    }


def _schema_of(kind: Any) -> dict[str, Any]:
    properties = {each.name: _type_of(str(each.type)) for each in fields(kind)}
    return {"type": "object", "properties": properties, "required": list(properties)}


_PLAIN = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


def _type_of(text: str) -> dict[str, Any]:
    if text.endswith(" | None"):
        return {"anyOf": [_type_of(text.removesuffix(" | None")), {"type": "null"}]}
    if text.startswith("tuple["):
        return {"type": "array", "items": _type_of(text[len("tuple[") : -len(", ...]")])}
    return {"type": _PLAIN[text]} if text in _PLAIN else {"$ref": f"#/$defs/{text}"}
