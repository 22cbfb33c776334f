"""Small numbers for objects that come and go: each has one as long as it lives, none is given twice.

Owns the table from an object to its number, and when it was first seen. Knows nothing of what the objects are.
"""

from __future__ import annotations

import weakref
from time import monotonic
from typing import Any, NamedTuple


class Seen(NamedTuple):
    """What is kept of an object."""

    reference: weakref.ref[Any]
    number: int
    since: float
    """When it was first seen, by the monotonic clock."""


class Numbers:
    """The numbers of one kind of objects."""

    def __init__(self) -> None:
        self._next = 1
        self._given: dict[int, Seen] = {}

    def of(self, thing: Any) -> int:
        """Return the number of an object that can be referred to weakly."""
        return self.seen(thing).number

    def seen(self, thing: Any) -> Seen:
        """Return the number of an object, and when it was first asked for."""
        key = id(thing)
        known = self._given.get(key)
        if known is None:
            given = self._given
            number, self._next = self._next, self._next + 1
            reference = weakref.ref(thing, lambda _: given.pop(key, None))
            known = given[key] = Seen(reference, number, monotonic())
        return known

    def keys(self) -> dict[int, int]:
        """Return the `id` of each object that lives, by its number."""
        return {seen.number: key for key, seen in list(self._given.items())}

    def find(self, number: int) -> Any:
        """Return the object that has a number, None if it is gone."""
        for seen in list(self._given.values()):
            if seen.number == number:
                return seen.reference()
        return None


tasks = Numbers()
scopes = Numbers()
