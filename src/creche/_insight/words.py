"""The texts of a recording: names of tasks, of what they wait for, of places. Each has a number.

Owns the numbers, and what is kept so that no text is made twice. It refers weakly to the program's
objects: nothing lives longer because it is recorded.
"""

# Scopes and handles keep to themselves what they know.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import CodeType
from typing import TYPE_CHECKING, Any

from .._introspection.naming import given_name, plain_name
from .._kernel.names import name_of
from .._labels import short_path
from .._tasks.group import TaskGroup
from .._tasks.handle import TaskHandle
from . import layout

if TYPE_CHECKING:
    from .lanes import Lane

MANY = 50_000
"""Texts that are kept. With more, all are forgotten, and get new numbers where they come again."""


class Words:
    """The texts of one watch."""

    def __init__(self, add_return_point: Callable[[CodeType], None]) -> None:
        self.add_return_point = add_return_point
        self.wait_points: dict[int, int] = {}
        """The functions in which tasks wait, by the `id` of their code, each with the number of what for; 0 where
        `self` is that."""
        self.new: dict[int, str] = {}
        """The texts that were not written yet."""
        self.texts: dict[int, str] = {}
        """All of them, by their numbers."""
        self._numbers: dict[str, int] = {}
        self._next = 1
        self._names: dict[object, int] = {}
        """Of tasks, by the name that was given, or the `id` of the code of their function."""
        self._codes: list[CodeType] = []
        """These codes, for no other is to get their `id`."""
        self._groups: dict[int, weakref.ref[Any]] = {}
        self._things: dict[int, tuple[weakref.ref[Any], int]] = {}
        self._entries: dict[tuple[int, int], int] = {}

    def of(self, text: str) -> int:
        """Return the number of a text."""
        number = self._numbers.get(text) if text else 0
        if number is None:
            number, self._next = self._next, self._next + 1
            self.texts[number] = self.new[number] = (
                text  # First: whoever has the number finds the text.
            )
            self._numbers[text] = number
        return number

    def clear(self) -> None:
        """Forget all texts. The lanes have some of the numbers: they have to be made anew."""
        for table in (self.texts, self._numbers, self._names, self._things, self._entries):
            table.clear()
        self._codes.clear()

    # Tasks and groups

    def task_record(self, lane: Lane, task: Any, time: int) -> tuple[int, int, int, int]:
        """Return the record that says that a task is there."""
        label = lane.label_of(task)
        nursery = origin = None
        if label is not None:
            nursery, origin = getattr(label, "_nursery", None), label._origin
        if nursery is None:
            kernel = lane.kernel
            name = "" if kernel is None or task is None else kernel.record(task).name
            return lane.tag(layout.TASK, self.of(name)), id(task), time, 0
        # Not the function: what it refers to is not to live longer.
        key = origin if type(origin) is str else id(getattr(origin, "__code__", None))
        number = self._names.get(key)
        if number is None:
            number = self._new_name(key, origin)
        scope = nursery.scope
        group = id(scope)
        if group not in self._groups:
            self.note_group(lane, nursery)
        return lane.tag(layout.TASK, number), id(task), time, group

    def _new_name(self, key: object, origin: object) -> int:
        number = self.of(name_of(origin) if not isinstance(origin, str) else origin)
        code = getattr(origin, "__code__", None)
        if code is not None:
            self._codes.append(code)
        if code is not None or isinstance(origin, str):
            self._names[key] = number
        return number

    def note_group(self, lane: Lane, nursery: Any) -> None:
        """Record that a group is there."""
        scope, host = nursery.scope, nursery.host
        key, groups = id(scope), self._groups
        groups[key] = weakref.ref(scope, lambda _: groups.pop(key, None))
        native = id(host.info().native)
        tag = lane.tag(layout.GROUP, self.entered(scope))
        lane.extend((tag, key, native, key))

    def entered(self, scope: Any) -> int:
        """Return the number of the text that says where a scope was entered."""
        code = getattr(scope, "_code", None)
        if code is None:
            return 0
        at = id(code), scope._instruction
        number = self._entries.get(at)
        if number is None:
            line = code.co_firstlineno
            for first, end, each in code.co_lines():
                if first <= scope._instruction < end and each is not None:
                    line = each
            number = self.of(f"{short_path(code.co_filename)}:{line}")
            self._entries[at] = number
            self._codes.append(code)
        return number

    # Waits

    def wait(self, thing: Any) -> tuple[int, int]:
        """Return the key of what is waited in, and the number of its text."""
        if isinstance(thing, TaskGroup):
            return id(thing.cancel_scope), self.of("the end of its task group")
        key = id(thing)
        known = self._things.get(key)
        if known is not None and known[0]() is thing:
            return key, known[1]
        number = self.of(_words_for(thing))
        try:
            self._things[key] = weakref.ref(thing, lambda _: self._things.pop(key, None)), number
        except TypeError:  # It cannot be referred to weakly.
            pass
        return key, number


def _words_for(thing: object) -> str:
    if isinstance(thing, TaskHandle):
        return f"the end of {thing.name}"
    return given_name(thing) or plain_name(thing)
