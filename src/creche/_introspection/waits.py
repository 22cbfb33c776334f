"""Who waits for what: read off the frames of tasks that are blocked.

Primitives register nothing, so this costs nothing until somebody asks. A task that waits in a
primitive has the primitive's own frame on its stack, and in it `self`, the waiter and the task: from
there on it is all in the primitive, as who holds a lock. Knows no event loop.

Names: an object is called by the name that it was given; else what the program calls it, by the
variable or attribute that is this very object in a frame of some task, those of the main task first,
so that two tasks do not call one lock by two names; else by the place where it was made, if that
was noted (`_labels.py`).
"""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from math import inf
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from .._kernel.wait_queue import WaitQueue
from .._labels import Place, label_of, short_path
from .._labels import in_library as in_library
from .._sync import CapacityLimiter, Condition, Event, Lock, Semaphore
from .._sync.future import Future
from .._tasks.group import TaskGroup
from .._tasks.handle import TaskHandle
from ..streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

if TYPE_CHECKING:
    from .._kernel.contract import Kernel, TaskRecord

_HIDDEN = ("coroutine_wrapper", "async_generator_asend", "async_generator_athrow",
           "anext_awaitable")  # fmt: skip
_INSIDE = ("cr_frame", "gi_frame", "ag_frame")


class Wait:
    """What one blocked task waits for."""

    __slots__ = (
        "deadline",
        "granted",
        "holders",
        "kind",
        "needs_all",
        "parked",
        "place",
        "record",
        "what",
    )

    def __init__(self, record: TaskRecord, place: str, what: str) -> None:
        self.record = record
        self.place = place
        """Where the program waits: `file.py:12`."""
        self.what = what
        self.kind = ""
        """`"lock"` if somebody holds it, `"tasks"` for a wait for tasks to end, else nothing."""
        self.holders: list[Any] = []
        """The native tasks that could end the wait, where that is known."""
        self.needs_all = False
        """Whether all of them have to be done, rather than one of them."""
        self.granted = False
        self.parked = False
        """Whether it has what it waited for, and will step soon."""
        self.deadline = inf
        """When a scope around it ends the wait."""


class Waits:
    """The blocked tasks of one loop, as they are now."""

    def __init__(self, kernel: Kernel) -> None:
        records = {record.id: record for record in kernel.tasks()}
        simulation = kernel.simulation
        births = {} if simulation is None else simulation.order()

        def order(record: TaskRecord) -> tuple[int, int, str]:
            return _depth(record, records), births.get(record.native, 0), record.name

        self.records = sorted(records.values(), key=order)
        self._by_native = {id(record.native): record for record in self.records}
        self._frames = {record.id: frames_of(record.coro) for record in self.records}
        self._running = _stack()
        kept = None if simulation is None else simulation.names
        self._names = _names(self.records) if kept is None else _kept_names(self.records, kept)

    def name(self, native: Any) -> str:
        """Name a task, so that no two of a loop have the same name."""
        record = self._by_native.get(id(native))
        return self._names[record.id] if record is not None else "a task that has ended"

    def in_order(self, natives: Iterable[Any]) -> list[Any]:
        """Put tasks in the order of the list of all: that of a set is another in each process."""
        wanted = set(natives)
        return [record.native for record in self.records if record.native in wanted]

    def all(self) -> list[Wait]:
        """Say of every task what it waits for."""
        return [self.of(record) for record in self.records]

    def of(self, record: TaskRecord) -> Wait:
        """Say what one task waits for."""
        return wait_of(record, self._frames[record.id], self)

    def called(self, thing: object) -> str:
        """Name a primitive: as it was told, else as the program calls it, else by its birthplace."""
        kept = label_of(thing)
        kind = type(thing).__name__
        if isinstance(kept, str):
            return f"{kind} {kept!r}"
        every = [frame for record in self.records for frame in self._frames[record.id]]
        for frame in [*self._running, *every]:
            if not in_library(frame):
                found = _variable(frame.f_locals, thing) or _variable(frame.f_globals, thing)
                if found is not None:
                    return f"{kind} {found!r}"
        return f"{kind} made at {kept}" if isinstance(kept, Place) else kind

    def task_of(self, handle: TaskHandle[Any]) -> list[Any]:
        """Find the task of a handle."""
        return [record.native for record in self.records if record.coro is handle.coro]


def _stack() -> list[FrameType]:
    """Return the frames of the running task that are coroutines, which cannot be asked for theirs."""
    frames: list[FrameType] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_flags & inspect.CO_COROUTINE:
            frames.append(frame)
        frame = frame.f_back
    return frames[::-1]


def _depth(record: TaskRecord, records: dict[int, TaskRecord]) -> int:
    depth, parent = 0, record.parent_id
    while parent is not None and depth < len(records):
        depth += 1
        above = records.get(parent)
        parent = None if above is None else above.parent_id
    return depth


def _names(records: Iterable[TaskRecord]) -> dict[int, str]:
    taken: dict[str, int] = {}
    names: dict[int, str] = {}
    for record in records:
        name = short(record.name)
        taken[name] = taken.get(name, 0) + 1
        names[record.id] = name if taken[name] == 1 else f"{name} #{taken[name]}"
    return names


def _kept_names(records: Iterable[TaskRecord], kept: dict[Any, str]) -> dict[int, str]:
    """Name tasks as they were named before, and new ones so that no name comes twice."""
    taken = set(kept.values())
    for record in records:
        if record.native not in kept:
            plain = name = short(record.name)
            number = 1
            while name in taken:
                number += 1
                name = f"{plain} #{number}"
            kept[record.native] = name
            taken.add(name)
    return {record.id: kept[record.native] for record in records}


def short(name: str) -> str:
    """Shorten a task's name to that of the function: `module.test.<locals>.work` is `work`."""
    return (
        name.rpartition("<locals>.")[2] if "<locals>." in name else name.rpartition(".")[2] or name
    )


def frames_of(coro: Any) -> list[FrameType]:
    """Return the frames of a suspended coroutine and of all that it awaits, outermost first."""
    frames: list[FrameType] = []
    for _ in range(1000):
        if type(coro).__name__ in _HIDDEN:
            coro = next((inner for inner in gc.get_referents(coro) if _frame(inner)), None)
        frame = _frame(coro)
        if frame is None:
            break
        frames.append(frame)
        coro = next((getattr(coro, name) for name in ("cr_await", "gi_yieldfrom", "ag_await")
                     if hasattr(coro, name)), None)  # fmt: skip
    return frames


def _frame(coro: Any) -> FrameType | None:
    for name in _INSIDE:
        frame: FrameType | None = getattr(coro, name, None)
        if frame is not None:
            return frame
    return None


def place_of(frames: list[FrameType]) -> str:
    """Say where the program itself is: `file.py:12`."""
    for frame in reversed(frames):
        if not in_library(frame):
            return f"{short_path(frame.f_code.co_filename)}:{frame.f_lineno}"
    return ""


def wait_of(record: TaskRecord, frames: list[FrameType], waits: Waits) -> Wait:
    """Read off its frames what a task waits for."""
    ours: list[FrameType] = []
    for frame in reversed(frames):
        if not in_library(frame):
            break
        ours.append(frame)
    wait = Wait(record, place_of(frames), _plainly(ours))
    parked: Any = None
    for place, frame in enumerate(ours):
        if isinstance(frame.f_locals.get("self"), WaitQueue):
            parked = frame.f_locals.get("waiter")
        subject: Any = frame.f_locals.get("self")
        describe = _DESCRIBE.get(subject.__class__)
        if describe is not None and frame.f_code.co_name != "_run":
            outer = ours[place + 1].f_locals.get("self") if place + 1 < len(ours) else None
            if isinstance(outer, Future):
                subject = cast("Any", outer)
                describe = _future
            _circumstances(wait, frame, parked)
            describe(wait, subject, frame, waits)
            if isinstance(outer, Condition):
                wait.what = f"the lock of {waits.called(outer)}"
            break
    return wait


def _plainly(ours: list[FrameType]) -> str:
    if not ours:
        return "something that only its own loop knows"
    outermost = ours[-1]
    module = outermost.f_globals.get("__name__", "").partition(".")[0]
    return f"{module}.{outermost.f_code.co_qualname}()"


def _circumstances(wait: Wait, frame: FrameType, parked: Any) -> None:
    """Note what could end the wait but for what is waited for."""
    variables = frame.f_locals
    waiter = variables.get("waiter", parked)
    wait.parked = waiter is not None
    wait.granted = waiter is not None and waiter.done()
    task = variables.get("task") or variables.get("host")
    scope = getattr(task, "scope", None)
    while scope is not None:
        wait.deadline = -inf if scope._cancelled else min(wait.deadline, scope._deadline)
        scope = None if scope._shield or scope._cancelled else scope._parent


# What each primitive has to say. They are asked for what is theirs: hence the private names.
# pyright: reportPrivateUsage=false


def _lock(wait: Wait, lock: Any, frame: FrameType, waits: Waits) -> None:
    wait.what = waits.called(lock)
    wait.kind = "lock"
    if lock._owner is not None:
        wait.holders = [lock._owner.info().native]


def _limiter(wait: Wait, limiter: Any, frame: FrameType, waits: Waits) -> None:
    wait.what = waits.called(limiter)
    tasks = [task for task in limiter._borrowers.values() if task is not None]
    if tasks and len(tasks) == len(limiter._borrowers):
        wait.kind = "lock"
    wait.holders = [task.info().native for task in tasks]


def _condition(wait: Wait, condition: Any, frame: FrameType, waits: Waits) -> None:
    if wait.parked and not wait.granted:
        wait.what = f"a notify of {waits.called(condition)}"
    else:
        wait.granted = False
        _lock(wait, condition._lock, frame, waits)
        wait.what = f"the lock of {waits.called(condition)}"


def _simply(wait: Wait, thing: Any, frame: FrameType, waits: Waits) -> None:
    wait.what = waits.called(thing)


def _future(wait: Wait, future: Any, frame: FrameType, waits: Waits) -> None:
    wait.what = waits.called(future)


def _send(wait: Wait, stream: Any, frame: FrameType, waits: Waits) -> None:
    figures = stream.statistics()
    full = f"{figures.current_buffer_used} of {figures.max_buffer_size:g} items"
    wait.what = f"room in {waits.called(stream)}, which has {full}"


def _receive(wait: Wait, stream: Any, frame: FrameType, waits: Waits) -> None:
    open_ends = stream.statistics().open_send_streams
    wait.what = (
        f"an item from {waits.called(stream)}, which is empty and has {open_ends} open senders"
    )


def _group(wait: Wait, group: Any, frame: FrameType, waits: Waits) -> None:
    wait.kind = "tasks"
    handle = frame.f_locals.get("handle")
    if handle is not None:
        wait.what = f"started() from {short(handle.name)}"
        wait.holders = waits.task_of(handle)
        return
    wait.holders = waits.in_order(group._nursery.children())
    wait.needs_all = True
    names = [waits.name(native) for native in wait.holders]
    wait.what = f"the end of {', '.join(names)}" if names else "the end of its task group"


def _handle(wait: Wait, handle: Any, frame: FrameType, waits: Waits) -> None:
    wait.kind = "tasks"
    wait.holders = waits.task_of(handle)
    wait.what = f"the end of {short(handle.name)}"


_DESCRIBE: dict[type, Callable[[Wait, Any, FrameType, Waits], None]] = {
    Lock: _lock,
    CapacityLimiter: _limiter,
    Condition: _condition,
    Semaphore: _simply,
    Event: _simply,
    MemoryObjectSendStream: _send,
    MemoryObjectReceiveStream: _receive,
    TaskGroup: _group,
    TaskHandle: _handle,
}


def _variable(variables: Any, thing: object) -> str | None:
    """Return what a frame calls an object: a variable, or something inside of one."""
    try:
        items = list(variables.items())
    except RuntimeError:  # Changed by another thread just now.
        return None
    for name, value in items:
        if value is thing and name != "self":
            return str(name)
    for name, value in items:
        try:
            inner = _part(value, thing)
        except Exception:  # of the program's own classes: they may do anything
            continue
        if inner is not None:
            return f"{name}{inner}"
    return None


_MANY = 100
"""Parts of a variable that are looked at."""


def _entries(entries: dict[Any, Any]) -> Iterable[tuple[Any, Any]]:
    return islice(entries.items(), _MANY)


def _part(value: object, thing: object) -> str | None:
    """Return how one gets from a value to an object that is in it: an index, a key, an attribute."""
    if isinstance(value, dict):
        entries = _entries(value)  # pyright: ignore[reportUnknownArgumentType]  # of anything
        found = (key for key, part in entries if part is thing)
        return next((f"[{key!r}]" for key in found), None)
    if isinstance(value, (list, tuple)):
        items = islice(enumerate(cast("Sequence[Any]", value)), _MANY)
        return next((f"[{index}]" for index, part in items if part is thing), None)
    attributes: dict[str, Any] = getattr(value, "__dict__", None) or {}
    names = (name for name, part in islice(attributes.items(), _MANY) if part is thing)
    return next((f".{name}" for name in names), None)
