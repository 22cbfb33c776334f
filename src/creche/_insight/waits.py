"""What the tasks of a loop wait for, and where in the program they are: for many tasks at once.

Owns the way from a task to its frames and its wait. Each task's frames are read once. Objects
without a name are looked for in the program's variables, all of them in one pass, and not for
longer than `PATIENCE`: then they go by the place where they were made, or by their type. Knows no event
loop; the words are those of `_introspection`.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import CodeType, FrameType, FunctionType, ModuleType, NoneType
from typing import TYPE_CHECKING, Any, cast

from .._introspection.frames import frames_of, outermost_call
from .._introspection.naming import given_name, part_of, plain_name
from .._introspection.waits import ask, primitives_in
from .._labels import in_library, short_path
from .._tasks.info import info_of
from .model import Place

if TYPE_CHECKING:
    from .._kernel.contract import Kernel, TaskRecord
    from .._wait_description import WaitDescription

thread_time: Callable[[], float] = getattr(time, "thread_time", time.monotonic)
"""The clock of searches: what other threads take does not count. A page has no such clock, and no threads."""

PATIENCE = 0.05
"""Seconds of processor time that the search for names in variables may take."""


class Found:
    """What was read off one task."""

    __slots__ = ("call", "description", "frames", "outside", "primitive", "record")

    def __init__(self, record: TaskRecord, frames: list[FrameType]) -> None:
        self.record = record
        self.frames = frames
        self.outside: Sequence[FrameType] = frames
        """The frames outside of what it waits in."""
        self.description: WaitDescription | None = None
        self.primitive: Any = None
        """The outermost primitive that it waits in."""
        self.call = ""
        """The library function that it waits in, where no primitive describes the wait."""


def read(record: TaskRecord, kernel: Kernel, running: list[FrameType] | None) -> Found:
    """Read off a task where it is and what it waits for. `running`: its frames, if it is in a step."""
    if running is not None:
        return Found(record, running)
    found = Found(record, frames_of(record.coro))
    primitives = primitives_in(found.frames)
    if primitives:
        found.outside = found.frames[: primitives[-1].place]
        found.primitive = primitives[-1].primitive
        info = info_of(record, kernel)
        for primitive, _ in primitives:
            found.description = ask(primitive, info, found.description)
    if found.description is None:
        found.call = outermost_call(found.frames)
    return found


def can_see_threads() -> bool:
    """Tell whether the frames of other threads can be asked for.

    `sys._current_frames` looks at the threads of all interpreters, and takes the process down if another one is
    being made or runs at that moment (seen on CPython 3.13).
    """
    interpreters: Any = sys.modules.get("_interpreters")
    if interpreters is None:
        return True
    ours: Any = sys.modules.get(f"{__name__.partition('.')[0]}._remote.interpreters")
    return not (ours is not None and ours.changing) and len(interpreters.list_all()) < 2


def frame_of_thread(thread_id: int) -> FrameType | None:
    """Return the frame that a thread is in, None if that cannot be known."""
    if thread_id == threading.get_ident():
        return sys._getframe(1)  # pyright: ignore[reportPrivateUsage]  # as elsewhere
    if not can_see_threads():
        return None
    return sys._current_frames().get(thread_id)  # pyright: ignore[reportPrivateUsage]  # as elsewhere


def running_frames(thread_id: int) -> list[FrameType]:
    """Return the frames of a step that a thread is in, outermost first; none if it is in no step."""
    frame = frame_of_thread(thread_id)
    frames: list[FrameType] = []
    last = 0
    while frame is not None:
        frames.append(frame)
        if frame.f_code.co_flags & _COROUTINES:
            last = len(frames)
        frame = frame.f_back
    try:
        return frames[:last][::-1]
    finally:
        frames.clear()  # This frame may be among them: nothing is to hold itself.


_COROUTINES = 0x80 | 0x100 | 0x200  # coroutines, those made by types.coroutine, async generators


class Places:
    """Places in files, each made once. Code goes by its `id`, for its hash looks at all that is in it."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int], Place] = {}
        self._frames: dict[tuple[int, int], Place] = {}
        """The same by the instruction that a frame is at: to ask for its line takes long."""
        self._in_library: dict[int, bool] = {}
        self._codes: list[CodeType] = []
        """All of these: no other is to get the `id` of one."""

    def of(self, frame: FrameType) -> Place:
        """Return where a frame is."""
        code = frame.f_code
        key = id(code), frame.f_lasti
        place = self._frames.get(key)
        if place is None:
            place = self._frames[key] = self.at(code, frame.f_lineno)
        return place

    def at(self, code: CodeType, line: int) -> Place:
        """Return the place of a line in a function."""
        key = id(code), line
        place = self._made.get(key)
        if place is None:
            place = Place(short_path(code.co_filename), line, code.co_qualname)
            self._made[key] = place
            self._codes.append(code)
        return place

    def program(self, found: Found) -> Place | None:
        """Return where in the program a task is."""
        for frames in (found.outside, found.frames):
            for frame in reversed(frames):
                if not self._is_library(frame):
                    return self.of(frame)
        return None

    def _is_library(self, frame: FrameType) -> bool:
        code = frame.f_code
        known = self._in_library.get(id(code))
        if known is None:
            known = self._in_library[id(code)] = in_library(frame)
            self._codes.append(code)
        return known

    def stack(self, found: Found, *, library: bool) -> tuple[Place, ...]:
        """Return the program's frames of a task, or all of them."""
        return tuple(
            self.of(frame) for frame in found.frames if library or not self._is_library(frame)
        )


class Names:
    """What the objects that tasks wait for are called."""

    def __init__(self, things: Iterable[object], founds: Sequence[Found]) -> None:
        wanted = {id(thing): thing for thing in things if given_name(thing) is None}
        self._found: dict[int, str] = {}
        self._told: dict[int, str] = {}
        """What objects are called, once it was asked for. They live as long as this: tasks wait in them."""
        self.complete = True
        """Whether the search came to its end."""
        if wanted:
            self._search(wanted, founds)

    def of(self, thing: object) -> str:
        """Name an object."""
        known = self._told.get(id(thing))
        if known is None:
            known = self._told[id(thing)] = self._name(thing)
        return known

    def _name(self, thing: object) -> str:
        given = given_name(thing)
        if given is not None:
            return given
        name = self._found.get(id(thing))
        return plain_name(thing) if name is None else f"{type(thing).__name__} {name!r}"

    def _search(self, wanted: dict[int, object], founds: Sequence[Found]) -> None:
        until = thread_time() + PATIENCE
        modules: set[int] = set()
        for found in founds:
            for frame in found.frames:
                if in_library(frame):
                    continue
                if id(frame.f_globals) not in modules:
                    modules.add(id(frame.f_globals))
                    self._look(frame.f_globals, wanted)
                self._look(frame.f_locals, wanted)
            if len(self._found) == len(wanted):
                return
            if thread_time() > until:
                self.complete = False
                return

    def _look(self, variables: Any, wanted: dict[int, object]) -> None:
        try:
            items = cast("list[tuple[str, Any]]", list(variables.items()))
        except RuntimeError:  # changed by another thread just now
            return
        names = self._found
        for name, value in items:
            if id(value) in wanted and name != "self":
                names.setdefault(id(value), name)
        for name, value in items:
            if type(value) in _PLAIN:
                continue
            for key, thing in wanted.items():
                if key not in names and (inner := part_of(value, thing)) is not None:
                    names[key] = f"{name}{inner}"


_PLAIN: frozenset[Any] = frozenset(
    (int, float, str, bytes, bool, NoneType, type, ModuleType, FunctionType)
)
