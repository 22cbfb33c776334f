"""Who waits for what: asked of the primitives that blocked tasks wait in.

Primitives register nothing, so this costs nothing until somebody asks. A task that waits in a
primitive has a frame on its stack in which the primitive is `self`; it is found by that and describes the
wait itself (`_wait_description.py`). Where primitives stand directly around each other, as a future
around an event, the outermost has the last word. Knows no event loop, and no primitive.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from math import inf
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from .._labels import in_library
from .._tasks.info import TaskInfo, info_of
from .._wait_description import WaitDescription
from .frames import frames_of, outermost_call, place_of, running_frames
from .naming import called, kept_task_names, task_names

if TYPE_CHECKING:
    from .._kernel.contract import Kernel, TaskRecord


class Wait:
    """What one blocked task waits for."""

    __slots__ = ("deadline", "granted", "holders", "kind", "needs_all", "place", "record", "takes",
                 "what")  # fmt: skip

    def __init__(self, record: TaskRecord, place: str, what: str) -> None:
        self.record = record
        self.place = place
        """Where the program waits: `file.py:12`."""
        self.what = what
        self.takes = ""
        """What would end the wait: `release()`."""
        self.kind = ""
        """`"lock"` if it is known who holds it, `"tasks"` for a wait for tasks, else nothing."""
        self.holders: list[Any] = []
        """The native tasks that could end the wait, where that is known."""
        self.needs_all = False
        """Whether all of them have to be done, rather than one of them."""
        self.granted = False
        """Whether it has what it waited for, and will step soon."""
        self.deadline = inf
        """When a scope around it ends the wait, -inf if one was cancelled."""


class Waits:
    """The blocked tasks of one loop, as they are now."""

    def __init__(self, kernel: Kernel) -> None:
        records = {record.id: record for record in kernel.tasks()}
        simulation = kernel.simulation
        births = {} if simulation is None else simulation.order()

        def order(record: TaskRecord) -> tuple[int, int, str]:
            return _depth(record, records), births.get(record.native, 0), record.name

        self.kernel = kernel
        self.records = sorted(records.values(), key=order)
        self._by_id = records
        self._by_key: dict[int, TaskRecord] = {}
        """Each task by every object that stands for it."""
        for record in self.records:
            for key in (record.native, record.label, kernel.task_of(record.native)):
                if key is not None:
                    self._by_key[id(key)] = record
        self._frames = {record.id: frames_of(record.coro) for record in self.records}
        self._running = running_frames()
        kept = None if simulation is None else simulation.names
        self._names = (
            task_names(self.records) if kept is None else kept_task_names(self.records, kept)
        )

    def name(self, task: object) -> str:
        """Name a task, so that no two of a loop have the same name."""
        record = self._find(task)
        return self._names[record.id] if record is not None else "a task that has ended"

    def natives(self, tasks: Iterable[object]) -> list[Any]:
        """Return the loop's own objects for tasks; what has ended stays as it is."""
        return [task if (record := self._find(task)) is None else record.native for task in tasks]

    def in_order(self, tasks: Iterable[object]) -> list[Any]:
        """Do the same in the order of the list of all: that of a set is another in each process."""
        natives = self.natives(tasks)
        places = {id(record.native): place for place, record in enumerate(self.records)}
        return sorted(natives, key=lambda native: places.get(id(native), len(places)))

    def all(self) -> list[Wait]:
        """Say of every task what it waits for."""
        return [self.of(record) for record in self.records]

    def of(self, record: TaskRecord) -> Wait:
        """Say what one task waits for."""
        return wait_of(record, self._frames[record.id], self)

    def called(self, thing: object) -> str:
        """Name a primitive as the program does."""
        return called(thing, self._visible())

    def _visible(self) -> Iterator[FrameType]:
        yield from self._running
        for record in self.records:
            yield from self._frames[record.id]

    def _find(self, task: object) -> TaskRecord | None:
        if isinstance(task, TaskInfo):
            return self._by_id.get(task.id)
        return self._by_key.get(id(task))


def _depth(record: TaskRecord, records: dict[int, TaskRecord]) -> int:
    depth, parent = 0, record.parent_id
    while parent is not None and depth < len(records):
        depth += 1
        above = records.get(parent)
        parent = None if above is None else above.parent_id
    return depth


def wait_of(record: TaskRecord, frames: list[FrameType], waits: Waits) -> Wait:
    """Say what a task with these frames waits for."""
    kernel = waits.kernel
    found = primitives_in(frames)
    outside = frames[: found[-1].place] if found else frames
    wait = Wait(record, place_of(outside) or place_of(frames), outermost_call(frames))
    wait.granted = not kernel.is_blocked(record.native)
    wait.deadline = kernel.deadline_of(record.native)
    info = info_of(record, kernel)
    description: WaitDescription | None = None
    for primitive, _ in found:
        description = ask(primitive, info, description)
    if description is not None:
        _fill_in(wait, description, waits)
    return wait


class FoundPrimitive(NamedTuple):
    """A primitive, and the place of its outermost frame."""

    primitive: Any
    place: int


def _has(subject: object, method: str) -> bool:
    """Tell whether the class has a method: the object itself may answer to any name."""
    return hasattr(type(subject), method)


def primitives_in(frames: list[FrameType]) -> list[FoundPrimitive]:
    """Find the primitives that a task waits in, innermost first: those directly around each other."""
    found: list[FoundPrimitive] = []
    for place in reversed(range(len(frames))):
        frame = frames[place]
        subject: Any = frame.f_locals.get("self")
        if found and found[-1].primitive is subject:
            found[-1] = FoundPrimitive(subject, place)
        elif _has(subject, "_describe_wait"):
            found.append(FoundPrimitive(subject, place))
        elif found or not in_library(frame):
            break
    return found


def ask(primitive: Any, task: TaskInfo, inner: WaitDescription | None) -> WaitDescription | None:
    """Have a primitive describe a wait. It may be anybody's: its mistakes are told, not raised."""
    try:
        described: Any = primitive._describe_wait(task, inner)
    except Exception as exc:
        mistake = f"raised {exc!r}"
    else:
        if described is None:
            return inner
        if isinstance(described, WaitDescription):
            return described
        mistake = f"returned {described!r}, not a WaitDescription"
    kind = type(primitive).__name__
    return WaitDescription((primitive, f" ({kind}._describe_wait() {mistake})"))


def _fill_in(wait: Wait, description: WaitDescription, waits: Waits) -> None:
    """Take over what a primitive has said, in words."""
    what = description.what
    parts = cast("tuple[object, ...]", what) if type(what) is tuple else (what,)
    wait.what = "".join(part if isinstance(part, str) else waits.called(part) for part in parts)
    wait.takes = description.takes
    wait.needs_all = description.needs_all
    if description.tasks is not None:
        _name_tasks(wait, description.tasks, waits)
    else:
        wait.holders = waits.natives(description.holders)
    if description.complete:
        wait.kind = "lock" if description.tasks is None else "tasks"


def _name_tasks(wait: Wait, tasks: Collection[object], waits: Waits) -> None:
    """Note the tasks that are waited for, and put their names after what is said of them."""
    wait.holders = waits.in_order(tasks)
    names = ", ".join(map(waits.name, wait.holders))
    wait.what = f"{wait.what} {names}".rstrip()
