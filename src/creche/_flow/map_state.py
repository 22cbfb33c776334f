"""`MapState`: which call of a map may start, and which result comes out next. Never waits.

Owns the counts, the results that nobody has taken yet, the errors, and the queues of parked tasks.
Does not know what the calls do, nor any event loop: of a waiter it calls only `done`, `set_result`
and `set_exception`.

    open --the source has ended--> draining --the last call has ended--> over
         --a call or the source failed--> failed --the last call has ended--> over

    state       may a call start    take
    open        if there is room    a result, or NOTHING
    draining    no                  a result, or NOTHING
    failed      no                  a result that was there before the failure, or NOTHING
    over        no                  a result, then the failure once, then END

Rules
-----
* Room is for a call if fewer than `at_most` run, and fewer than `ahead` calls run or have a result
  that nobody has taken. So a slow reader holds the calls back, and memory is bounded.
* In order, a result comes out when all before it have. The results that wait for an earlier one
  count as not taken.
* No reader waits while there is a result for it, and the feeder does not wait while there is room.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from .below import WaitQueue
from .outcomes import collapsed

NOTHING: Final = object()
"""There is no result yet."""
END: Final = object()
"""There is no result any more."""

FAILED = "several calls of a map have failed"


class MapState:
    """The bookkeeping of one map."""

    __slots__ = ("_ahead", "_at_most", "_early", "_first", "_ordered", "_ready", "done", "errors", "failed",
                 "feeder", "over", "readers", "running", "started", "stopped")  # fmt: skip

    def __init__(self, at_most: int, ordered: bool, ahead: int | None = None) -> None:
        self._at_most = at_most
        self._ahead = 2 * at_most if ahead is None else ahead
        self._ordered = ordered
        self._ready: deque[Any] = deque()
        self._early: dict[int, Any] = {}
        """Results that wait for an earlier one, by number."""
        self._first = 0
        """In order: the number of the result that comes next."""
        self.running = 0
        self.started = 0
        self.done = 0
        """Calls that have ended, also by an error."""
        self.failed = 0
        """Those of them that have raised."""
        self.errors: list[Exception] = []
        """What nobody has seen yet."""
        self.stopped = False
        """Whether no call may start any more, because one has failed or the reader has left."""
        self.over = False
        self.readers: WaitQueue[None] = WaitQueue()
        self.feeder: WaitQueue[None] = WaitQueue()

    def has_room(self) -> bool:
        """Tell whether one more call may start."""
        running = self.running
        kept = len(self._ready) + len(self._early)
        return running < self._at_most and running + kept < self._ahead

    def begin(self) -> int:
        """Count a call in; return its number."""
        number = self.started
        self.started = number + 1
        self.running += 1
        return number

    def finish(self, number: int, result: Any) -> None:
        """Count a call out that has a result."""
        self.running -= 1
        self.done += 1
        if not self._ordered:
            self._give(result)
        elif number != self._first:
            self._early[number] = result
        else:
            self._give(result)
            self._first = number = number + 1
            early = self._early
            while number in early:
                self._give(early.pop(number))
                self._first = number = number + 1
        self._let_feed()

    def fail(self, error: Exception, *, call: bool = True) -> None:
        """Keep an error, of a call unless it is the source's: no other call may start."""
        self.stopped = True
        self.errors.append(error)
        if call:
            self.failed += 1
            self.done += 1
            self.running -= 1

    def abandon(self) -> None:
        """Count a call out that was cancelled with the map."""
        self.running -= 1

    def finish_all(self) -> None:
        """Note that no call runs or will run: readers hear of the end."""
        self.over = True
        while (entry := self.readers.pop()) is not None:
            if self.errors:
                entry[0].set_exception(self._failure())
            else:
                entry[0].set_result(END)

    def take(self) -> Any:
        """Return the next result, NOTHING if there is none yet, END if there is none any more.

        Raises the failure of the map, once.
        """
        if self._ready:
            result = self._ready.popleft()
            self._let_feed()
            return result
        if not self.over:
            return NOTHING
        if self.errors:
            raise self._failure()
        return END

    def _give(self, result: Any) -> None:
        entry = self.readers.pop() if not self._ready else None
        if entry is not None:
            entry[0].set_result(result)
        else:
            self._ready.append(result)

    def _let_feed(self) -> None:
        if self.feeder and self.has_room():
            entry = self.feeder.pop()
            if entry is not None:
                entry[0].set_result(None)

    def _failure(self) -> Exception:
        errors, self.errors = self.errors, []
        return collapsed(FAILED, errors)
