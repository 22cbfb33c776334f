"""What reports call things: tasks by names of which no two are the same, objects as the program does.

Owns the texts, and the search for the variable that holds an object. Knows no event loop.

An object is called by the name that it was given; else by what the program calls it, the variable or
attribute that is this very object in a frame of some task, those of the main task first, so that two tasks
do not call one lock by two names; else by the place where it was made, if that was noted
(`_labels.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from .._labels import MadeAt, in_library, label_of

if TYPE_CHECKING:
    from .._kernel.contract import TaskRecord


def task_names(records: Iterable[TaskRecord]) -> dict[int, str]:
    taken: dict[str, int] = {}
    names: dict[int, str] = {}
    for record in records:
        name = short(record.name)
        taken[name] = taken.get(name, 0) + 1
        names[record.id] = name if taken[name] == 1 else f"{name} #{taken[name]}"
    return names


def kept_task_names(records: Iterable[TaskRecord], kept: dict[Any, str]) -> dict[int, str]:
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


def called(thing: object, frames: Iterable[FrameType]) -> str:
    """Name an object: as it was told, else as the program calls it, else by its birthplace."""
    name = given_name(thing)
    if name is not None:
        return name
    for frame in frames:
        if not in_library(frame):
            found = _variable(frame.f_locals, thing) or _variable(frame.f_globals, thing)
            if found is not None:
                return f"{type(thing).__name__} {found!r}"
    return plain_name(thing)


def given_name(thing: object) -> str | None:
    """Name an object by the name that it was given, None if it was given none."""
    kept = label_of(thing)
    return f"{type(thing).__name__} {kept!r}" if isinstance(kept, str) else None


def plain_name(thing: object) -> str:
    """Name an object by its type, and the place where it was made if that was noted."""
    kept, kind = label_of(thing), type(thing).__name__
    return f"{kind} made at {kept}" if isinstance(kept, MadeAt) else kind


def part_of(value: object, thing: object) -> str | None:
    """Return how one gets from a value to an object that is in it: an index, a key, an attribute."""
    try:
        return _part(value, thing)
    except Exception:  # of the program's own classes: they may do anything
        return None


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
        if (inner := part_of(value, thing)) is not None:
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
