"""Locks that others wait for, by the task that holds them: what happens when it ends.

Owns that a holder's end is heard of. A lock that nobody waits for is not known here, so one that is
taken and released costs nothing; whoever comes to one whose holder has ended sees that for itself.

Rules
-----
* A holder is noted when a task begins to wait for its lock, and when it takes over one that others wait for.
* A lock that was released since stays noted until its holder ends, or has very many noted. Both sides
  know of it: the lock (`_noted`) looks there first, for it changes hands often, among the same tasks.
"""

# A lock and what is known here of its holders are one thing.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .._exceptions import BrokenResourceError

if TYPE_CHECKING:
    from .._kernel.contract import Task

_KEY = object()
_MANY = 64
"""Locks noted for one holder from which on it is asked which of them it still holds."""


class Held(Protocol):
    """A lock, as it is seen here."""

    _noted: set[Task]

    def _held_by(self, task: Task) -> bool: ...
    def _break(self) -> None: ...


class _Locks(dict[Held, None]):
    """The locks that others wait for and one task holds, or has held."""

    def __init__(self, holder: Task) -> None:
        self.holder = holder

    def forget(self) -> list[Held]:
        """Forget those that the task does not hold any more; return the others."""
        held: list[Held] = []
        for lock in list(self):
            if lock._held_by(self.holder):
                held.append(lock)
            else:
                lock._noted.discard(self.holder)
                del self[lock]
        return held

    def end(self) -> None:
        """The holder has ended."""
        self.holder.kernel.run_vars.get(_KEY, {}).pop(self.holder, None)
        for lock in self.forget():
            lock._noted.discard(self.holder)
            lock._break()


def note(lock: Held, holder: Task) -> None:
    """Have `lock` break if `holder` ends without releasing it."""
    known: dict[Task, _Locks] = holder.kernel.run_vars.setdefault(_KEY, {})
    locks = known.get(holder)
    if locks is None:
        locks = known[holder] = _Locks(holder)
        holder.at_end(locks.end)
    if len(locks) >= _MANY:
        locks.forget()
    locks[lock] = None
    lock._noted.add(holder)


def broken(lock: object, holder: Task) -> BrokenResourceError:
    """Make the error for those who want a lock that will never be released."""
    return BrokenResourceError(
        f"{type(lock).__name__} is held by task {holder.info().name!r}, which has ended without "
        f"releasing it, so it will never be free: hold it with 'async with', and make a new one"
    )
