"""What is known of tasks over time: how long each has waited, and how busy it is.

Owns two tables, by the numbers of tasks. They are filled only while somebody looks:

* Since when: a task that is found in the very wait in which an earlier snapshot has found it has waited since
  then, at least. Which wait it is is known by what the loop has parked the task on, or by the innermost coroutine:
  each wait has others.
* Busy: while `creche top` and the like ask, steps are watched (`steps.py`) for `WINDOW` of each `EVERY` seconds,
  so that being looked at costs little. What is shown is the time in steps, and the time that was watched. Steps
  tell a task by the `id` of the loop's own object, which another may have later: at the end of a window the
  figures are given to the tasks that are alive, and those of others are dropped.
"""

from __future__ import annotations

import threading
import weakref
from itertools import chain
from time import monotonic
from typing import Any, NamedTuple

from .._kernel.inspection import loops
from . import layout
from .states import patiently
from .steps import SUPPORTED, watch

WINDOW = 0.02
EVERY = 1.0


class Busy:
    """The steps of one task that were watched."""

    __slots__ = ("seconds", "steps", "whose")

    def __init__(self) -> None:
        self.steps = 0
        self.seconds = 0.0
        self.whose: weakref.ref[Any] | None = None
        """The task, once its window is over."""

    def is_of(self, native: Any) -> bool:
        return self.whose is None or self.whose() is native


class _Stay(NamedTuple):
    """A wait in which a task was found."""

    mark: weakref.ref[Any]
    since: float


class Figures:
    """What was found out so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stays: dict[int, _Stay] = {}
        self.turns: dict[int, tuple[str, weakref.ref[Any], float]] = {}
        """Of tasks that were found ready or cancelled: in what state, by what that is known, and since when."""
        self._busy: dict[int, Busy] = {}
        """By the `id` of the loop's own object for a task."""
        self._watching_since: float | None = None
        self._until = 0.0
        self._next = 0.0
        self.watched = 0.0
        """Seconds for which steps were watched."""

    # Since when

    def since(self, number: int, waiter: Any, coro: Any) -> float:
        """Return since when a task has been in the wait that it is in, by the monotonic clock, at least.

        :param waiter: what its loop has parked it on, None if the loop does not tell
        """
        mark = _innermost(coro) if waiter is None else waiter
        known = self._stays.get(number)
        if known is not None and known.mark() is mark:
            return known.since
        now = monotonic()
        try:
            self._stays[number] = _Stay(weakref.ref(mark), now)
        except TypeError:  # such as of a library in C
            self._stays.pop(number, None)
        return now

    def turn(self, number: int, state: str, coro: Any, waiter: Any, *, blocked: bool) -> float:
        """Return for how many seconds a task has been cancelled, or ready without a step, at least.

        A task that was cancelled and has not had its turn since counts as -1: it could not go.
        """
        if state not in ("cancelling", "ready"):
            self.turns.pop(number, None)
            return 0.0
        mark = _innermost(coro) if waiter is None else waiter
        known = self.turns.get(number)
        now = monotonic()
        if known is not None and known[0] == state:
            same = known[1]() is mark
            if state == "cancelling":
                return -1.0 if same and not blocked else now - known[2]
            if same:
                return now - known[2]
        try:
            self.turns[number] = state, weakref.ref(mark), now
        except TypeError:
            self.turns.pop(number, None)
        return -1.0 if state == "cancelling" else 0.0

    def keep_only(self, numbers: set[int]) -> None:
        """Forget the tasks that are not among these: they have ended."""
        for table in (self._stays, self.turns):
            if len(table) > 2 * len(numbers) + 100:
                for number in table.keys() - numbers:
                    table.pop(number, None)

    # Busy

    def look(self) -> None:
        """Hear that somebody looks: watch the steps for a moment, if it is time again."""
        if not SUPPORTED:
            return
        with self._lock:
            now = monotonic()
            if self._watching_since is not None or now < self._next:
                return
            self._watching_since = now
            self._until, self._next = now + WINDOW, now + EVERY
        try:
            watch.subscribe(self._take, everything=False)
        except RuntimeError:  # Other tools have taken all places.
            self._watching_since, self._next = None, now + 60 * EVERY

    def busy(self, native: Any) -> Busy | None:
        """Return what was seen of the steps of a task; None if none of its steps was."""
        seen = self._busy.get(id(native))
        return seen if seen is not None and seen.is_of(native) else None

    def _take(self, taken: list[tuple[int, ...]], _texts: dict[int, str]) -> None:
        busy, words = self._busy, tuple(chain.from_iterable(taken))
        for place in range(0, len(words), layout.WORDS):
            kind = words[place] & 0xFF
            key = words[place + 1]
            if kind in (layout.STEP, layout.LAST):
                seen = busy.get(key)
                if seen is None or (seen.whose is not None and seen.whose() is None):
                    seen = busy[key] = Busy()
                seen.steps += 1
                seen.seconds += (words[place + 3] - words[place + 2]) / 1e9
            if kind == layout.LAST:
                busy.pop(key, None)
            elif kind == layout.TASK:
                busy[key] = Busy()
        with self._lock:
            since, now = self._watching_since, monotonic()
            if since is None or now < self._until:
                return
            self.watched += now - since
            self._watching_since = None
        watch.unsubscribe(self._take)
        self._settle()

    def _settle(self) -> None:
        """Give what was seen to the tasks that are alive, and forget the rest."""
        natives = {
            id(record.native): record.native
            for kernel in loops()
            for record in patiently(kernel.tasks)
        }
        for key, seen in list(self._busy.items()):
            native = natives.get(key)
            if native is None or not seen.is_of(native):
                self._busy.pop(key, None)
            else:
                seen.whose = weakref.ref(native)


def _innermost(coro: Any) -> Any:
    """Return the innermost coroutine or generator that a task is in."""
    for _ in range(1000):
        inner = getattr(coro, "cr_await", None) or getattr(coro, "gi_yieldfrom", None)
        if not (hasattr(inner, "cr_frame") or hasattr(inner, "gi_frame")):
            return coro
        coro = inner
    return coro


figures = Figures()
