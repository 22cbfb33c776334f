"""`Timers`: one heap of deadlines for each loop, and one timer of the loop for the earliest.

Entering and leaving a scope that does not expire is a push and a pop or mark, without the loop.
An entry is `[when, order, target]`: equal deadlines fire in the order they were made. A target is
a scope, which is told to expire, or a waiter, which is granted. A dropped entry has no target and
stays where it is until it reaches the top, or until such entries are most of the heap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from heapq import heapify, heappop, heappush
from math import inf
from typing import Any

from ..scope import Scope

Entry = list[Any]

_SLACK = 64
"""Dropped entries that a heap may hold before it is worth a clean-up."""


class Timers:
    """The deadlines of one loop. The attributes without an underscore are for `scopes.py`, which inlines `add` and `drop`."""

    __slots__ = ("_context", "_dropped", "_expire", "_handle", "_loop", "armed", "heap", "order")

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[Any], object]) -> None:
        """:param expire: what tells a scope that its deadline has come"""
        self._expire = expire
        self._loop = loop
        self.heap: list[Entry] = []
        self.order = 0
        self._dropped = 0
        self.armed = inf
        self._handle: asyncio.TimerHandle | None = None
        self._context = Context()

    def add(self, when: float, target: Any) -> Entry:
        """Have `target` fire at `when`; return the entry for `drop`."""
        self.order += 1
        entry: Entry = [when, self.order, target]
        heappush(self.heap, entry)
        if when < self.armed:
            self.arm(when)
        return entry

    def drop(self, entry: Entry) -> None:
        """Forget an entry, fired or not."""
        heap = self.heap
        if heap and heap[-1] is entry:  # The usual case: the last one in is the first one out.
            heap.pop()
            return
        if entry[2] is None:
            return
        entry[2] = None
        self._dropped += 1
        if self._dropped > _SLACK and self._dropped * 2 > len(heap):
            self.heap = [live for live in heap if live[2] is not None]
            heapify(self.heap)
            self._dropped = 0

    def close(self) -> None:
        """Stop: nothing fires from now on."""
        self.heap.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self.armed = inf

    def arm(self, when: float) -> None:
        """Have the loop call at `when`, which is earlier than anything that it was asked for."""
        if self._handle is not None:
            self._handle.cancel()
        self.armed = when
        self._handle = self._loop.call_at(when, self._fire, context=self._context)

    def _fire(self) -> None:
        # The loop may call too early by its clock's resolution: `when` counts.
        now = max(self._loop.time(), self.armed)
        heap = self.heap
        self._handle = None
        self.armed = inf
        while heap and (heap[0][2] is None or heap[0][0] <= now):
            target = heappop(heap)
            fired, target[2] = target[2], None
            if fired is None:
                self._dropped -= 1
            elif isinstance(fired, Scope):
                self._expire(fired)
            elif not fired.done():  # A future, of whichever class asyncio had when it was made.
                fired.set_result(None)
        if heap is self.heap and heap and heap[0][0] < self.armed:
            self.arm(heap[0][0])
