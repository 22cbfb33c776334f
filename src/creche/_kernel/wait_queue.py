"""`WaitQueue`: the first-in-first-out queue of parked tasks that every primitive shares.

Owns the order of the waiters, and the clean-up after those that were cancelled. Does not know
what is waited for, nor any event loop.

The rules
---------
* An entry is a waiter and a payload, whatever the waker has to know about it. It is `live` until
  its waiter is done, then `dead`; a dead entry is never seen again from outside.
* A waker removes the entry before it sets the result: `pop`, then `set_result`. One that iterates and
  wakes all calls `clear` after it, and lets nothing else run in between.
* A loop in debug mode, and Trio, refuse a waker in another thread by a RuntimeError of `set_result`. It then puts
  the entry back, so that nothing has changed.
* `wait` removes the entry of a wait that raises. `discard` takes what is dead off both ends, and packs
  the rest when half of it may be dead, so that any order of cancels costs O(1) each.
* A waiter may stand in several queues: once it is done it is dead in all of them, and a caller of `add`
  then calls `discard` on each.
* Waiters and payloads lie side by side in one deque, made at the first wait: a blocked task
  costs 16 bytes here and no object, and an unused primitive costs nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from .contract import Task, Waiter

P = TypeVar("P")


class WaitQueue(Generic[P]):
    """Waiters in the order they came, each with a payload."""

    __slots__ = ("_cells", "_discards")

    _cells: deque[Any] | None
    """waiter, payload, waiter, payload, ..."""

    def __init__(self) -> None:
        self._cells = None
        self._discards = 0

    async def wait(self, task: Task, payload: P) -> Any:
        """Block `task`, the running one, until a waker takes its entry out and grants its waiter.

        Returns what was granted. Raises what the waiter failed with, or the task's cancellation;
        then the entry is gone.
        """
        waiter = task.make_waiter()
        self.add(waiter, payload)
        try:
            return await task.park(waiter)
        except BaseException as exc:
            if not task.granted(waiter, exc):
                self.discard(waiter)
                raise
            return waiter.result()

    def add(self, waiter: Waiter, payload: P) -> None:
        """Put a waiter at the end."""
        cells = self._cells
        if cells is None:
            cells = self._cells = deque()
        cells.append(waiter)
        cells.append(payload)

    def pop(self) -> tuple[Waiter, P] | None:
        """Take out the first live waiter and its payload; return None if there is none."""
        cells = self._cells
        if cells is None:
            return None
        while cells:
            waiter: Waiter = cells.popleft()
            payload: P = cells.popleft()
            if not waiter.done():
                return waiter, payload
        return None

    def put_back(self, entry: tuple[Waiter, P]) -> None:
        """Put an entry back in front: its waker was in another thread, and was refused."""
        cells = self._cells
        assert cells is not None, "the entry was in it"
        cells.extendleft((entry[1], entry[0]))

    def discard(self, waiter: Waiter) -> None:
        """Forget a waiter that is done, wherever it is in the queue, or if it is not there."""
        cells = self._cells
        if not cells:
            return
        before = len(cells)
        while cells and cells[0].done():
            cells.popleft()
            cells.popleft()
        while cells and cells[-2].done():
            cells.pop()
            cells.pop()
        if len(cells) == before:
            self._discards += 1
            if self._discards * 4 > before:  # entries are two cells each
                self._pack()

    def clear(self) -> None:
        """Forget every waiter, after all were woken."""
        self._cells = None
        self._discards = 0

    def __iter__(self) -> Iterator[tuple[Waiter, P]]:
        """Go over the live entries, first to last."""
        cells = iter(self._cells or ())
        for waiter in cells:
            payload = next(cells)
            if not waiter.done():
                yield waiter, payload

    def __len__(self) -> int:
        """Count the live waiters, looking at each; `bool()` of the queue looks at few."""
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        """Tell whether anybody waits."""
        cells = self._cells
        if cells is None:
            return False
        while cells and cells[0].done():
            cells.popleft()
            cells.popleft()
        return bool(cells)

    def _pack(self) -> None:
        """Drop the dead entries from the middle."""
        live: deque[Any] = deque()
        for waiter, payload in self:
            live.append(waiter)
            live.append(payload)
        self._cells = live
        self._discards = 0
